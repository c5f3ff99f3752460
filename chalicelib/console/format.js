import { divide, isZero, roundsToZero } from "./decimal.js";

const EXACT_DIGITS = 20;
const QUANTITY_DIGITS = 2;
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
    return new Formatter({ locale: this.locale, text: this.text, currency, timeZone: this.timeZone });
  }

  /** Money at the currency's minor digits; an amount too small for them is shown whole. */
  money(value) {
    const tiny = !isZero(value) && roundsToZero(value, this.minorDigits);
    return tiny ? this.exactMoney(value) : this.#currency().format(unsigned(value));
  }

  exactMoney(value) {
    return this.#currency({ maximumFractionDigits: EXACT_DIGITS }).format(unsigned(value));
  }

  /** A quantity in the product's display unit: "1,187.23 min". */
  quantity(value, product) {
    const { shown, unit } = inDisplayUnit(value, product);
    return this.#measure(shown, unit, "short");
  }

  /** The same without the unit, for "412.5 of 1,000 min". */
  quantityAlone(value, product) {
    return this.#number(inDisplayUnit(value, product).shown);
  }

  /** The quantity as it was metered, not rounded. */
  exactQuantity(value, product) {
    return this.#measure(value, product.unit, "long", { maximumFractionDigits: EXACT_DIGITS });
  }

  plainNumber(value) {
    return this.#number(value, { maximumFractionDigits: EXACT_DIGITS });
  }

  /** A plain decimal as a person would type it: "1000.50" or "1000,50". */
  typed(value) {
    const digits = { minimumFractionDigits: this.minorDigits, maximumFractionDigits: EXACT_DIGITS };
    return this.#number(value, { useGrouping: false, ...digits });
  }

  /** Read a typed amount as a plain decimal: in the locale's way, or plainly where that is clear; else null. */
  parse(typed) {
    const parts = new Intl.NumberFormat(this.locale, { useGrouping: true }).formatToParts(1234567.8);
    const mark = (type) => parts.find((part) => part.type === type)?.value ?? "";
    const digits = [...new Intl.NumberFormat(this.locale, { useGrouping: false }).format(9876543210)].reverse();
    const plain = [...typed.trim()].map((sign) => (digits.includes(sign) ? digits.indexOf(sign) : sign)).join("");
    const groups = `\\d{1,3}(?:[\\s${mark("group")}]\\d{2,3})*[\\s${mark("group")}]\\d{3}`;
    const match = new RegExp(`^(${groups}|\\d+)(?:[${mark("decimal")}](\\d+))?$`).exec(plain)
      ?? /^(\d+)\.(\d\d?)$/.exec(plain);
    return match && match[1].replace(/\D/g, "").replace(/^0+(?=\d)/, "") + (match[2] ? `.${match[2]}` : "");
  }

  /** "2026-11" as "November 2026". */
  month(period) {
    return this.#dateTime({ month: "long", year: "numeric", timeZone: "UTC" }, `${period}-01`);
  }

  /** "2026-11-14" as "Nov 14, 2026". */
  day(date) {
    return this.#dateTime({ dateStyle: "medium", timeZone: "UTC" }, date);
  }

  dayOfYear(date) {
    return this.#dateTime({ month: "short", day: "numeric", timeZone: "UTC" }, date);
  }

  /** An instant's day in the account's time zone. */
  dayOf(instant) {
    return this.#dateTime({ dateStyle: "medium", timeZone: this.timeZone }, instant);
  }

  instant(instant) {
    const day = { year: "numeric", month: "short", day: "numeric" };
    return this.#dateTime({ ...day, ...TIME, timeZoneName: "short", timeZone: this.timeZone }, instant);
  }

  time(instant) {
    return this.#dateTime({ ...TIME, timeZone: this.timeZone }, instant);
  }

  /** The calendar month of an instant in the account's time zone, as a period: "2026-11". */
  periodOf(instant) {
    const options = { year: "numeric", month: "2-digit", timeZone: this.timeZone };
    const calendar = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", options);
    const parts = calendar.formatToParts(new Date(instant));
    const part = (type) => parts.find((each) => each.type === type).value;
    return `${part("year")}-${part("month")}`;
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
    const tiny = !isZero(value) && roundsToZero(value, QUANTITY_DIGITS);
    const digits = tiny ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: QUANTITY_DIGITS };
    const precision = options.maximumFractionDigits ? {} : digits;
    return new Intl.NumberFormat(this.locale, { ...precision, ...options }).format(value);
  }

  #dateTime(options, value) {
    return new Intl.DateTimeFormat(this.locale, options).format(new Date(value));
  }
}

function inDisplayUnit(value, product) {
  const { unit, divisor } = product.display ?? { unit: product.unit, divisor: "1" };
  return { shown: divide(value, divisor), unit };
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
