import { h } from "./dom.js";
import { purchaseForm } from "./purchase.js";
import { autoRechargeForm } from "./recharge.js";
import { sheet } from "./sheet.js";
import { notice } from "./states.js";

/**
 * "Manage credits": a dialog to buy credit and to set auto recharge, or with the reason why neither can be.
 * `context` has `api`, `ui`, and `onChanged()` for credit or settings that changed.
 */
export function manageCredits(context) {
	const { api, ui: { text } } = context;
	const dialog = sheet(text);
	const refusal = (key) => [notice("info", text(key))];
	let purchase = null;

	function open(pool) {
		const read = pool.manage_credits.one_time_purchase ? forms : () => refusal("credits.byInvoice");
		return dialog.load(text("credits.manage"), read);
	}

	async function forms() {
		try {
			const recharge = autoRechargeForm(await api.autoRecharge(), context);
			purchase ??= purchaseForm(context);
			return [h("div.forms", purchase.element, recharge)];
		} catch (problem) {
			if (problem.code === "insufficient_scope") {
				return refusal("credits.noScope");
			}
			throw problem;
		}
	}

	function close() {
		dialog.close();
		purchase?.close();
	}

	return { open, close };
}
