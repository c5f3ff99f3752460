import { equal, isZero, perMille } from "./decimal.js";
import { button, h, icon } from "./dom.js";
import { balance, committedCredit, committedCreditPeriod, money } from "./figures.js";

const COLUMNS = ["product", "quantity", "freeUnits", "amount", "balance", "commit", "commitPeriod"];
const RUNNING_OUT_PER_MILLE = 200;

/** The card with one row per product used in the period, and its reports: `onReport(event, kind)`. */
export function productsCard(usage, ui, { onReport }) {
  const report = (kind) => button({ focus: kind, run: (event) => onReport(event, kind) },
    icon("download"), ui.text(`report.${kind}`));
  return h("section", { class: "card", "aria-labelledby": "products-title" },
    h("div", { class: "card-head" },
      h("h2", { id: "products-title" }, ui.text("products.title")),
      h("div", { class: "manage" }, ["cost", "transactions"].map(report))),
    usage.products.length > 0 ? table(usage, ui) : empty(usage.period, ui));
}

function empty(period, { text, format }) {
  const month = format.month(period.id);
  const past = period.status === "invoiced";
  return h("div", { class: "blank", data: { state: "empty" } },
    h("span", { class: "blank-icon" }, icon("chart")),
    h("h3", {}, text("products.emptyTitle", { month })),
    !past && h("p", {}, text("products.empty")));
}

// The roles repeat what the elements mean: narrow windows lay the table out as cards, and browsers drop a
// table's semantics with its display type.
function table(usage, ui) {
  const heading = (column) => h("th", { role: "columnheader", scope: "col", class: `column-${column}` },
    ui.text(`column.${column}`));
  return h("table", { class: "products", role: "table", "aria-labelledby": "products-title" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, COLUMNS.map(heading))),
    h("tbody", { role: "rowgroup" }, usage.products.map((product) => row(product, usage.period, ui))));
}

function row(product, period, ui) {
  const shownBalance = { key: `${product.resource}.balance`, settled: period.status === "invoiced" };
  const cell = (column, field, ...content) => h("td",
    { role: "cell", class: `column-${column}`, data: { field, label: ui.text(`column.${column}`) } },
    h("div", { class: "cell" }, ...content));
  const credit = product.committed_credit;
  return h("tr", { role: "row", data: { resource: product.resource } },
    h("th", { role: "rowheader", scope: "row" }, name(product, ui)),
    cell("quantity", "quantity", ...quantity(product, ui)),
    cell("freeUnits", "free_units", ...freeUnits(product, ui)),
    cell("amount", "amount", ...amount(product, ui)),
    cell("balance", "balance", ...balance(product.balance, ui, shownBalance)),
    cell("commit", "committed_credit", ...committedCredit(credit, ui)),
    cell("commitPeriod", "committed_credit_period",
      ...committedCreditPeriod(product.committed_credit_period, credit, ui)));
}

function name(product, { text }) {
  const tag = product.included_in && h("span", { class: "tag" }, text("pool.contactCenterServices"));
  return h("div", { class: "product" }, h("span", {}, product.name), tag);
}

function quantity(product, ui) {
  const { format, text } = ui;
  const used = product.peak?.quantity ?? product.quantity;
  const shown = format.quantity(used, product);
  const exact = format.exactQuantity(used, product);
  const properties = { value: used, title: exact === shown ? null : exact };
  const billed = text("quantity.billed", { quantity: format.quantity(product.billed_quantity, product) });
  return [
    h("data", { ...properties, data: { key: `${product.resource}.quantity` } }, shown),
    product.peak && peakDay(product.peak, ui),
    !equal(product.billed_quantity, used) && h("span", { class: "note" }, billed),
  ];
}

function peakDay(peak, { format, text }) {
  return h("time", { class: "note", datetime: peak.on, title: format.day(peak.on) },
    text("quantity.peak", { day: format.dayOfYear(peak.on) }));
}

function freeUnits(product, { format, text }) {
  const units = product.free_units;
  if (!units) {
    const none = text("freeUnits.none");
    return [h("span", { class: "absent", role: "img", "aria-label": none, title: none }, "-")];
  }
  const included = format.quantity(units.included, product);
  const remaining = format.quantityAlone(units.remaining, product);
  const left = isZero(units.remaining)
    ? text("freeUnits.exhausted", { included })
    : text("freeUnits.left", { remaining, included });
  return [
    meter(units, text("freeUnits.of", { product: product.name }), left),
    h("span", { class: "note", "aria-hidden": "true" }, left),
  ];
}

function meter(units, label, valueText) {
  const share = perMille(units.remaining, units.included);
  const tone = share <= RUNNING_OUT_PER_MILLE ? "meter meter-low" : "meter";
  const fill = h("span", { class: "meter-fill" });
  fill.style.width = `${share / 10}%`;
  return h("div", {
    class: tone,
    role: "meter",
    "aria-label": label,
    "aria-valuemin": "0",
    "aria-valuemax": units.included,
    "aria-valuenow": units.remaining,
    "aria-valuetext": valueText,
  }, fill);
}

function amount(product, ui) {
  const paid = !isZero(product.credits_applied) && h("span", { class: "note" },
    ui.text("amount.fromCredit", { amount: ui.format.money(product.credits_applied) }));
  return [money(product.amount, ui, { key: `${product.resource}.amount` }), paid];
}
