import { h, refill } from "./dom.js";
import { amountField, form } from "./fields.js";
import { randomText } from "./random.js";
import { explain, notice } from "./states.js";

const LEAST = "100";
const POLL_MS = 2_000;
const POLL_MS_MAX = 30_000;
/** Answers that settle an intent: nothing was bought, nor will be under its key. */
const REFUSALS = [400, 402, 409, 422];

/**
 * The form of a one-time purchase. It lives as long as the page: closing the dialog loses nothing.
 *
 * Every intent to buy has one idempotency key. While its outcome is not known the amount is fixed, and what is
 * sent again carries the same key, so that it cannot buy twice.
 */
export function purchaseForm({ api, ui, onChanged }) {
	const { text, format } = ui;
	const least = text("purchase.least", { amount: format.money(LEAST) });
	const refusals = { below_minimum: least };
	const field = amountField({ name: "purchase", label: "field.amount", hint: least, refusals }, ui);
	const button = h("button.button.button-primary", { type: "submit" });
	const result = h("div", { role: "status" });
	const element = form("purchase", ui, { input: offer, submit }, field.element, button, result);
	// `{key, amount}`, and `unknown` once an answer was lost.
	let intent = null;
	let waiting = false;
	let closed = false;
	offer();
	return { element, close: () => { closed = true; } };

	/** Name on the button what a press will do. */
	function offer() {
		const unknown = Boolean(intent?.unknown);
		const amount = !unknown && field.value();
		field.lock(waiting || unknown);
		button.setAttribute("aria-disabled", waiting);
		button.textContent = amount ? text("purchase.buyFor", { amount: format.money(amount) })
			: text(unknown ? "problem.retry" : "purchase.buy");
	}

	function tell(kind, outcome, values) {
		offer();
		refill(result, notice(kind, text(`purchase.${outcome}`, values)));
	}

	async function submit() {
		if (waiting || !(intent?.unknown || field.check())) {
			return;
		}
		if (!intent?.unknown) {
			intent = { key: randomText(), amount: field.value() };
		}
		waiting = true;
		tell("info", "running");
		try {
			show(await api.purchase(intent));
		} catch (problem) {
			fail(problem);
		}
	}

	function show({ id, status, reason, ...purchase }) {
		const amount = format.money(purchase.amount);
		waiting = status === "pending";
		if (waiting) {
			tell("info", status, { amount });
			follow(id);
			return;
		}
		intent = null;
		if (status === "succeeded") {
			field.set("");
			tell("good", status, { amount, balance: format.money(purchase.balance) });
			onChanged();
		} else {
			tell("warning", "declined", { reason });
		}
	}

	async function follow(id) {
		for (let wait = POLL_MS; waiting; wait = Math.min(wait * 1.5, POLL_MS_MAX)) {
			await new Promise((resolve) => setTimeout(resolve, wait));
			if (closed) {
				return;
			}
			const purchase = await api.purchaseOf(id).catch((problem) => problem);
			if (["succeeded", "failed"].includes(purchase.status)) {
				show(purchase);
			}
		}
	}

	function fail(problem) {
		waiting = false;
		if (REFUSALS.includes(problem.status)) {
			intent = null;
		} else if (problem.status === 0 || problem.status >= 500) {
			intent.unknown = true;
		}
		const outcome = intent?.unknown ? "unknown" : problem.status === 402 ? "declined" : "failed";
		const atField = problem.errors.length > 0;
		tell("warning", outcome, { reason: atField || outcome === "declined" ? "" : explain(problem, text) });
		if (atField) {
			field.refuse(problem);
		}
	}
}
