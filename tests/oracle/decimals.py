"""Exact decimals as fractions: reading them, writing them, and rounding half-up."""

from __future__ import annotations

from fractions import Fraction


def read(text: str) -> Fraction:
    """Read a decimal in plain notation."""
    return Fraction(text)


def is_terminating(value: Fraction) -> bool:
    """Tell whether *value* can be written with finitely many decimals."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


def half_up(value: Fraction, decimals: int) -> Fraction:
    """Round a *value* that is not negative to so many *decimals*, halves up."""
    shifted = value * 10**decimals + Fraction(1, 2)
    return Fraction(shifted.numerator // shifted.denominator, 10**decimals)


def exact_or_12_decimals(value: Fraction) -> Fraction:
    """Return *value* itself where its decimals end, else rounded half-up to 12 of them."""
    return value if is_terminating(value) else half_up(value, 12)


def write(value: Fraction, minimum_decimals: int = 0) -> str:
    """
    Write *value* in plain notation, with at least *minimum_decimals* and otherwise no trailing zeros.

    Raises:
        ValueError: for a value whose decimals never end.
    """
    if not is_terminating(value):
        message = f"the decimals of {value} never end"
        raise ValueError(message)
    decimals = minimum_decimals
    while (value * 10**decimals).denominator != 1:
        decimals += 1
    figures = str(abs(value.numerator) * 10**decimals // value.denominator).rjust(decimals + 1, "0")
    sign = "-" if value < 0 else ""
    if not decimals:
        return f"{sign}{figures}"
    return f"{sign}{figures[:-decimals]}.{figures[-decimals:]}"
