const DEFAULT_ACCOUNT = "demo";

/**
 * Take the token and the account out of the address's fragment, so that neither the address bar nor the history
 * keeps them. Null where the fragment holds no token.
 */
export function takeSession() {
	const fragment = new URLSearchParams(location.hash.slice(1));
	const token = fragment.get("token");
	if (!token) {
		return null;
	}
	history.replaceState(null, "", location.pathname + location.search);
	return { token, account: fragment.get("account") || claimsOf(token).account_id || DEFAULT_ACCOUNT };
}

/** Read a token's claims without judging it, which is the service's work; none where they cannot be read. */
export function claimsOf(token) {
	try {
		const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
		const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
		return JSON.parse(new TextDecoder().decode(bytes));
	} catch {
		return {};
	}
}
