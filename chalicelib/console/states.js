import { button, h, icon } from "./dom.js";

/** What went wrong, in the service's own words where it gave any. */
export function explain(problem, text) {
  if (problem.detail || problem.title) {
    return problem.detail || problem.title;
  }
  if (problem.status) {
    return text("problem.status", { status: problem.status });
  }
  return text(problem.code === "unreachable" ? "problem.unreachable" : "problem.unreadable");
}

/** The failed state of a region, with a way to try again. `what` is the title's text. */
export function failedBlock(what, problem, text, retry) {
  const marks = [
    problem.status ? String(problem.status) : null,
    problem.code || null,
    problem.requestId && text("problem.request", { id: problem.requestId }),
  ].filter(Boolean);
  return h("div", { class: "blank", role: "alert", data: { state: "failed" } },
    h("span", { class: "blank-icon blank-icon-warning" }, icon("warning")),
    h("h2", {}, text(what)),
    h("p", {}, explain(problem, text)),
    problem.status > 0 && h("p", { class: "code" }, marks.join(" · ")),
    button({ kind: "button-primary", focus: "retry", run: () => retry() }, text("problem.retry")));
}

/** The whole page without a token, or with one that the service no longer accepts. */
export function signedOutCard(text, { expired }) {
  return h("section", { class: "card", "aria-labelledby": "signed-out-title" },
    h("div", { class: "blank blank-tall" },
      h("span", { class: "blank-icon" }, icon("key")),
      h("h1", { id: "signed-out-title" }, text(expired ? "signedOut.expired" : "signedOut.title")),
      h("p", {}, text("signedOut.explained")),
      h("p", { class: "command" }, h("code", {}, "usage-tab serve"))));
}

/** A line over the page that tells of something the numbers do not. */
export function notice(kind, message, action = null) {
  return h("div", { class: `notice notice-${kind}`, data: { notice: kind } },
    icon({ info: "clock", good: "check" }[kind] ?? kind),
    h("p", {}, message),
    action && button({ kind: "button-quiet", focus: `notice-${kind}`, run: action.run }, action.label));
}
