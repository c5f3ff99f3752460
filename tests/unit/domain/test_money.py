"""Exact decimals: reading, writing, rounding."""

from __future__ import annotations

from decimal import Decimal, Inexact, getcontext

import pytest
from iso4217 import Currency

from chalicelib.domain.currencies import DECIMALS
from chalicelib.domain.money import (
    NotADecimalError,
    divide,
    exact,
    format_decimal,
    format_money,
    minor_digits,
    parse_decimal,
    parse_money,
    parse_quantity,
    round_to_minor,
)


@pytest.mark.parametrize(
    "text", ["0", "95", "0.5", "007", "12.3400", "0.000000001", "999999999999", "999999999999.999999999"]
)
def test_quantities_in_plain_notation(text: str) -> None:
    """A quantity has up to 12 digits and 9 decimals, and is read without loss."""
    assert Decimal(text) == parse_quantity(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        ".",
        "1.",
        ".5",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1,5",
        "1_000",
        "1e3",
        "1E-3",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "sNaN",
        "1.2.3",
        "--1",
        "\u0661",
        "\uff11",
        "½",
        "true",
    ],
)
def test_other_notations_are_refused(text: str) -> None:
    """Nothing but ASCII digits and one point between them is a quantity."""
    with pytest.raises(NotADecimalError, match="plain notation"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["-1", "-0.5", "-999999999999.999999999"])
def test_negative_quantities_are_refused(text: str) -> None:
    """A quantity is not negative."""
    with pytest.raises(NotADecimalError, match="negative"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1234567890123", "12 digits"),
        ("1234567890123.5", "12 digits"),
        ("0.1234567891", "9 decimals"),
        ("1.0000000000", "9 decimals"),
        ("9" * 400, "12 digits"),
        ("0." + "0" * 397 + "1", "9 decimals"),
        ("0" * 400, "12 digits"),
    ],
)
def test_too_many_figures_are_refused(text: str, reason: str) -> None:
    """More figures than a quantity may have are refused, however many come."""
    with pytest.raises(NotADecimalError, match=reason):
        parse_quantity(text)


def test_prices_have_12_decimals() -> None:
    """A price or a grant has up to 12 decimals."""
    assert Decimal("0.000000000001") == parse_money("0.000000000001")
    with pytest.raises(NotADecimalError):
        parse_money("0.0000000000001")


def test_signed_decimals_where_they_are_allowed() -> None:
    """A sign is read where the caller allows one."""
    assert Decimal("-5.25") == parse_decimal("-5.25", digits=3, decimals=2, signed=True)


@pytest.mark.parametrize(
    ("value", "minimum_decimals", "text"),
    [
        ("0", 0, "0"),
        ("0", 2, "0.00"),
        ("0E+3", 0, "0"),
        ("0E-9", 2, "0.00"),
        ("-0", 0, "0"),
        ("-0.000", 2, "0.00"),
        ("1E+3", 0, "1000"),
        ("1E+3", 2, "1000.00"),
        ("1E-12", 2, "0.000000000001"),
        ("1E-30", 0, "0.000000000000000000000000000001"),
        ("12.3", 2, "12.30"),
        ("12.3400", 2, "12.34"),
        ("12.00", 0, "12"),
        ("100", 0, "100"),
        ("0.00425", 2, "0.00425"),
        ("-5", 2, "-5.00"),
        ("-0.004", 2, "-0.004"),
        ("123456789012345678901234567890.5", 0, "123456789012345678901234567890.5"),
    ],
)
def test_plain_notation(value: str, minimum_decimals: int, text: str) -> None:
    """A decimal is written without exponent, superfluous zeros or a negative zero."""
    assert text == format_decimal(Decimal(value), minimum_decimals)


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        ("12.3", "EUR", "12.30"),
        ("0.00425", "USD", "0.00425"),
        ("-5", "USD", "-5.00"),
        ("5", "JPY", "5"),
        ("5.50", "JPY", "5.5"),
        ("1", "KWD", "1.000"),
    ],
)
def test_money_shows_the_minor_unit(value: str, currency: str, text: str) -> None:
    """Money is written with the currency's minor digits at least, and exactly."""
    assert text == format_money(Decimal(value), currency)


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3)])
def test_minor_digits(currency: str, digits: int) -> None:
    """Currencies have the minor digits of ISO 4217."""
    assert digits == minor_digits(currency)


