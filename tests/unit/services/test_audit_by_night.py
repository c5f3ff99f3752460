"""The nightly audit: whose turn it is, and what becomes of an account that does not add up."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from chalicelib.domain.instants import DAY
from chalicelib.services.audit_by_night import ACCOUNTS_MIN, AuditingByNight
from chalicelib.storage.accounts import Commit
from chalicelib.storage.keys import DUE_SHARDS
from tests.unit.services.world import World


def test_a_small_fleet_is_audited_whole() -> None:
    """Every account has its audit every night."""
    world = World()
    world.put_account("other")
    world.use("5")

    run = world.services.jobs.run("audit")

    assert (run.done, run.failed, run.left) == (2, 0, 0)


def test_an_account_that_does_not_add_up_is_named() -> None:
    """It fails with what is wrong, and stops no other."""
    world = World()
    world.put_account("other")
    world.use("5")
    head = world.services.heads.load("acme")
    assert head is not None
    (period, usage), *_ = head.state.periods.items()
    wrong = replace(usage.products["call"], amount=Decimal(6))
    world.services.heads.commit(head, Commit(head.state.with_usage(period, replace(usage, products={"call": wrong}))))

    run = world.services.jobs.run("audit")

    assert (run.done, run.failed) == (1, 1)
    (failure,) = run.failures
    assert failure.subject == "acme"
    assert "amount is 6, the events say 5" in failure.reason


def test_a_large_fleet_takes_turns() -> None:
    """Each night some are audited, and in as many nights as there are parts every account once at least."""
    world = World()
    names = {f"account-{number}" for number in range(2 * ACCOUNTS_MIN)}
    for name in names:
        world.put_account(name)
    services = world.services
    audits = AuditingByNight(services.heads, services.auditing)

    nights = [set(audits.subjects(night * DAY + 5)) for night in range(len(DUE_SHARDS))]

    assert all(len(night) == ACCOUNTS_MIN for night in nights)
    assert set.union(*nights) == {*names, "acme"}
