import { button, h, icon, refill } from "./dom.js";
import { fact, money } from "./figures.js";
import { sheet } from "./sheet.js";
import { failedBlock } from "./states.js";
import { figureTable, wideTable } from "./table.js";

const LINE_COLUMNS = ["column.product", "column.quantity", "column.freeUnitsUsed", "column.amount",
	"column.creditsApplied", "status.invoiced"];

/** Invoices: the upcoming one, the past ones page by page, and one invoice's lines in a dialog. */
export function invoiceList({ api, region, ui, onListed }) {
	const { text, format } = ui;
	const dialog = sheet(text);
	let items = [];
	let upcoming = null;
	let cursor = null;
	let round = 0;

	/** Read the invoices from the newest on, or those `behind` a cursor. */
	async function load(behind = null) {
		const own = ++round;
		try {
			const [page, next] = await Promise.all([api.invoices(behind), readUpcoming()]);
			if (own === round) {
				items = behind ? [...items, ...page.items] : page.items;
				cursor = page.cursor;
				upcoming = next;
				show(list());
				onListed();
			}
		} catch (problem) {
			if (own === round) {
				show(failedBlock(text("invoices.title"), problem, text, () => load(behind)));
			}
		}
	}

	/** Read the upcoming invoice anew, which moves with the usage. */
	async function refresh() {
		const own = round;
		const read = await readUpcoming();
		if (own === round && read) {
			upcoming = read;
			show(list());
		}
	}

	function close() {
		round += 1;
		dialog.close();
		region.replaceChildren();
	}

	function readUpcoming() {
		return api.invoice("upcoming").catch(() => null);
	}

	function show(content) {
		refill(region, h("section.card", { "aria-labelledby": "invoices-title" },
			h("h2.card-head", { id: "invoices-title" }, text("invoices.title")), content));
	}

	function list() {
		const headings = ["head.period", "invoice.issued", "invoice.total"].map((key) => text(key));
		return h("div",
			figureTable({ "aria-labelledby": "invoices-title" }, headings, [upcoming, ...items].filter(Boolean).map(row)),
			cursor && button({ focus: "older", run: () => load(cursor) }, text("invoices.older")));
	}

	function row(invoice) {
		const { period, issued_at: issuedAt } = invoice;
		const id = invoice.status === "upcoming" ? "upcoming" : period;
		const link = { kind: "link", "aria-haspopup": "dialog", focus: `invoice-${id}`, run: () => open(id, period) };
		return [
			[button(link, format.month(period), icon("chevron")),
				id === "upcoming" && h("span.tag", text("invoice.upcoming"))],
			h("time", { datetime: issuedAt }, format.dayOf(issuedAt)),
			money(invoice.total, uiFor(invoice)),
		];
	}

	function open(id, period) {
		dialog.load(text("invoice.title", { month: format.month(period) }), async () => {
			const [invoice, products] = await Promise.all([api.invoice(id), productsOf(period)]);
			return detail(invoice, products);
		});
	}

	/** The period's products by resource, for their units: an invoice's lines tell quantities alone. */
	async function productsOf(period) {
		const { products } = await api.usage(period).catch(() => ({ products: [] }));
		return new Map(products.map((product) => [product.resource, product]));
	}

	function detail(invoice, products) {
		const month = format.month(invoice.period);
		const issued = h("time", { datetime: invoice.issued_at }, format.instant(invoice.issued_at));
		return [
			h("dl.facts",
				fact(text("invoice.total"), money(invoice.total, uiFor(invoice))),
				fact(text(invoice.status === "upcoming" ? "invoice.due" : "invoice.issued"), issued),
				fact(text("invoice.number"), h("span.code", invoice.id))),
			invoice.lines.length > 0
				? lines(invoice, products, uiFor(invoice))
				: h("p.quiet", text("products.emptyTitle", { month })),
		];
	}

	function uiFor({ currency }) {
		return { text, format: format.inCurrency(currency) };
	}

	return { load, refresh, close, items: () => items };
}

function lines({ lines: each, total }, products, ui) {
	const { text } = ui;
	return wideTable({ "aria-labelledby": "sheet-title" }, LINE_COLUMNS.map((key) => text(key)),
		each.map((line) => lineRow(line, products.get(line.resource), ui)),
		[text("invoice.total"), "", "", "", "", money(total, ui)]);
}

function lineRow(line, product, ui) {
	const { format } = ui;
	const measured = (value) => h("data", { value },
		product ? format.quantity(value, product) : format.plainNumber(value));
	return [
		line.name,
		measured(line.quantity),
		measured(line.free_units_used),
		...[line.amount, line.credits_applied, line.total].map((amount) => money(amount, ui)),
	];
}
