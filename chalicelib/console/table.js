import { h } from "./dom.js";

// The roles repeat what the elements mean: narrow windows lay these tables out as cards, and browsers drop a
// table's semantics with its display type.

/** A table whose rows become cards in a narrow window; each of `columns` is headed by the text `column.{name}`. */
export function cardTable(columns, rows, { text }, label) {
	const head = { role: "columnheader", scope: "col" };
	const heading = (column) => h(`th.column-${column}`, head, text(`column.${column}`));
	return h("table.cards", { role: "table", "aria-labelledby": label },
		h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(heading))),
		h("tbody", { role: "rowgroup" }, rows));
}

export function cardRow([, ...columns], head, cells, { text }) {
	const cell = (column, index) => h(`td.column-${column}`, { role: "cell", data: { label: text(`column.${column}`) } },
		h("div.cell", ...cells[index]));
	return h("tr", { role: "row" }, h("th", { role: "rowheader", scope: "row" }, head), columns.map(cell));
}

/** A table of `rows` of figures behind a heading each, with what they add up to as its `foot`. */
export function figureTable(attributes, headings, rows, foot = null) {
	const row = ([heading, ...figures]) => h("tr",
		h("th", { scope: "row" }, heading), figures.map((figure) => h("td.number", figure)));
	return h("table.figures", attributes,
		h("thead", h("tr", headings.map((words, index) => h(index > 0 ? "th.number" : "th", { scope: "col" }, words)))),
		h("tbody", rows.map(row)),
		foot && h("tfoot", row(foot)));
}

/** The same where it may be wider than what it stands in: its last column stays in sight. */
export function wideTable(label, ...content) {
	return h("div.scroller", { tabindex: "0", role: "region", ...label }, figureTable(label, ...content));
}

export function absent(mark, meaning) {
	return h("span.absent", { role: "img", "aria-label": meaning, title: meaning }, mark);
}
