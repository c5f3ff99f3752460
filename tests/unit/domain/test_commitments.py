"""Commitments: recharge days, terms, and what another agreement changes."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.commitments import Commitment, Frequency, Terms, begin, change, delete
from chalicelib.domain.products import SHARED_POOL


if TYPE_CHECKING:
    from collections.abc import Iterator


def day(text: str) -> date:
    """Return a day."""
    return date.fromisoformat(text)


def some_terms(
    starts_on: str = "2026-11-01",
    amount: str = "1000",
    frequency: str = "monthly",
    ends_on: str | None = None,
    *,
    rollover: bool = True,
) -> Terms:
    """Return an agreement of 1000 a month from 1 November 2026."""
    last = None if ends_on is None else day(ends_on)
    return Terms(Decimal(amount), Frequency(frequency), day(starts_on), last, rollover)


def recharges(commitment: Commitment) -> Iterator[Commitment]:
    """Recharge a commitment again and again, until it has no further day."""
    while commitment.next_recharge_on is not None:
        commitment = commitment.recharged()
        yield commitment


def days(commitment: Commitment, count: int = 100) -> list[str]:
    """Return the next recharge days, *count* at the most."""
    following = [str(recharged.last_recharge_on) for recharged, _ in zip(recharges(commitment), range(count))]  # noqa: B905 - the shorter one counts
    assert all(following)
    return following


def running(terms: Terms, today: str = "2026-11-01") -> Commitment:
    """Return a commitment put on *today* and recharged once."""
    return next(recharges(begin(SHARED_POOL, terms, day(today))))


def put(commitment: Commitment, terms: Terms, today: str, currency: str = "EUR") -> tuple[Commitment, str]:
    """Put other terms, and write what is granted at once."""
    changed, granted = change(commitment, terms, day(today), currency)
    return changed, str(granted)


@pytest.mark.parametrize(
    ("starts_on", "frequency", "expected"),
    [
        # a common year: February has 28 days
        ("2027-01-29", "monthly", ["2027-01-29", "2027-02-28", "2027-03-29", "2027-04-29"]),
        ("2027-01-30", "monthly", ["2027-01-30", "2027-02-28", "2027-03-30", "2027-04-30"]),
        ("2027-01-31", "monthly", ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"]),
        # a leap year: February has 29 days
        ("2028-01-29", "monthly", ["2028-01-29", "2028-02-29", "2028-03-29", "2028-04-29"]),
        ("2028-01-30", "monthly", ["2028-01-30", "2028-02-29", "2028-03-30", "2028-04-30"]),
        ("2028-01-31", "monthly", ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]),
        # 2100 is none
        ("2100-01-31", "monthly", ["2100-01-31", "2100-02-28", "2100-03-31"]),
        # from a short month on, the day is that short month's
        ("2027-02-28", "monthly", ["2027-02-28", "2027-03-28", "2027-04-28"]),
        ("2027-04-30", "monthly", ["2027-04-30", "2027-05-30", "2027-06-30"]),
        # over the turn of the year
        ("2026-11-30", "monthly", ["2026-11-30", "2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]),
        (
            "2026-11-30",
            "quarterly",
            ["2026-11-30", "2027-02-28", "2027-05-30", "2027-08-30", "2027-11-30", "2028-02-29"],
        ),
        ("2026-10-31", "quarterly", ["2026-10-31", "2027-01-31", "2027-04-30", "2027-07-31", "2027-10-31"]),
        ("2026-08-31", "semiannual", ["2026-08-31", "2027-02-28", "2027-08-31", "2028-02-29", "2028-08-31"]),
        ("2026-08-29", "semiannual", ["2026-08-29", "2027-02-28", "2027-08-29", "2028-02-29"]),
        ("2024-02-29", "annual", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"]),
        ("2023-02-28", "annual", ["2023-02-28", "2024-02-28", "2025-02-28"]),
    ],
)
def test_recharge_days(starts_on: str, frequency: str, expected: list[str]) -> None:
    """Recharge days are counted from the start, in steps of the frequency, and clamped to the month's end."""
    commitment = begin(SHARED_POOL, some_terms(starts_on, frequency=frequency), day(starts_on))

    assert expected == days(commitment, len(expected))


