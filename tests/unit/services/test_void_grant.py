"""Voiding promotional credit: what is left of a grant is taken back, once."""

from __future__ import annotations

import contextlib
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import format_instant, parse_instant
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import format_decimal
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.grant_credit import GrantRequest
from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.unit.services.world import NOW, Interruption, World, refusal


if TYPE_CHECKING:
    from chalicelib.services.container import Services
    from chalicelib.services.grant_credit import GrantAnswer


class GiftWorld(World):
    """A service that grants promotional credit and voids it, with a second account, `other`."""

    def __init__(self, now: str = NOW) -> None:
        super().__init__(now)
        self.put_account("other")

    def grant(self, amount: str = "100", expires_on: str | None = None, account: str = "acme", key: str = "key") -> str:
        """Grant promotional credit and return its id."""
        request = GrantRequest(
            SHARED_POOL, Decimal(amount), None if expires_on is None else date.fromisoformat(expires_on), "gift"
        )
        return self.services.granting.grant(account, request, key, "admin-7").id

    def commit(self, amount: str = "1000") -> None:
        """Commit credit from today on."""
        terms = Terms(Decimal(amount), Frequency.MONTHLY, date(2026, 11, 10))
        self.services.committing.put("acme", SHARED_POOL, terms, "admin-7")

    def void(self, grant: str, account: str = "acme", services: Services | None = None) -> GrantAnswer:
        """Void a grant."""
        return (services or self.services).granting.void(account, grant, "admin-8")

    def ledger(self) -> list[tuple[str, str, str]]:
        """Return the ledger, oldest first: kind, balances before and after."""
        return [
            (entry.kind.value, format_decimal(entry.balance_before), format_decimal(entry.balance_after))
            for entry in self.entries()
        ]


def test_half_used() -> None:
    """Only what is left of a grant goes; what it paid stays paid."""
    world = GiftWorld()
    grant = world.grant(expires_on="2026-12-31")
    world.use("40")
    world.clock.set(parse_instant("2026-11-11T08:00:00Z"))

    answer = world.void(grant)

    assert (answer.id, answer.pool, answer.amount, answer.remaining) == (grant, SHARED_POOL, 100, 0)
    assert answer.expires_on == date(2026, 12, 31)
    assert world.ledger() == [("grant", "0", "100"), ("void", "60", "0")]
    _, entry = next(world.services.records.ledger("acme"))
    assert (entry.kind, entry.amount, entry.actor, entry.grant) == (EntryKind.VOID, Decimal(-60), "admin-8", grant)
    assert (format_instant(entry.at), entry.at) == ("2026-11-11T08:00:00Z", entry.recorded_at)
    (row,) = world.services.usage.tab("acme").figures.products
    assert (row.credits, row.to_be_invoiced) == (40, 0)
    assert world.differences() == []


def test_unused() -> None:
    """A grant that nobody used goes as a whole, and later events go without it."""
    world = GiftWorld()
    world.void(world.grant())

    world.use("10")

    assert world.balance() == "-10"
    assert world.ledger() == [("grant", "0", "100"), ("void", "100", "0")]
    assert world.differences() == []


@pytest.mark.parametrize("before", [True, False])
def test_used_up(before: bool) -> None:  # noqa: FBT001 - the case
    """Of a grant that is used up there is nothing to take back, and nothing is booked."""
    world = GiftWorld()
    if before:
        world.use("130")
    grant = world.grant()
    if not before:
        world.use("130")

    answer = world.void(grant)

    assert answer.remaining == 0
    assert world.balance() == "-30"
    assert [kind for kind, *_ in world.ledger()] == ["grant"]
    assert world.differences() == []


def test_twice() -> None:
    """Voiding again answers the same and takes nothing more."""
    world = GiftWorld()
    grant = world.grant()
    world.grant("7", key="another")

    assert world.void(grant) == world.void(grant)

    assert world.balance() == "7"
    assert [kind for kind, *_ in world.ledger()].count("void") == 1


