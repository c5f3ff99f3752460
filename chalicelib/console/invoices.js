import { button, h, icon, refill } from "./dom.js";
import { money } from "./figures.js";
import { Sheet } from "./sheet.js";
import { failedBlock } from "./states.js";

const LINE_COLUMNS = ["product", "quantity", "freeUnitsUsed", "amount", "creditsApplied"];

/** Invoices: the upcoming one, the past ones page by page, and one invoice's lines in a dialog. */
export class Invoices {
  #context;
  #ui;
  #sheet = new Sheet();
  #upcoming = null;
  #cursor = null;
  #round = 0;
  items = [];

  /** `context` has `api`, `region`, `ui`, `onListed()` and `onShowPeriod(period)`. */
  constructor(context) {
    this.#context = context;
    this.#ui = context.ui;
  }

  async load() {
    await this.#page(null);
  }

  /** Read the upcoming invoice anew, which moves with the usage. */
  async refresh() {
    const round = this.#round;
    const upcoming = await this.#readUpcoming();
    if (round === this.#round && upcoming) {
      this.#upcoming = upcoming;
      this.#show(this.#list());
    }
  }

  close() {
    this.#round += 1;
    this.#sheet.close();
    this.#context.region.replaceChildren();
  }

  async #page(cursor) {
    const round = ++this.#round;
    try {
      const [page, upcoming] = await Promise.all([this.#context.api.invoices(cursor), this.#readUpcoming()]);
      if (round !== this.#round) {
        return;
      }
      this.items = cursor ? [...this.items, ...page.items] : page.items;
      this.#cursor = page.cursor;
      this.#upcoming = upcoming;
      this.#show(this.#list());
      this.#context.onListed();
    } catch (problem) {
      if (round === this.#round) {
        this.#fail(problem, () => this.#page(cursor), (block) => this.#show(block));
      }
    }
  }

  #readUpcoming() {
    return this.#context.api.invoice("upcoming").catch(() => null);
  }

  #fail(problem, retry, show) {
    show(failedBlock("problem.invoices", problem, this.#ui.text, retry));
  }

  #show(content) {
    refill(this.#context.region, h("section", { class: "card", "aria-labelledby": "invoices-title" },
      h("div", { class: "card-head" }, h("h2", { id: "invoices-title" }, this.#ui.text("invoices.title"))),
      content));
  }

  #list() {
    const { text } = this.#ui;
    return h("div", {},
      h("table", { class: "invoices", "aria-labelledby": "invoices-title" },
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, text("head.period")),
          h("th", { scope: "col", class: "wide-only" }, text("invoice.issued")),
          h("th", { scope: "col", class: "number" }, text("invoice.total")))),
        h("tbody", {}, [this.#upcoming, ...this.items].filter(Boolean).map((invoice) => this.#row(invoice)))),
      this.#cursor && button({ focus: "older", run: () => this.#page(this.#cursor) }, text("invoices.older")));
  }

  #row(invoice) {
    const ui = uiFor(invoice, this.#ui);
    const month = ui.format.month(invoice.period);
    const upcoming = invoice.status === "upcoming";
    const id = upcoming ? "upcoming" : invoice.period;
    const run = () => this.#open(id, invoice.period);
    return h("tr", { data: { period: id } },
      h("th", { scope: "row" }, button({
        class: "row-link", "aria-haspopup": "dialog", focus: `invoice-${id}`, run,
      }, month, icon("chevron")), upcoming && h("span", { class: "tag" }, ui.text("invoice.upcoming"))),
      h("td", { class: "wide-only" },
        h("time", { datetime: invoice.issued_at }, ui.format.dayOf(invoice.issued_at))),
      h("td", { class: "number" }, money(invoice.total, ui)));
  }

  async #open(id, period) {
    const { text, format } = this.#ui;
    const { api } = this.#context;
    const title = text("invoice.title", { month: format.month(period) });
    this.#sheet.show(title, this.#ui, h("p", { class: "quiet", "aria-busy": "true" }, text("state.loading")));
    try {
      const [invoice, products] = await Promise.all([api.invoice(id), this.#productsOf(period)]);
      this.#sheet.fill(...this.#detail(invoice, products));
    } catch (problem) {
      this.#fail(problem, () => this.#open(id, period), (block) => this.#sheet.fill(block));
    }
  }

  /** The period's products by resource, for their units: an invoice's lines tell quantities alone. */
  async #productsOf(period) {
    try {
      const { products } = await this.#context.api.usage(period);
      return new Map(products.map((product) => [product.resource, product]));
    } catch {
      return new Map();
    }
  }

  #detail(invoice, products) {
    const ui = uiFor(invoice, this.#ui);
    const { text, format } = ui;
    const fact = (label, value) => h("div", { class: "fact" }, h("dt", {}, text(label)), h("dd", {}, value));
    return [
      h("dl", { class: "facts" },
        fact("invoice.total", money(invoice.total, ui)),
        fact(invoice.status === "upcoming" ? "invoice.due" : "invoice.issued",
          h("time", { datetime: invoice.issued_at }, format.instant(invoice.issued_at))),
        fact("invoice.number", h("span", { class: "code" }, invoice.id))),
      invoice.lines.length > 0
        ? this.#lines(invoice, products, ui)
        : h("p", { class: "quiet" }, text("products.emptyTitle", { month: format.month(invoice.period) })),
      button({
        run: () => {
          this.#sheet.close();
          this.#context.onShowPeriod(invoice.period);
        },
      }, text("invoice.showUsage", { month: format.month(invoice.period) })),
    ];
  }

  #lines(invoice, products, ui) {
    const { text } = ui;
    const heading = (column) => h("th",
      { scope: "col", class: column === "product" ? null : "number" }, text(`column.${column}`));
    const scroller = { class: "scroller", tabindex: "0", role: "region", "aria-labelledby": "sheet-title" };
    return h("div", scroller, h("table", { class: "lines", "aria-labelledby": "sheet-title" },
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