@pytest.mark.parametrize(
    ("put_on", "starts_on", "frequency", "first"),
    [
        # one due on the day itself is made
        ("2027-03-31", "2027-01-31", "monthly", "2027-03-31"),
        ("2027-02-28", "2027-01-31", "monthly", "2027-02-28"),
        # those of days before are not made up
        ("2027-03-01", "2027-01-31", "monthly", "2027-03-31"),
        ("2027-02-27", "2020-01-31", "monthly", "2027-02-28"),
        ("2026-12-01", "2026-11-30", "quarterly", "2027-02-28"),
        ("2027-03-01", "2026-11-30", "quarterly", "2027-05-30"),
        ("2027-02-28", "2024-02-29", "annual", "2027-02-28"),
        ("2027-03-01", "2024-02-29", "annual", "2028-02-29"),
        # a start to come
        ("2026-11-10", "2027-03-31", "monthly", "2027-03-31"),
        ("2026-11-10", "2026-11-11", "annual", "2026-11-11"),
    ],
)
def test_the_first_recharge(put_on: str, starts_on: str, frequency: str, first: str) -> None:
    """The first recharge is that of the day of the agreement or after; earlier days are lost."""
    commitment = begin(SHARED_POOL, some_terms(starts_on, frequency=frequency), day(put_on))

    assert day(first) == commitment.next_recharge_on
    assert commitment.last_recharge_on is None


@pytest.mark.parametrize(
    ("ends_on", "expected"),
    [
        ("2027-01-31", ["2027-01-31"]),
        ("2027-02-27", ["2027-01-31"]),
        # the clamped day counts, included
        ("2027-02-28", ["2027-01-31", "2027-02-28"]),
        ("2027-03-30", ["2027-01-31", "2027-02-28"]),
        ("2027-03-31", ["2027-01-31", "2027-02-28", "2027-03-31"]),
    ],
)
def test_recharges_end(ends_on: str, expected: list[str]) -> None:
    """Recharge days lie on or before the end."""
    assert expected == days(begin(SHARED_POOL, some_terms("2027-01-31", ends_on=ends_on), day("2027-01-31")))


def test_an_end_before_the_first_recharge() -> None:
    """A commitment can be over before its first recharge comes; until then it is active."""
    commitment = begin(SHARED_POOL, some_terms("2026-11-05", ends_on="2026-11-20"), day("2026-11-10"))

    # 5 November is over, 5 December is behind the end
    assert commitment.next_recharge_on is None
    assert commitment.is_active(day("2026-11-20"))
    assert not commitment.is_active(day("2026-11-21"))


@pytest.mark.parametrize(
    ("rollover", "ends_on", "expires_before"),
    [
        (True, None, None),
        (True, "2027-06-15", "2027-06-16"),
        # monthly from 1 November: the next recharge comes on 1 December
        (False, None, "2026-12-01"),
        (False, "2027-06-15", "2026-12-01"),
        (False, "2026-12-01", "2026-12-01"),
        (False, "2026-11-30", "2026-12-01"),
        (False, "2026-11-20", "2026-11-21"),
    ],
)
def test_when_credit_expires(rollover: bool, ends_on: str | None, expires_before: str | None) -> None:  # noqa: FBT001 - the case
    """Credit stays until the end of the commitment's last day, without rollover until the next recharge comes."""
    commitment = running(some_terms(ends_on=ends_on, rollover=rollover))

    assert (None if expires_before is None else day(expires_before)) == commitment.credit_expires_before


