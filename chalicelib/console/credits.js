import { h } from "./dom.js";
import { Purchase } from "./purchase.js";
import { AutoRecharge } from "./recharge.js";
import { Sheet } from "./sheet.js";
import { notice } from "./states.js";

/**
 * "Manage credits": a dialog to buy credit and to set auto recharge, or with the reason why neither can be.
 * `context` has `api`, `ui`, and `onChanged()` for credit or settings that changed.
 */
export class ManageCredits {
  #context;
  #sheet;
  #purchase = null;

  constructor(context) {
    this.#context = context;
    this.#sheet = new Sheet(context.ui);
  }

  close() {
    this.#sheet.close();
    this.#purchase?.close();
  }

  open(pool) {
    const read = () => (pool.manage_credits.one_time_purchase ? this.#forms() : this.#refusal("credits.byInvoice"));
    return this.#sheet.load(this.#context.ui.text("credits.manage"), "problem.credits", read);
  }

  async #forms() {
    try {
      const recharge = new AutoRecharge(await this.#context.api.autoRecharge(), this.#context);
      this.#purchase ??= new Purchase(this.#context);
      return [h("div.forms", this.#purchase.element, recharge.element)];
    } catch (problem) {
      if (problem.code === "insufficient_scope") {
        return this.#refusal("credits.noScope");
      }
      throw problem;
    }
  }

  #refusal(key) {
    return [notice("info", this.#context.ui.text(key))];
  }
}
