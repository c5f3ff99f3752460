import { isZero, sum } from "./decimal.js";
import { h, refill, svg } from "./dom.js";
import { fact, money } from "./figures.js";
import { daysOf, project } from "./projection.js";
import { failedBlock } from "./states.js";
import { wideTable } from "./table.js";

const HEIGHT = 180;
/** What tells the products apart without their colours. */
const PATTERNS = ["", "M0 8 8 0", "M0 2h8M0 6h8", "M2 2h.01M6 6h.01", "M2 0v8M6 0v8", "M0 0l8 8M0 8l8-8"];

/** The card of the daily charges per product, with what they come to by the month's end. */
export function dailyCharges({ api, region, ui }) {
	let round = 0;

	/** Read the days of the tab `usage`; those shown before stay until they are there. */
	async function load(usage) {
		const own = ++round;
		if (!region.hasChildNodes()) {
			show(h("p.quiet", { "aria-busy": "true" }, ui.text("state.loading")));
		}
		const content = await api.series(usage.period.id).then(
			({ products }) => figure(products, usage, ui, region.querySelector("details")?.open),
			(problem) => failedBlock(ui.text("chart.title"), problem, ui.text, () => load(usage)),
		);
		if (own === round) {
			show(content);
		}
	}

	function show(content) {
		refill(region, h("section.card", { "aria-labelledby": "chart-title" },
			h("h2.card-head", { id: "chart-title" }, ui.text("chart.title")), content));
	}

	return { load, close: () => { round += 1; } };
}

function figure(products, { period, as_of: asOf }, ui, isTableOpen) {
	const { text, format } = ui;
	const series = products.map(({ name, buckets }) => seriesOf(name, buckets))
		.filter(({ total }) => !isZero(total)).sort((a, b) => b.total - a.total);
	if (series.length === 0) {
		return h("p.quiet", text("chart.empty", { month: format.month(period.id) }));
	}
	const days = daysOf(period.id);
	const today = format.dateOf(asOf);
	const soFar = sum(series.map(({ total }) => total));
	const projection = project(soFar, days, today);
	const { begun, total } = projection;
	const goesOn = begun < days.length;
	const until = text("chart.projected", { day: format.dayOfYear(days.at(-1)) });
	const rule = { amount: format.money(soFar), begun, days: days.length };
	const drawn = few(series, days, text);
	return h("figure", { "aria-labelledby": "chart-title" },
		h("dl.facts", { id: "chart-facts" },
			fact(text(goesOn ? "chart.soFar" : "invoice.total"), money(soFar, ui)),
			goesOn && fact(until, money(total, ui))),
		drawing(drawn, days, today, projection, ui),
		h("ul.legend",
			drawn.map((each, index) => h("li", key({ fill: `url(#fill-${index})` }), each.name, " ", money(each.total, ui))),
			goesOn && h("li", key({ class: "projected" }), until)),
		goesOn && h("figcaption.quiet", text("chart.rule", rule)),
		h("details", { open: isTableOpen },
			h("summary", { data: { focus: "chart-table" } }, text("chart.table")),
			table([...series, seriesOf(text("invoice.total"), totals(series, days))], days, ui)));
}

function seriesOf(name, buckets) {
	const amounts = new Map(buckets.map(({ bucket, amount }) => [bucket, amount]));
	return { name, on: (day) => amounts.get(day) ?? "0", total: sum([...amounts.values()]) };
}

function totals(series, days) {
	return days.map((bucket) => ({ bucket, amount: sum(series.map(({ on }) => on(bucket))) }));
}

/** No more series than patterns: the smallest become one. */
function few(series, days, text) {
	const whole = series.slice(0, PATTERNS.length - 1);
	const rest = series.slice(whole.length);
	return rest.length > 1 ? [...whole, seriesOf(text("chart.other"), totals(rest, days))] : series;
}

// What is drawn is not read to the cent: lengths are floats. Those across are per cent, to fit any width.
function drawing(series, days, today, { begun, perDay }, ui) {
	const { text, format } = ui;
	const sums = totals(series, days).map(({ amount }) => Number(amount));
	const { step, top } = scale(Math.max(...sums, perDay));
	const slot = 100 / days.length;
	const y = (amount) => HEIGHT * (1 - amount / top);
	const bar = (index, from, to, look) => svg("rect", {
		x: `${slot * (index + 0.14)}%`, width: `${slot * 0.72}%`, y: y(to), height: y(from) - y(to), ...look,
	});
	const stack = (day, index) => {
		let from = 0;
		const title = svg("title", `${format.day(day)}: ${format.money(String(sums[index]))}`);
		return svg("g", title, series.map(({ on }, number) => {
			const to = from + Math.max(on(day), 0);
			const piece = to > from && bar(index, from, to, { fill: `url(#fill-${number})` });
			from = to;
			return piece;
		}));
	};
	const line = (amount) => [
		svg("line", { x2: "100%", y1: y(amount), y2: y(amount) }),
		svg("text.end", { x: -8, y: y(amount) + 4 }, format.axis(amount)),
	];
	const label = (look, index, words) => svg(`text${look}`, { x: `${slot * (index + 0.5)}%`, y: HEIGHT + 20 }, words);
	const now = days.indexOf(today);
	const isLabelled = (index) => index % 7 === 0 && (now < 0 || Math.abs(index - now) > 3);
	const x = `${slot * (now + 1)}%`;
	return svg("svg.bars", { role: "img", "aria-labelledby": "chart-title chart-facts", height: HEIGHT + 28 },
		svg("defs", PATTERNS.map(pattern)),
		Array.from({ length: Math.round(top / step) + 1 }, (_, count) => line(count * step)).flat(),
		days.map((day, index) => (index < begun ? stack(day, index) : bar(index, 0, perDay, { class: "projected" }))),
		days.map((day, index) => isLabelled(index) && label(".middle", index, format.dayOfYear(day))),
		now >= 0 && svg("line.today", { x1: x, x2: x, y2: HEIGHT }),
		now >= 0 && label(now > days.length - 3 ? ".end.today" : ".middle.today", now, text("chart.today")));
}

/** A scale from 0 with up to three steps of 1, 2 or 5 times a power of ten. */
function scale(highest) {
	const third = (highest || 1) / 3;
	const power = 10 ** Math.floor(Math.log10(third));
	const step = power * [1, 2, 5, 10].find((each) => each * power >= third);
	return { step, top: step * Math.ceil(highest / step) || step };
}

function pattern(lines, index) {
	return svg("pattern", { id: `fill-${index}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
		svg(`rect.series-${index}`, { width: 8, height: 8 }), svg("path", { d: lines }));
}

function key(look) {
	return svg("svg.key", { "aria-hidden": "true" }, svg("rect", { width: "100%", height: "100%", ...look }));
}

function table(series, days, { text, format }) {
	const row = (heading, amountOf) => [heading, ...series.map((each) => money(amountOf(each), { format }))];
	return wideTable({ "aria-label": text("chart.table") },
		[text("head.period"), ...series.map(({ name }) => name)],
		days.filter((day) => series.some(({ on }) => !isZero(on(day))))
			.map((day) => row(format.dayOfYear(day), ({ on }) => on(day))),
		row(text("invoice.total"), ({ total }) => total));
}
