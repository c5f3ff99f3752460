import { Problem } from "./api.js";
import { ManageCredits } from "./credits.js";
import { h, refill } from "./dom.js";
import { Formatter } from "./format.js";
import { Invoices } from "./invoices.js";
import { productsCard } from "./products.js";
import { explain, failedBlock, notice } from "./states.js";
import { summaryCard } from "./summary.js";

const REFRESH_MS = 15_000;
const LONGEST_WAIT_MS = 120_000;

/** One account's Usage page: reads the tab again and again and shows it, until stopped or signed out. */
export class UsagePage {
  #api;
  #shell;
  #text;
  #locale;
  /** What is made with the first answer: the account's `text` and `format`, and the parts of the page. */
  #ui = null;
  #invoices = null;
  #credits = null;
  #usage = null;
  #invoicesOf = null;
  /** The period picked by the reader; null follows the one that the service shows by itself. */
  #picked = null;
  #followed = null;
  #title;
  /** Numbers the reads, so that the answer to an overtaken one is dropped. */
  #round = 0;
  #failures = 0;
  #stopped = false;
  #timer = null;
  #listening = new AbortController();

  constructor({ api, shell, text, locale }) {
    this.#api = api;
    this.#shell = shell;
    this.#text = text;
    this.#locale = locale;
    this.#title = text("page.title");
  }

