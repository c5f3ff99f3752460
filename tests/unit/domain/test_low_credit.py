"""Low-credit warnings: when a level is crossed, raised, shown, dismissed and raised again."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.commitments import Frequency
from chalicelib.domain.credit import GrantKind
from chalicelib.domain.ledger import book_grant
from chalicelib.domain.low_credit import (
    LEVELS,
    NO_WARNINGS,
    ExpectedCredit,
    Warnings,
    levels_crossed,
)
from chalicelib.domain.periods import Period
from tests.unit.domain.builders import a_grant, a_state


CARD, INVOICE = PaymentType.CREDIT_CARD, PaymentType.INVOICE
NOVEMBER, DECEMBER = Period(2026, 11), Period(2026, 12)
CARD_LEVELS = LEVELS[CARD]


def crossed(payment: PaymentType, balance: str, amount: str = "1000", frequency: str = "monthly") -> tuple[int, ...]:
    """Return the levels crossed by a balance, of a commitment of 1000 a month."""
    return levels_crossed(payment, ExpectedCredit(Decimal(amount), Frequency(frequency).months), Decimal(balance))


def raised(warnings: Warnings, *levels: int, month: Period = NOVEMBER) -> tuple[Warnings, int | None]:
    """Judge an account that pays by card and has crossed *levels*."""
    return warnings.raise_for(levels, CARD_LEVELS, month)


@pytest.mark.parametrize(
    ("balance", "levels"),
    [
        ("1000", ()),
        ("150.000000000001", ()),
        ("150", (15,)),
        ("149.99", (15,)),
        ("100.000000000001", (15,)),
        ("100", (15, 10)),
        ("50.01", (15, 10)),
        ("50", (15, 10, 5)),
        ("0", (15, 10, 5)),
        ("-5000", (15, 10, 5)),
    ],
)
def test_levels_of_an_account_that_pays_by_card(balance: str, levels: tuple[int, ...]) -> None:
    """By card a level is crossed where at most that per cent of the expected monthly credit is left."""
    assert levels == crossed(CARD, balance)


@pytest.mark.parametrize(
    ("balance", "levels"),
    [
        ("1000", ()),
        ("0", ()),
        ("-849.99", ()),
        ("-850", ()),
        ("-850.000000000001", (85,)),
        ("-900", (85,)),
        ("-900.000000000001", (85, 90)),
        ("-950", (85, 90)),
        ("-950.000000000001", (85, 90, 95)),
        ("-100000", (85, 90, 95)),
    ],
)
def test_levels_of_an_account_that_pays_by_invoice(balance: str, levels: tuple[int, ...]) -> None:
    """By invoice a level is crossed where more than that per cent of the expected monthly credit is overdrawn."""
    assert levels == crossed(INVOICE, balance)


@pytest.mark.parametrize(
    ("amount", "frequency", "at_15", "above_15"),
    [
        # 900 / 3 = 300 a month, 15 % are 45
        ("900", "quarterly", "45", "45.000000000001"),
        # 1000 / 3 = 333.3..., 15 % are 50
        ("1000", "quarterly", "50", "50.000000000001"),
        # 100 / 6 = 16.6..., 15 % are 2.5
        ("100", "semiannual", "2.5", "2.500000000001"),
        # 1000 / 12 = 83.3..., 15 % are 12.5
        ("1000", "annual", "12.5", "12.500000000001"),
        # 100.01 / 12 * 15 % = 1.250125
        ("100.01", "annual", "1.250125", "1.250125000001"),
    ],
)
def test_the_commitment_per_month(amount: str, frequency: str, at_15: str, above_15: str) -> None:
    """A commitment for several months counts by the month, exactly also where it does not divide evenly."""
    assert crossed(CARD, at_15, amount, frequency) == (15,)
    assert crossed(CARD, above_15, amount, frequency) == ()


def test_a_level_that_no_decimal_can_write() -> None:
    """Where a level lies between two decimals, the one above has not crossed it and the one below has."""
    # 1000 / 3 * 10 % = 33.3...; 1000 / 3 * 85 % = 283.3...
    assert crossed(CARD, "33.333333333334", frequency="quarterly") == (15,)
    assert crossed(CARD, "33.333333333333", frequency="quarterly") == (15, 10)
    assert crossed(INVOICE, "-283.333333333333", frequency="quarterly") == ()
    assert crossed(INVOICE, "-283.333333333334", frequency="quarterly") == (85,)


@given(
    st.sampled_from(PaymentType),
    st.sampled_from(Frequency),
    st.integers(1, 10**14).map(lambda number: Decimal(number).scaleb(-2)),
    st.integers(-(10**4), 10**4),
    st.sampled_from([-1, 0, 1]),
)
def test_levels_by_fractions(
    payment: PaymentType, frequency: Frequency, amount: Decimal, tenths_of_per_cent: int, trillionths: int
) -> None:
    """Levels are those that exact fractions say, near every tenth of a per cent."""
    monthly = Fraction(amount) / frequency.months
    near = round(monthly * tenths_of_per_cent / 1000 * 10**12) + trillionths
    balance = Decimal(near).scaleb(-12)

    share = Fraction(balance) / monthly * 100

    expected = {level for level in (15, 10, 5) if share <= level}
    if payment is INVOICE:
        expected = {level for level in (85, 90, 95) if -share > level}
    assert expected == set(levels_crossed(payment, ExpectedCredit(amount, frequency.months), balance))


def test_raised_once() -> None:
    """A level is raised when it is crossed first, and not again while it stays crossed."""
    warnings, level = raised(NO_WARNINGS, 15)
    assert level == 15

    again, none = raised(warnings, 15)

    assert none is None
    assert again is warnings


def test_nothing_crossed() -> None:
    """Where no level is crossed, nothing is raised."""
    assert raised(NO_WARNINGS) == (NO_WARNINGS, None)


def test_one_level_after_the_other() -> None:
    """Levels crossed one by one are raised one by one, and all show."""
    warnings, first = raised(NO_WARNINGS, 15)
    warnings, second = raised(warnings, 15, 10)
    warnings, third = raised(warnings, 15, 10, 5)

    assert (first, second, third) == (15, 10, 5)
    assert warnings.shown((15, 10, 5), NOVEMBER) == [15, 10, 5]


def test_the_severest_of_those_crossed_together() -> None:
    """Of levels crossed by one charge the severest alone is raised, and a milder one never after it."""
    warnings, level = raised(NO_WARNINGS, 15, 10, 5)
    assert (level, warnings.shown((15, 10, 5), NOVEMBER)) == (5, [5])

    assert raised(warnings, 15, 10) == (warnings, None)


def test_the_severest_of_those_newly_crossed() -> None:
    """After a mild level two more crossed together raise the severer of them."""
    warnings, _ = raised(NO_WARNINGS, 15)

    warnings, level = raised(warnings, 15, 10, 5)

    assert (level, warnings.shown((15, 10, 5), NOVEMBER)) == (5, [15, 5])


def test_the_severest_by_invoice() -> None:
    """By invoice it is the highest level that is the severest."""
    warnings, level = NO_WARNINGS.raise_for((85, 90), LEVELS[INVOICE], NOVEMBER)
    assert level == 90

    assert warnings.raise_for((85, 90, 95), LEVELS[INVOICE], NOVEMBER)[1] == 95


def test_every_month_anew() -> None:
    """A level raised in one month is raised again in the next, under another name; last month's no longer shows."""
    november, _ = raised(NO_WARNINGS, 15, 10)
    assert november.shown((15, 10), DECEMBER) == []

    december, level = raised(november, 15, 10, month=DECEMBER)

    assert (level, december.shown((15, 10), DECEMBER)) == (10, [10])
    assert november.id_of(10) != december.id_of(10)


