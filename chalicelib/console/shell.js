import { button, h, icon, refill } from "./dom.js";

const REGIONS = ["identity", "head", "notices", "body", "chart", "products", "invoices"];

/** The fixed parts of the page: its regions by name, its state, and the line read out to screen readers. */
export class Shell {
	#text;
	#skeleton;
	#picker;
	#controls;

	constructor(text) {
		this.#text = text;
		for (const name of [...REGIONS, "content", "announcer"]) {
			this[name] = document.getElementById(name);
		}
		this.#skeleton = this.body.firstElementChild;
		document.documentElement.lang = text.language;
		document.getElementById("brand").textContent = document.title = text("page.title");
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

	showLoading(title) {
		this.state = "loading";
		this.title.replaceChildren(h("h1", title));
		this.announce(this.#text("state.loading"));
		[this.notices, this.chart, this.products].forEach((region) => region.replaceChildren());
		this.body.replaceChildren(this.#skeleton);
	}

	/** Show nothing but a card, and announce its `title`. */
	showSignedOut(title, card) {
		REGIONS.forEach((name) => this[name].replaceChildren());
		document.title = this.#text("page.title");
		this.body.replaceChildren(card);
		this.state = "signed-out";
		this.announce(title);
	}

	showIdentity(account, onSignOut) {
		const paid = this.#text(`payment.${account.payment_method}`);
		const signOut = onSignOut && button({ focus: "sign-out", run: onSignOut }, this.#text("signOut"));
		refill(this.identity, ...[h("div.identity-lines",
			h("span.identity-name", account.name),
			h("span.note", `${paid} · ${account.currency}`)), signOut].filter(Boolean));
	}

	/** Build the head's controls once, so that no refresh takes the focus out; hidden until there are periods. */
	openHead({ onPeriod, onRefresh, onDownload }) {
		const text = this.#text;
		const refresh = { kind: "icon", "aria-label": text("head.refresh"), title: text("head.refresh"), run: onRefresh };
		this.title = h("div.head-title");
		const change = ({ target }) => onPeriod(target.value);
		this.#picker = h("select", { "aria-label": text("head.period"), on: { change } });
		this.refreshButton = button(refresh, icon("refresh"));
		this.#controls = h("div.head-controls", { hidden: true },
			this.#picker,
			this.refreshButton,
			button({ id: "download", run: onDownload }, icon("download"), text("head.download")));
		this.head.replaceChildren(this.title, this.#controls);
	}

	showHead({ account, period: { id, status }, as_of: asOf, last_event_at: last }, format) {
		const text = this.#text;
		const month = format.month(id);
		const told = (key, at, words) => h("span", text(key), " ", h("time", { datetime: at }, words));
		const isToday = last && format.dateOf(last) === format.dateOf(asOf);
		document.title = `${month} · ${text("page.title")} · ${account.name}`;
		refill(this.title,
			h("div.head-line", h("h1", month), h(`span.status.status-${status}`, text(`status.${status}`))),
			h("p.as-of", told("head.asOf", asOf, format.instant(asOf)),
				last && told("head.lastEvent", last, isToday ? format.time(last) : format.instant(last))));
	}

	/** Offer `current` and `past` periods, newest first, with `shown` picked. */
	showPeriods({ current, past, shown }, format) {
		const key = [current, past, shown].join("|");
		if (this.#picker.dataset.periods === key) {
			return;
		}
		const group = (label, periods) => h("optgroup", { label: this.#text(label), hidden: periods.length === 0 },
			periods.map((period) => h("option", { value: period }, format.month(period))));
		refill(this.#picker, group("head.current", current), group("status.invoiced", past));
		this.#picker.dataset.periods = key;
		this.#picker.value = shown;
		this.#controls.hidden = false;
	}
}