def test_every_currency() -> None:
    """The table is that of ISO 4217."""
    assert {code.value: code.exponent for code in Currency if code.exponent is not None} == DECIMALS


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "ZZZ", "978", "XXX"])
def test_no_currency(currency: str) -> None:
    """Other texts, and codes without a minor unit, are no currencies."""
    assert minor_digits(currency) is None


@pytest.mark.parametrize(
    ("value", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.004999999999", "EUR", "0.00"),
        ("2.675", "EUR", "2.68"),
        ("2.665", "EUR", "2.67"),
        ("70.6795", "EUR", "70.68"),
        ("0.5", "JPY", "1"),
        ("1.5", "JPY", "2"),
        ("0.4999", "JPY", "0"),
        ("0.0005", "KWD", "0.001"),
        ("999999999999999999999999999999.995", "EUR", "1000000000000000000000000000000.00"),
    ],
)
def test_half_up(value: str, currency: str, rounded: str) -> None:
    """A line is rounded half-up to the minor unit, never half to even."""
    assert rounded == str(round_to_minor(Decimal(value), currency))


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        ("1", "3", "0.333333333333"),
        ("2", "3", "0.666666666667"),
        ("1", "7", "0.142857142857"),
        # 5 / 7 = 0.714285714285|714285...
        ("5", "7", "0.714285714286"),
        # 0.000000000001 / 3 = 0.000000000000|333...
        ("0.000000000001", "3", "0.000000000000"),
        # 0.000000000002 / 3 = 0.000000000000|666...
        ("0.000000000002", "3", "0.000000000001"),
        ("999999999999", "7", "142857142857.000000000000"),
        ("100", "60", "1.666666666667"),
    ],
)
def test_endless_division(dividend: str, divisor: str, quotient: str) -> None:
    """An endless quotient is rounded half-up to 12 decimals."""
    assert Decimal(quotient) == divide(Decimal(dividend), Decimal(divisor))


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        ("6", "3", "2"),
        ("0.03", "60", "0.0005"),
        # 2 ** -20 = 5 ** 20 / 10 ** 20, and 5 ** 20 = 95367431640625
        ("1", "1048576", "0.00000095367431640625"),
        ("0.000000000001", "8", "0.000000000000125"),
        # half of the 12th decimal stays as it is
        ("0.000000000001", "2", "0.0000000000005"),
        ("1", "0.000000001", "1000000000"),
    ],
)
def test_terminating_division(dividend: str, divisor: str, quotient: str) -> None:
    """A quotient that ends is exact, also beyond 12 decimals."""
    assert Decimal(quotient) == divide(Decimal(dividend), Decimal(divisor))


def test_longest_terminating_quotient() -> None:
    """The largest power of 2 that an increment can be divides the finest price exactly."""
    # 2 ** 39 = 549755813888 has 12 digits; 1e-12 / 2 ** 39 = 5 ** 39 / 10 ** 51
    assert Decimal(5**39).scaleb(-51) == divide(Decimal("0.000000000001"), Decimal(2**39))


def test_exact_keeps_every_digit() -> None:
    """Operators inside an exact function lose nothing that the default context would."""
    large, small = Decimal(10) ** 40, Decimal(1).scaleb(-40)

    @exact
    def add() -> Decimal:
        return large + small

    assert str(add()) == "1" + "0" * 40 + "." + "0" * 39 + "1"


def test_exact_refuses_what_it_would_have_to_round() -> None:
    """An exact function raises rather than round."""

    @exact
    def third() -> Decimal:
        return Decimal(1) / Decimal(3)

    with pytest.raises(Inexact):
        third()


def test_exact_leaves_the_callers_context_alone() -> None:
    """The context of the caller is the same again afterwards."""
    before = getcontext().prec

    @exact
    def precision() -> int:
        return getcontext().prec

    assert before != precision()
    assert before == getcontext().prec
