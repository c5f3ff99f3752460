import { perMille, sum } from "./decimal.js";
import { button, h, icon } from "./dom.js";
import { balance, committedCredit, committedCreditPeriod, money, share } from "./figures.js";

const KINDS = ["committed", "purchased", "promotional"];

/** The card of the shared pool. `onDismiss(id)` is called for a warning, `onManage()` to manage credits. */
export function summaryCard(usage, ui, { onDismiss, onManage }) {
	const pool = usage.contact_center_services;
	const { text } = ui;
	return h("section.card", { "aria-labelledby": "pool-title" },
		h("div.card-head",
			h("h2", { id: "pool-title", tabindex: "-1", data: { focus: "pool" } }, text("pool.contactCenterServices")),
			usage.period.status !== "invoiced" && manage(pool.manage_credits.auto_recharge, text, onManage)),
		warnings(pool.warnings, ui, onDismiss),
		h("div.summary",
			currentBalance(pool, usage.period, ui),
			credits(pool.credits, ui),
			committed(pool, ui)));
}

function manage(recharge, text, onManage) {
	return h("div.manage",
		recharge.available && h("p.quiet", text(recharge.enabled ? "auto.active" : "auto.off")),
		button({ "aria-haspopup": "dialog", focus: "manage", run: onManage }, icon("card"), text("credits.manage")));
}

function warnings(list, { text }, onDismiss) {
	if (list.length === 0) {
		return null;
	}
	const item = (warning) => h("li.notice.warning",
		icon("warning"),
		h("p", warning.message),
		button({
			kind: "quiet",
			"aria-label": `${text("warning.dismiss")}: ${warning.message}`,
			focus: `warning-${warning.id}`,
			run: () => onDismiss(warning.id),
		}, text("warning.dismiss")));
	return h("ul.warnings", { "aria-label": text("warning.list") }, list.map(item));
}

function currentBalance(pool, period, ui) {
	const settled = period.status === "invoiced";
	const figure = balance(pool.balance, ui, { settled, look: ".figure" });
	const due = settled ? ui.format.exactMoney(pool.to_be_invoiced) : money(pool.to_be_invoiced, ui);
	return h("div",
		h("h3.label", ui.text(settled ? "pool.balanceAtIssue" : "pool.balance")),
		h("p.headline", { data: { field: "balance" } }, figure),
		h("dl",
			term("to_be_invoiced", "column.toBeInvoiced", due, ui)));
}

function credits(byKind, ui) {
	return h("div", { data: { field: "credits" } },
		h("h3.label", ui.text("credits.title")),
		creditBar(byKind),
		h("dl", KINDS.map((kind) => h("div.term",
			h("dt", h(`span.swatch.swatch-${kind}`), ui.text(`credits.${kind}`)),
			h("dd", money(byKind[kind], ui))))));
}

function creditBar(byKind) {
	const whole = sum(Object.values(byKind));
	return h("div.bar", { "aria-hidden": "true" },
		KINDS.map((kind) => share(perMille(byKind[kind], whole), `.swatch-${kind}`)));
}

function committed(pool, ui) {
	const credit = pool.committed_credit;
	const period = pool.committed_credit_period;
	return h("dl",
		term("committed_credit", "column.commit", committedCredit(credit, ui), ui),
		term("committed_credit_period", "column.commitPeriod", committedCreditPeriod(period, credit, ui), ui));
}

function term(field, label, value, { text }) {
	return h("div.term", { data: { field } }, h("dt", text(label)), h("dd", value));
}
