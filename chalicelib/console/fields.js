import { h } from "./dom.js";
import { explain } from "./states.js";

/** A form titled by the text `{name}.title`; the browser itself never sends it. */
export function form(name, { text }, { submit, input = null }, ...children) {
	const id = `${name}-title`;
	const element = h("form.form", { novalidate: true, "aria-labelledby": id },
		h("h3", { id }, text(`${name}.title`)), ...children);
	element.addEventListener("input", input);
	element.addEventListener("submit", (event) => {
		event.preventDefault();
		submit();
	});
	return element;
}

/**
 * A field for money, in the reader's way of writing; `refusals` are texts by the codes of problems it causes. Its value
 * is a plain decimal, "" where nothing is typed, null where what is typed is no amount.
 */
export function amountField({ name, label, hint, refusals }, { text, format }) {
	const id = `field-${name}`;
	const invalid = text("field.invalid", { example: format.typed("100") });
	const error = h("span.note.negative", { id: `${id}-error` });
	const input = h("input", {
		id, inputmode: "decimal", autocomplete: "off", "aria-describedby": `${id}-error ${id}-hint`,
		on: { input: () => tell("") },
	});
	const element = h("div.field",
		h("label", { for: id }, text(label, { currency: format.currency })), input, error,
		h("span.note", { id: `${id}-hint` }, hint));

	function tell(message) {
		error.textContent = message;
		input.setAttribute("aria-invalid", message !== "");
	}

	function value() {
		const typed = input.value.trim();
		return typed && format.parse(typed);
	}

	function set(plain) {
		input.value = plain && format.typed(plain);
		tell("");
	}

	function lock(isLocked) {
		input.readOnly = isLocked;
	}

	/** Whether there is an amount to send; if not, the field says so and takes the focus. */
	function check({ optional = false } = {}) {
		const valid = value() || (optional && value() === "");
		if (!valid) {
			refuse({ code: "invalid_amount" });
		}
		return valid;
	}

	function refuse(problem) {
		tell({ invalid_amount: invalid, ...refusals }[problem.code] ?? explain(problem, text));
		input.focus();
	}

	return { element, value, set, lock, check, refuse };
}
