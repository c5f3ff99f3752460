import { button, h, icon } from "./dom.js";

/** What went wrong, in the service's own words where it gave any. */
export function explain(problem, text) {
	const { detail, title, status, code } = problem;
	return detail || title || text(`problem.${status || !code ? "unreadable" : code}`);
}

/** The failed state of a region. `what` names what failed. */
export function failedBlock(what, problem, text, retry) {
	const { status, code, requestId } = problem;
	return h("div.blank", { role: "alert" },
		h("span.blank-icon.warning", icon("warning")),
		h("h2", text("problem.load", { what })),
		h("p", explain(problem, text)),
		status > 0 && h("p.code", [status, code, requestId].filter(Boolean).join(" · ")),
		button({ kind: "primary", focus: "retry", run: () => retry() }, text("problem.retry")));
}

/** The whole page without a session: how to sign in, with the `problem` of the last try. */
export function signedOutCard(text, { title, problem, signIn }) {
	const action = text("signIn");
	return h("section.card", { "aria-labelledby": "card-title" },
		h("div.blank",
			h("span.blank-icon", icon("key")),
			h("h1", { id: "card-title" }, text(title)),
			h("div", { role: "alert" },
				problem && notice("warning", text("problem.failed", { action, reason: explain(problem, text) }))),
			signIn ? button({ kind: "primary", run: signIn }, action)
				: [h("p", text("signedOut.explained")), h("code", "usage-tab serve")]));
}

/** A line over the page that tells of something the numbers do not. */
export function notice(kind, message, action = null) {
	return h(`div.notice.${kind}`,
		kind === "warning" && icon(kind),
		h("p", message),
		action && button({ kind: "quiet", focus: `notice-${kind}`, run: action.run }, action.label));
}
