const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
	refresh: "M20 11a8 8 0 0 0-14.3-4.2L4 8.5M4 4v4.5h4.5M4 13a8 8 0 0 0 14.3 4.2l1.7-1.7M20 20v-4.5h-4.5",
	download: "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
	warning: "M12 9v5m0 3v.01M10.3 4.5 2.8 17a2 2 0 0 0 1.7 3h15a2 2 0 0 0 1.7-3L13.7 4.5a2 2 0 0 0-3.4 0",
	close: "M6 6l12 12M18 6 6 18",
	card: "M4 5.5h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1ZM3 10h18",
	chart: "M5 20v-6m7 6V9m7 11V4",
	key: "M14.5 9.5h.01M15 15a6 6 0 1 0-5.7-4.1L3 17.2V21h3.8v-2.6h2.6v-2.6h1.8l.7-.7A6 6 0 0 0 15 15Z",
	chevron: "m9 6 6 6-6 6",
};

/**
 * Build an element: `h("p.note", { title }, "text", node)`. Properties are attributes, save `on` (listeners by event)
 * and `data` (data attributes). Null and false leave an attribute or a child out; text is never markup.
 */
export function h(selector, ...content) {
	return build((tag) => document.createElement(tag), selector, content);
}

export function svg(selector, ...content) {
	return build((tag) => document.createElementNS(SVG, tag), selector, content);
}

function build(create, selector, content) {
	const [tag, ...classes] = selector.split(".");
	const element = create(tag);
	const { on = {}, data = {}, ...attributes } = content[0]?.constructor === Object ? content.shift() : {};
	element.classList.add(...classes);
	for (const [name, value] of Object.entries(attributes).filter(([, each]) => isPresent(each))) {
		element.setAttribute(name, value === true ? "" : value);
	}
	for (const [event, listener] of Object.entries(on)) {
		element.addEventListener(event, listener);
	}
	for (const [name, value] of Object.entries(data).filter(([, each]) => isPresent(each))) {
		element.dataset[name] = value;
	}
	element.append(...content.flat().filter(isPresent));
	return element;
}

function isPresent(value) {
	return value !== null && value !== undefined && value !== false;
}

/** A button that does `run`; `focus` is its name for `refill`. */
export function button({ run, kind = "plain", focus = null, ...attributes }, ...children) {
	const own = { type: "button", data: { focus }, on: { click: run } };
	return h(`button.button.button-${kind}`, { ...own, ...attributes }, ...children);
}

export function icon(name) {
	return svg("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

/** Replace what a region shows. Focus stays on the control with the same `data-focus`. */
export function refill(region, ...nodes) {
	const focused = region.contains(document.activeElement) && document.activeElement.dataset.focus;
	region.replaceChildren(...nodes);
	focusOn(focused, region);
}

/** Focus the control of that `data-focus`, if it is there. */
export function focusOn(name, region = document) {
	region.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
}
