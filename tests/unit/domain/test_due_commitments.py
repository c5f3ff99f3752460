"""What falls due of commitments: every recharge once, with its own date, and after what expires with it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.credit import Grant, GrantKind, total_credit
from chalicelib.domain.due import carry_out_due, close_due_at, next_due_at
from chalicelib.domain.figures import figures_of
from chalicelib.domain.instants import DAY, HOUR, MINUTE, Instant, format_instant
from chalicelib.domain.invoice import Invoice, close_oldest_period
from chalicelib.domain.ledger import EntryKind, LedgerEntry, book_grant, pool_balance
from chalicelib.domain.periods import Period, calendar
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.recharge import delete_commitment, put_commitment
from chalicelib.domain.state import AccountState
from tests.unit.domain.builders import a_grant, a_rate, a_state, an_account, an_event, at, charge, used


def some_terms(
    starts_on: str,
    amount: str = "1000",
    frequency: str = "monthly",
    ends_on: str | None = None,
    *,
    rollover: bool = True,
) -> Terms:
    """Return an agreement of 1000 a month."""
    last = None if ends_on is None else date.fromisoformat(ends_on)
    return Terms(Decimal(amount), Frequency(frequency), date.fromisoformat(starts_on), last, rollover)


def with_commitment(terms: Terms, timezone: str = "UTC", pool: str = SHARED_POOL) -> AccountState:
    """Return an account whose October 2026 is open, with a commitment put on 15 October that begins later."""
    state = a_state(account=an_account(timezone), now="2026-10-15T12:00:00Z", invoiced_through="2026-09")
    state, entries = put_commitment(state, pool, terms, at("2026-10-15T12:00:00Z"), "admin")
    assert entries == ()
    return state


def go_on(state: AccountState, now: str, recorded_at: str | None = None) -> tuple[AccountState, list[LedgerEntry]]:
    """Carry out all that is due."""
    state, entries = carry_out_due(state, at(now), at(recorded_at or now))
    return state, list(entries)


def told(entries: list[LedgerEntry]) -> list[tuple[str, str, str, str]]:
    """Return kind, due time and balances before and after."""
    return [
        (entry.kind.value, format_instant(entry.at), f"{entry.balance_before:f}", f"{entry.balance_after:f}")
        for entry in entries
    ]


def test_a_schedule_that_slept_for_five_months() -> None:
    """One run makes up five recharges, each once and with its own date, in their order."""
    state = with_commitment(some_terms("2026-10-31"))

    state, entries = go_on(state, "2027-03-30T23:59:59Z")

    assert told(entries) == [
        ("recharge", "2026-10-31T00:00:00Z", "0", "1000"),
        ("recharge", "2026-11-30T00:00:00Z", "1000", "2000"),
        ("recharge", "2026-12-31T00:00:00Z", "2000", "3000"),
        ("recharge", "2027-01-31T00:00:00Z", "3000", "4000"),
        ("recharge", "2027-02-28T00:00:00Z", "4000", "5000"),
    ]
    assert {entry.recorded_at for entry in entries} == {at("2027-03-30T23:59:59Z")}
    assert len({entry.id for entry in entries}) == len({entry.grant for entry in entries}) == 5
    assert go_on(state, "2027-03-30T23:59:59Z") == (state, [])
    _, (entry,) = go_on(state, "2027-03-31T00:00:00Z")
    assert entry.at == at("2027-03-31T00:00:00Z")


@pytest.mark.parametrize(
    ("timezone", "starts_on", "expected"),
    [
        # UTC+14 and UTC-11, which know no summer time
        (
            "Pacific/Kiritimati",
            "2026-12-31",
            ["2026-12-30T10:00:00Z", "2027-01-30T10:00:00Z", "2027-02-27T10:00:00Z", "2027-03-30T10:00:00Z"],
        ),
        (
            "Pacific/Pago_Pago",
            "2026-12-31",
            ["2026-12-31T11:00:00Z", "2027-01-31T11:00:00Z", "2027-02-28T11:00:00Z", "2027-03-31T11:00:00Z"],
        ),
        # summer time from 28 March 2027: UTC, then UTC+1
        ("Europe/Lisbon", "2027-01-31", ["2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-30T23:00:00Z"]),
        # on 30 April 2027 there is no midnight: at 24:00 of the 29th, UTC+2, it is 1:00, UTC+3
        ("Africa/Cairo", "2027-02-28", ["2027-02-27T22:00:00Z", "2027-03-27T22:00:00Z", "2027-04-27T22:00:00Z"]),
        ("Africa/Cairo", "2027-03-30", ["2027-03-29T22:00:00Z", "2027-04-29T22:00:00Z", "2027-05-29T21:00:00Z"]),
    ],
)
def test_local_days(timezone: str, starts_on: str, expected: list[str]) -> None:
    """Every recharge is due at the first instant of its day in the account's zone."""
    state = with_commitment(some_terms(starts_on), timezone)

    _, entries = go_on(state, expected[-1])

    assert expected == [format_instant(entry.at) for entry in entries]
    assert len(go_on(state, format_instant(at(expected[-1]) - 1))[1]) == len(expected) - 1


