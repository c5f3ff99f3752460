"""Burn-down tables: credit of several kinds, expiries and pools, used up step by step, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.due import carry_out_due, close_due_at
from chalicelib.domain.figures import figures_of
from chalicelib.domain.instants import DAY, format_instant
from chalicelib.domain.invoice import close_oldest_period
from chalicelib.domain.ledger import LedgerEntry, book_grant, pool_balance, void_grant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from tests.unit.domain.builders import a_grant, a_rate, a_state, an_event, at, charge, paid_by


if TYPE_CHECKING:
    from chalicelib.domain.state import AccountState

COMMITTED, PROMOTIONAL, PURCHASED = GrantKind.COMMITTED, GrantKind.PROMOTIONAL, GrantKind.PURCHASED
UNIT = a_rate("0.01", "0.01")

NOON = "2026-11-10T12:00:00Z"


@dataclass
class Purse:
    """An account's credit while it burns down."""

    state: AccountState
    entries: list[LedgerEntry] = field(default_factory=list)

    def use(self, amount: str, now: str = NOON, resource: str = "call") -> list[tuple[str, str]]:
        """Use a product for an amount, once what is due is done, and return who paid what."""
        self.pass_time(now)
        self.state, (charged,) = charge(self.state, (an_event(amount, now, resource), UNIT), now=now)
        return paid_by(charged)

    def pass_time(self, now: str) -> None:
        """Do what is due."""
        self.state, done = carry_out_due(self.state, at(now), at(now))
        self.entries += done

    def get(self, grant: Grant) -> list[tuple[str, str]]:
        """Book credit, and return what it pays at once."""
        self.state, settled = book_grant(self.state, grant)
        return [(part.resource, format_decimal(part.amount)) for part in settled]

    def void(self, name: str, now: str = NOON) -> str:
        """Take back what is left of a grant, and return by how much the balance changes."""
        (grant,) = (grant for grant in self.state.grants if grant.id == name)
        self.state, entry = void_grant(self.state, grant, at(now), "admin")
        return format_decimal(entry.amount)

    @property
    def left(self) -> dict[str, str]:
        """What is left of each grant."""
        return {grant.id: format_decimal(grant.remaining) for grant in self.state.grants}

    def red(self, pool: str = SHARED_POOL) -> str:
        """Return what is to be invoiced in the month shown."""
        return format_decimal(self.state.usage_of(self.state.oldest_open).to_be_invoiced(pool))

    def balance(self, now: str = NOON, pool: str = SHARED_POOL) -> str:
        """Return a pool's balance in the calendar month."""
        return format_decimal(pool_balance(self.state, pool, self.state.current_period(at(now)), at(now)))


@pytest.mark.parametrize("kind", GrantKind)
@pytest.mark.parametrize("order", [("in 30 days", "never"), ("never", "in 30 days")])
def test_equal_but_for_their_expiry(kind: GrantKind, order: tuple[str, ...]) -> None:
    """Of two grants of 100 that differ in their expiry alone, 120 use up the one that expires and 20 of the other."""
    expiries = {"in 30 days": format_instant(at(NOON) + 30 * DAY), "never": None}
    purse = Purse(a_state(*(a_grant(name, "100", kind, expires=expiries[name]) for name in order)))

    assert purse.use("120") == [("in 30 days", "100"), ("never", "20")]
    assert purse.left == {"never": "80"}
    assert (purse.red(), purse.balance()) == ("0", "80")


def test_the_expiry_goes_before_all_else() -> None:
    """Purchased credit that ends tomorrow burns before older committed credit that ends the day after."""
    purse = Purse(
        a_state(
            a_grant("committed", "100", COMMITTED, expires="2026-11-12T00:00:00Z"),
            a_grant("promotional", "100", PROMOTIONAL, expires="2026-11-12T00:00:00Z"),
            a_grant("purchased", "100", PURCHASED, effective=NOON, expires="2026-11-11T00:00:00Z"),
        )
    )

    assert purse.use("250") == [("purchased", "100"), ("committed", "100"), ("promotional", "50")]
    # what ends on the 12th is gone then, 50 of it unused
    assert purse.use("1", "2026-11-12T00:00:00Z") == []
    assert [(entry.grant, format_decimal(entry.amount)) for entry in purse.entries] == [("promotional", "-50")]


def test_credit_that_starts_tomorrow() -> None:
    """Credit that takes effect tomorrow neither pays nor counts today, not even in the last microsecond."""
    purse = Purse(a_state(a_grant("tomorrow", "100", effective="2026-11-11T00:00:00Z")))

    assert purse.use("10", "2026-11-10T23:59:59.999999Z") == []
    assert (purse.balance("2026-11-10T23:59:59.999999Z"), purse.left) == ("-10", {"tomorrow": "100"})

    assert purse.use("10", "2026-11-11T00:00:00Z") == [("tomorrow", "10")]
    # 100 - 10 are left, and 10 of the day before are to be invoiced
    assert (purse.balance("2026-11-11T00:00:00Z"), purse.red()) == ("80", "10")


def test_void_after_half_was_used() -> None:
    """A void takes back just what is left; what the credit has paid stays paid, and use goes on without it."""
    purse = Purse(a_state())
    assert purse.get(a_grant("promotion", "100", PROMOTIONAL, effective=NOON)) == []
    assert purse.use("50") == [("promotion", "50")]

    assert purse.void("promotion") == "-50"

    assert (purse.left, purse.red(), purse.balance()) == ({}, "0", "0")
    assert purse.use("50") == []
    call = purse.state.usage_of(purse.state.oldest_open).products["call"]
    assert (call.amount, call.credits, call.to_be_invoiced) == (Decimal(100), Decimal(50), Decimal(50))


