import { divide, multiply } from "./decimal.js";

/** Every day of the month "2026-11", as the API writes days. */
export function daysOf(period) {
	const [year, month] = period.split("-").map(Number);
	const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
	return Array.from({ length }, (_, index) => `${period}-${String(index + 1).padStart(2, "0")}`);
}

/**
 * What `amount` comes to by the end of the month of `days`, `today` being one of them or past: the days that have not
 * begun cost as much as those begun did on average.
 */
export function project(amount, days, today) {
	const begun = days.filter((day) => day <= today).length;
	return {
		begun,
		perDay: divide(amount, String(begun)),
		total: divide(multiply(amount, String(days.length)), String(begun)),
	};
}
