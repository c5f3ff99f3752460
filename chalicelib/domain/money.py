"""Exact decimals: reading them, writing them and the few places where they are rounded."""

from __future__ import annotations

import re
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from chalicelib.domain.currencies import DECIMALS


if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


ZERO: Final = Decimal(0)

EXACT: Final = Context(prec=150, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""The context of all arithmetic: anything that would lose a digit raises `decimal.Inexact`."""

MONEY_DIGITS: Final = 12
MONEY_DECIMALS: Final = 12
QUANTITY_DIGITS: Final = 12
QUANTITY_DECIMALS: Final = 9


def unsigned_pattern(digits: int, decimals: int) -> str:
    """Return the regular expression of what `parse_decimal` reads without a sign."""
    return rf"^[0-9]{{1,{digits}}}(\.[0-9]{{1,{decimals}}})?$"


MONEY_PATTERN: Final = unsigned_pattern(MONEY_DIGITS, MONEY_DECIMALS)
QUANTITY_PATTERN: Final = unsigned_pattern(QUANTITY_DIGITS, QUANTITY_DECIMALS)

_ENDLESS_QUOTIENT: Final = Decimal(1).scaleb(-MONEY_DECIMALS)
_DIVISION: Final = Context(prec=150, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero])
_PLAIN: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class NotADecimalError(ValueError):
    """The text is not a decimal in plain notation within the limits; the message says why."""


def parse_decimal(text: str, *, digits: int, decimals: int, signed: bool = False) -> Decimal:
    """
    Read a decimal in plain notation.

    *digits* and *decimals* limit the figures before and after the point.

    Raises:
        NotADecimalError: for any other notation, a sign where none is allowed, or too many figures.
    """
    if len(text) > digits + decimals + 2 or not _PLAIN.fullmatch(text):
        message = f"must be a decimal in plain notation with at most {digits} digits and {decimals} decimals"
        raise NotADecimalError(message)
    if text[0] == "-" and not signed:
        message = "must not be negative"
        raise NotADecimalError(message)
    whole, _, fraction = text.lstrip("-").partition(".")
    if len(whole) > digits:
        message = f"must have at most {digits} digits before the point"
        raise NotADecimalError(message)
    if len(fraction) > decimals:
        message = f"must have at most {decimals} decimals"
        raise NotADecimalError(message)
    return Decimal(text)


def parse_quantity(text: str) -> Decimal:
    """Read a quantity in a product's unit: not negative, 12 digits and 9 decimals at most."""
    return parse_decimal(text, digits=QUANTITY_DIGITS, decimals=QUANTITY_DECIMALS)


def parse_money(text: str) -> Decimal:
    """Read a price or a grant: not negative, 12 digits and 12 decimals at most."""
    return parse_decimal(text, digits=MONEY_DIGITS, decimals=MONEY_DECIMALS)


def parse_payment(text: object, currency: str) -> Decimal:
    """
    Read an amount to be paid: not negative, of whole minor units of *currency*, 12 digits at most.

    Raises:
        NotADecimalError: for anything else, also what is no text.
    """
    decimals = minor_digits(currency) or 0
    if not isinstance(text, str):
        message = "must be a decimal in a string"
        raise NotADecimalError(message)
    return parse_decimal(text, digits=MONEY_DIGITS, decimals=decimals)


def format_decimal(value: Decimal, minimum_decimals: int = 0) -> str:
    """Write *value* in plain notation, with no trailing zeros beyond *minimum_decimals*."""
    text = str(value)
    if "E" in text:
        # Always to ask for plain notation would take twice as long.
        text = f"{value:f}"
    whole, _, fraction = text.partition(".")
    whole = whole if value else "0"
    fraction = fraction.rstrip("0").ljust(minimum_decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def minor_digits(currency: str) -> int | None:
    """Return how many decimals the minor unit of an ISO 4217 *currency* has, None for no such currency."""
    return DECIMALS.get(currency)


def format_money(value: Decimal, currency: str) -> str:
    """Write an amount of *currency*: exact, with at least the minor unit's decimals."""
    return format_decimal(value, minor_digits(currency) or 0)


def round_to_minor(value: Decimal, currency: str) -> Decimal:
    """Round half-up to the minor unit of *currency*, as invoices do (half away from zero)."""
    return value.quantize(Decimal(1).scaleb(-(minor_digits(currency) or 0)), context=_DIVISION)


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Divide exactly, or half-up to 12 decimals where the division is endless."""
    context = _DIVISION.copy()
    context.clear_flags()
    quotient = context.divide(dividend, divisor)
    if context.flags[Inexact]:
        return quotient.quantize(_ENDLESS_QUOTIENT, context=_DIVISION)
    return quotient


def round_quotient(dividend: Decimal, divisor: Decimal, currency: str) -> Decimal:
    """Divide and round half-up to the minor unit of *currency*, in one step."""
    return round_to_minor(_DIVISION.divide(dividend, divisor), currency)


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run *function* so that its operators on decimals lose no digit; one that would raises `decimal.Inexact`."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return run