def test_a_recharge_on_a_day_that_there_was_not() -> None:
    """Samoa left out 30 December 2011; the recharge of that day came when the next began."""
    state = a_state(account=an_account("Pacific/Apia"), now="2011-12-01T12:00:00Z", invoiced_through="2011-11")
    state, _ = put_commitment(state, SHARED_POOL, some_terms("2011-12-30"), at("2011-12-01T12:00:00Z"), "admin")

    _, entries = go_on(state, "2012-01-31T12:00:00Z")

    # midnight was 10:00 UTC, before at UTC-10, from then on at UTC+14
    assert [format_instant(entry.at) for entry in entries] == ["2011-12-30T10:00:00Z", "2012-01-29T10:00:00Z"]


def test_the_next_thing_due() -> None:
    """A recharge is due work as an expiry or an invoice is."""
    state = with_commitment(some_terms("2026-10-20", rollover=False, ends_on="2026-11-25"))
    assert format_instant(next_due_at(state)) == "2026-10-20T00:00:00Z"

    state, _ = go_on(state, "2026-10-20T00:00:00Z")
    assert format_instant(next_due_at(state)) == "2026-11-01T01:00:00Z"
    state = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-11-01T01:00:00Z")).state
    assert format_instant(next_due_at(state)) == "2026-11-20T00:00:00Z"
    state, _ = go_on(state, "2026-11-20T00:00:00Z")
    assert format_instant(next_due_at(state)) == "2026-11-26T00:00:00Z"
    state, _ = go_on(state, "2026-11-26T00:00:00Z")
    assert format_instant(next_due_at(state)) == "2026-12-01T01:00:00Z"


def test_expiry_before_recharge() -> None:
    """Of what is due at one instant every expiry comes before any recharge, in whatever pool."""
    state = a_state(
        a_grant("gift", "5", GrantKind.PROMOTIONAL, expires="2026-11-20T00:00:00Z"),
        a_grant("own", "7", GrantKind.PROMOTIONAL, expires="2026-11-20T00:00:00Z", pool="virtual_agent"),
        now="2026-11-10T12:00:00Z",
    )
    for pool in (SHARED_POOL, "virtual_agent"):
        state, _ = put_commitment(state, pool, some_terms("2026-11-20"), at("2026-11-10T12:00:00Z"), "admin")

    _, entries = go_on(state, "2026-11-20T00:00:00Z")

    assert sorted((entry.pool, *each) for entry, each in zip(entries, told(entries), strict=True)) == [
        (SHARED_POOL, "expiry", "2026-11-20T00:00:00Z", "5", "0"),
        (SHARED_POOL, "recharge", "2026-11-20T00:00:00Z", "0", "1000"),
        ("virtual_agent", "expiry", "2026-11-20T00:00:00Z", "7", "0"),
        ("virtual_agent", "recharge", "2026-11-20T00:00:00Z", "0", "1000"),
    ]
    assert [entry.kind for entry in entries] == [EntryKind.EXPIRY] * 2 + [EntryKind.RECHARGE] * 2


def test_terms_without_rollover_in_one_run() -> None:
    """Terms that came and went while the schedule slept leave their recharges and expiries in order."""
    now = at("2026-11-10T12:00:00Z")
    until_december = some_terms("2026-11-10", rollover=False, ends_on="2026-11-30")
    state, _ = put_commitment(a_state(), SHARED_POOL, until_december, now, "me")
    state, _ = put_commitment(state, "virtual_agent", some_terms("2026-11-15", "30", rollover=False), now, "me")

    state, entries = go_on(state, "2026-12-01T00:00:00Z")

    assert told(entries) == [
        ("recharge", "2026-11-10T00:00:00Z", "0", "1000"),
        ("recharge", "2026-11-15T00:00:00Z", "0", "30"),
        ("expiry", "2026-12-01T00:00:00Z", "1000", "0"),
    ]


