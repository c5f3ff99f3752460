import { button, h, icon, refill } from "./dom.js";
import { money } from "./figures.js";
import { Sheet } from "./sheet.js";
import { failedBlock } from "./states.js";

const LINE_COLUMNS = ["product", "quantity", "freeUnitsUsed", "amount", "creditsApplied"];

/** Invoices: the upcoming one, the past ones page by page, and one invoice's lines in a dialog. */
export class Invoices {
  #context;
  #ui;
  #sheet;
  #upcoming = null;
  #cursor = null;
  #round = 0;
  items = [];

  /** `context` has `api`, `region`, `ui`, `onListed()` and `onShowPeriod(period)`. */
  constructor(context) {
    this.#context = context;
    this.#ui = context.ui;
    this.#sheet = new Sheet(context.ui);
  }

  /** Read the invoices from the newest on, or those behind `cursor`. */
  async load(cursor = null) {
    const round = ++this.#round;
    try {
      const [page, upcoming] = await Promise.all([this.#context.api.invoices(cursor), this.#readUpcoming()]);
      if (round === this.#round) {
        this.items = cursor ? [...this.items, ...page.items] : page.items;
        this.#cursor = page.cursor;
        this.#upcoming = upcoming;
        this.#show(this.#list());
        this.#context.onListed();
      }
    } catch (problem) {
      if (round === this.#round) {
        this.#show(failedBlock("problem.invoices", problem, this.#ui.text, () => this.load(cursor)));
      }
    }
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

  #readUpcoming() {
    return this.#context.api.invoice("upcoming").catch(() => null);
  }

  #show(content) {
    refill(this.#context.region, h("section.card", { "aria-labelledby": "invoices-title" },
      h("h2.card-head", { id: "invoices-title" }, this.#ui.text("invoices.title")), content));
  }

  #list() {
    const { text } = this.#ui;
    return h("div",
      h("table.invoices", { "aria-labelledby": "invoices-title" },
        h("thead", h("tr",
          h("th", { scope: "col" }, text("head.period")),
          h("th.wide-only", { scope: "col" }, text("invoice.issued")),
          h("th.number", { scope: "col" }, text("invoice.total")))),
        h("tbody", [this.#upcoming, ...this.items].filter(Boolean).map((invoice) => this.#row(invoice)))),
      this.#cursor && button({ focus: "older", run: () => this.load(this.#cursor) }, text("invoices.older")));
  }

  #row(invoice) {
    const ui = uiFor(invoice, this.#ui);
    const { period, issued_at: issuedAt } = invoice;
    const upcoming = invoice.status === "upcoming";
    const id = upcoming ? "upcoming" : period;
    const link = { kind: "link", "aria-haspopup": "dialog", focus: `invoice-${id}`, run: () => this.#open(id, period) };
    return h("tr",
      h("th", { scope: "row" },
        button(link, ui.format.month(period), icon("chevron")), upcoming && h("span.tag", ui.text("invoice.upcoming"))),
      h("td.wide-only", h("time", { datetime: issuedAt }, ui.format.dayOf(issuedAt))),
      h("td.number", money(invoice.total, ui)));
  }

  #open(id, period) {
    const title = this.#ui.text("invoice.title", { month: this.#ui.format.month(period) });
    this.#sheet.load(title, "problem.invoices", async () => {
      const [invoice, products] = await Promise.all([this.#context.api.invoice(id), this.#productsOf(period)]);
      return this.#detail(invoice, products);
    });
  }

  /** The period's products by resource, for their units: an invoice's lines tell quantities alone. */
  async #productsOf(period) {
    const { products } = await this.#context.api.usage(period).catch(() => ({ products: [] }));
    return new Map(products.map((product) => [product.resource, product]));
  }

  #detail(invoice, products) {
    const ui = uiFor(invoice, this.#ui);
    const { text, format } = ui;
    const month = format.month(invoice.period);
    const issued = h("time", { datetime: invoice.issued_at }, format.instant(invoice.issued_at));
    const showUsage = () => {
      this.#sheet.close();
      this.#context.onShowPeriod(invoice.period);
    };
    return [
      h("dl.facts",
        fact(text("invoice.total"), money(invoice.total, ui)),
        fact(text(invoice.status === "upcoming" ? "invoice.due" : "invoice.issued"), issued),
        fact(text("invoice.number"), h("span.code", invoice.id))),
      invoice.lines.length > 0 ? lines(invoice, products, ui) : h("p.quiet", text("products.emptyTitle", { month })),
      button({ run: showUsage }, text("invoice.showUsage", { month })),
    ];
  }
}

function fact(label, value) {
  return h("div.fact", h("dt", label), h("dd", value));
}

function lines(invoice, products, ui) {
  const { text } = ui;
  const heading = (key) => h(key === "column.product" ? "th" : "th.number", { scope: "col" }, text(key));
  const label = { "aria-labelledby": "sheet-title" };
  return h("div.scroller", { tabindex: "0", role: "region", ...label }, h("table.lines", label,
    h("thead", h("tr", [...LINE_COLUMNS.map((column) => `column.${column}`), "status.invoiced"].map(heading))),
    h("tbody", invoice.lines.map((line) => lineRow(line, products.get(line.resource), ui))),
    h("tfoot", h("tr",
      h("th", { scope: "row", colspan: LINE_COLUMNS.length }, text("invoice.total")),
      h("td.number", money(invoice.total, ui))))));
}

function lineRow(line, product, ui) {
  const { format } = ui;
  const measured = (value) => h("data", { value },
    product ? format.quantity(value, product) : format.plainNumber(value));
  return h("tr",
    h("th", { scope: "row" }, line.name),
    h("td.number", measured(line.quantity)),
    h("td.number", measured(line.free_units_used)),
    h("td.number", money(line.amount, ui)),
    h("td.number", money(line.credits_applied, ui)),
    h("td.number.strong", money(line.total, ui)));
}

function uiFor(invoice, ui) {
  return { ...ui, format: ui.format.inCurrency(invoice.currency) };
}
