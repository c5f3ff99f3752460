import { Api } from "./api.js";
import { readingLocale, translator } from "./messages.js";
import { oidcClient } from "./oidc.js";
import { usagePage } from "./page.js";
import { takeSession } from "./session.js";
import { Shell } from "./shell.js";
import { signedOutCard } from "./states.js";

const text = translator(navigator.languages);
const shell = new Shell(text);
const configured = JSON.parse(document.querySelector("meta[name=oidc]").content);
const oidc = configured && oidcClient(configured);
let account = new URLSearchParams(location.search).get("account");
let page = null;

function open(session) {
	page?.stop();
	account = session.account;
	page = usagePage({
		api: new Api(session),
		shell,
		text,
		locale: readingLocale(navigator.languages),
		onExpired: () => showSignedOut("signedOut.expired"),
		onSignOut: session.idToken && (() => signOut(session)),
	});
}

function showSignedOut(title = "signedOut.title", problem = null) {
	const signIn = oidc && (() => oidc.begin(account).catch((failed) => showSignedOut(title, failed)));
	shell.showSignedOut(text(title), signedOutCard(text, { title, problem, signIn }));
}

function signOut({ idToken }) {
	page.stop();
	showSignedOut();
	oidc.signOut(idToken).catch(() => {});
}

const session = takeSession();
if (session) {
	open(session);
} else if (oidc?.isBack()) {
	oidc.finish().then(open).catch((problem) => showSignedOut("signedOut.title", problem));
} else {
	showSignedOut();
}

// A new token, pasted over the open page, changes only the fragment: the browser does not reload.
addEventListener("hashchange", () => {
	const renewed = takeSession();
	if (renewed) {
		open(renewed);
	}
});