@pytest.mark.parametrize(
    ("terms", "put_on", "raised_to", "today", "currency", "granted"),
    [
        # 30 days of November; 16 to 30 November are 15 of them
        (some_terms(), "2026-11-01", "1600", "2026-11-16", "EUR", "300.00"),
        (some_terms(), "2026-11-01", "1600", "2026-11-01", "EUR", "600.00"),
        (some_terms(), "2026-11-01", "1600", "2026-11-30", "EUR", "20.00"),
        # 100 * 20 / 30 = 66.66...
        (some_terms(), "2026-11-01", "1100", "2026-11-11", "EUR", "66.67"),
        (some_terms(), "2026-11-01", "1100", "2026-11-11", "JPY", "67"),
        (some_terms(), "2026-11-01", "1100", "2026-11-11", "KWD", "66.667"),
        # 0.01 * 15 / 30 = 0.005; 0.01 * 14 / 30 = 0.0046...
        (some_terms(), "2026-11-01", "1000.01", "2026-11-16", "EUR", "0.01"),
        (some_terms(), "2026-11-01", "1000.01", "2026-11-17", "EUR", "0.00"),
        (some_terms(), "2026-11-01", "1001", "2026-11-16", "JPY", "1"),
        # the raise has more decimals than the currency: 0.333333333333 * 30 / 30
        (some_terms(), "2026-11-01", "1000.333333333333", "2026-11-01", "EUR", "0.33"),
        # 31 January to 29 April: 1 + 28 + 31 + 29 = 89 days; 1 to 29 April are 29
        (some_terms("2026-10-31", frequency="quarterly"), "2027-01-31", "1890", "2027-04-01", "EUR", "290.00"),
        # 31 January to 27 February are 28 days, 27 February is the last
        (some_terms("2027-01-31"), "2027-01-31", "1028", "2027-02-27", "EUR", "1.00"),
        # 28 February to 30 March are 31 days, 1 March is the second
        (some_terms("2027-01-31"), "2027-02-28", "1031", "2027-03-01", "EUR", "30.00"),
        # 31 August to 27 February: 1 + 30 + 31 + 30 + 31 + 31 + 27 = 181 days
        (some_terms("2026-08-31", frequency="semiannual"), "2026-08-31", "1181", "2027-02-01", "EUR", "27.00"),
        # 1 March 2027 to 29 February 2028 are 366 days
        (some_terms("2027-03-01", frequency="annual"), "2027-03-01", "1366", "2028-02-29", "EUR", "1.00"),
        (some_terms("2026-03-01", frequency="annual"), "2026-03-01", "1365", "2026-03-02", "EUR", "364.00"),
    ],
)
def test_a_raise(terms: Terms, put_on: str, raised_to: str, today: str, currency: str, granted: str) -> None:  # noqa: PLR0913 - the case
    """A raise grants its share of the term at once: from today, included, to the next recharge, half-up."""
    commitment = running(terms, put_on)
    raised = Terms(Decimal(raised_to), terms.frequency, terms.starts_on)

    changed, at_once = put(commitment, raised, today, currency)

    assert Decimal(granted) == Decimal(at_once)
    assert raised == changed.terms
    assert changed.upcoming is None
    assert (commitment.last_recharge_on, commitment.next_recharge_on) == (
        changed.last_recharge_on,
        changed.next_recharge_on,
    )


def test_a_raise_before_the_first_recharge() -> None:
    """Before the first recharge there is nothing to add to: the first recharge is the higher one."""
    commitment = begin(SHARED_POOL, some_terms("2026-11-20"), day("2026-11-01"))

    changed, at_once = put(commitment, some_terms("2026-11-20", "5000"), "2026-11-10")

    assert at_once == "0"
    assert (day("2026-11-20"), Decimal(5000)) == (changed.next_recharge_on, changed.recharged().granted)


@pytest.mark.parametrize(
    ("steps", "granted"),
    [
        # on 16 November, half of each step
        (["1600"], ["300.00"]),
        (["1200", "1600"], ["100.00", "200.00"]),
        (["1200", "1200", "1600"], ["100.00", "0", "200.00"]),
        # lowered and raised again: what the term has got already is not granted again
        (["500", "1000"], ["0", "0.00"]),
        (["500", "800", "1000"], ["0", "0", "0.00"]),
        (["500", "1200"], ["0", "100.00"]),
        (["1200", "500", "1200"], ["100.00", "0", "0.00"]),
        (["1200", "500", "1600"], ["100.00", "0", "200.00"]),
        (["1200", "1000", "1100", "1300"], ["100.00", "0", "0", "50.00"]),
    ],
)
def test_the_way_to_an_amount_does_not_matter(steps: list[str], granted: list[str]) -> None:
    """Several changes on a day grant in all what the highest of them alone would grant."""
    commitment = running(some_terms())
    at_once = []
    for amount in steps:
        commitment, part = put(commitment, some_terms(amount=amount), "2026-11-16")
        at_once.append(Decimal(part))

    assert [Decimal(part) for part in granted] == at_once
    assert Decimal(steps[-1]) == commitment.recharged().granted