def test_no_longer_true() -> None:
    """A warning shows only while its level is crossed; not raised again, it shows again when it is true again."""
    warnings, _ = raised(NO_WARNINGS, 15)
    warnings, _ = raised(warnings, 15, 10)

    assert warnings.shown((15,), NOVEMBER) == [15]
    assert warnings.shown((), NOVEMBER) == []
    assert raised(warnings, 15, 10) == (warnings, None)
    assert warnings.shown((15, 10), NOVEMBER) == [15, 10]


def test_dismissed() -> None:
    """A dismissed warning no longer shows and is not raised again; others stay."""
    warnings, _ = raised(NO_WARNINGS, 15)
    warnings, _ = raised(warnings, 15, 10)

    dismissed = warnings.dismissed(warnings.id_of(10))

    assert dismissed is not None
    assert dismissed.shown((15, 10), NOVEMBER) == [15]
    assert raised(dismissed, 15, 10) == (dismissed, None)
    assert dismissed.dismissed(warnings.id_of(10)) == dismissed
    assert raised(dismissed, 15, 10, 5)[1] == 5


@pytest.mark.parametrize(
    "name", ["", "credit-low", "credit-low-2026-11-5-0", "credit-low-2026-11-10-1", "credit-low-2026-12-10-0"]
)
def test_dismissing_what_was_never_raised(name: str) -> None:
    """Only a warning that was raised since the last credit can be dismissed."""
    warnings, _ = raised(NO_WARNINGS, 15, 10)
    assert warnings.id_of(10) == "credit-low-2026-11-10-0"

    assert warnings.dismissed(name) is None


