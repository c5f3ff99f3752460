"""Recharging: committed credit arrives, pays what is open, and stays as long as its commitment says."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.credit import GrantKind
from chalicelib.domain.due import carry_out_due
from chalicelib.domain.figures import figures_of
from chalicelib.domain.instants import format_instant
from chalicelib.domain.invoice import close_oldest_period
from chalicelib.domain.ledger import EntryKind, LedgerEntry, Settled, pool_balance
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.recharge import delete_commitment, next_recharge_at, put_commitment
from tests.unit.domain.builders import a_grant, a_rate, a_state, an_account, an_event, at, charge, left_of, used


if TYPE_CHECKING:
    from chalicelib.domain.figures import PoolFigures
    from chalicelib.domain.state import AccountState

NOVEMBER = Period(2026, 11)


def some_terms(
    starts_on: str = "2026-11-10",
    amount: str = "1000",
    frequency: str = "monthly",
    ends_on: str | None = None,
    *,
    rollover: bool = True,
) -> Terms:
    """Return an agreement of 1000 a month from 10 November 2026, the day on which `a_state` stands."""
    last = None if ends_on is None else date.fromisoformat(ends_on)
    return Terms(Decimal(amount), Frequency(frequency), date.fromisoformat(starts_on), last, rollover)


def go_on(state: AccountState, now: str) -> tuple[AccountState, list[LedgerEntry]]:
    """Carry out all that is due."""
    state, entries = carry_out_due(state, at(now), at(now))
    return state, list(entries)


def put(
    state: AccountState, terms: Terms, now: str = "2026-11-10T12:00:00Z", pool: str = SHARED_POOL
) -> tuple[AccountState, list[LedgerEntry]]:
    """Put a commitment once what is due is done, and do what is due then."""
    state, due = go_on(state, now)
    state, raised = put_commitment(state, pool, terms, at(now), "admin-7")
    state, made = go_on(state, now)
    return state, [*due, *raised, *made]


def deleted(state: AccountState, now: str = "2026-11-10T12:00:00Z") -> AccountState:
    """Delete the commitment in the shared pool once what is due is done."""
    state, _ = go_on(state, now)
    return delete_commitment(state, SHARED_POOL, at(now))


def shown(state: AccountState, now: str, pool: str = SHARED_POOL, period: Period | None = None) -> PoolFigures:
    """Return what the tab shows of a pool."""
    return figures_of(state, period or state.oldest_open, DEFAULT_CATALOGUE, at(now)).pool(pool)


def ends(state: AccountState) -> dict[str, str | None]:
    """Return when each grant expires, by its day of effect."""
    return {
        format_instant(grant.effective_at)[:10]: None if grant.expires_at is None else format_instant(grant.expires_at)
        for grant in state.grants
    }


def test_a_recharge_due_today() -> None:
    """A recharge due on the day of the agreement is made at once, and takes effect at the day's first instant."""
    state, (entry,) = put(a_state(), some_terms())

    assert entry == LedgerEntry(
        id=entry.id,
        at=at("2026-11-10T00:00:00Z"),
        recorded_at=at("2026-11-10T12:00:00Z"),
        kind=EntryKind.RECHARGE,
        pool=SHARED_POOL,
        amount=Decimal(1000),
        balance_before=Decimal(0),
        cause=entry.cause,
        actor=entry.actor,
        period=NOVEMBER,
        expires_on=None,
        grant=entry.grant,
        settled=(),
    )
    assert Decimal(1000) == entry.balance_after
    (grant,) = state.grants
    assert (grant.id, grant.kind, grant.effective_at) == (entry.grant, GrantKind.COMMITTED, at("2026-11-10T00:00:00Z"))
    assert state.is_used
    figures = shown(state, "2026-11-10T12:00:00Z")
    assert (figures.committed, figures.balance) == (Decimal(1000), Decimal(1000))


def test_a_start_to_come() -> None:
    """Nothing is granted before the start; then the first recharge is made."""
    state, entries = put(a_state(), some_terms("2026-11-20"))
    assert (entries, state.grants) == ([], ())
    waiting = shown(state, "2026-11-19T23:59:59Z").commitment
    assert waiting is not None
    assert (waiting.last_recharge_on, waiting.next_recharge_on) == (None, date(2026, 11, 20))

    assert go_on(state, "2026-11-19T23:59:59.999999Z")[1] == []
    state, (entry,) = go_on(state, "2026-11-20T00:00:00Z")

    assert (entry.at, entry.amount) == (at("2026-11-20T00:00:00Z"), Decimal(1000))
    made = shown(state, "2026-11-20T00:00:00Z").commitment
    assert made is not None
    assert (made.last_recharge_on, made.next_recharge_on) == (date(2026, 11, 20), date(2026, 12, 20))


