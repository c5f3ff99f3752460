import { h, refill } from "./dom.js";
import { AmountField, form } from "./fields.js";
import { explain, notice } from "./states.js";

const MEMBERS = ["threshold", "amount", "monthly_limit"];

/** The form of auto recharge; `setting` is the API's answer. Nothing changes before it is saved. */
export class AutoRecharge {
  #context;
  #fields;
  #switch = h("input", { type: "checkbox", role: "switch" });
  #standing = h("div.quiet");
  #button;
  #result = h("div", { role: "status" });
  #running = false;

  constructor(setting, context) {
    const { ui } = context;
    const { text } = ui;
    const refusals = { threshold_not_below_balance: text("auto.tooHigh") };
    const field = (name) => new AmountField({
      name, label: `auto.${name}`, hint: text(`auto.${name}Hint`), refusals,
    }, ui);
    this.#context = context;
    this.#fields = new Map(MEMBERS.map((name) => [name, field(name)]));
    this.#button = h("button.button.button-primary", { type: "submit" }, text("auto.save"));
    this.element = form("auto", ui, { submit: () => this.#submit() },
      this.#standing,
      h("label.switch", this.#switch, text("auto.title")),
      ...[...this.#fields.values()].map(({ element }) => element),
      this.#button, this.#result);
    this.#show(setting);
  }

  #show(setting) {
    const { text, format } = this.#context.ui;
    const { status, failures } = setting;
    this.#switch.checked = setting.enabled;
    for (const [name, field] of this.#fields) {
      field.value = setting[name];
    }
    refill(this.#standing,
      failures > 0 ? notice("warning", text(`auto.failures.${status}`, { failures })) : text(`auto.${status}`),
      h("p", text("auto.spent", { amount: format.money(setting.spent_this_month) })));
  }

  async #submit() {
    const enabled = this.#switch.checked;
    const fields = [...this.#fields];
    const valid = ([name, field]) => field.check({ optional: !enabled || name === "monthly_limit" });
    if (this.#running || !fields.every(valid)) {
      return;
    }
    const { api, ui, onChanged } = this.#context;
    const amounts = Object.fromEntries(fields.map(([name, field]) => [name, field.value || null]));
    this.#running = true;
    try {
      const setting = await api.setAutoRecharge({ enabled, ...amounts });
      this.#show(setting);
      refill(this.#result, notice("good", ui.text(`auto.${setting.status}`)));
      onChanged();
    } catch (problem) {
      this.#fail(problem);
    }
    this.#running = false;
  }

  #fail(problem) {
    const { text } = this.#context.ui;
    const field = this.#fields.get(problem.errors[0]?.pointer.slice(1));
    const reason = field ? "" : explain(problem, text);
    refill(this.#result, notice("warning", text("auto.notSaved", { reason })));
    field?.refuse(problem);
  }
}
