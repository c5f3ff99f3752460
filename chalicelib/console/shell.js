import { button, h, icon, refill } from "./dom.js";
import { signedOutCard } from "./states.js";

const REGIONS = ["identity", "head", "notices", "body", "invoices"];

/** The fixed parts of the page: head, notices, body, invoices and the line read out to screen readers. */
export class Shell {
  #text;
  #skeleton;
  #picker = null;
  #controls = null;

  constructor(text) {
    this.#text = text;
    for (const name of [...REGIONS, "content", "announcer"]) {
      this[name] = document.getElementById(name);
    }
    this.#skeleton = this.body.firstElementChild;
    document.documentElement.lang = text.language;
    document.title = text("page.title");
    document.getElementById("brand").textContent = text("page.title");
    document.querySelector(".skip-link").textContent = text("page.skip");
  }

  /** "loading", "ready", "failed" or "signed-out". */
  set state(state) {
    document.body.dataset.state = state;
    this.content.setAttribute("aria-busy", state === "loading");
  }

  get state() {
    return document.body.dataset.state;
  }

  announce(message) {
    this.announcer.textContent = message;
  }

  /** Show the skeleton under `title`. */
  showLoading(title) {
    this.state = "loading";
    this.title.replaceChildren(h("h1", title));
    this.announce(this.#text("state.loading"));
    this.notices.replaceChildren();
    this.body.replaceChildren(this.#skeleton);
  }

  showSignedOut({ expired }) {
    REGIONS.forEach((name) => this[name].replaceChildren());
    document.title = this.#text("page.title");
    this.body.replaceChildren(signedOutCard(this.#text, { expired }));
    this.state = "signed-out";
    this.announce(this.#text(expired ? "signedOut.expired" : "signedOut.title"));
  }

  showIdentity(account) {
    const paid = this.#text(`payment.${account.payment_method}`);
    refill(this.identity, h("div.identity-lines",
      h("span.identity-name", account.name),
      h("span.note", `${paid} · ${account.currency}`)));
  }

  /** Build the head's controls once, so that no refresh takes the focus out; hidden until there are periods. */
  openHead({ onPeriod, onRefresh, onDownload }) {
    const text = this.#text;
    const refresh = text("head.refresh");
    this.title = h("div.head-title");
    this.#picker = h("select", { id: "period", on: { change: (event) => onPeriod(event.target.value) } });
    const labels = { "aria-label": refresh, title: refresh };
    this.refreshButton = button({ kind: "icon", ...labels, run: onRefresh }, icon("refresh"));
    this.#controls = h("div.head-controls", { hidden: true },
      h("label.visually-hidden", { for: "period" }, text("head.period")),
      this.#picker,
      this.refreshButton,
      button({ id: "download", run: onDownload }, icon("download"), text("head.download")));
    this.head.replaceChildren(this.title, this.#controls);
  }

  showHead(usage, format) {
    const text = this.#text;
    const { id, status } = usage.period;
    const month = format.month(id);
    document.title = `${month} · ${text("page.title")} · ${usage.account.name}`;
    refill(this.title,
      h("div.head-line", h("h1", month), h(`span.status.status-${status}`, text(`status.${status}`))),
      h("p.as-of", this.#asOf(usage, format)));
  }

  #asOf({ as_of: asOf, last_event_at: lastEventAt }, format) {
    const told = (key, at, words) => h("span", this.#text(key), " ", h("time", { datetime: at }, words));
    const shown = [told("head.asOf", asOf, format.instant(asOf))];
    if (lastEventAt) {
      const sameDay = format.dayOf(lastEventAt) === format.dayOf(asOf);
      shown.push(told("head.lastEvent", lastEventAt, sameDay ? format.time(lastEventAt) : format.instant(lastEventAt)));
    }
    return shown;
  }

  /** Offer `current` and `past` periods, newest first, with `shown` picked. */
  showPeriods({ current, past, shown }, format) {
    const key = [current, past, shown].join("|");
    if (this.#picker.dataset.periods === key) {
      return;
    }
    const group = (label, periods) => periods.length > 0 && h("optgroup", { label: this.#text(label) },
      periods.map((period) => h("option", { value: period }, format.month(period))));
    refill(this.#picker, ...[group("head.current", current), group("status.invoiced", past)].filter(Boolean));
    this.#picker.dataset.periods = key;
    this.#picker.value = shown;
    this.#controls.hidden = false;
  }
}