def test_days_before_the_agreement() -> None:
    """Days before the commitment was put are not made up."""
    state, entries = put(a_state(), some_terms("2026-01-05"))

    assert entries == []
    state, entries = go_on(state, "2026-12-05T00:00:00Z")
    assert [format_instant(entry.at) for entry in entries] == ["2026-12-05T00:00:00Z"]


@pytest.mark.parametrize(
    ("timezone", "due"),
    [
        ("UTC", "2026-11-20T00:00:00Z"),
        # the far ends of the date line: UTC+14 and UTC-11
        ("Pacific/Kiritimati", "2026-11-19T10:00:00Z"),
        ("Pacific/Pago_Pago", "2026-11-20T11:00:00Z"),
        ("Asia/Kolkata", "2026-11-19T18:30:00Z"),
        ("America/New_York", "2026-11-20T05:00:00Z"),
    ],
)
def test_the_first_instant_of_the_day(timezone: str, due: str) -> None:
    """A recharge is due at the first instant of its day in the account's zone."""
    state, _ = put(a_state(account=an_account(timezone)), some_terms("2026-11-20"))
    (commitment,) = state.commitments
    assert at(due) == next_recharge_at(state, commitment)

    assert go_on(state, format_instant(at(due) - 1))[1] == []
    _, (entry,) = go_on(state, due)
    assert at(due) == entry.at


@pytest.mark.parametrize(
    ("timezone", "day", "due"),
    [
        # in these zones the clocks skip midnight of that day, and it begins at 1:00
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00:00Z"),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z"),
        # and here midnight comes twice, the day begins with the first
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),
        # the hour before midnight comes twice, the day begins after the second
        ("Africa/Cairo", "2026-10-30", "2026-10-29T22:00:00Z"),
    ],
)
def test_days_that_begin_oddly(timezone: str, day: str, due: str) -> None:
    """Where clocks change at midnight, a recharge still has the first instant of its day."""
    state = a_state(account=an_account(timezone), now="2026-02-01T12:00:00Z", invoiced_through="2026-01")
    state, _ = put(state, some_terms(day), "2026-02-01T12:00:00Z")

    _, (entry,) = go_on(state, due)

    assert due == format_instant(entry.at)
    assert go_on(state, format_instant(at(due) - 1))[1] == []


@pytest.mark.parametrize(
    ("timezone", "now", "due"),
    [
        # it is still 9 November in Pago Pago, and 10 November has begun on Kiritimati
        ("Pacific/Kiritimati", "2026-11-09T10:00:00Z", "2026-11-09T10:00:00Z"),
        ("Pacific/Pago_Pago", "2026-11-11T10:59:59Z", "2026-11-10T11:00:00Z"),
    ],
)
def test_today_is_the_accounts_today(timezone: str, now: str, due: str) -> None:
    """Whether a recharge is due today is judged by the account's calendar."""
    _, (entry,) = put(a_state(account=an_account(timezone), now="2026-11-02T12:00:00Z"), some_terms(), now)

    assert due == format_instant(entry.at)


@pytest.mark.parametrize(
    ("timezone", "now"),
    [("Pacific/Kiritimati", "2026-11-10T10:00:00Z"), ("Pacific/Pago_Pago", "2026-11-10T10:59:59Z")],
)
def test_not_todays(timezone: str, now: str) -> None:
    """On Kiritimati 10 November is over, in Pago Pago it has not begun."""
    assert put(a_state(account=an_account(timezone), now="2026-11-02T12:00:00Z"), some_terms(), now)[1] == []


@pytest.mark.parametrize(
    ("amount", "settled", "left"),
    [
        # open are call 3, email 2, message 4
        ("2", [("call", "2")], {}),
        ("6", [("call", "3"), ("email", "2"), ("message", "1")], {}),
        ("9.5", [("call", "3"), ("email", "2"), ("message", "4")], {"committed": "0.5"}),
    ],
)
def test_a_recharge_pays_what_is_open(amount: str, settled: list[tuple[str, str]], left: dict[str, str]) -> None:
    """A recharge first pays what its pool has to be invoiced in its month, products in the order of their codes."""
    before = {
        "message": used("5", paid="1"),
        "email": used("2"),
        "call": used("3"),
        "virtual_agent": used("7", pool="virtual_agent"),
    }
    state, (entry,) = put(a_state(periods={"2026-11": before}), some_terms(amount=amount))

    assert tuple(Settled(resource, Decimal(part)) for resource, part in settled) == entry.settled
    assert {grant.kind.value: f"{grant.remaining:f}" for grant in state.grants} == left
    # 9 were open
    assert (Decimal(-9), Decimal(amount) - 9) == (entry.balance_before, entry.balance_after)
    assert max(9 - Decimal(amount), Decimal(0)) == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)
    assert Decimal(7) == state.usage_of(NOVEMBER).to_be_invoiced("virtual_agent")


