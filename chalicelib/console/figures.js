import { isNegative, signOf } from "./decimal.js";
import { h } from "./dom.js";

/** An amount, rounded for reading; the exact figure is its value and, where it differs, its tooltip. */
export function money(value, { format }, { key = null, variant = "" } = {}) {
  const shown = format.money(value);
  const exact = format.exactMoney(value);
  const classes = ["money", variant, isNegative(value) && "negative"].filter(Boolean);
  const title = shown === exact ? null : exact;
  return h("data", { class: classes.join(" "), value, title, data: { key } }, shown);
}

/** A balance with the word for its sign, so that it can be told without colour. */
export function balance(value, ui, { key, settled = false, variant = "" }) {
  const owed = settled ? "balance.invoiced" : "balance.toBeInvoiced";
  const word = { 1: "balance.creditLeft", "-1": owed }[signOf(value)];
  const note = word && h("span", { class: isNegative(value) ? "note negative" : "note" }, ui.text(word));
  return [money(value, ui, { key, variant }), note];
}

/** Committed credit: amount and frequency, "-" where it is not purchased, "N/A" where it cannot be. */
export function committedCredit(credit, ui) {
  if (credit.status !== "active") {
    return [absence(credit, ui)];
  }
  return [money(credit.amount, ui), h("span", { class: "note" }, ui.text(`frequency.${credit.frequency}`))];
}

/** The days of the last and the next recharge, or the same absence as the committed credit's. */
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
  return h("span", { class: "recharge" },
    h("span", { class: "recharge-label" }, ui.text(label)), " ",
    date ? day(date, ui) : ui.text("recharge.none"));
}

function absence(credit, { text }) {
  const available = credit.status !== "not_available";
  const meaning = text(available ? "commit.notPurchased" : "commit.notAvailable");
  const mark = available ? "-" : text("commit.notAvailableShort");
  return h("span", { class: "absent", role: "img", "aria-label": meaning, title: meaning }, mark);
}
