/** 32 random bytes as text that needs no escaping. */
export function randomText() {
	return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

export function base64url(bytes) {
	return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
