import { Problem, ended } from "./api.js";
import { base64url, randomText } from "./random.js";
import { claimsOf } from "./session.js";

const KEPT = "usage-tab.sign-in";

/**
 * Signing in at an OIDC issuer by authorization code with PKCE. What has to survive the way there and back lies in
 * sessionStorage for just that long; tokens are in memory alone.
 */
export function oidcClient({ issuer, client_id, scope }) {
	const redirect_uri = location.origin + location.pathname;

	async function endpoints() {
		const found = await json(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
		return found.issuer === issuer ? found : refuse();
	}

	/** Leave for the issuer; `account` is the one to show afterwards where the token names none. */
	async function begin(account) {
		const { authorization_endpoint: address } = await endpoints();
		const [state, nonce, verifier] = [randomText(), randomText(), randomText()];
		const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
		sessionStorage.setItem(KEPT, JSON.stringify({ state, nonce, verifier, account }));
		leave(address, {
			response_type: "code", client_id, redirect_uri, scope, state, nonce,
			code_challenge: base64url(new Uint8Array(digest)), code_challenge_method: "S256",
		});
	}

	/** Whether the address is that of somebody who comes back from the issuer. */
	function isBack() {
		const query = new URLSearchParams(location.search);
		return query.has("state") && (query.has("code") || query.has("error"));
	}

	/** Resolve to the session that the answer in the address gives; the account alone stays there. */
	async function finish() {
		const answer = Object.fromEntries(new URLSearchParams(location.search));
		const kept = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
		sessionStorage.removeItem(KEPT);
		history.replaceState(null, "", kept.account ? `?account=${encodeURIComponent(kept.account)}` : location.pathname);
		if (answer.state !== kept.state || (answer.iss ?? issuer) !== issuer) {
			refuse();
		}
		if (answer.error) {
			throw new Problem({ detail: answer.error_description ?? answer.error });
		}
		const { token_endpoint: address } = await endpoints();
		const body = new URLSearchParams({
			grant_type: "authorization_code", code: answer.code, redirect_uri, client_id, code_verifier: kept.verifier,
		});
		const { id_token: idToken, access_token: token } = await json(address, { method: "POST", body });
		const { iss, aud, nonce } = claimsOf(idToken);
		if (iss !== issuer || ![aud].flat().includes(client_id) || nonce !== kept.nonce) {
			refuse();
		}
		const account = claimsOf(token).account_id ?? kept.account;
		return account ? { token, idToken, account } : refuse("accountless");
	}

	/** End the session at the issuer, too, where it can be. */
	async function signOut(idToken) {
		const { end_session_endpoint: address } = await endpoints();
		if (address) {
			leave(address, { id_token_hint: idToken, client_id, post_logout_redirect_uri: redirect_uri });
		}
	}

	return { begin, isBack, finish, signOut };
}

async function json(address, options) {
	const response = await ended("unreachable", fetch(address, { credentials: "omit", cache: "no-store", ...options }));
	const answer = await ended("unreadable", response.json());
	if (!response.ok) {
		throw new Problem({ status: response.status, detail: answer.error_description ?? answer.error });
	}
	return answer;
}

function leave(address, query) {
	const target = new URL(address);
	for (const [name, value] of Object.entries(query)) {
		target.searchParams.set(name, value);
	}
	location.assign(target);
}

function refuse(code = "foreign") {
	throw new Problem({ code });
}
