/** Exact arithmetic on the API's decimal strings. Nothing here passes through a float. */

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Read "-12.340" as `{coefficient: -12340n, scale: 3}`; RangeError for anything but a plain decimal. */
export function parse(value) {
	const match = DECIMAL.exec(value);
	if (!match) {
		throw new RangeError(`not a plain decimal: ${value}`);
	}
	const [, sign, whole, fraction = ""] = match;
	const magnitude = BigInt(whole + fraction);
	return { coefficient: sign ? -magnitude : magnitude, scale: fraction.length };
}

export function signOf(value) {
	const { coefficient } = parse(value);
	return Number(coefficient > 0n) - Number(coefficient < 0n);
}

export function isZero(value) {
	return signOf(value) === 0;
}

export function isNegative(value) {
	return signOf(value) < 0;
}

export function add(left, right) {
	const [a, b, scale] = aligned(left, right);
	return plain(a + b, scale);
}

export function sum(values) {
	return values.reduce(add, "0");
}

export function multiply(left, right) {
	const [a, b] = [parse(left), parse(right)];
	return plain(a.coefficient * b.coefficient, a.scale + b.scale);
}

/** `dividend / divisor` with `digits` decimals, rounded half away from zero, without trailing zeros. */
export function divide(dividend, divisor, digits = 12) {
	const [a, b] = aligned(dividend, divisor);
	return plain(rounded(a * 10n ** BigInt(digits), b), digits);
}

/** The share of `whole` that `part` is, in thousandths from 0 to 1000; 0 where there is no whole. */
export function perMille(part, whole) {
	const [a, b] = aligned(part, whole);
	if (a <= 0n || b <= 0n) {
		return 0;
	}
	return a >= b ? 1000 : Number((a * 1000n) / b);
}

/** Whether `value` is not zero, but nothing else is left of it at `digits` decimals. */
export function isTiny(value, digits) {
	return !isZero(value) && isZero(divide(value, "1", digits));
}

function aligned(left, right) {
	const [a, b] = [parse(left), parse(right)];
	const scale = Math.max(a.scale, b.scale);
	return [...[a, b].map(({ coefficient, scale: own }) => coefficient * 10n ** BigInt(scale - own)), scale];
}

function rounded(numerator, denominator) {
	const negative = numerator < 0n !== denominator < 0n;
	const [n, d] = [magnitude(numerator), magnitude(denominator)];
	const quotient = (2n * n + d) / (2n * d);
	return negative ? -quotient : quotient;
}

function magnitude(integer) {
	return integer < 0n ? -integer : integer;
}

function plain(coefficient, scale) {
	const digits = magnitude(coefficient).toString().padStart(scale + 1, "0");
	const point = digits.length - scale;
	const fraction = digits.slice(point).replace(/0+$/, "");
	return (coefficient < 0n ? "-" : "") + digits.slice(0, point) + (fraction && `.${fraction}`);
}
