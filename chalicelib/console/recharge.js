import { h, refill } from "./dom.js";
import { amountField, form } from "./fields.js";
import { explain, notice } from "./states.js";

const MEMBERS = ["threshold", "amount", "monthly_limit"];

/** The form of auto recharge; `setting` is the API's answer. Nothing changes before it is saved. */
export function autoRechargeForm(setting, { api, ui, onChanged }) {
	const { text, format } = ui;
	const refusals = { threshold_not_below_balance: text("auto.tooHigh") };
	const hints = { threshold: text("auto.hint"), monthly_limit: text("field.optional") };
	const field = (name) => amountField({ name, label: `auto.${name}`, hint: hints[name], refusals }, ui);
	const fields = MEMBERS.map((name) => [name, field(name)]);
	const enabled = h("input", { type: "checkbox", role: "switch" });
	const standing = h("div.quiet");
	const result = h("div", { role: "status" });
	let running = false;
	show(setting);
	return form("auto", ui, { submit },
		standing,
		h("label.switch", enabled, text("auto.title")),
		...fields.map(([, { element }]) => element),
		h("button.button.button-primary", { type: "submit" }, text("auto.save")),
		result);

	function show({ status, failures, spent_this_month: spent, ...values }) {
		enabled.checked = values.enabled;
		for (const [name, each] of fields) {
			each.set(values[name]);
		}
		refill(standing,
			failures > 0 ? notice("warning", text(`auto.failures.${status}`, { failures })) : text(`auto.${status}`),
			h("p", text("auto.spent", { amount: format.money(spent) })));
	}

	async function submit() {
		const optional = (name) => !enabled.checked || name === "monthly_limit";
		if (running || !fields.every(([name, each]) => each.check({ optional: optional(name) }))) {
			return;
		}
		const amounts = Object.fromEntries(fields.map(([name, each]) => [name, each.value() || null]));
		running = true;
		try {
			const saved = await api.setAutoRecharge({ enabled: enabled.checked, ...amounts });
			show(saved);
			refill(result, notice("good", text(`auto.${saved.status}`)));
			onChanged();
		} catch (problem) {
			fail(problem);
		}
		running = false;
	}

	function fail(problem) {
		const refused = fields.find(([name]) => problem.errors[0]?.pointer === `/${name}`)?.[1];
		refill(result, notice("warning", text("problem.failed", {
			action: text("auto.save"), reason: refused ? "" : explain(problem, text),
		})));
		refused?.refuse(problem);
	}
}
