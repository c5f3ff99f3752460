import { button, h, icon, refill } from "./dom.js";
import { failedBlock } from "./states.js";

/** A modal dialog over the page. It is in the document only while it is open. */
export class Sheet {
  #text;
  #dialog = null;
  #body = null;

  constructor({ text }) {
    this.#text = text;
  }

  /** Open it under `title`, or go on with it, and show the nodes that `read` resolves to, or that it `failed`. */
  async load(title, failed, read) {
    if (!this.#dialog) {
      this.#open();
    }
    const body = this.#body;
    const show = (...nodes) => body === this.#body && refill(body, ...nodes);
    this.#dialog.querySelector("h2").textContent = title;
    show(h("p.quiet", { "aria-busy": "true" }, this.#text("state.loading")));
    try {
      show(...await read());
    } catch (problem) {
      show(failedBlock(failed, problem, this.#text, () => this.load(title, failed, read)));
    }
  }

  close() {
    this.#dialog?.close();
  }

  #open() {
    const opener = document.activeElement?.dataset.focus;
    const dialog = h("dialog.sheet", { "aria-labelledby": "sheet-title" });
    const close = { kind: "icon", "aria-label": this.#text("sheet.close"), run: () => dialog.close() };
    this.#dialog = dialog;
    this.#body = h("div.sheet-body");
    dialog.append(h("div.sheet-frame",
      h("div.sheet-head", h("h2", { id: "sheet-title" }), button(close, icon("close"))), this.#body));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.#onClosed(dialog, opener));
    document.body.append(dialog);
    dialog.showModal();
  }

  /** The browser gives the focus back, save where the opener was replaced by a refresh meanwhile. */
  #onClosed(dialog, opener) {
    this.#dialog = this.#body = null;
    dialog.remove();
    if (opener && document.activeElement === document.body) {
      document.querySelector(`[data-focus="${CSS.escape(opener)}"]`)?.focus();
    }
  }
}