def test_raises_on_several_days() -> None:
    """Every raise counts the days that are left when it comes."""
    commitment = running(some_terms())

    commitment, on_16 = put(commitment, some_terms(amount="1300"), "2026-11-16")
    commitment, on_21 = put(commitment, some_terms(amount="1600"), "2026-11-21")

    # 300 * 15 / 30 and 300 * 10 / 30
    assert (on_16, on_21) == ("150.00", "100.00")


def test_every_term_begins_anew() -> None:
    """In the next term the amount then granted is what a raise is measured by."""
    commitment, _ = put(running(some_terms()), some_terms(amount="500"), "2026-11-16")
    commitment = commitment.recharged()

    assert (day("2026-12-01"), Decimal(500)) == (commitment.last_recharge_on, commitment.granted)
    # 500 more, and all of December is left
    assert put(commitment, some_terms(amount="1000"), "2026-12-01")[1] == "500.00"


@pytest.mark.parametrize(
    ("terms", "next_day", "amount", "after"),
    [
        (some_terms(amount="400"), "2026-12-01", "400", "2027-01-01"),
        (some_terms(frequency="quarterly", starts_on="2026-12-01"), "2026-12-01", "1000", "2027-03-01"),
        (some_terms("2026-12-01", "400", "annual"), "2026-12-01", "400", "2027-12-01"),
        (some_terms("2026-11-15"), "2026-12-15", "1000", "2027-01-15"),
        (some_terms("2026-10-31"), "2026-12-31", "1000", "2027-01-31"),
        (some_terms("2027-02-05", "400"), "2027-02-05", "400", "2027-03-05"),
    ],
)
def test_what_applies_from_the_next_recharge(terms: Terms, next_day: str, amount: str, after: str) -> None:
    """A lower amount, another frequency and another start wait for the next recharge."""
    before = running(some_terms())

    changed, at_once = put(before, terms, "2026-11-16")

    assert at_once == "0"
    assert (before.terms.amount, before.terms.frequency) == (changed.terms.amount, changed.terms.frequency)
    assert (before.granted, before.last_recharge_on) == (changed.granted, changed.last_recharge_on)
    assert [next_day, after] == days(changed, 2)
    assert Decimal(amount) == changed.recharged().granted
    assert terms == changed.recharged().terms


def test_a_shorter_frequency_waits_too() -> None:
    """A quarter that has been granted runs to its end before the months begin."""
    before = running(some_terms(frequency="quarterly"))

    changed, _ = put(before, some_terms(), "2026-11-16")

    assert days(changed, 2) == ["2027-02-01", "2027-03-01"]


def test_the_same_again() -> None:
    """The same terms again change nothing, whether they run already or wait for the next recharge."""
    commitment = running(some_terms(ends_on="2027-10-31", rollover=False))
    lowered, _ = put(commitment, some_terms(amount="400"), "2026-11-16")

    again = some_terms(amount="1000.00", ends_on="2027-10-31", rollover=False)
    assert (commitment, "0") == put(commitment, again, "2026-11-20")
    assert (lowered, "0") == put(lowered, some_terms(amount="400.00"), "2026-11-20")


def test_taking_a_change_back() -> None:
    """The terms that run, put again, take back those that wait."""
    before = running(some_terms())
    lowered, _ = put(before, some_terms(amount="400"), "2026-11-16")

    changed, _ = put(lowered, some_terms(), "2026-11-20")

    assert before == changed


@pytest.mark.parametrize("amount", ["1000", "400", "1600"])
def test_end_and_rollover_at_once(amount: str) -> None:
    """Another end and another rollover apply at once, whatever else changes."""
    terms = some_terms(amount=amount, ends_on="2026-12-10", rollover=False)

    changed, _ = put(running(some_terms()), terms, "2026-11-16")

    assert day("2026-12-01") == changed.credit_expires_before
    assert days(changed) == ["2026-12-01"]


def test_delete() -> None:
    """A deleted commitment has no further recharge, and its credit goes when that would have come."""
    commitment = delete(running(some_terms()))

    assert commitment.next_recharge_on is None
    assert not commitment.is_active(day("2026-11-01"))
    assert day("2026-12-01") == commitment.credit_expires_before


