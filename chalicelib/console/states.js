import { button, h, icon } from "./dom.js";

/** What went wrong, in the service's own words where it gave any. */
export function explain(problem, text) {
  const { detail, title, status, code } = problem;
  const own = status ? text("problem.status", { status }) : text(`problem.${code || "unreadable"}`);
  return detail || title || own;
}

/** The failed state of a region, with a way to try again. `what` is the title's text. */
export function failedBlock(what, problem, text, retry) {
  const { status, code, requestId } = problem;
  const marks = [status, code, requestId && text("problem.request", { id: requestId })].filter(Boolean);
  return h("div.blank", { role: "alert", data: { state: "failed" } },
    h("span.blank-icon.warning", icon("warning")),
    h("h2", text(what)),
    h("p", explain(problem, text)),
    status > 0 && h("p.code", marks.join(" · ")),
    button({ kind: "primary", focus: "retry", run: () => retry() }, text("problem.retry")));
}

/** The whole page without a token, or with one that the service no longer accepts. */
export function signedOutCard(text, { expired }) {
  return h("section.card", { "aria-labelledby": "signed-out-title" },
    h("div.blank.blank-tall",
      h("span.blank-icon", icon("key")),
      h("h1", { id: "signed-out-title" }, text(expired ? "signedOut.expired" : "signedOut.title")),
      h("p", text("signedOut.explained")),
      h("p", h("code", "usage-tab serve"))));
}

/** A line over the page that tells of something the numbers do not. */
export function notice(kind, message, action = null) {
  return h(`div.notice.${kind}`, { data: { notice: kind } },
    icon({ info: "clock", good: "check" }[kind] ?? kind),
    h("p", message),
    action && button({ kind: "quiet", focus: `notice-${kind}`, run: action.run }, action.label));
}