def test_each_pool_by_itself() -> None:
    """Commitments in two pools recharge on their own days and pay for their own products."""
    usage = {"call": used("3"), "virtual_agent": used("7", pool="virtual_agent")}
    state, _ = put(a_state(periods={"2026-11": usage}), some_terms("2026-11-15", "100"))
    state, entries = put(state, some_terms("2026-11-12", "10"), pool="virtual_agent")
    assert entries == []

    state, entries = go_on(state, "2026-11-20T00:00:00Z")

    assert [(entry.pool, format_instant(entry.at)[:10], str(entry.balance_after)) for entry in entries] == [
        ("virtual_agent", "2026-11-12", "3"),
        (SHARED_POOL, "2026-11-15", "97"),
    ]
    assert [shown(state, "2026-11-20T00:00:00Z", pool).balance for pool in ("virtual_agent", SHARED_POOL)] == [3, 97]


def test_novembers_recharge_never_lowers_octobers_invoice() -> None:
    """While October awaits its invoice, November's recharge pays for November alone, however late October is closed."""
    october, november = {"call": used("40")}, {"call": used("25"), "message": used("5")}
    state = a_state(
        now="2026-10-20T12:00:00Z", invoiced_through="2026-09", periods={"2026-10": october, "2026-11": november}
    )
    state, _ = put(state, some_terms("2026-11-01", "100"), "2026-10-20T12:00:00Z")

    state, (entry,) = go_on(state, "2026-11-01T00:00:00Z")

    assert (Settled("call", Decimal(25)), Settled("message", Decimal(5))) == entry.settled
    assert [shown(state, "2026-11-01T00:30:00Z").balance, shown(state, "2026-11-01T00:30:00Z").committed] == [-40, 0]

    # nobody closes October until 20 November, and two of its calls come in before
    state, (first, second) = charge(
        state,
        (an_event("7", "2026-10-31T23:59:59Z", name="late 1"), a_rate("1")),
        (an_event("8", "2026-11-02T12:00:00Z", name="in time"), a_rate("1")),
        now="2026-11-04T12:00:00Z",
    )
    assert (first.period, first.credits, second.period, second.credits) == (Period(2026, 10), 0, NOVEMBER, 8)
    close = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-11-20T12:00:00Z"))
    assert (close.invoice.total, [line.credits for line in close.invoice.figures.products]) == (47, [0])
    # 100 - 25 - 5 - 8
    assert shown(close.state, "2026-11-20T12:00:00Z").committed == Decimal(62)


def test_a_recharge_on_the_last_day_of_a_month() -> None:
    """What arrived on 31 October pays October's calls up to its invoice."""
    state = a_state(now="2026-10-20T12:00:00Z", invoiced_through="2026-09", periods={"2026-10": {"call": used("40")}})
    state, _ = put(state, some_terms("2026-10-31", "100"), "2026-10-20T12:00:00Z")
    state, (entry,) = go_on(state, "2026-10-31T00:00:00Z")
    assert (Settled("call", Decimal(40)),) == entry.settled

    state, (charged,) = charge(state, (an_event("7", "2026-10-31T23:59:59Z"), a_rate("1")), now="2026-11-01T00:59:59Z")

    assert (charged.period, charged.credits) == (Period(2026, 10), Decimal(7))
    assert shown(state, "2026-11-01T00:59:59Z").committed == Decimal(53)


def test_rollover_keeps_credit() -> None:
    """With rollover what is left of a month stays."""
    state, _ = put(a_state(), some_terms())

    state, (entry,) = go_on(state, "2026-12-10T00:00:00Z")

    assert (Decimal(1000), Decimal(2000)) == (entry.balance_before, entry.balance_after)
    assert ends(state) == {"2026-11-10": None, "2026-12-10": None}


