import { divide, isTiny, isZero } from "./decimal.js";

const EXACT = { maximumFractionDigits: 20 };
const QUANTITY_DIGITS = 2;
const ROUNDED = { maximumFractionDigits: QUANTITY_DIGITS };
const DAY = { year: "numeric", month: "short", day: "numeric" };
const TIME = { hour: "numeric", minute: "2-digit", second: "2-digit" };

/**
 * Write the API's decimals and times as the reader's locale does, in the account's time zone. Intl keeps
 * decimals exact, as they are handed to it as strings.
 */
export class Formatter {
	constructor({ locale, text, currency, timeZone }) {
		this.locale = locale;
		this.text = text;
		this.currency = currency;
		this.timeZone = knownZone(timeZone);
		this.minorDigits = this.#currency().resolvedOptions().maximumFractionDigits;
	}

	/** The same reader and zone, another currency: an old invoice keeps its own. */
	inCurrency(currency) {
		return new Formatter({ ...this, currency });
	}

	/** Money at the currency's minor digits; an amount too small for them is shown whole. */
	money(value) {
		return isTiny(value, this.minorDigits) ? this.exactMoney(value) : this.#currency().format(unsigned(value));
	}

	exactMoney(value) {
		return this.#currency(EXACT).format(unsigned(value));
	}

	axis(value) {
		return this.#currency({ notation: "compact", maximumSignificantDigits: 3 }).format(value);
	}

	/** A quantity in the product's display unit: "1,187.23 min". */
	quantity(value, product) {
		const { shown, unit } = inDisplayUnit(value, product);
		return this.#measure(shown, unit, "short");
	}

	quantityAlone(value, product) {
		return this.#number(inDisplayUnit(value, product).shown);
	}

	exactQuantity(value, { unit }) {
		return this.#measure(value, unit, "long", EXACT);
	}

	plainNumber(value) {
		return this.#number(value, EXACT);
	}

	/** A plain decimal as a person would type it: "1000.50" or "1000,50". */
	typed(value) {
		return this.#number(value, { useGrouping: false, minimumFractionDigits: this.minorDigits, ...EXACT });
	}

	/** Read a typed amount as a plain decimal: in the locale's way, or plainly where that is clear; else null. */
	parse(typed) {
		const parts = new Intl.NumberFormat(this.locale, { useGrouping: true }).formatToParts(1234567.8);
		const mark = (type) => parts.find((part) => part.type === type)?.value ?? "";
		const groups = `\\d{1,3}(?:[\\s${mark("group")}]\\d{2,3})*[\\s${mark("group")}]\\d{3}`;
		const match = new RegExp(`^(${groups}|\\d+)(?:[${mark("decimal")}](\\d+))?$`).exec(typed)
			?? /^(\d+)\.(\d\d?)$/.exec(typed);
		return match && match[1].replace(/\D/g, "").replace(/^0+(?=\d)/, "") + (match[2] ? `.${match[2]}` : "");
	}

	month(period) {
		return this.#date(`${period}-01`, { month: "long", year: "numeric" }, "UTC");
	}

	day(date) {
		return this.#date(date, DAY, "UTC");
	}

	dayOfYear(date) {
		return this.#date(date, { month: "short", day: "numeric" }, "UTC");
	}

	dayOf(instant) {
		return this.#date(instant, DAY);
	}

	instant(instant) {
		return this.#date(instant, { ...DAY, ...TIME, timeZoneName: "short" });
	}

	time(instant) {
		return this.#date(instant, TIME);
	}

	/** An instant's day in the account's time zone, as the API writes it: "2026-11-22". */
	dateOf(instant) {
		const options = { year: "numeric", month: "2-digit", day: "2-digit", timeZone: this.timeZone };
		const parts = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", options).formatToParts(new Date(instant));
		return ["year", "month", "day"].map((type) => parts.find((part) => part.type === type).value).join("-");
	}

	periodOf(instant) {
		return this.dateOf(instant).slice(0, "2026-11".length);
	}

	#currency(options = {}) {
		return new Intl.NumberFormat(this.locale, { style: "currency", currency: this.currency, ...options });
	}

	#measure(value, unit, unitDisplay, digits = {}) {
		if (Intl.supportedValuesOf("unit").includes(unit)) {
			return this.#number(value, { style: "unit", unit, unitDisplay, ...digits });
		}
		return `${this.#number(value, digits)}\u00a0${this.text.unit(unit, value)}`;
	}

	#number(value, options = {}) {
		const precision = isTiny(value, QUANTITY_DIGITS) ? { maximumSignificantDigits: 3 } : ROUNDED;
		const digits = options.maximumFractionDigits ? {} : precision;
		return new Intl.NumberFormat(this.locale, { ...digits, ...options }).format(value);
	}

	#date(value, options, timeZone = this.timeZone) {
		return new Intl.DateTimeFormat(this.locale, { ...options, timeZone }).format(new Date(value));
	}
}

function inDisplayUnit(value, { unit, display }) {
	return display ? { shown: divide(value, display.divisor), unit: display.unit } : { shown: value, unit };
}

function unsigned(value) {
	return isZero(value) ? "0" : value;
}

function knownZone(timeZone) {
	try {
		return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone;
	} catch {
		return "UTC";
	}
}