def test_void_of_one_of_several() -> None:
    """A void leaves all other credit, and the order in which it burns."""
    purse = Purse(
        a_state(
            a_grant("a", "10", PROMOTIONAL, expires="2026-11-20T00:00:00Z"),
            a_grant("b", "10", PROMOTIONAL, expires="2026-11-25T00:00:00Z"),
            a_grant("c", "10", PROMOTIONAL),
        )
    )
    assert purse.use("12") == [("a", "10"), ("b", "2")]
    assert (purse.void("b"), purse.balance()) == ("-8", "10")

    assert purse.use("12") == [("c", "10")]
    assert purse.balance() == "-2"


def test_credit_that_pays_at_once_what_is_open() -> None:
    """Credit that arrives pays what is open, products by their codes, and burns only with what is left."""
    purse = Purse(a_state())
    purse.use("7", resource="message")
    purse.use("5", resource="call")

    assert purse.get(a_grant("small", "6", PURCHASED, effective=NOON)) == [("call", "5"), ("message", "1")]
    assert (purse.left, purse.red()) == ({}, "6")
    assert purse.get(a_grant("large", "10", PURCHASED, effective=NOON)) == [("message", "6")]
    assert (purse.left, purse.red()) == ({"large": "4"}, "0")
    assert purse.use("9") == [("large", "4")]
    assert purse.balance() == "-5"


def test_a_mixed_table() -> None:
    """Seven grants of all kinds in two pools pay in burn order, until each is used up or expires."""
    december = "2026-12-01T00:00:00Z"
    purse = Purse(
        a_state(
            a_grant("bought", "20", PURCHASED),
            a_grant("younger month", "15", COMMITTED, effective="2026-11-05T00:00:00Z", expires=december),
            a_grant("month", "30", COMMITTED, expires=december),
            a_grant("gift", "5", PROMOTIONAL),
            a_grant("trial", "10", PROMOTIONAL, expires="2026-11-15T00:00:00Z"),
            a_grant("agent", "8", COMMITTED, pool="virtual_agent"),
            a_grant("agent trial", "4", PROMOTIONAL, pool="virtual_agent", expires="2026-11-20T00:00:00Z"),
        )
    )
    # shared: trial, month, younger month, gift, bought; own: agent trial, agent
    table = [
        ("2026-11-10T12:00:00Z", "call", "4", [("trial", "4")]),
        ("2026-11-11T12:00:00Z", "virtual_agent", "5", [("agent trial", "4"), ("agent", "1")]),
        # at the instant at which the trial ends, with 6 unused
        ("2026-11-15T00:00:00Z", "message", "33", [("month", "30"), ("younger month", "3")]),
        ("2026-11-20T12:00:00Z", "virtual_agent", "10", [("agent", "7")]),
        ("2026-11-21T12:00:00Z", "call", "19.5", [("younger month", "12"), ("gift", "5"), ("bought", "2.5")]),
        ("2026-11-30T23:59:59.999999Z", "message", "1.25", [("bought", "1.25")]),
        ("2026-11-30T23:59:59.999999Z", "number", "20", [("bought", "16.25")]),
    ]

    assert [purse.use(amount, now, resource) for now, resource, amount, _ in table] == [row[-1] for row in table]

    assert purse.left == {}
    # used: 4 + 33 + 19.5 + 1.25 + 20 = 77.75; credit: 20 + 15 + 30 + 5 + 10 = 80, of which 6 expired
    assert (purse.red(), purse.balance("2026-11-30T23:59:59.999999Z")) == ("3.75", "-3.75")
    # 15 were used of the own pool, and 12 were there
    assert purse.red("virtual_agent") == "3"
    assert [(entry.grant, format_decimal(entry.amount)) for entry in purse.entries] == [("trial", "-6")]


def test_over_three_months() -> None:
    """Credit that never ends burns on from month to month; what it does not cover is that month's alone."""
    purse = Purse(a_state(a_grant("g", "100", PURCHASED), now="2026-11-02T12:00:00Z"))
    invoices = []
    for month, used in (("2026-11", "40"), ("2026-12", "40"), ("2027-01", "40"), ("2027-02", "40")):
        purse.use(used, f"{month}-10T12:00:00Z")
        due = close_due_at(purse.state, purse.state.oldest_open)
        closed = close_oldest_period(purse.state, DEFAULT_CATALOGUE, due)
        purse.state = closed.state
        invoices.append((str(closed.invoice.period), format_decimal(closed.invoice.total)))

    # 100 - 40 - 40 - 20 = 0: January asks for 20, February for all of its 40
    assert invoices == [("2026-11", "0"), ("2026-12", "0"), ("2027-01", "20"), ("2027-02", "40")]
    assert purse.left == {}


def test_what_the_tab_shows_of_it() -> None:
    """Credit of each kind is shown apart and goes down as it burns."""
    purse = Purse(
        a_state(
            a_grant("bought", "20", PURCHASED),
            a_grant("month", "30", COMMITTED, expires="2026-12-01T00:00:00Z"),
            a_grant("gift", "5", PROMOTIONAL),
        )
    )
    shown = []
    for amount in ("10", "22", "10", "20"):
        purse.use(amount)
        pool = figures_of(purse.state, purse.state.oldest_open, DEFAULT_CATALOGUE, at(NOON)).pool(SHARED_POOL)
        figures = (pool.committed, pool.promotional, pool.purchased, pool.to_be_invoiced, pool.balance)
        shown.append([format_decimal(figure) for figure in figures])

    assert shown == [
        ["20", "5", "20", "0", "45"],
        # 20 - 22 = -2
        ["0", "3", "20", "0", "23"],
        # 3 - 10 = -7
        ["0", "0", "13", "0", "13"],
        # 13 - 20 = -7
        ["0", "0", "0", "7", "-7"],
    ]