def test_without_rollover() -> None:
    """Without rollover what is left goes when the next recharge comes: first the expiry, then the recharge."""
    state, (first,) = put(a_state(), some_terms(rollover=False))
    assert first.expires_on == date(2026, 12, 9)
    state, _ = charge(state, (an_event("300", "2026-11-10T12:00:00Z"), a_rate("1")))
    november = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-12-01T01:00:00Z"))
    assert november.invoice.total == 0

    assert go_on(november.state, "2026-12-09T23:59:59.999999Z")[1] == []
    state, entries = go_on(november.state, "2026-12-10T00:00:00Z")

    assert [
        (entry.kind.value, format_instant(entry.at), str(entry.balance_before), str(entry.balance_after))
        for entry in entries
    ] == [
        ("expiry", "2026-12-10T00:00:00Z", "700", "0"),
        ("recharge", "2026-12-10T00:00:00Z", "0", "1000"),
    ]
    assert [entry.expires_on for entry in entries] == [date(2026, 12, 9), date(2027, 1, 9)]
    assert ends(state) == {"2026-12-10": "2027-01-10T00:00:00Z"}


@pytest.mark.parametrize("rollover", [True, False])
def test_the_end(rollover: bool) -> None:  # noqa: FBT001 - the case
    """At the end of its last day what is left of a commitment expires, in the account's zone."""
    account = an_account("America/New_York")
    state, (entry,) = put(a_state(account=account), some_terms(ends_on="2026-11-30", rollover=rollover))
    assert entry.expires_on == date(2026, 11, 30)

    last = "2026-12-01T04:59:59.999999Z"
    assert (go_on(state, last)[1], shown(state, last).committed) == ([], Decimal(1000))
    active = shown(state, last).commitment
    assert active is not None
    assert (active.last_recharge_on, active.next_recharge_on) == (date(2026, 11, 10), None)
    state, (entry,) = go_on(state, "2026-12-01T05:00:00Z")
    assert (entry.kind, entry.amount, entry.expires_on) == (EntryKind.EXPIRY, -1000, date(2026, 11, 30))
    december = shown(state, "2026-12-01T05:00:00Z", period=Period(2026, 12))
    assert (december.balance, december.commitment) == (0, None)
    assert go_on(state, "2027-03-01T00:00:00Z")[1] == []


def test_a_raise() -> None:
    """A raise grants its share at once, pays what is open with it, and ends with the credit of its term."""
    state, _ = put(a_state(), some_terms(rollover=False))
    state, _ = charge(state, (an_event("1100", "2026-11-10T11:00:00Z"), a_rate("1")))

    state, (entry,) = put(state, some_terms(amount="1600", rollover=False), "2026-11-25T08:30:00Z")

    # 100 are open; 10 November to 9 December are 30 days, of which 25 November to 9 December are 15: 600 * 15 / 30
    assert (entry.kind, entry.amount) == (EntryKind.RECHARGE, Decimal(300))
    assert (entry.at, entry.recorded_at) == (at("2026-11-25T08:30:00Z"), at("2026-11-25T08:30:00Z"))
    assert (entry.balance_before, entry.balance_after, entry.actor) == (Decimal(-100), Decimal(200), "admin-7")
    assert (Settled("call", Decimal(100)),) == entry.settled
    assert entry.expires_on == date(2026, 12, 9)
    assert ends(state) == {"2026-11-25": "2026-12-10T00:00:00Z"}
    figures = shown(state, "2026-11-25T08:30:00Z")
    assert figures.commitment is not None
    assert (figures.committed, figures.commitment.amount) == (Decimal(200), Decimal(1600))
    assert figures.commitment.last_recharge_on == date(2026, 11, 10)


def test_a_raise_by_nothing_to_speak_of() -> None:
    """A raise whose share is below half a cent grants nothing and books nothing."""
    state, _ = put(a_state(), some_terms())

    state, entries = put(state, some_terms(amount="1000.01"), "2026-12-09T12:00:00Z")

    # 0.01 * 1 / 30
    assert entries == []
    assert state.commitments[0].recharged().granted == Decimal("1000.01")


def test_raises_have_names_of_their_own() -> None:
    """Several raises of a day, and the recharge of that day, are entries and grants of their own."""
    state, recharged = put(a_state(), some_terms())
    state, first = put(state, some_terms(amount="1200"))
    state, lowered = put(state, some_terms(amount="500"))
    state, second = put(state, some_terms(amount="1300"))

    entries = [*recharged, *first, *lowered, *second]
    # on the day of the recharge a raise grants all of it
    assert [str(entry.amount.normalize()) for entry in entries] == ["1E+3", "2E+2", "1E+2"]
    assert len({entry.id for entry in entries}) == len({grant.id for grant in state.grants}) == 3


