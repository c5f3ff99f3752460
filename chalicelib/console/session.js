const DEFAULT_ACCOUNT = "demo";

/**
 * Take the token and the account out of the address's fragment, so that neither the address bar nor the history
 * keeps them. Null where the fragment holds no token.
 */
export function takeSession(window) {
  const { location, history } = window;
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (!token) {
    return null;
  }
  history.replaceState(null, "", location.pathname + location.search);
  return { token, account: fragment.get("account") || accountClaim(token) || DEFAULT_ACCOUNT };
}

/** Read a token's `account_id` claim without judging the token: that is the service's work. */
export function accountClaim(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const claim = JSON.parse(new TextDecoder().decode(bytes)).account_id;
    return typeof claim === "string" ? claim : null;
  } catch {
    return null;
  }
}