def test_a_recharge_does_not_wait_for_an_invoice() -> None:
    """A recharge is made however many months await their invoices, and counts for its own."""
    state = with_commitment(some_terms("2026-12-05"))

    state, (entry,) = go_on(state, "2026-12-05T00:00:00Z")

    assert (entry.period, entry.balance_after) == (Period(2026, 12), Decimal(1000))
    now = at("2026-12-05T00:00:00Z")
    months = [figures_of(state, Period(2026, month), DEFAULT_CATALOGUE, now) for month in (10, 11, 12)]
    assert [month.pool(SHARED_POOL).committed for month in months] == [0, 0, 1000]


def test_an_expiry_waits_for_the_invoice() -> None:
    """Credit that went after the month counts for its late invoice, but pays nothing any more."""
    state = with_commitment(some_terms("2026-10-20", rollover=False))
    state, entries = go_on(state, "2026-11-25T12:00:00Z")
    # October is not closed; its credit went on 20 November, and more came
    assert [each[:2] for each in told(entries)] == [
        ("recharge", "2026-10-20T00:00:00Z"),
        ("recharge", "2026-11-20T00:00:00Z"),
    ]
    october = figures_of(state, Period(2026, 10), DEFAULT_CATALOGUE, at("2026-11-25T12:00:00Z")).pool(SHARED_POOL)
    assert (october.committed, october.balance) == (Decimal(1000), Decimal(1000))
    assert pool_balance(state, SHARED_POOL, Period(2026, 11), at("2026-11-25T12:00:00Z")) == Decimal(1000)

    state, (charged,) = charge(
        state, (an_event("1200", "2026-11-25T11:00:00Z"), a_rate("1")), now="2026-11-25T12:00:00Z"
    )

    assert charged.credits == Decimal(1000)


def test_upcoming_terms_in_one_run() -> None:
    """A change that waited is in force from its recharge on, also where the schedule slept over it."""
    state = with_commitment(some_terms("2026-10-20"))
    state, _ = go_on(state, "2026-10-20T00:00:00Z")
    lowered = some_terms("2026-10-25", "400", "quarterly")
    state, raised = put_commitment(state, SHARED_POOL, lowered, at("2026-10-21T12:00:00Z"), "admin")
    assert raised == ()

    _, entries = go_on(state, "2027-05-01T00:00:00Z")

    # the running term ends on 20 November; quarters from 25 October: 25 January, 25 April
    assert [(format_instant(entry.at)[:10], entry.amount) for entry in entries] == [
        ("2027-01-25", Decimal(400)),
        ("2027-04-25", Decimal(400)),
    ]


START = at("2026-10-15T12:00:00Z")
POOLS = (SHARED_POOL, "virtual_agent")
ZONES = ["UTC", "America/New_York", "Africa/Cairo", "Pacific/Kiritimati", "Pacific/Pago_Pago"]


class Use(NamedTuple):
    """A use of a product, taken as it happens."""

    resource: str
    amount: int


class Gift(NamedTuple):
    """Promotional credit, for so many days beyond today."""

    pool: str
    amount: int
    days: int | None


class Agree(NamedTuple):
    """A commitment put: its start and its length in days from today."""

    pool: str
    amount: int
    frequency: Frequency
    start: int
    length: int | None
    rollover: bool


class Again(NamedTuple):
    """The commitment put again as it is, but for a part of its amount; or deleted, where that is zero."""

    pool: str
    share: int


class Happening(NamedTuple):
    """Some minutes pass, and then something happens."""

    minutes: int
    what: Use | Gift | Agree | Again


