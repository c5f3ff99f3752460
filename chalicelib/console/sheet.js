import { button, focusOn, h, icon, refill } from "./dom.js";
import { failedBlock } from "./states.js";

/** A modal dialog over the page. It is in the document only while it is open. */
export function sheet(text) {
	let dialog = null;

	/** Open it under `title`, or go on with it, and show the nodes that `read` resolves to, or that it failed. */
	async function load(title, read) {
		dialog ??= open();
		const own = dialog;
		const show = (...nodes) => own === dialog && refill(own.querySelector(".sheet-body"), ...nodes);
		own.querySelector("h2").textContent = title;
		show(h("p.quiet", { "aria-busy": "true" }, text("state.loading")));
		try {
			show(...await read());
		} catch (problem) {
			show(failedBlock(title, problem, text, () => load(title, read)));
		}
	}

	function open() {
		const opener = document.activeElement?.dataset.focus;
		const close = { kind: "icon", "aria-label": text("sheet.close"), run: () => opened.close() };
		const opened = h("dialog.sheet", {
			"aria-labelledby": "sheet-title",
			on: { click: ({ target }) => target === opened && opened.close(), close: () => onClosed(opener) },
		}, h("div.sheet-frame",
			h("div.sheet-head", h("h2", { id: "sheet-title" }), button(close, icon("close"))), h("div.sheet-body")));
		document.body.append(opened);
		opened.showModal();
		return opened;
	}

	/** The browser gives the focus back, save where the opener was replaced by a refresh meanwhile. */
	function onClosed(opener) {
		dialog.remove();
		dialog = null;
		if (opener && document.activeElement === document.body) {
			focusOn(opener);
		}
	}

	return { load, close: () => dialog?.close() };
}
