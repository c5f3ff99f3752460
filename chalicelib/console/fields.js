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

/** A field for money, in the reader's way of writing; `refusals` are texts by the codes of problems it causes. */
export class AmountField {
	#ui;
	#input;
	#error;
	#refusals;

	constructor({ name, label, hint, refusals }, ui) {
		const { text, format } = ui;
		const id = `field-${name}`;
		this.#ui = ui;
		this.#refusals = { invalid_amount: text("field.invalid", { example: format.typed("100") }), ...refusals };
		this.#error = h("span.note.negative", { id: `${id}-error` });
		this.#input = h("input", {
			id,
			inputmode: "decimal",
			autocomplete: "off",
			"aria-describedby": `${id}-error ${id}-hint`,
			on: { input: () => this.#tell("") },
		});
		this.element = h("div.field",
			h("label", { for: id }, text(label, { currency: format.currency })), this.#input, this.#error,
			h("span.note", { id: `${id}-hint` }, hint));
	}

	/** A plain decimal, "" where nothing is typed, null where what is typed is no amount. */
	get value() {
		const typed = this.#input.value.trim();
		return typed && this.#ui.format.parse(typed);
	}

	set value(plain) {
		this.#input.value = plain && this.#ui.format.typed(plain);
		this.#tell("");
	}

	set locked(locked) {
		this.#input.readOnly = locked;
	}

	/** Whether there is an amount to send; if not, the field says so and takes the focus. */
	check({ optional = false } = {}) {
		const valid = this.value || (optional && this.value === "");
		if (!valid) {
			this.refuse({ code: "invalid_amount" });
		}
		return valid;
	}

	refuse(problem) {
		this.#tell(this.#refusals[problem.code] ?? explain(problem, this.#ui.text));
		this.#input.focus();
	}

	#tell(message) {
		this.#error.textContent = message;
		this.#input.setAttribute("aria-invalid", String(message !== ""));
	}
}