def test_the_same_again() -> None:
    """The same commitment again books nothing and moves nothing."""
    state, _ = put(a_state(), some_terms(rollover=False))

    again, entries = put(state, some_terms(rollover=False), "2026-11-20T12:00:00Z")

    assert (state, []) == (again, entries)


def test_another_end() -> None:
    """Another end moves the end of the credit that is there."""
    state, _ = put(a_state(), some_terms(ends_on="2026-12-31"))
    assert ends(state) == {"2026-11-10": "2027-01-01T00:00:00Z"}

    later, _ = put(state, some_terms(ends_on="2027-06-30"))
    never, _ = put(state, some_terms())
    with_the_term, _ = put(state, some_terms(ends_on="2026-12-31", rollover=False))

    assert ends(later) == {"2026-11-10": "2027-07-01T00:00:00Z"}
    assert ends(never) == {"2026-11-10": None}
    assert ends(with_the_term) == {"2026-11-10": "2026-12-10T00:00:00Z"}


def test_delete() -> None:
    """After DELETE what is left, of earlier terms too, stays until the next recharge would have come."""
    state, _ = put(a_state(), some_terms())
    state = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-12-01T01:00:00Z")).state

    state = deleted(state, "2026-12-10T00:00:00Z")

    assert ends(state) == {"2026-11-10": "2027-01-10T00:00:00Z", "2026-12-10": "2027-01-10T00:00:00Z"}
    figures = shown(state, "2026-12-10T12:00:00Z")
    assert (figures.committed, figures.commitment) == (Decimal(2000), None)
    state = close_oldest_period(state, DEFAULT_CATALOGUE, at("2027-01-01T01:00:00Z")).state
    state, entries = go_on(state, "2027-01-10T00:00:00Z")
    assert [(entry.kind, format_instant(entry.at)[:10], entry.amount) for entry in entries] == [
        (EntryKind.EXPIRY, "2027-01-10", Decimal(-1000)),
        (EntryKind.EXPIRY, "2027-01-10", Decimal(-1000)),
    ]
    assert state.grants == ()
    assert go_on(state, "2027-03-01T00:00:00Z")[1] == []


def test_delete_leaves_other_credit_alone() -> None:
    """What was not committed, or is another pool's, stays when a commitment is deleted."""
    others = (
        a_grant("gift", "1", GrantKind.PROMOTIONAL),
        a_grant("bought", "2", GrantKind.PURCHASED, expires="2027-01-31T00:00:00Z"),
        a_grant("own", "3", pool="virtual_agent"),
    )
    state, _ = put(a_state(*others), some_terms())

    state = deleted(state)

    assert others == state.grants[:3]


def test_delete_twice_and_nothing() -> None:
    """Deleting again, or what never was, changes nothing."""
    state, _ = put(a_state(), some_terms())
    once = deleted(state)

    assert once == deleted(once)
    assert a_state() == deleted(a_state())


def test_put_again_after_delete() -> None:
    """Deleted and put again on its recharge day, a commitment does not recharge that day twice."""
    state, made = put(a_state(), some_terms())
    assert len(made) == 1

    state, again = put(deleted(state), some_terms(), "2026-11-10T18:00:00Z")

    assert again == []
    assert left_of(state.grants) == {made[0].grant: Decimal(1000)}
    assert [format_instant(entry.at) for entry in go_on(state, "2026-12-10T00:00:00Z")[1]] == ["2026-12-10T00:00:00Z"]


def test_put_again_on_the_day_the_next_would_have_come() -> None:
    """On the first day after its term a deleted commitment put again recharges, once what was left is gone."""
    state, _ = put(a_state(), some_terms("2026-11-01", "1000"), "2026-11-10T12:00:00Z")
    state, _ = go_on(state, "2026-12-01T00:00:00Z")
    state = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-12-01T01:00:00Z")).state
    state = deleted(state, "2026-12-10T12:00:00Z")

    state, entries = put(state, some_terms("2026-11-01", "400"), "2027-01-01T12:00:00Z")

    assert [(entry.kind.value, str(entry.balance_before), str(entry.balance_after)) for entry in entries] == [
        ("expiry", "1000", "0"),
        ("recharge", "0", "400"),
    ]


