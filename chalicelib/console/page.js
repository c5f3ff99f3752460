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
  #ui = null;
  #usage = null;
  #invoices = null;
  #invoicesOf = null;
  #credits = null;
  /** The period picked by the reader; null follows the one that the service shows by itself. */
  #picked = null;
  #followed = null;
  #title = "";
  /** Numbers the reads, so that the answer to an overtaken one is dropped. */
  #round = 0;
  #failures = 0;
  #stopped = false;
  #timer = null;
  #visibility = () => this.#onVisibility();

  constructor({ api, shell, text, locale }) {
    this.#api = api;
    this.#shell = shell;
    this.#text = text;
    this.#locale = locale;
  }

  start() {
    this.#api.onSignedOut = () => this.#signOut();
    this.#shell.openHead({
      onPeriod: (period) => this.#pick(period),
      onRefresh: () => this.#refresh({ asked: true }),
      onDownload: ({ currentTarget: button }) => this.#download(button, "/rate-card"),
    });
    document.addEventListener("visibilitychange", this.#visibility);
    addEventListener("online", this.#visibility);
    this.#title = this.#text("page.title");
    this.#retry();
  }

  stop() {
    this.#stopped = true;
    this.#round += 1;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#visibility);
    removeEventListener("online", this.#visibility);
    this.#invoices?.close();
    this.#credits?.close();
    this.#usage = this.#invoices = this.#credits = null;
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
    this.#schedule(wait);
  }

  #schedule(wait) {
    if (!document.hidden && !this.#stopped) {
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
    this.#ui ??= { text: this.#text, format: this.#formatter(usage.account) };
    if (this.#picked === null) {
      this.#followed = usage.period.id;
    }
    this.#shell.showIdentity(usage.account);
    this.#shell.showHead(usage, this.#ui.format);
    const changed = tabChanged(this.#usage, usage);
    if (opened || changed) {
      this.#showTab(usage);
    }
    this.#usage = usage;
    this.#shell.content.removeAttribute("aria-busy");
    this.#shell.state = "ready";
    this.#showNotices();
    this.#showPeriods();
    if (opened || asked) {
      this.#shell.announce(this.#text("state.updated", { month: this.#ui.format.month(usage.period.id) }));
    }
    this.#loadInvoices({ again: asked, changed });
  }

  #formatter({ currency, timezone }) {
    return new Formatter({ locale: this.#locale, text: this.#text, currency, timeZone: timezone });
  }

  #showTab(usage) {
    refill(this.#shell.body,
      summaryCard(usage, this.#ui, { onDismiss: (id) => this.#dismiss(id), onManage: () => this.#manage() }),
      productsCard(usage, this.#ui, {
        onReport: ({ currentTarget: button }, kind) => {
          this.#download(button, `/reports/${kind}`, { period: usage.period.id });
        },
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
    const shown = this.#usage.period.id;
    const invoiced = new Set(this.#invoices?.items.map((invoice) => invoice.period));
    const open = new Set([format.periodOf(this.#usage.as_of), this.#followed]);
    (this.#usage.period.status === "invoiced" ? invoiced : open).add(shown);
    const current = [...open].filter((period) => !invoiced.has(period));
    this.#shell.showPeriods({ current: newestFirst(current), past: newestFirst(invoiced), shown }, format);
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
      const asOf = this.#ui.format.instant(this.#usage.as_of);
      const retry = { label: this.#text("problem.retry"), run: () => this.#refresh({ asked: true }) };
      const message = this.#text("problem.stale", { time: asOf, reason: explain(problem, this.#text) });
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
    this.#shell.content.removeAttribute("aria-busy");
    this.#shell.announce("");
    if (this.#shell.state !== "failed") {
      const block = failedBlock("problem.usage", problem, this.#text, () => this.#retry());
      refill(this.#shell.body, h("section", { class: "card" }, block));
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
    if (key === this.#invoicesOf && !again) {
      if (changed) {
        this.#invoices.refresh();
      }
      return;
    }
    this.#invoicesOf = key;
    this.#invoices ??= new Invoices({
      api: this.#api,
      region: this.#shell.invoices,
      ui: this.#ui,
      onListed: () => this.#onInvoices(),
      onShowPeriod: (shown) => this.#pick(shown),
    });
    this.#invoices.load();
  }

  #onInvoices() {
    const invoiced = this.#invoices.items.map((invoice) => invoice.period);
    if (invoiced.includes(this.#followed) && !invoiced.includes(this.#picked)) {
      this.#picked = null;
    }
    this.#showPeriods();
  }

  #manage() {
    this.#credits ??= new ManageCredits({
      api: this.#api,
      ui: this.#ui,
      onChanged: () => this.#refresh({ asked: true }),
    });
    this.#credits.open(this.#usage.contact_center_services);
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
    } finally {
      button.disabled = false;
    }
  }

  /** Tell of an action that failed, over whatever the page shows. */
  #tell(key, problem) {
    if (this.#stopped) {
      return;
    }
    const message = this.#text(key, { reason: explain(problem, this.#text) });
    this.#showNotices(notice("warning", message));
    this.#shell.announce(message);
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

function newestFirst(periods) {
  return [...periods].sort().reverse();
}

function save({ name, blob, url }) {
  const address = url ?? URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name ?? "";
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
