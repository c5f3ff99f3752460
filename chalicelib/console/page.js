import { Problem } from "./api.js";
import { dailyCharges } from "./chart.js";
import { manageCredits } from "./credits.js";
import { h, refill } from "./dom.js";
import { Formatter } from "./format.js";
import { interactionsDialog } from "./interactions.js";
import { invoiceList } from "./invoices.js";
import { productsCard } from "./products.js";
import { explain, failedBlock, notice } from "./states.js";
import { summaryCard } from "./summary.js";

const REFRESH_MS = 15_000;
const LONGEST_WAIT_MS = 120_000;

/**
 * One account's Usage page: reads the tab again and again and shows it, until it is stopped or the service accepts
 * the token no longer, which calls `onExpired()`. Without `onSignOut()` it offers no way to sign out.
 */
export function usagePage({ api, shell, text, locale, onExpired, onSignOut }) {
	let usage = null;
	let parts = null;
	let invoicesOf = null;
	// The period picked by the reader; null follows the one that the service shows by itself.
	let picked = null;
	let followed = null;
	let title = text("page.title");
	// Numbers the reads, so that the answer to an overtaken one is dropped.
	let round = 0;
	let failures = 0;
	let timer = null;
	const stopping = new AbortController();
	const { signal } = stopping;

	api.onSignedOut = () => {
		if (!signal.aborted) {
			stop();
			onExpired();
		}
	};
	shell.openHead({
		onPeriod: pick,
		onRefresh: () => refresh({ asked: true }),
		onDownload: (event) => download(event, "/rate-card"),
	});
	document.addEventListener("visibilitychange", onVisibility, { signal });
	addEventListener("online", onVisibility, { signal });
	readAnew();
	return { stop };

	function stop() {
		stopping.abort();
		round += 1;
		clearTimeout(timer);
		parts?.all.forEach((part) => part.close());
	}

	async function refresh({ asked = false } = {}) {
		clearTimeout(timer);
		const own = ++round;
		shell.refreshButton.classList.add("turning");
		const read = await api.usage(picked).catch((problem) => problem);
		if (own !== round || signal.aborted) {
			return;
		}
		const wait = show(read, asked);
		shell.refreshButton.classList.remove("turning");
		if (!document.hidden) {
			timer = setTimeout(refresh, wait);
		}
	}

	/** Show the tab, or why there is none; returns the milliseconds to wait before the next read. */
	function show(read, asked) {
		try {
			if (read instanceof Error) {
				throw read;
			}
			failures = 0;
			showTab(read, asked);
			return REFRESH_MS;
		} catch (error) {
			return fail(asProblem(error), asked);
		}
	}

	function onVisibility() {
		if (document.hidden) {
			clearTimeout(timer);
		} else {
			refresh();
		}
	}

	function showTab(read, asked) {
		const opened = shell.state !== "ready";
		const changed = usage?.products !== read.products;
		parts ??= makeParts(read.account);
		if (picked === null) {
			followed = read.period.id;
		}
		shell.showIdentity(read.account, onSignOut);
		shell.showHead(read, parts.format);
		if (opened || changed) {
			showCards(read);
		}
		usage = read;
		shell.state = "ready";
		showNotices();
		showPeriods();
		if (opened || asked) {
			shell.announce(`${text("head.asOf")} ${parts.format.instant(usage.as_of)}`);
		}
		loadInvoices({ again: asked, changed });
	}

	function makeParts({ currency, timezone: timeZone }) {
		const format = new Formatter({ locale, text, currency, timeZone });
		const ui = { text, format };
		const chart = dailyCharges({ api, ui, region: shell.chart });
		const credits = manageCredits({ api, ui, onChanged: () => refresh({ asked: true }) });
		const invoices = invoiceList({ api, ui, region: shell.invoices, onListed: onInvoices });
		const interactions = interactionsDialog({ api, ui });
		return { format, ui, chart, credits, interactions, invoices, all: [chart, credits, interactions, invoices] };
	}

	function showCards(read) {
		const { ui, chart, credits, interactions } = parts;
		const onManage = () => credits.open(read.contact_center_services);
		const onReport = (event, kind) => download(event, `/reports/${kind}`, { period: read.period.id });
		const onExplain = (product) => interactions.open(product, read.period.id);
		refill(shell.body, summaryCard(read, ui, { onDismiss: dismiss, onManage }));
		refill(shell.products, productsCard(read, ui, { onReport, onExplain }));
		if (read.products.length > 0) {
			chart.load(read);
		}
	}

	function showNotices(...more) {
		refill(shell.notices, ...[closingNotice(), ...more].filter(Boolean));
	}

	function closingNotice() {
		const { id, status } = usage.period;
		return status === "closing" && notice("info", text("closing.notice", { month: parts.format.month(id) }));
	}

	function showPeriods() {
		const { period, as_of: asOf } = usage;
		const invoiced = new Set(invoicedPeriods());
		const open = new Set([parts.format.periodOf(asOf), followed]);
		(period.status === "invoiced" ? invoiced : open).add(period.id);
		const newestFirst = (periods) => [...periods].sort().reverse();
		const current = newestFirst(open).filter((each) => !invoiced.has(each));
		shell.showPeriods({ current, past: newestFirst(invoiced), shown: period.id }, parts.format);
	}

	function invoicedPeriods() {
		return parts.invoices.items().map((invoice) => invoice.period);
	}

	function pick(period) {
		picked = period === followed ? null : period;
		title = parts.format.month(period);
		readAnew();
	}

	/** Tell of a failed read; returns the milliseconds to wait before the next. */
	function fail(problem, asked) {
		failures += 1;
		if (shell.state === "ready") {
			const time = parts.format.instant(usage.as_of);
			const message = text("problem.stale", { time, reason: explain(problem, text) });
			showNotices(notice("warning", message, { label: text("problem.retry"), run: () => refresh({ asked: true }) }));
			if (asked || failures === 1) {
				shell.announce(message);
			}
		} else if (shell.state !== "failed") {
			shell.announce("");
			refill(shell.body, h("section.card", failedBlock(text("page.title"), problem, text, readAnew)));
			shell.state = "failed";
		}
		const backedOff = Math.min(REFRESH_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
		return Math.max(backedOff, problem.retryAfterSeconds * 1000);
	}

	/** Read what is wanted anew, with nothing shown meanwhile. */
	function readAnew() {
		parts?.chart.close();
		shell.showLoading(title);
		refresh();
	}

	function loadInvoices({ again, changed }) {
		const { period, as_of: asOf } = usage;
		const key = [followed, period.id, period.status, parts.format.periodOf(asOf)].join();
		if (key !== invoicesOf || again) {
			invoicesOf = key;
			parts.invoices.load();
		} else if (changed) {
			parts.invoices.refresh();
		}
	}

	function onInvoices() {
		const invoiced = invoicedPeriods();
		if (invoiced.includes(followed) && !invoiced.includes(picked)) {
			picked = null;
		}
		showPeriods();
	}

	async function dismiss(id) {
		try {
			await api.dismissWarning(id);
			document.getElementById("pool-title")?.focus();
			await refresh({ asked: true });
		} catch (problem) {
			tell(text("warning.dismiss"), problem);
		}
	}

	async function download({ currentTarget: button }, path, query) {
		button.disabled = true;
		try {
			const file = await api.download(path, query);
			if (!signal.aborted) {
				save(file);
			}
		} catch (problem) {
			tell(button.textContent, problem);
		}
		button.disabled = false;
	}

	function tell(action, problem) {
		if (!signal.aborted) {
			const message = text("problem.failed", { action, reason: explain(problem, text) });
			showNotices(notice("warning", message));
			shell.announce(message);
		}
	}
}

/** An answer that cannot be shown is a failed read, too; its cause goes to the browser's console. */
function asProblem(error) {
	if (error instanceof Problem) {
		return error;
	}
	console.error(error);
	return new Problem({ code: "unreadable" });
}

function save({ name, blob, url }) {
	const link = h("a", { href: url ?? URL.createObjectURL(blob), download: name ?? "" });
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
