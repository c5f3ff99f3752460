const TIMEOUT_MS = 20_000;
const INVOICES_PER_PAGE = 24;
const ENTRIES_MAX = 200;
const POLL_MS = 2_000;

/** What went wrong with a request: the fields of problem+json, or `code` `unreachable` without any answer. */
export class Problem extends Error {
	constructor(fields) {
		super(fields.detail ?? fields.title ?? fields.code);
		Object.assign(this, { status: 0, errors: [], retryAfterSeconds: 0, ...fields });
	}
}

/** The part of the HTTP API that the page uses, for one account and token. Failures reject with a Problem. */
export class Api {
	#token;
	#path;
	#known = {};
	/** Called at every answer to a token that the service does not accept, or no longer. */
	onSignedOut = () => {};

	constructor({ token, account }) {
		this.#token = token;
		this.#path = `v1/accounts/${encodeURIComponent(account)}`;
	}

	/**
	 * The tab of `period` ("2026-11"), or of the period that the service shows by itself. What did not change but for
	 * its `as_of` has the members it had before.
	 */
	async usage(period = null) {
		const { tag, usage } = this.#known.period === period ? this.#known : {};
		const headers = tag && { "If-None-Match": tag };
		const response = await this.#request("/usage", { query: period ? { period } : {}, headers });
		const fresh = response.status === 304 ? { ...usage, as_of: response.headers.get("X-As-Of") }
			: await ended("unreadable", response.json());
		this.#known = { period, tag: response.headers.get("ETag"), usage: fresh };
		return fresh;
	}

	series(period) {
		return this.#json("/usage/series", { period, granularity: "day" });
	}

	interactions(resource, period, cursor = null) {
		return this.#json(`/usage/${encodeURIComponent(resource)}/events`, { period, ...(cursor && { cursor }) });
	}

	ledger() {
		return this.#json("/ledger", { limit: ENTRIES_MAX });
	}

	invoices(cursor = null) {
		return this.#json("/invoices", { limit: INVOICES_PER_PAGE, ...(cursor && { cursor }) });
	}

	invoice(period) {
		return this.#json(`/invoices/${encodeURIComponent(period)}`);
	}

	async dismissWarning(id) {
		await this.#request(`/warnings/${encodeURIComponent(id)}/dismiss`, { method: "POST" });
	}

	/** Buy credit. The same `key` and `amount` buy once, however often they are sent. */
	purchase({ amount, key }) {
		const headers = { "Idempotency-Key": key };
		return this.#json("/credits/purchases", {}, { method: "POST", body: { amount }, headers });
	}

	purchaseOf(id) {
		return this.#json(`/credits/purchases/${encodeURIComponent(id)}`);
	}

	autoRecharge() {
		return this.#json("/auto-recharge");
	}

	setAutoRecharge(body) {
		return this.#json("/auto-recharge", {}, { method: "PUT", body });
	}

	/** A CSV to be saved: `{name, blob}`, or `{url}` once it was prepared as a file. */
	async download(path, query = {}) {
		const accept = "text/csv";
		let response = await this.#request(path, { query, accept });
		while (response.status === 202) {
			const { poll } = await ended("unreadable", response.json());
			await new Promise((resolve) => setTimeout(resolve, POLL_MS));
			response = await this.#request(`/reports/files/${poll.split("/").pop()}`, { accept });
		}
		const name = fileName(response.headers.get("Content-Disposition"));
		return ended("unreadable", name ? response.blob().then((blob) => ({ name, blob })) : response.json());
	}

	async #json(path, query = {}, options = {}) {
		const response = await this.#request(path, { query, ...options });
		return ended("unreadable", response.json());
	}

	async #request(path, { query = {}, method = "GET", accept = "application/json", headers, body } = {}) {
		const url = new URL(this.#path + path, document.baseURI);
		url.search = new URLSearchParams(query);
		const response = await ended("unreachable", fetch(url, {
			method,
			headers: {
				Accept: accept,
				Authorization: `Bearer ${this.#token}`,
				...(body && { "Content-Type": "application/json" }),
				...headers,
			},
			body: body && JSON.stringify(body),
			cache: "no-store",
			credentials: "omit",
			signal: AbortSignal.timeout(TIMEOUT_MS),
		}));
		if (response.status === 401) {
			this.onSignedOut();
		}
		if (!response.ok && response.status !== 304) {
			throw await problemOf(response);
		}
		return response;
	}
}

/** What `promise` resolves to; its failure is a problem with that `code`. */
export async function ended(code, promise) {
	try {
		return await promise;
	} catch {
		throw new Problem({ code });
	}
}

async function problemOf(response) {
	const { headers, status } = response;
	return new Problem({
		...await response.json().catch(() => ({})),
		status,
		requestId: headers.get("X-Request-Id"),
		retryAfterSeconds: Number(headers.get("Retry-After")) || 0,
	});
}

/** The name in a Content-Disposition header; null where it names none. */
function fileName(disposition) {
	return /filename="?([^";/\\]+)"?/i.exec(disposition ?? "")?.[1].trim() ?? null;
}