@pytest.mark.parametrize(
    "terms",
    [
        some_terms("2026-10-15", rollover=False),
        some_terms("2026-10-15", "1600", rollover=False),
        some_terms("2026-10-15", "400", rollover=False),
        some_terms("2026-10-15"),
        some_terms("2026-10-20", frequency="annual"),
    ],
    ids=["same", "raised", "lowered", "rollover", "other"],
)
def test_what_expired_stays_expired(terms: Terms) -> None:
    """While an expiry waits for a late invoice, no change of the commitment gives the expired credit back."""
    start = "2026-10-15T12:00:00Z"
    state, _ = put(a_state(now=start, invoiced_through="2026-09"), some_terms("2026-10-15", rollover=False), start)
    # October is not closed until 20 November; its 1000 expired on 15 November, and others came
    state, _ = go_on(state, "2026-11-20T12:00:00Z")
    before = pool_balance(state, SHARED_POOL, NOVEMBER, at("2026-11-20T12:00:00Z"))
    assert before == Decimal(1000)

    state, entries = put(state, terms, "2026-11-20T12:00:00Z")

    granted = sum(entry.amount for entry in entries)
    assert before + granted == pool_balance(state, SHARED_POOL, NOVEMBER, at("2026-11-20T12:00:00Z"))
    closed = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-11-20T12:00:00Z")).state
    closed, expired = go_on(closed, "2026-11-20T12:00:00Z")
    assert [(entry.kind, format_instant(entry.at), entry.amount) for entry in expired] == [
        (EntryKind.EXPIRY, "2026-11-15T00:00:00Z", Decimal(-1000))
    ]


def test_what_expired_stays_expired_after_delete() -> None:
    """While an expiry waits for a late invoice, DELETE does not give the expired credit a longer life."""
    start = "2026-10-15T12:00:00Z"
    state, _ = put(a_state(now=start, invoiced_through="2026-09"), some_terms("2026-10-15", rollover=False), start)

    state = deleted(state, "2026-11-20T12:00:00Z")

    assert pool_balance(state, SHARED_POOL, NOVEMBER, at("2026-11-20T12:00:00Z")) == Decimal(1000)


def test_what_ended_stays_ended() -> None:
    """While an expiry waits for a late invoice, a new commitment does not bring the credit of an ended one back."""
    start = "2026-10-15T12:00:00Z"
    state = a_state(now=start, invoiced_through="2026-09")
    state, _ = put(state, some_terms("2026-10-15", ends_on="2026-11-10"), start)
    state, _ = go_on(state, "2026-11-20T12:00:00Z")
    assert pool_balance(state, SHARED_POOL, NOVEMBER, at("2026-11-20T12:00:00Z")) == 0

    state, _ = put(state, some_terms("2027-01-01"), "2026-11-20T12:00:00Z")

    assert pool_balance(state, SHARED_POOL, NOVEMBER, at("2026-11-20T12:00:00Z")) == 0


def test_a_commitment_that_is_over_pays_nothing() -> None:
    """A higher amount for a commitment that has ended does not pay what is open."""
    state, _ = put(a_state(), some_terms("2026-11-10", ends_on="2026-11-12"))
    state, _ = go_on(state, "2026-11-20T12:00:00Z")
    state, _ = charge(state, (an_event("500", "2026-11-20T11:00:00Z"), a_rate("1")), now="2026-11-20T12:00:00Z")

    state, entries = put(state, some_terms("2026-11-10", "2000", ends_on="2026-11-12"), "2026-11-20T12:00:00Z")

    assert [entry.amount for entry in entries] == []
    assert state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL) == Decimal(500)


def test_the_ledger_of_an_expiry_before_a_recharge() -> None:
    """What expires as the next recharge comes goes first, and the ledger's balances chain."""
    start = "2026-10-15T12:00:00Z"
    state, _ = put(a_state(now=start, invoiced_through="2026-09"), some_terms("2026-10-15", rollover=False), start)
    state = close_oldest_period(state, DEFAULT_CATALOGUE, at("2026-11-01T01:00:00Z")).state
    state, made = go_on(state, "2026-11-16T12:00:00Z")
    state, _ = charge(state, (an_event("1500", "2026-11-16T11:00:00Z"), a_rate("1")), now="2026-11-16T12:00:00Z")
    state, waited = go_on(state, "2026-11-16T12:00:00Z")

    entries = sorted([*made, *waited], key=lambda entry: (entry.at, entry.kind.value))
    assert [(entry.kind.value, str(entry.balance_before), str(entry.balance_after)) for entry in entries] == [
        ("expiry", "1000", "0"),
        ("recharge", "0", "1000"),
    ]
