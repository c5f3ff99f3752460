import { isNegative, signOf } from "./decimal.js";
import { h } from "./dom.js";
import { absent } from "./table.js";

/** An amount, rounded for reading; the exact figure is its value and, where it differs, its tooltip. */
export function money(value, { format }, look = "") {
	const shown = format.money(value);
	const exact = format.exactMoney(value);
	const title = shown === exact ? null : exact;
	return h(`data${look}${sign(value)}`, { value, title }, shown);
}

/** A balance with the word for its sign, so that it can be told without colour. */
export function balance(value, ui, { settled, look }) {
	const owed = settled ? "balance.invoiced" : "balance.toBeInvoiced";
	const word = { 1: "balance.creditLeft", "-1": owed }[signOf(value)];
	return [money(value, ui, look), word && h(`span.note${sign(value)}`, ui.text(word))];
}

function sign(value) {
	return isNegative(value) ? ".negative" : "";
}

/** So many thousandths of a bar. */
export function share(perMille, look) {
	const part = h(`span${look}`);
	part.style.width = `${perMille / 10}%`;
	return part;
}

export function fact(label, value) {
	return h("div.fact", h("dt", label), h("dd", value));
}

export function committedCredit(credit, ui) {
	if (credit.status !== "active") {
		return [absence(credit, ui)];
	}
	return [money(credit.amount, ui), h("span.note", ui.text(`frequency.${credit.frequency}`))];
}

export function committedCreditPeriod(period, credit, ui) {
	if (!period) {
		return [absence(credit, ui)];
	}
	return [
		recharge("recharge.last", period.last_recharge_on, ui),
		recharge("recharge.next", period.next_recharge_on, ui),
	];
}

export function day(date, { format }) {
	return h("time", { datetime: date }, format.day(date));
}

function recharge(label, date, ui) {
	return h("span.recharge",
		h("span.recharge-label", ui.text(label)), " ",
		date ? day(date, ui) : ui.text("freeUnits.none"));
}

function absence(credit, { text }) {
	const mark = credit.status === "not_available" && text("commit.notAvailable");
	return absent(mark || "-", mark || text("commit.notPurchased"));
}
