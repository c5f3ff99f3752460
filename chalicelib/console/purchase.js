import { h, refill } from "./dom.js";
import { AmountField, form } from "./fields.js";
import { explain, notice } from "./states.js";

const LEAST = "100";
const POLL_MS = 2_000;
const POLL_MS_MAX = 30_000;
/** Answers that settle an intent: nothing was bought, nor will be under its key. */
const REFUSALS = [400, 402, 409, 422];

/**
 * The form of a one-time purchase. It lives as long as the page: closing the dialog loses nothing.
 *
 * Every intent to buy has one idempotency key. While its outcome is not known the amount is fixed, and what is
 * sent again carries the same key, so that it cannot buy twice.
 */
export class Purchase {
  #context;
  #field;
  #button = h("button.button.button-primary", { type: "submit" });
  #result = h("div", { role: "status" });
  /** `{key, amount}`, and `unknown` once an answer was lost. */
  #intent = null;
  #waiting = false;
  #closed = false;

  constructor(context) {
    const { ui } = context;
    const least = ui.text("purchase.least", { amount: ui.format.money(LEAST) });
    const refusals = { below_minimum: least };
    this.#context = context;
    this.#field = new AmountField({ name: "purchase", label: "field.amount", hint: least, refusals }, ui);
    this.element = form("purchase", ui, { input: () => this.#offer(), submit: () => this.#submit() },
      this.#field.element, this.#button, this.#result);
    this.#offer();
  }

  close() {
    this.#closed = true;
  }

  /** Name on the button what a press will do, with the amount as it was understood. */
  #offer() {
    const { text, format } = this.#context.ui;
    const unknown = Boolean(this.#intent?.unknown);
    const amount = !unknown && this.#field.value;
    this.#field.locked = this.#waiting || unknown;
    this.#button.setAttribute("aria-disabled", String(this.#waiting));
    this.#button.textContent = amount ? text("purchase.buyFor", { amount: format.money(amount) })
      : text(unknown ? "problem.retry" : "purchase.buy");
  }

  #tell(kind, outcome, values) {
    this.#offer();
    refill(this.#result, notice(kind, this.#context.ui.text(`purchase.${outcome}`, values)));
  }

  async #submit() {
    if (this.#waiting || !(this.#intent?.unknown || this.#field.check())) {
      return;
    }
    if (!this.#intent?.unknown) {
      this.#intent = { key: randomKey(), amount: this.#field.value };
    }
    this.#waiting = true;
    this.#tell("info", "running");
    try {
      this.#show(await this.#context.api.purchase(this.#intent));
    } catch (problem) {
      this.#fail(problem);
    }
  }

  #show({ id, status, reason, ...purchase }) {
    const { format } = this.#context.ui;
    const amount = format.money(purchase.amount);
    this.#waiting = status === "pending";
    if (this.#waiting) {
      this.#tell("info", status, { amount });
      this.#follow(id);
      return;
    }
    this.#intent = null;
    if (status === "succeeded") {
      this.#field.value = "";
      this.#tell("good", status, { amount, balance: format.money(purchase.balance) });
      this.#context.onChanged();
    } else {
      this.#tell("warning", "declined", { reason });
    }
  }

  async #follow(id) {
    for (let wait = POLL_MS; this.#waiting; wait = Math.min(wait * 1.5, POLL_MS_MAX)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#closed) {
        return;
      }
      const purchase = await this.#context.api.purchaseOf(id).catch((problem) => problem);
      if (["succeeded", "failed"].includes(purchase.status)) {
        this.#show(purchase);
      }
    }
  }

  #fail(problem) {
    this.#waiting = false;
    if (REFUSALS.includes(problem.status)) {
      this.#intent = null;
    } else if (problem.status === 0 || problem.status >= 500) {
      this.#intent.unknown = true;
    }
    const outcome = this.#intent?.unknown ? "unknown" : problem.status === 402 ? "declined" : "failed";
    const atField = problem.errors.length > 0;
    this.#tell("warning", outcome, { reason: atField ? "" : explain(problem, this.#context.ui.text) });
    if (atField) {
      this.#field.refuse(problem);
    }
  }
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
