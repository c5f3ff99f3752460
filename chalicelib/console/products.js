import { isZero, perMille } from "./decimal.js";
import { button, h, icon } from "./dom.js";
import { balance, committedCredit, committedCreditPeriod, money, share } from "./figures.js";
import { absent, cardRow, cardTable } from "./table.js";

const COLUMNS = ["product", "quantity", "freeUnits", "amount", "balance", "commit", "commitPeriod"];
const RUNNING_OUT_PER_MILLE = 200;

/**
 * The card with one row per product used in the period, and its reports. `onReport(event, kind)` downloads one,
 * `onExplain(product)` opens a product's interactions.
 */
export function productsCard({ products, period }, ui, { onReport, onExplain }) {
	const report = (kind) => button({ focus: kind, run: (event) => onReport(event, kind) },
		icon("download"), ui.text(`report.${kind}`));
	const rows = products.map((product) => row(product, period, ui, onExplain));
	return h("section.card", { "aria-labelledby": "products-title" },
		h("div.card-head",
			h("h2", { id: "products-title" }, ui.text("products.title")),
			h("div.manage", ["cost", "transactions"].map(report))),
		rows.length > 0 ? cardTable(COLUMNS, rows, ui, "products-title") : empty(period, ui));
}

function empty(period, { text, format }) {
	return h("div.blank",
		h("span.blank-icon", icon("chart")),
		h("h3", text("products.emptyTitle", { month: format.month(period.id) })));
}

function row(product, period, ui, onExplain) {
	const credit = product.committed_credit;
	return cardRow(COLUMNS, name(product, ui, onExplain), [
		quantity(product, ui),
		freeUnits(product, ui),
		amount(product, ui),
		balance(product.balance, ui, { settled: period.status === "invoiced" }),
		committedCredit(credit, ui),
		committedCreditPeriod(product.committed_credit_period, credit, ui),
	], ui);
}

function name(product, { text }, onExplain) {
	const explain = { kind: "link", "aria-haspopup": "dialog", focus: product.resource, run: () => onExplain(product) };
	return h("div.product", button(explain, product.name, icon("chevron")),
		product.included_in && h("span.tag", text("pool.contactCenterServices")));
}

function quantity(product, ui) {
	const { format, text } = ui;
	const { billed_quantity: billed, peak } = product;
	const used = peak?.quantity ?? product.quantity;
	const shown = format.quantity(used, product);
	const exact = format.exactQuantity(used, product);
	const title = exact === shown ? null : exact;
	return [
		h("data", { value: used, title }, shown),
		peak && h("time.note", { datetime: peak.on, title: format.day(peak.on) },
			text("quantity.peak", { day: format.dayOfYear(peak.on) })),
		billed !== used && h("span.note", text("quantity.billed", { quantity: format.quantity(billed, product) })),
	];
}

function freeUnits(product, { format, text }) {
	const units = product.free_units;
	if (!units) {
		return [absent("-", text("freeUnits.none"))];
	}
	const included = format.quantity(units.included, product);
	const remaining = format.quantityAlone(units.remaining, product);
	const left = isZero(units.remaining)
		? text("freeUnits.exhausted", { included })
		: text("freeUnits.left", { remaining, included });
	return [
		meter(units, text("freeUnits.of", { product: product.name }), left),
		h("span.note", { "aria-hidden": "true" }, left),
	];
}

function meter(units, label, left) {
	const remaining = perMille(units.remaining, units.included);
	return h("div.bar", {
		role: "meter",
		"aria-label": label,
		"aria-valuemin": "0",
		"aria-valuemax": units.included,
		"aria-valuenow": units.remaining,
		"aria-valuetext": left,
	}, share(remaining, remaining <= RUNNING_OUT_PER_MILLE ? ".swatch-low" : ".swatch-committed"));
}

function amount(product, ui) {
	const paid = product.credits_applied;
	return [
		money(product.amount, ui),
		!isZero(paid) && h("span.note", ui.text("amount.fromCredit", { amount: ui.format.money(paid) })),
	];
}
