import { h } from "./dom.js";
import { Purchase } from "./purchase.js";
import { AutoRecharge } from "./recharge.js";
import { Sheet } from "./sheet.js";
import { failedBlock, notice } from "./states.js";

/**
 * "Manage credits": a dialog to buy credit and to set auto recharge, or with the reason why neither can be.
 * `context` has `api`, `ui`, and `onChanged()` for credit or settings that changed.
 */
export class ManageCredits {
  #context;
  #sheet = new Sheet();
  #purchase = null;

  constructor(context) {
    this.#context = context;
  }

  close() {
    this.#sheet.close();
    this.#purchase?.close();
  }

  async open(pool) {
    const { api, ui } = this.#context;
    const { text } = ui;
    this.#sheet.show(text("credits.manage"), ui, h("p", { class: "quiet" }, text("state.loading")));
    if (!pool.manage_credits.one_time_purchase) {
      this.#refuse("credits.byInvoice");
      return;
    }
    try {
      const recharge = new AutoRecharge(await api.autoRecharge(), this.#context);
      this.#purchase ??= new Purchase(this.#context);
      this.#sheet.fill(h("div", { class: "forms" }, this.#purchase.element, recharge.element));
    } catch (problem) {
      if (problem.code === "insufficient_scope") {
        this.#refuse("credits.noScope");
      } else {
        this.#sheet.fill(failedBlock("problem.credits", problem, text, () => this.open(pool)));
      }
    }
  }

  #refuse(key) {
    this.#sheet.fill(notice("info", this.#context.ui.text(key)));
  }
}