@pytest.mark.parametrize(
    ("starts_on", "frequency", "ends_on", "expires_before"),
    [
        ("2026-11-01", "annual", None, "2027-11-01"),
        ("2026-11-30", "quarterly", None, "2027-02-28"),
        # the commitment ends before its next recharge would come
        ("2026-11-01", "monthly", "2026-11-20", "2026-11-21"),
    ],
)
def test_credit_of_the_deleted(starts_on: str, frequency: str, ends_on: str | None, expires_before: str) -> None:
    """What is left of a deleted commitment expires with its term, or with the commitment's end."""
    commitment = delete(running(some_terms(starts_on, frequency=frequency, ends_on=ends_on), starts_on))

    assert day(expires_before) == commitment.credit_expires_before


@pytest.mark.parametrize(
    ("upcoming", "expires_before"),
    [
        (some_terms(amount="400"), "2026-12-01"),
        # 1 December is no recharge day any more, 15 December would have been the next
        (some_terms("2026-11-15"), "2026-12-15"),
        (some_terms("2027-02-05"), "2027-02-05"),
    ],
)
def test_delete_while_a_change_waits(upcoming: Terms, expires_before: str) -> None:
    """What is left expires on the day on which the changed commitment would have recharged next."""
    changed, _ = put(running(some_terms()), upcoming, "2026-11-10")
    next_day = changed.next_recharge_on

    deleted = delete(changed)

    assert day(expires_before) == next_day == deleted.credit_expires_before


def test_delete_before_the_first_recharge() -> None:
    """A commitment that never recharged leaves nothing behind."""
    commitment = delete(begin(SHARED_POOL, some_terms("2026-12-01"), day("2026-11-10")))

    assert (commitment.next_recharge_on, commitment.credit_expires_before) == (None, None)


@pytest.mark.parametrize("today", ["2026-11-01", "2026-11-16", "2026-11-30"])
@pytest.mark.parametrize("amount", ["1000", "400"])
def test_put_again_after_delete(today: str, amount: str) -> None:
    """A commitment put again in the term it was deleted in goes on with the next recharge; the term has its credit."""
    changed, at_once = put(delete(running(some_terms())), some_terms(amount=amount), today)

    assert Decimal(at_once) == 0
    assert days(changed, 2) == ["2026-12-01", "2027-01-01"]
    assert changed.credit_expires_before is None


@pytest.mark.parametrize("today", ["2026-12-01", "2026-12-02", "2027-01-01"])
def test_put_again_later(today: str) -> None:
    """Once its term is over, a deleted commitment put again is a new one."""
    changed, at_once = put(delete(running(some_terms())), some_terms(today, "700"), today)

    assert at_once == "0"
    assert (changed.last_recharge_on, changed.next_recharge_on) == (None, day(today))
    assert changed.recharged().granted == Decimal(700)


def test_put_again_after_the_end() -> None:
    """A commitment that ended and is put again makes the recharge that is due today, and no earlier one."""
    ended = running(some_terms(ends_on="2026-11-30"))

    changed, at_once = put(ended, some_terms(), "2027-02-01")

    assert at_once == "0"
    assert days(changed, 2) == ["2027-02-01", "2027-03-01"]


def test_no_raise_of_what_is_over() -> None:
    """A commitment that is over grants nothing for a higher amount."""
    ended = running(some_terms(ends_on="2026-11-10"))

    _, at_once = put(ended, some_terms(amount="2000", ends_on="2026-11-10"), "2026-11-20")

    assert Decimal(at_once) == 0


@pytest.mark.parametrize(
    ("starts_on", "first"),
    [
        ("2026-11-20", "2026-11-20"),
        ("2026-11-25", "2026-11-25"),
        ("2026-11-01", "2026-12-01"),
        ("2026-10-15", "2026-12-15"),
    ],
)
def test_a_new_commitment_within_the_term_of_one_that_ended(starts_on: str, first: str) -> None:
    """What has ended holds nothing back: the next commitment recharges on its own first day."""
    ended = running(some_terms(ends_on="2026-11-10"))

    changed, at_once = put(ended, some_terms(starts_on, "300"), "2026-11-20")

    assert Decimal(at_once) == 0
    assert day(first) == changed.next_recharge_on


@pytest.mark.parametrize(
    ("today", "is_active"), [("2026-10-01", True), ("2026-11-01", True), ("2027-03-15", True), ("2027-03-16", False)]
)
def test_when_it_is_active(today: str, is_active: bool) -> None:  # noqa: FBT001 - the case
    """A commitment is active before its first recharge and until the end of its last day."""
    commitment = begin(SHARED_POOL, some_terms(ends_on="2027-03-15"), day("2026-10-01"))

    assert is_active is commitment.is_active(day(today))