  start() {
    const listening = { signal: this.#listening.signal };
    this.#api.onSignedOut = () => this.#signOut();
    this.#shell.openHead({
      onPeriod: (period) => this.#pick(period),
      onRefresh: () => this.#refresh({ asked: true }),
      onDownload: ({ currentTarget: button }) => this.#download(button, "/rate-card"),
    });
    document.addEventListener("visibilitychange", () => this.#onVisibility(), listening);
    addEventListener("online", () => this.#onVisibility(), listening);
    this.#retry();
  }

  stop() {
    this.#stopped = true;
    this.#round += 1;
    clearTimeout(this.#timer);
    this.#listening.abort();
    this.#invoices?.close();
    this.#credits?.close();
  }

  async #refresh({ asked = false } = {}) {
    if (this.#stopped) {
      return;
    }
    clearTimeout(this.#timer);
    const round = ++this.#round;
    this.#shell.refreshButton.classList.add("turning");
    let wait = REFRESH_MS;
    try {
      const usage = await this.#api.usage(this.#picked);
      if (round !== this.#round) {
        return;
      }
      this.#failures = 0;
      this.#show(usage, { asked });
    } catch (error) {
      if (round !== this.#round) {
        return;
      }
      wait = this.#fail(asProblem(error), { asked });
    }
    this.#shell.refreshButton.classList.remove("turning");
    if (!document.hidden) {
      this.#timer = setTimeout(() => this.#refresh(), wait);
    }
  }

  #onVisibility() {
    if (document.hidden) {
      clearTimeout(this.#timer);
    } else {
      this.#refresh();
    }
  }

  #show(usage, { asked }) {
    const opened = this.#shell.state !== "ready";
    const changed = tabChanged(this.#usage, usage);
    if (!this.#ui) {
      this.#open(usage.account);
    }
    if (this.#picked === null) {
      this.#followed = usage.period.id;
    }
    this.#shell.showIdentity(usage.account);
    this.#shell.showHead(usage, this.#ui.format);
    if (opened || changed) {
      this.#showTab(usage);
    }
    this.#usage = usage;
    this.#shell.state = "ready";
    this.#showNotices();
    this.#showPeriods();
    if (opened || asked) {
      this.#shell.announce(this.#text("state.updated", { month: this.#ui.format.month(usage.period.id) }));
    }
    this.#loadInvoices({ again: asked, changed });
  }

  #open({ currency, timezone: timeZone }) {
    const api = this.#api;
    const text = this.#text;
    const ui = { text, format: new Formatter({ locale: this.#locale, text, currency, timeZone }) };
    this.#ui = ui;
    this.#credits = new ManageCredits({ api, ui, onChanged: () => this.#refresh({ asked: true }) });
    this.#invoices = new Invoices({
      api,
      ui,
      region: this.#shell.invoices,
      onListed: () => this.#onInvoices(),
      onShowPeriod: (period) => this.#pick(period),
    });
  }

  #showTab(usage) {
    const pool = usage.contact_center_services;
    const period = usage.period.id;
    refill(this.#shell.body,
      summaryCard(usage, this.#ui, {
        onDismiss: (id) => this.#dismiss(id),
        onManage: () => this.#credits.open(pool),
      }),
      productsCard(usage, this.#ui, {
        onReport: ({ currentTarget: button }, kind) => this.#download(button, `/reports/${kind}`, { period }),
      }));
  }

  #showNotices(...more) {
    refill(this.#shell.notices, ...[this.#closingNotice(), ...more].filter(Boolean));
  }

  #closingNotice() {
    const { period, as_of: asOf } = this.#usage;
    if (period.status !== "closing") {
      return null;
    }
    const { format } = this.#ui;
    const next = format.periodOf(asOf);
    const message = this.#text("closing.notice", { month: format.month(period.id) });
    return notice("info", message, next !== period.id && {
      label: this.#text("closing.show", { month: format.month(next) }),
      run: () => this.#pick(next),
    });
  }

  #showPeriods() {
    const { format } = this.#ui;
    const { period, as_of: asOf } = this.#usage;
    const invoiced = new Set(this.#invoices.items.map((invoice) => invoice.period));
    const open = new Set([format.periodOf(asOf), this.#followed]);
    (period.status === "invoiced" ? invoiced : open).add(period.id);
    const newestFirst = (periods) => [...periods].sort().reverse();
    const current = newestFirst(open).filter((each) => !invoiced.has(each));
    this.#shell.showPeriods({ current, past: newestFirst(invoiced), shown: period.id }, format);
  }

  #pick(period) {
    this.#picked = period === this.#followed ? null : period;
    this.#title = this.#ui.format.month(period);
    this.#retry();
  }

  /** Show a failed read; returns the milliseconds to wait before the next. */
  #fail(problem, { asked }) {
    this.#failures += 1;
    if (this.#shell.state === "ready") {
      const time = this.#ui.format.instant(this.#usage.as_of);
      const message = this.#text("problem.stale", { time, reason: explain(problem, this.#text) });
      const retry = { label: this.#text("problem.retry"), run: () => this.#refresh({ asked: true }) };
      this.#showNotices(notice("warning", message, retry));
      if (asked || this.#failures === 1) {
        this.#shell.announce(message);
      }
    } else {
      this.#showFailed(problem);
    }
    const backedOff = Math.min(REFRESH_MS * 2 ** (this.#failures - 1), LONGEST_WAIT_MS);
    return Math.max(backedOff, problem.retryAfterSeconds * 1000);
  }

  /** Read what is wanted anew, with nothing shown meanwhile. */
  #retry() {
    this.#shell.showLoading(this.#title);
    this.#refresh();
  }

  #showFailed(problem) {
    this.#shell.announce("");
    if (this.#shell.state !== "failed") {
      const block = failedBlock("problem.usage", problem, this.#text, () => this.#retry());
      refill(this.#shell.body, h("section.card", block));
    }
    this.#shell.state = "failed";
  }

  #signOut() {
    if (!this.#stopped) {
      this.stop();
      this.#shell.showSignedOut({ expired: true });
    }
  }

  #loadInvoices({ again, changed }) {
    const { period, as_of: asOf } = this.#usage;
    const key = [this.#followed, period.id, period.status, this.#ui.format.periodOf(asOf)].join();
    if (key !== this.#invoicesOf || again) {
      this.#invoicesOf = key;
      this.#invoices.load();
    } else if (changed) {
      this.#invoices.refresh();
    }
  }

  #onInvoices() {
    const invoiced = this.#invoices.items.map((invoice) => invoice.period);
    if (invoiced.includes(this.#followed) && !invoiced.includes(this.#picked)) {
      this.#picked = null;
    }
    this.#showPeriods();
  }

  async #dismiss(id) {
    try {
      await this.#api.dismissWarning(id);
      document.getElementById("pool-title")?.focus();
      await this.#refresh({ asked: true });
    } catch (problem) {
      this.#tell("warning.notDismissed", problem);
    }
  }

  async #download(button, path, query) {
    button.disabled = true;
    try {
      const file = await this.#api.download(path, query);
      if (!this.#stopped) {
        save(file);
        this.#shell.announce(this.#text("download.done"));
      }
    } catch (problem) {
      this.#tell("download.failed", problem);
    }
    button.disabled = false;
  }

  /** Tell of an action that failed, over whatever the page shows. */
  #tell(key, problem) {
    if (!this.#stopped) {
      const message = this.#text(key, { reason: explain(problem, this.#text) });
      this.#showNotices(notice("warning", message));
      this.#shell.announce(message);
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

/** Whether anything but the times of the reading differs between two tabs. */
function tabChanged(before, after) {
  const content = (usage) => JSON.stringify({ ...usage, as_of: null, last_event_at: null });
  return before === null || content(before) !== content(after);
}

function save({ name, blob, url }) {
  const link = h("a", { href: url ?? URL.createObjectURL(blob), download: name ?? "" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
