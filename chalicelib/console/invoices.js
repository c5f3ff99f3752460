import { h, icon, refill } from "./dom.js";
import { money } from "./figures.js";
import { failedBlock } from "./states.js";

const LINE_COLUMNS = ["product", "quantity", "freeUnitsUsed", "amount", "creditsApplied"];

/** Past invoices: the list, page by page, and one invoice's lines in a dialog. */
export class Invoices {
  #api;
  #region;
  #ui;
  #onSignedOut;
  #onListed;
  #onShowPeriod;
  #dialog = null;
  #cursor = null;
  #round = 0;
  items = [];

  constructor({ api, region, ui, onSignedOut, onListed, onShowPeriod }) {
    this.#api = api;
    this.#region = region;
    this.#ui = ui;
    this.#onSignedOut = onSignedOut;
    this.#onListed = onListed;
    this.#onShowPeriod = onShowPeriod;
  }

  async load() {
    await this.#page(null);
  }

  close() {
    this.#round += 1;
    this.#dialog?.remove();
    this.#dialog = null;
    this.#region.replaceChildren();
  }

  async #page(cursor) {
    const round = ++this.#round;
    try {
      const page = await this.#api.invoices(cursor);
      if (round !== this.#round) {
        return;
      }
      this.items = cursor ? [...this.items, ...page.items] : page.items;
      this.#cursor = page.cursor;
      this.#show(this.items.length > 0 ? this.#list() : this.#none());
      this.#onListed();
    } catch (problem) {
      if (round === this.#round) {
        this.#fail(problem, () => this.#page(cursor), (block) => this.#show(block));
      }
    }
  }

  #fail(problem, retry, show) {
    if (problem.signedOut) {
      this.#onSignedOut();
    } else {
      show(failedBlock("problem.invoices", problem, this.#ui.text, retry));
    }
  }

  #show(content) {
    refill(this.#region, h("section", { class: "card", "aria-labelledby": "invoices-title" },
      h("div", { class: "card-head" }, h("h2", { id: "invoices-title" }, this.#ui.text("invoices.title"))),
      content));
  }

  #none() {
    return h("p", { class: "quiet" }, this.#ui.text("invoices.none"));
  }

  #list() {
    const { text } = this.#ui;
    return h("div", {},
      h("table", { class: "invoices", "aria-labelledby": "invoices-title" },
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, text("invoices.period")),
          h("th", { scope: "col", class: "wide-only" }, text("invoice.issued")),
          h("th", { scope: "col", class: "number" }, text("invoice.total")))),
        h("tbody", {}, this.items.map((invoice) => this.#row(invoice)))),
      this.#cursor && h("button", {
        type: "button",
        class: "button",
        data: { focus: "older" },
        on: { click: () => this.#page(this.#cursor) },
      }, text("invoices.older")));
  }

  #row(invoice) {
    const ui = uiFor(invoice, this.#ui);
    const month = ui.format.month(invoice.period);
    return h("tr", { data: { period: invoice.period } },
      h("th", { scope: "row" }, h("button", {
        type: "button",
        class: "row-link",
        "aria-haspopup": "dialog",
        data: { focus: `invoice-${invoice.period}` },
        on: { click: () => this.#open(invoice.period) },
      }, month, icon("chevron"))),
      h("td", { class: "wide-only" },
        h("time", { datetime: invoice.issued_at }, ui.format.dayOf(invoice.issued_at))),
      h("td", { class: "number" }, money(invoice.total, ui)));
  }

  async #open(period) {
    const month = this.#ui.format.month(period);
    const dialog = this.#emptyDialog(this.#ui.text("invoice.title", { month }));
    const body = dialog.querySelector(".sheet-body");
    refill(body, h("p", { class: "quiet", "aria-busy": "true" }, this.#ui.text("state.loading")));
    if (!dialog.open) {
      dialog.showModal();
    }
    try {
      const [invoice, products] = await Promise.all([this.#api.invoice(period), this.#productsOf(period)]);
      refill(body, ...this.#detail(invoice, products));
    } catch (problem) {
      this.#fail(problem, () => this.#open(period), (block) => refill(body, block));
    }
  }

  /** The period's products by resource, for their units: an invoice's lines tell quantities alone. */
  async #productsOf(period) {
    try {
      const { products } = await this.#api.usage(period);
      return new Map(products.map((product) => [product.resource, product]));
    } catch {
      return new Map();
    }
  }

  #emptyDialog(title) {
    if (!this.#dialog?.isConnected) {
      this.#dialog = h("dialog", { class: "sheet", "aria-labelledby": "invoice-title" });
      this.#dialog.addEventListener("click", (event) => {
        if (event.target === this.#dialog) {
          this.#dialog.close();
        }
      });
      document.body.append(this.#dialog);
    }
    this.#dialog.replaceChildren(h("div", { class: "sheet-frame" },
      h("div", { class: "sheet-head" },
        h("h2", { id: "invoice-title" }, title),
        h("button", {
          type: "button",
          class: "button button-icon",
          "aria-label": this.#ui.text("invoice.close"),
          on: { click: () => this.#dialog.close() },
        }, icon("close"))),
      h("div", { class: "sheet-body" })));
    return this.#dialog;
  }

  #detail(invoice, products) {
    const ui = uiFor(invoice, this.#ui);
    const { text, format } = ui;
    const fact = (label, value) => h("div", { class: "fact" }, h("dt", {}, text(label)), h("dd", {}, value));
    return [
      h("dl", { class: "facts" },
        fact("invoice.total", money(invoice.total, ui)),
        fact("invoice.issued", h("time", { datetime: invoice.issued_at }, format.instant(invoice.issued_at))),
        fact("invoice.number", h("span", { class: "code" }, invoice.id))),
      invoice.lines.length > 0
        ? this.#lines(invoice, products, ui)
        : h("p", { class: "quiet" }, text("products.emptyPast")),
      h("button", {
        type: "button",
        class: "button",
        on: {
          click: () => {
            this.#dialog.close();
            this.#onShowPeriod(invoice.period);
          },
        },
      }, text("invoice.showUsage", { month: format.month(invoice.period) })),
    ];
  }

  #lines(invoice, products, ui) {
    const { text } = ui;
    const heading = (column) => h("th",
      { scope: "col", class: column === "product" ? null : "number" }, text(`column.${column}`));
    const scroller = { class: "scroller", tabindex: "0", role: "region", "aria-labelledby": "invoice-title" };
    return h("div", scroller, h("table", { class: "lines", "aria-labelledby": "invoice-title" },
      h("thead", {}, h("tr", {},
        LINE_COLUMNS.map(heading),
        h("th", { scope: "col", class: "number" }, text("status.invoiced")))),
      h("tbody", {}, invoice.lines.map((line) => lineRow(line, products.get(line.resource), ui))),
      h("tfoot", {}, h("tr", {},
        h("th", { scope: "row", colspan: String(LINE_COLUMNS.length) }, text("invoice.total")),
        h("td", { class: "number" }, money(invoice.total, ui))))));
  }
}

function lineRow(line, product, ui) {
  const { format } = ui;
  const measured = (value) => h("data", { value },
    product ? format.quantity(value, product) : format.plainNumber(value));
  return h("tr", { data: { resource: line.resource } },
    h("th", { scope: "row" }, line.name),
    h("td", { class: "number" }, measured(line.quantity)),
    h("td", { class: "number" }, measured(line.free_units_used)),
    h("td", { class: "number" }, money(line.amount, ui)),
    h("td", { class: "number" }, money(line.credits_applied, ui)),
    h("td", { class: "number strong" }, money(line.total, ui)));
}

function uiFor(invoice, ui) {
  return { ...ui, format: ui.format.inCurrency(invoice.currency) };
}
