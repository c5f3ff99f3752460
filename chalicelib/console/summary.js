import { isNegative, isZero, perMille } from "./decimal.js";
import { button, h, icon } from "./dom.js";
import { balance, committedCredit, committedCreditPeriod, money } from "./figures.js";

const CONTACT_CENTER_SERVICES = "contact_center_services";
const KINDS = ["committed", "purchased", "promotional"];

/** The card of the shared pool. `onDismiss(id)` is called for a warning, `onManage()` to manage credits. */
export function summaryCard(usage, ui, { onDismiss, onManage }) {
  const pool = usage[CONTACT_CENTER_SERVICES];
  const { text } = ui;
  const label = { "aria-labelledby": "pool-title" };
  return h("section", { class: "card", ...label, data: { pool: CONTACT_CENTER_SERVICES } },
    h("div", { class: "card-head" },
      h("div", {},
        h("h2", { id: "pool-title", tabindex: "-1", data: { focus: "pool" } }, text("pool.contactCenterServices")),
        h("p", { class: "card-note" }, text("pool.explained"))),
      usage.period.status !== "invoiced" && manage(pool.manage_credits.auto_recharge, text, onManage)),
    warnings(pool.warnings, ui, onDismiss),
    h("div", { class: "summary" },
      currentBalance(pool, usage.period, ui),
      credits(pool.credits, ui),
      committed(pool, ui)));
}

function manage(recharge, text, onManage) {
  return h("div", { class: "manage" },
    recharge.available && h("p", { class: "card-note" }, text(recharge.enabled ? "auto.active" : "auto.off")),
    button({ "aria-haspopup": "dialog", focus: "manage-credits", run: onManage },
      icon("card"), text("credits.manage")));
}

function warnings(list, { text }, onDismiss) {
  if (list.length === 0) {
    return null;
  }
  const item = (warning) => h("li", { class: "notice notice-warning", data: { warning: warning.id } },
    icon("warning"),
    h("p", {}, warning.message),
    button({
      kind: "button-quiet",
      "aria-label": text("warning.dismissNamed", { message: warning.message }),
      focus: `warning-${warning.id}`,
      run: () => onDismiss(warning.id),
    }, text("warning.dismiss")));
  return h("ul", { class: "warnings", "aria-label": text("warning.list") }, list.map(item));
}

function currentBalance(pool, period, ui) {
  const settled = period.status === "invoiced";
  const figure = balance(pool.balance, ui, { key: "pool.balance", settled, variant: "figure" });
  const due = money(pool.to_be_invoiced, ui, { key: "pool.to_be_invoiced" });
  return h("div", { class: "tile" },
    h("h3", { class: "label" }, ui.text(settled ? "pool.balanceAtIssue" : "pool.balance")),
    h("p", { class: "headline", data: { field: "balance" } }, figure),
    h("dl", { class: "terms terms-foot" },
      term("to_be_invoiced", settled ? "status.invoiced" : "pool.toBeInvoiced", due, ui)));
}

function credits(byKind, ui) {
  return h("div", { class: "tile", data: { field: "credits" } },
    h("h3", { class: "label" }, ui.text("credits.title")),
    creditBar(byKind),
    h("dl", { class: "terms" }, KINDS.map((kind) => h("div", { class: "term" },
      h("dt", {}, h("span", { class: `swatch swatch-${kind}` }), ui.text(`credits.${kind}`)),
      h("dd", {}, money(byKind[kind], ui, { key: `credits.${kind}` }))))));
}

function creditBar(byKind) {
  const bar = h("div", { class: "credit-bar", "aria-hidden": "true" });
  const largest = KINDS.map((kind) => byKind[kind]).reduce((a, b) => (perMille(a, b) === 1000 ? a : b));
  for (const kind of KINDS.filter((each) => !isZero(byKind[each]) && !isNegative(byKind[each]))) {
    const segment = h("span", { class: `swatch-${kind}` });
    segment.style.flexGrow = String(Math.max(perMille(byKind[kind], largest), 1));
    bar.append(segment);
  }
  return bar;
}

function committed(pool, ui) {
  const credit = pool.committed_credit;
  const period = pool.committed_credit_period;
  return h("dl", { class: "tile terms terms-wide" },
    term("committed_credit", "column.commit", committedCredit(credit, ui), ui),
    term("committed_credit_period", "column.commitPeriod", committedCreditPeriod(period, credit, ui), ui));
}

function term(field, label, value, { text }) {
  return h("div", { class: "term", data: { field } }, h("dt", {}, text(label)), h("dd", {}, value));
}