uses = st.builds(Use, st.sampled_from(["call", "message", "virtual_agent"]), st.integers(1, 2000))
gifts = st.builds(Gift, st.sampled_from(POOLS), st.integers(1, 500), st.none() | st.integers(0, 40))
agreements = st.builds(
    Agree,
    st.sampled_from(POOLS),
    st.integers(1, 1000),
    st.sampled_from([Frequency.MONTHLY, Frequency.MONTHLY, Frequency.QUARTERLY]),
    st.integers(-40, 40),
    st.none() | st.integers(0, 120),
    st.booleans(),
)
changes = st.builds(Again, st.sampled_from(POOLS), st.sampled_from([0, 50, 100, 100, 200]))
minutes_between = st.integers(0, 45 * DAY // MINUTE) | st.integers(0, 12 * HOUR // MINUTE)
histories = st.builds(
    lambda agreed, others: [Happening(0, agreed), *others],
    agreements,
    st.lists(st.builds(Happening, minutes_between, uses | gifts | agreements | changes), min_size=1, max_size=8),
)


class Life:
    """An account that lives through a history; *is_late*: no schedule runs before its end."""

    def __init__(self, timezone: str, *, is_late: bool = False) -> None:
        account = an_account(timezone)
        self.now = START
        self.is_late = is_late
        self.zone = calendar(timezone)
        self.state = AccountState(account, START, self.zone.period_of(START).previous)
        self.entries: list[LedgerEntry] = []
        self.invoices: list[Invoice] = []
        self.granted = Decimal(0)
        self.paid = Decimal(0)

    def live(self, history: list[Happening]) -> Life:
        """Let everything happen, and in the end everything be done that is due."""
        for number, (minutes, what) in enumerate(history):
            self.now += minutes * MINUTE
            if not self.is_late:
                self.close_months()
            self.carry_out(self.now)
            self.happen(what, f"h{number}")
        self.close_months()
        self.carry_out(self.now)
        return self

    def close_months(self) -> None:
        """Issue all invoices that are due; the schedule runs when each is, or now."""
        while (due := close_due_at(self.state, self.state.oldest_open)) <= self.now:
            self.carry_out(self.now if self.is_late else due)
            close = close_oldest_period(self.state, DEFAULT_CATALOGUE, due)
            self.state = close.state
            self.invoices.append(close.invoice)

    def carry_out(self, until: Instant) -> None:
        """Do what is due."""
        self.state, entries = carry_out_due(self.state, until, 0)
        self.book(entries)

    def book(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Take note of ledger entries."""
        self.entries += entries
        for entry in entries:
            if entry.kind is EntryKind.RECHARGE:
                self.granted += entry.amount
            self.paid += sum((part.amount for part in entry.settled), Decimal(0))

    def happen(self, what: Use | Gift | Agree | Again, name: str) -> None:
        """Let one thing happen."""
        if isinstance(what, Use):
            event = an_event(str(what.amount), format_instant(self.now), what.resource, name)
            self.state, charges = charge(self.state, (event, a_rate("1")), now=format_instant(self.now))
            self.paid += sum(each.credits for each in charges)
        elif isinstance(what, Gift):
            self.give(what, name)
        elif isinstance(what, Agree):
            self.agree(what.pool, self.terms_of(what))
        elif what.share == 0:
            self.state = delete_commitment(self.state, what.pool, self.now)
        elif (commitment := self.state.commitment(what.pool)) is not None:
            before = commitment.upcoming or commitment.terms
            amount = before.amount * what.share / 100
            self.agree(what.pool, Terms(amount, before.frequency, before.starts_on, before.ends_on, before.rollover))

    def give(self, gift: Gift, name: str) -> None:
        """Book promotional credit."""
        today = self.zone.date_of(self.now)
        end = None if gift.days is None else self.zone.end_of_day(today + timedelta(days=gift.days))
        grant = Grant(name, gift.pool, GrantKind.PROMOTIONAL, Decimal(gift.amount), self.now, end)
        self.state, settled = book_grant(self.state, grant)
        self.granted += gift.amount
        self.paid += sum((part.amount for part in settled), Decimal(0))

    def terms_of(self, agreed: Agree) -> Terms:
        """Return the terms agreed today."""
        today = self.zone.date_of(self.now)
        start = today + timedelta(days=agreed.start)
        end = None if agreed.length is None else today + timedelta(days=agreed.length)
        return Terms(Decimal(agreed.amount), agreed.frequency, start, end, agreed.rollover)

    def agree(self, pool: str, terms: Terms) -> None:
        """Put a commitment."""
        self.state, raised = put_commitment(self.state, pool, terms, self.now, "admin")
        self.book(raised)
        self.carry_out(self.now)


thorough = settings(deadline=None, max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])


@thorough
@given(st.sampled_from(ZONES), histories, st.integers(0, 200 * DAY // MINUTE), st.integers(0, 100))
def test_two_steps_are_one(timezone: str, history: list[Happening], minutes: int, percent: int) -> None:
    """Whatever is due, doing it in two steps, at any instant between, equals doing it in one."""
    life = Life(timezone, is_late=True)
    for number, (passed, what) in enumerate(history):
        life.now += passed * MINUTE
        life.carry_out(life.now)
        life.happen(what, f"h{number}")
    end = life.now + minutes * MINUTE
    between = life.now + minutes * percent // 100 * MINUTE

    at_once, entries = carry_out_due(life.state, end, 0)
    halfway, first = carry_out_due(life.state, between, 0)
    then, second = carry_out_due(halfway, end, 0)

    assert (at_once, entries) == (then, first + second)
    assert carry_out_due(at_once, end, 0) == (at_once, ())
    assert [(entry.at, entry.kind is EntryKind.RECHARGE) for entry in entries] == sorted(
        (entry.at, entry.kind is EntryKind.RECHARGE) for entry in entries
    )


@thorough
@given(st.sampled_from(ZONES), histories)
def test_credit_is_conserved(timezone: str, history: list[Happening]) -> None:
    """Credit granted is credit left, expired or paid, and each recharge of a pool has a day of its own."""
    life = Life(timezone).live(history)

    expired = -sum(entry.amount for entry in life.entries if entry.kind is EntryKind.EXPIRY)
    assert life.granted == total_credit(life.state.grants) + expired + life.paid
    made = [
        (entry.pool, entry.at) for entry in life.entries if entry.kind is EntryKind.RECHARGE and entry.actor != "admin"
    ]
    assert len(set(made)) == len(made)
    assert len({entry.id for entry in life.entries}) == len(life.entries)
    assert all(grant.remaining > 0 and grant.is_in_force(life.now) for grant in life.state.grants)


@thorough
@given(st.sampled_from(ZONES), histories)
def test_a_late_schedule_ends_like_a_timely_one(timezone: str, history: list[Happening]) -> None:
    """Where no schedule runs until the end, credit and invoices are what they are where each runs in time."""
    timely, late = Life(timezone).live(history), Life(timezone, is_late=True).live(history)

    assert sorted(timely.state.grants, key=lambda grant: grant.id) == sorted(
        late.state.grants, key=lambda grant: grant.id
    )
    assert timely.state.commitments == late.state.commitments
    assert {period: usage for period, usage in timely.state.periods.items() if usage.products} == {
        period: usage for period, usage in late.state.periods.items() if usage.products
    }
    assert moved(timely) == moved(late)
    assert [(each.period, each.total, each.figures.products) for each in timely.invoices] == [
        (each.period, each.total, each.figures.products) for each in late.invoices
    ]


def moved(life: Life) -> dict[str, tuple[Instant, Decimal]]:
    """Return what each ledger entry moved, and when it was due."""
    return {entry.id: (entry.at, entry.amount) for entry in life.entries}


@thorough
@given(st.sampled_from(ZONES), histories)
def test_invoices_ignore_later_credit(timezone: str, history: list[Happening]) -> None:
    """What a recharge pays is of its own month, and no pool pays for another."""
    life = Life(timezone).live(history)

    paid_by_pool: dict[str, list[str]] = defaultdict(list)
    for entry in life.entries:
        assert entry.period == life.zone.period_of(entry.at)
        paid_by_pool[entry.pool] += [part.resource for part in entry.settled]
    assert set(paid_by_pool[SHARED_POOL]) <= {"call", "message"}
    assert set(paid_by_pool["virtual_agent"]) <= {"virtual_agent"}


def test_histories_reach_what_they_are_for() -> None:
    """The histories know usage that a recharge finds open, to be paid in its month."""
    agreed = Agree(SHARED_POOL, 100, Frequency.MONTHLY, 0, None, rollover=False)
    history = [Happening(0, Use("call", 30)), Happening(60, agreed), Happening(60, Use("call", 10))]

    life = Life("UTC").live(history)

    (entry,) = life.entries
    assert (entry.balance_before, entry.balance_after) == (Decimal(-30), Decimal(70))
    assert (life.granted, life.paid, total_credit(life.state.grants)) == (100, 40, 60)
    assert used("40", paid="40") == life.state.usage_of(Period(2026, 10)).products["call"]
