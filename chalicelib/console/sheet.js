import { button, h, icon, refill } from "./dom.js";

/** A modal dialog over the page. It is in the document only while it is open. */
export class Sheet {
  #dialog = null;
  #body = null;

  /** Open it under `title`, or go on with it, and show `nodes`. */
  show(title, { text }, ...nodes) {
    if (!this.#dialog) {
      this.#open(text);
    }
    this.#dialog.querySelector("h2").textContent = title;
    this.fill(...nodes);
  }

  /** Replace what it shows; nothing happens once it is closed. */
  fill(...nodes) {
    if (this.#dialog) {
      refill(this.#body, ...nodes);
    }
  }

  close() {
    this.#dialog?.close();
  }

  #open(text) {
    const opener = document.activeElement?.dataset.focus;
    this.#body = h("div", { class: "sheet-body" });
    const dialog = h("dialog", { class: "sheet", "aria-labelledby": "sheet-title" },
      h("div", { class: "sheet-frame" },
        h("div", { class: "sheet-head" },
          h("h2", { id: "sheet-title" }),
          button({ kind: "button-icon", "aria-label": text("sheet.close"), run: () => dialog.close() },
            icon("close"))),
        this.#body));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.#onClosed(dialog, opener));
    document.body.append(dialog);
    this.#dialog = dialog;
    dialog.showModal();
  }

  /** The browser gives the focus back, save where the opener was replaced by a refresh meanwhile. */
  #onClosed(dialog, opener) {
    this.#dialog = this.#dialog === dialog ? null : this.#dialog;
    dialog.remove();
    if (opener && document.activeElement === document.body) {
      document.querySelector(`[data-focus="${CSS.escape(opener)}"]`)?.focus();
    }
  }
}