def test_credit_rearms() -> None:
    """Once credit has arrived nothing shows, and a level crossed again is raised under another name."""
    before, _ = raised(NO_WARNINGS, 15, 10)
    after = before.rearmed()
    assert after.shown((15, 10), NOVEMBER) == []

    again, level = raised(after, 15, 10)

    assert (level, again.shown((15, 10), NOVEMBER)) == (10, [10])
    assert before.id_of(10) != again.id_of(10)
    assert again.dismissed(before.id_of(10)) is None


@pytest.mark.parametrize("kind", GrantKind)
def test_any_credit_of_the_shared_pool_rearms(kind: GrantKind) -> None:
    """Committed, purchased and promotional credit re-arm alike, however little it is."""
    before = a_state()

    after, _ = book_grant(before, a_grant("g", "0.01", kind, effective="2026-11-10T12:00:00Z"))

    assert after.warnings == before.warnings.rearmed()


def test_credit_of_another_pool_does_not_rearm() -> None:
    """Credit of a product sold apart leaves the warnings of the shared pool alone."""
    before = a_state()

    after, _ = book_grant(before, a_grant("g", "100", pool="virtual_agent", effective="2026-11-10T12:00:00Z"))

    assert after.warnings == before.warnings


def test_another_way_of_paying() -> None:
    """After a change of the payment method the new method's levels are raised; back again, the old are still raised."""
    warnings, _ = raised(NO_WARNINGS, 15, 10, 5)

    warnings, by_invoice = warnings.raise_for((85,), LEVELS[INVOICE], NOVEMBER)

    assert by_invoice == 85
    assert raised(warnings, 15, 10, 5) == (warnings, None)


moments = st.tuples(
    st.sampled_from([0, 0, 0, 0, 1]),  # months that pass
    st.sampled_from([False, False, False, True]),  # whether credit has arrived
    st.sampled_from(PaymentType),
    st.integers(-1200, 300),  # the balance
)


@given(st.lists(moments, max_size=60))
def test_names_never_repeat(history: list[tuple[int, bool, PaymentType, int]]) -> None:
    """Through any history no name is given twice, and a level is raised if and only if a severer one is reached."""
    warnings, ordinal = NO_WARNINGS, NOVEMBER.ordinal
    names: list[str] = []
    severity: dict[PaymentType, int] = {}  # the severest raised in this month since the last credit, counted from 1
    for months, has_credit, payment, balance in history:
        ordinal += months
        if has_credit:
            warnings = warnings.rearmed()
        if months or has_credit:
            severity = {}
        levels = levels_crossed(payment, ExpectedCredit(Decimal(1000), 1), Decimal(balance))

        warnings, level = warnings.raise_for(levels, LEVELS[payment], Period.from_ordinal(ordinal))

        is_severer = len(levels) > severity.get(payment, 0)
        assert (level is not None) == is_severer
        if level is not None:
            severity[payment] = len(levels)
            assert level == (LEVELS[payment])[len(levels) - 1]
            names.append(warnings.id_of(level))
    assert len(names) == len(set(names))