def test_other_credit_stays() -> None:
    """A void takes from its grant alone."""
    world = GiftWorld()
    world.commit()
    first, second = world.grant("30", key="a"), world.grant("50", key="b")
    world.grant("70", account="other")

    world.void(first)

    pool = world.services.usage.tab("acme").figures.pool(SHARED_POOL)
    assert (pool.committed, pool.promotional) == (1000, 50)
    assert world.services.usage.tab("other").figures.pool(SHARED_POOL).promotional == 70
    world.void(second)
    assert world.balance() == "1000"
    assert world.differences() == []


def test_not_promotional() -> None:
    """Committed credit, recharged or raised, cannot be voided, be it there or used up."""
    world = GiftWorld()
    world.commit()
    world.commit("1200")
    world.use("1000")
    granted = [entry.grant for _, entry in world.services.records.ledger("acme")]
    assert len(granted) == 2

    for grant in granted:
        assert refusal(lambda grant=grant: world.void(grant or "")) == "not_promotional"

    assert world.balance() == "200"


def test_not_found() -> None:
    """A grant that is not, or is another account's, and an account that is not, are not found."""
    world = GiftWorld()
    mine, foreign = world.grant(), world.grant(account="other")

    assert refusal(lambda: world.void("no such grant")) == "not_found"
    assert refusal(lambda: world.void("")) == "not_found"
    assert refusal(lambda: world.void(foreign)) == "not_found"
    assert refusal(lambda: world.void(mine, "nobody")) == "not_found"

    assert world.balance() == "100"


def test_the_key_still_answers() -> None:
    """The request that granted, sent again after the void, gets its first answer and grants nothing."""
    world = GiftWorld()
    grant = world.grant()
    world.void(grant)

    assert world.grant() == grant
    assert world.balance() == "0"


def test_expired() -> None:
    """Of a grant that expired there is nothing left to take."""
    world = GiftWorld()
    grant = world.grant(expires_on="2026-11-15")
    world.clock.set(parse_instant("2026-11-16T00:00:00Z"))

    assert world.void(grant).remaining == 0
    assert world.services.jobs.run("expire-credit").failed == 0

    assert world.ledger() == [("grant", "0", "100"), ("expiry", "100", "0")]
    assert world.differences() == []


def test_expired_while_a_month_awaits_its_invoice() -> None:
    """A void does not take what expired already, though its expiry waits for a late invoice."""
    world = GiftWorld("2026-10-20T12:00:00Z")
    grant = world.grant(expires_on="2026-11-15")
    world.clock.set(parse_instant("2026-11-20T12:00:00Z"))

    assert world.void(grant).remaining == 0
    for job in ("issue-invoices", "expire-credit"):
        assert world.services.jobs.run(job).failed == 0

    assert world.ledger() == [("grant", "0", "100"), ("expiry", "100", "0")]
    assert world.differences() == []


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.REQUEST_LOST])
def test_cut_off(fault: Fault) -> None:
    """A void that was cut off at any of its steps and is sent again takes back once."""
    number, is_over = 0, True
    while is_over:
        number += 1
        world = GiftWorld()
        grant = world.grant()
        interruption = world.store.controller = Interruption(number, fault=fault)
        with contextlib.suppress(ClientCrashedError):
            world.void(grant, services=world.another("a"))
        is_over = interruption.is_over
        world.store.settle()

        assert world.void(grant).remaining == 0

        assert world.ledger() == [("grant", "0", "100"), ("void", "100", "0")]
        assert world.differences() == []
    # the ledger, the head, the transaction and its legs
    assert number > 4


@pytest.mark.parametrize("other", ["void", "use"])
def test_beside_another(other: str) -> None:
    """Beside a second void, or a call that uses the grant, a void takes what is left when it counts, once."""
    number, is_over = 0, True
    while is_over:
        number += 1
        world = GiftWorld()
        grant = world.grant()
        act = partial(world.void, grant) if other == "void" else partial(world.use, "40")
        interruption = world.store.controller = Interruption(number, act)

        world.void(grant, services=world.another("a"))

        is_over = interruption.is_over
        world.store.settle()
        assert [kind for kind, *_ in world.ledger()] == ["grant", "void"]
        assert world.services.usage.tab("acme").figures.pool(SHARED_POOL).promotional == 0
        assert world.differences() == []