quick = settings(deadline=None, max_examples=40)
start_days = st.dates(date(2019, 1, 1), date(2030, 12, 31)) | st.builds(
    lambda year, month: date(year, month, monthrange(year, month)[1]), st.integers(2019, 2030), st.integers(1, 12)
)
all_terms = st.builds(
    Terms,
    st.integers(1, 10**6).map(lambda cents: Decimal(cents).scaleb(-2)),
    st.sampled_from(Frequency),
    start_days,
)
MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMIANNUAL: 6, Frequency.ANNUAL: 12}


def is_recharge_day(terms: Terms, today: date) -> bool:
    """Tell it of one day alone: the right month, and the day of the start or, in a shorter month, the last."""
    months = (today.year - terms.starts_on.year) * 12 + today.month - terms.starts_on.month
    is_last = (today + timedelta(days=1)).month != today.month
    is_day = today.day == terms.starts_on.day or (is_last and today.day < terms.starts_on.day)
    return today >= terms.starts_on and months % MONTHS[terms.frequency] == 0 and is_day


@quick
@given(all_terms, st.integers(-800, 2500), st.none() | st.integers(0, 1200))
def test_days_are_those_that_looking_at_every_day_finds(terms: Terms, put_after: int, length: int | None) -> None:
    """Recharge days increase, and are all days that are recharge days, from the day of the agreement to the end."""
    put_on = terms.starts_on + timedelta(days=put_after)
    last = put_on + timedelta(days=1500)
    ends_on = None if length is None else terms.starts_on + timedelta(days=length)
    commitment = begin(SHARED_POOL, Terms(terms.amount, terms.frequency, terms.starts_on, ends_on), put_on)

    made = []
    for recharged in recharges(commitment):
        if recharged.last_recharge_on is None or recharged.last_recharge_on > last:
            break
        made.append(recharged.last_recharge_on)

    every_day = (put_on + timedelta(days=passed) for passed in range(1501))
    until = last if ends_on is None else min(last, ends_on)
    assert [today for today in every_day if today <= until and is_recharge_day(terms, today)] == made


@quick
@given(all_terms, st.lists(st.tuples(st.integers(0, 200), all_terms | st.none() | st.just("same")), max_size=8))
def test_no_day_comes_twice_whatever_changes(terms: Terms, changes: list[tuple[int, Terms | str | None]]) -> None:
    """However a commitment is changed, deleted and put again, its recharge days only go forward."""
    today = terms.starts_on
    commitment = begin(SHARED_POOL, terms, today)
    made: list[date] = []
    for passed, changed in changes:
        today += timedelta(days=passed)
        while commitment.next_recharge_on is not None and commitment.next_recharge_on <= today:
            commitment = commitment.recharged()
            assert commitment.last_recharge_on is not None
            made.append(commitment.last_recharge_on)
        if changed is None:
            commitment = delete(commitment)
        else:
            wanted = commitment.terms if isinstance(changed, str) else changed
            commitment, at_once = change(commitment, wanted, today, "EUR")
            assert at_once >= 0
            assert commitment.next_recharge_on is None or commitment.next_recharge_on >= today

    assert sorted(set(made)) == made


@quick
@given(all_terms, st.integers(0, 400), st.lists(st.integers(1, 10**6), min_size=1, max_size=5))
def test_a_raise_never_grants_more_than_the_term_costs(terms: Terms, passed: int, amounts: list[int]) -> None:
    """All that a day of raises grants is the share of the highest amount, but for the rounding of each."""
    commitment = begin(SHARED_POOL, terms, terms.starts_on).recharged()
    end = commitment.term_ends_before
    assert end is not None
    today = min(terms.starts_on + timedelta(days=passed), end - timedelta(days=1))
    in_all = Decimal(0)
    highest = terms.amount
    for cents in amounts:
        amount = Decimal(cents).scaleb(-2)
        highest = max(highest, amount)
        raised = Terms(amount, terms.frequency, terms.starts_on)
        commitment, at_once = change(commitment, raised, today, "EUR")
        in_all += at_once

    share = (highest - terms.amount) * (end - today).days / (end - terms.starts_on).days
    assert abs(share - in_all) <= Decimal("0.005") * len(amounts) + Decimal("1e-9")
