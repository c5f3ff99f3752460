import { isZero } from "./decimal.js";
import { button, h } from "./dom.js";
import { sheet } from "./sheet.js";
import { failedBlock } from "./states.js";
import { absent, cardRow, cardTable } from "./table.js";

const COLUMNS = ["interaction", "rate", "quantity", "freeUnits", "charge", "creditsApplied", "toBeInvoiced"];
const CREDIT_KINDS = { recharge: "committed", purchase: "purchased", auto_recharge: "purchased", grant: "promotional" };

/** The dialog that explains a product's charges: its interactions, newest first, page by page. */
export function interactionsDialog({ api, ui }) {
	const { text, format } = ui;
	const dialog = sheet(text);

	function open(product, period) {
		dialog.load(`${product.name}, ${format.month(period)}`, async () => {
			const [page, grants] = await Promise.all([api.interactions(product.resource, period), readGrants()]);
			return list(page, product, period, grants);
		});
	}

	/** What the ledger says of the arrival of each grant. */
	async function readGrants() {
		const { items } = await api.ledger().catch(() => ({ items: [] }));
		const arrivals = items.filter(({ kind }) => kind in CREDIT_KINDS);
		return (grant) => arrivals.find(({ id }) => id === grant || id.endsWith(`-${grant}`));
	}

	function list(page, product, period, grants) {
		const rows = (items) => items.map((item) => row(item, product, grants, ui));
		const table = cardTable(COLUMNS, rows(page.items), ui, "sheet-title");
		const status = h("div", { role: "status" });
		let { cursor } = page;
		const more = button({ run: showMore }, text("explain.more"));
		more.hidden = !cursor;
		const isEmpty = page.items.length === 0 && !cursor;
		return [isEmpty ? h("p.quiet", text("products.emptyTitle", { month: format.month(period) })) : table, status, more];

		async function showMore() {
			status.replaceChildren();
			more.disabled = true;
			try {
				const next = await api.interactions(product.resource, period, cursor);
				const added = rows(next.items);
				table.tBodies[0].append(...added);
				cursor = next.cursor;
				more.hidden = !cursor;
				added[0]?.focus();
			} catch (problem) {
				status.replaceChildren(failedBlock(text("explain.more"), problem, text, showMore));
			}
			more.disabled = false;
		}
	}

	return { open, close: dialog.close };
}

function row(item, product, grants, ui) {
	const { text, format } = ui;
	const { rate } = item;
	const increment = format.exactQuantity(rate.increment, { unit: rate.unit_of_measure });
	const price = format.exactMoney(rate.price_per_increment);
	const billed = text("quantity.billed", { quantity: format.quantity(item.billed_quantity, product) });
	const free = isZero(item.free_units) ? absent("-", text("freeUnits.none")) : measured(item.free_units, product, ui);
	const credits = item.credits.flatMap((paid) => credit(paid, grants(paid.grant), ui));
	const element = cardRow(COLUMNS, interaction(item, ui), [
		[rate.description, note(text("explain.rate", { row: rate.row, price, increment }))],
		[measured(item.quantity, product, ui), note(billed), note(`${format.plainNumber(item.increments)} × ${increment}`)],
		[free],
		[exact(item.amount, ui)],
		credits.length > 0 ? credits : [absent("-", text("freeUnits.none"))],
		[exact(item.to_be_invoiced, ui)],
	], ui);
	element.tabIndex = -1;
	return element;
}

function note(words, title = null) {
	return h("span.note", { title }, words);
}

function measured(value, product, { format }) {
	return h("data", { value, title: format.exactQuantity(value, product) }, format.quantity(value, product));
}

function exact(value, { format }) {
	return h("data", { value }, format.exactMoney(value));
}

function interaction(item, { text, format }) {
	const { kind, late } = item;
	const facts = [item.number, item.country_code, item.direction, item.resolution, item.category, item.type];
	return h("div.product",
		h("time", { datetime: item.time, title: item.interaction_id ?? item.id }, format.instant(item.time)),
		kind !== "event" && h("span.tag", text(`explain.${kind}`)),
		late && h("span.tag", text("explain.late")),
		note(facts.filter(Boolean).join(" · ")));
}

function credit({ grant, amount }, arrival, ui) {
	const { text, format } = ui;
	const name = arrival ? `${text(`credits.${CREDIT_KINDS[arrival.kind]}`)}, ${format.dayOf(arrival.at)}` : grant;
	return [exact(amount, ui), note(name, grant)];
}
