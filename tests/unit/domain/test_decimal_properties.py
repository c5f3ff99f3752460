"""What holds for every decimal."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.money import (
    NotADecimalError,
    divide,
    exact,
    format_decimal,
    parse_decimal,
    parse_money,
    parse_quantity,
    round_to_minor,
)
from chalicelib.domain.waterfall import billed_units
from tests.oracle import decimals


modest = settings(deadline=None, max_examples=60)
thorough = settings(deadline=None, max_examples=150)
quantities = st.decimals(0, 10**12 - 1, allow_nan=False, allow_infinity=False, places=9).map(abs)
prices = st.decimals(0, 10**12 - 1, allow_nan=False, allow_infinity=False, places=12).map(abs)
increments = st.one_of(
    st.sampled_from(["1", "6", "7", "60", "0.4", "0.000000001", "1024"]).map(Decimal),
    st.integers(1, 10**21 - 1).map(lambda billionths: Decimal(billionths).scaleb(-9)),
)


@thorough
@given(quantities)
def test_quantities_written_are_read_back(quantity: Decimal) -> None:
    """What is written is plain notation of the same value, and is read again."""
    text = format_decimal(quantity)

    assert quantity == parse_quantity(text)
    assert decimals.write(Fraction(quantity)) == text


@thorough
@given(prices, st.integers(0, 4))
def test_money_written_is_read_back(price: Decimal, minimum: int) -> None:
    """Money is written with its minor digits and read again."""
    text = format_decimal(price, minimum)

    assert price == parse_money(text)
    assert decimals.write(Fraction(price), minimum) == text


@modest
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30), st.integers(0, 3))
def test_any_decimal_is_written_plainly(value: Decimal, minimum: int) -> None:
    """Whatever the exponent and the sign, the text is the plain one of that value."""
    text = format_decimal(value, minimum)

    assert decimals.write(Fraction(value), minimum) == text
    if len(text) < 400:
        assert value == parse_decimal(text, digits=40, decimals=360, signed=True)


@thorough
@given(st.text(max_size=30) | st.text("0123456789.-+eE_ ", max_size=30))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    """Reading a text ends in a quantity within the limits or is refused."""
    try:
        quantity = parse_quantity(text)
    except NotADecimalError:
        assert not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text)
    else:
        assert 0 <= quantity < 10**12
        assert (Fraction(quantity) * 10**9).denominator == 1


@thorough
@given(prices, st.sampled_from(["EUR", "JPY", "KWD"]))
def test_rounding_is_half_up(amount: Decimal, currency: str) -> None:
    """A line is the nearest multiple of the minor unit, the upper of two equally near."""
    digits = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]

    rounded = round_to_minor(amount, currency)

    assert decimals.half_up(Fraction(amount), digits) == Fraction(rounded)
    assert rounded == parse_decimal(format_decimal(rounded, digits), digits=13, decimals=digits)


@thorough
@given(prices, increments)
def test_division(dividend: Decimal, divisor: Decimal) -> None:
    """A quotient is exact where its decimals end, else half-up to 12 of them."""
    assert decimals.exact_or_12_decimals(Fraction(dividend) / Fraction(divisor)) == Fraction(divide(dividend, divisor))


@thorough
@given(quantities, increments)
def test_billed_units(quantity: Decimal, increment: Decimal) -> None:
    """Billed units are the least multiple of the increment that holds the quantity."""
    billed = Fraction(exact(billed_units)(quantity, increment))

    assert (billed / Fraction(increment)).denominator == 1
    assert quantity <= billed < Fraction(quantity) + Fraction(increment)
