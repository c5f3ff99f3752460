import { button, h, icon, refill } from "./dom.js";
import { signedOutCard } from "./states.js";

/** The fixed parts of the page: head, notices, body, invoices and the line read out to screen readers. */
export class Shell {
  #document;
  #text;
  #skeleton;
  #picker = null;
  #controls = null;

  constructor(document, text) {
    this.#document = document;
    this.#text = text;
    for (const name of ["identity", "content", "head", "notices", "body", "invoices", "announcer", "brand"]) {
      this[name] = document.getElementById(name);
    }
    this.#skeleton = this.body.firstElementChild.cloneNode(true);
    document.documentElement.lang = text.language;
    document.title = text("page.title");
    this.brand.textContent = text("page.title");
    document.querySelector(".skip-link").textContent = text("page.skip");
  }

  /** "loading", "ready", "failed" or "signed-out". */
  set state(state) {
    this.#document.body.dataset.state = state;
  }

  get state() {
    return this.#document.body.dataset.state;
  }

  announce(message) {
    this.announcer.textContent = message;
  }

  /** Show the skeleton under `title`. */
  showLoading(title) {
    this.state = "loading";
    this.title.replaceChildren(h("h1", {}, title));
    this.content.setAttribute("aria-busy", "true");
    this.announce(this.#text("state.loading"));
    this.notices.replaceChildren();
    this.body.replaceChildren(this.#skeleton.cloneNode(true));
  }

  showSignedOut({ expired }) {
    this.#picker = null;
    for (const region of [this.identity, this.head, this.notices, this.invoices]) {
      region.replaceChildren();
    }
    this.#document.title = this.#text("page.title");
    this.body.replaceChildren(signedOutCard(this.#text, { expired }));
    this.content.removeAttribute("aria-busy");
    this.state = "signed-out";
    this.announce(this.#text(expired ? "signedOut.expired" : "signedOut.title"));
  }

  showIdentity(account) {
    const paid = this.#text(`payment.${account.payment_method}`);
    refill(this.identity,
      h("div", { class: "identity-lines" },
        h("span", { class: "identity-name" }, account.name),
        h("span", { class: "identity-note" }, `${paid} · ${account.currency}`)));
  }

  /** Build the head's controls once, so that no refresh takes the focus out; hidden until there are periods. */
  openHead({ onPeriod, onRefresh, onDownload }) {
    const text = this.#text;
    this.#picker = h("select", {
      id: "period", on: { change: (event) => onPeriod(event.target.value) },
    });
    const refresh = text("head.refresh");
    this.refreshButton = button({
      id: "refresh", kind: "button-icon", "aria-label": refresh, title: refresh, run: onRefresh,
    }, icon("refresh"));
    this.title = h("div", { class: "head-title" });
    this.#controls = h("div", { class: "head-controls", hidden: true },
      h("label", { class: "visually-hidden", for: "period" }, text("head.period")),
      h("span", { class: "select" }, this.#picker),
      this.refreshButton,
      button({ id: "download", run: onDownload }, icon("download"), text("head.download")));
    this.head.replaceChildren(h("div", { class: "head" }, this.title, this.#controls));
  }

  showHead(usage, format) {
    const text = this.#text;
    const { id, status } = usage.period;
    const month = format.month(id);
    this.#document.title = `${month} · ${text("page.title")} · ${usage.account.name}`;
    refill(this.title,
      h("div", { class: "head-line" },
        h("h1", {}, month),
        h("span", { class: `status status-${status}`, data: { status } }, text(`status.${status}`))),
      h("p", { class: "as-of" }, ...this.#asOf(usage, format)));
  }

  #asOf({ as_of: asOf, last_event_at: lastEventAt }, format) {
    const told = (key, at, words) => h("span", {}, this.#text(key), " ", h("time", { datetime: at }, words));
    const shown = [told("head.asOf", asOf, format.instant(asOf))];
    if (lastEventAt) {
      const sameDay = format.dayOf(lastEventAt) === format.dayOf(asOf);
      const words = sameDay ? format.time(lastEventAt) : format.instant(lastEventAt);
      shown.push(told("head.lastEvent", lastEventAt, words));
    }
    return shown;
  }

  /** Offer `current` and `past` periods, newest first, with `shown` picked. */
  showPeriods({ current, past, shown }, format) {
    const key = [current, past, shown].join("|");
    if (this.#picker.dataset.periods === key) {
      return;
    }
    const group = (label, periods) => periods.length > 0
      && h("optgroup", { label: this.#text(label) },
        periods.map((period) => h("option", { value: period }, format.month(period))));
    refill(this.#picker, ...[group("head.current", current), group("status.invoiced", past)].filter(Boolean));
    this.#picker.dataset.periods = key;
    this.#picker.value = shown;
    this.#controls.hidden = false;
  }
}
