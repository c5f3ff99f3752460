"""What a commit causes outside the store: at least once, under stable ids, and never where it does not count."""

from __future__ import annotations

import contextlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.card_payments import PaymentStatus
from chalicelib.storage import keys
from chalicelib.storage.items import StoreError, Table
from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.unit.services.card_world import CardWorld, copied, cut_off, steps
from tests.unit.services.world import Interruption, interruptions


if TYPE_CHECKING:
    from tests.fakes.outside import Call

BOUGHT = "credit.purchased"


def outbox(world: CardWorld) -> list[str]:
    """Return the ids of all effects, carried out or not."""
    found = world.store.query(Table.STATE, keys.account_partition("acme"), "outbox#", f"outbox#{keys.LAST}")
    return [keys.name_of(item.key) for item in found]


def streaming() -> CardWorld:
    """Return an account whose purchase was booked, and whose effects are left to the stream."""
    world = copied()
    world.buy(services=world.another("a", has_stream=True))
    assert (len(outbox(world)), world.bus.published) == (1, [])
    return world


def buy_as_a(world: CardWorld) -> None:
    """Buy credit as the process `a`."""
    world.buy(services=world.another("a"))


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_publishing_fails(fault: Fault) -> None:
    """Where publishing fails the purchase stands, and the sweep publishes under the same id."""
    world = copied()
    publish = steps(copied_buyer := copied(), lambda: copied_buyer.buy(services=copied_buyer.another("a"))).index(
        "publish"
    )
    cut_off(world, publish + 1, fault, lambda: world.buy(services=world.another("a")))
    assert world.balance() == "100"
    at_first = len(world.bus.published)
    assert at_first == (fault in {Fault.ANSWER_LOST, Fault.CRASH_AFTER})

    run = world.run("sweep-outbox")

    assert (run.done, run.failed, run.left) == (1, 0, 0)
    assert len(world.bus.published) == at_first + 1
    (entry,) = world.entries()
    assert set(world.bus.ids(BOUGHT)) == {f"acme:{entry.id}"}
    assert world.run("sweep-outbox").done == 0


@pytest.mark.parametrize("client", ["stream", "sweep"])
def test_cut_off_at_every_step(client: str) -> None:
    """Wherever carrying out is cut off, doing it again publishes under the same id, and then no more."""

    def act(world: CardWorld) -> object:
        services = world.another("a")
        if client == "sweep":
            return services.jobs.run("sweep-outbox")
        return services.effects.carry_out("acme", outbox(world)[0])

    world = streaming()
    expected = steps(world, partial(act, world))
    assert expected[:3] == ["get", "publish", "put"]
    for number, fault in interruptions(expected):
        world = streaming()
        cut_off(world, number, fault, partial(act, world))

        world.repair()

        count = Counter(world.bus.ids(BOUGHT))
        assert len(count) == 1
        assert set(count.values()) <= {1, 2}
        assert not world.services.effects.carry_out("acme", outbox(world)[0])
        assert Counter(world.bus.ids(BOUGHT)) == count


def test_carried_out_twice() -> None:
    """The second time there is nothing left to do."""
    world = streaming()
    (name,) = outbox(world)

    done = [world.another(client).effects.carry_out("acme", name) for client in ("a", "b")]

    assert done == [True, False]
    assert len(world.bus.published) == 1
    assert world.run("sweep-outbox").done == 0


def test_not_there() -> None:
    """Effects that are not to be seen are asked for again by whoever knows of them."""
    world = streaming()

    with pytest.raises(LookupError, match="no effects"):
        world.services.effects.carry_out("acme", "none")
    with pytest.raises(LookupError, match="no effects"):
        world.services.effects.carry_out("other", outbox(world)[0])


@pytest.mark.parametrize("backwards", [False, True])
def test_not_visible_yet(backwards: bool) -> None:  # noqa: FBT001 - the case
    """A stream that is faster than the transaction it tells of finds all or tries again, and does nothing half."""
    outcomes = Counter[str]()

    def carry_out(world: CardWorld) -> None:
        reserved = [keys.name_of(key) for _, key in world.store.tables._holders if key.sk.startswith("outbox#")]
        for name in {*reserved, *outbox(world)}:
            try:
                done = world.another("stream").effects.carry_out("acme", name)
                outcomes["done" if done else "done before"] += 1
            except LookupError as error:
                outcomes["no effects" if "no effects" in str(error) else "no payment"] += 1

    def recharge(world: CardWorld) -> None:
        world.use("100", services=world.another("a", has_stream=True))

    def prepared() -> CardWorld:
        world = copied()
        world.give("150")
        world.recharge_below("60", "100")
        return world

    world = prepared()
    for number in range(1, len(steps(world, partial(recharge, world))) + 1):
        world = prepared()
        world.disturb(Interruption(number, partial(carry_out, world), backwards=backwards))
        recharge(world)
        world.disturb(Interruption(0))
        carry_out(world)
        world.run("sweep-outbox")

        assert [payment.status for payment in world.payments()] == [PaymentStatus.SUCCEEDED]
        assert len(set(world.bus.ids("credit.recharged"))) == 1
        world.check()
    # legs become visible in the order head, payment, effects, or the other way round
    assert outcomes["no effects"] > 0
    assert outcomes["done"] > 0
    assert (outcomes["no payment"] > 0) is backwards


def test_a_lost_race() -> None:
    """What a commit would have caused that lost its race is never published."""

    def used() -> CardWorld:
        world = copied()
        world.commit("1000")
        world.use("800")
        return world

    def use(world: CardWorld) -> None:
        # 100 of 1000 are left: a warning
        world.use("100", services=services)

    world = used()
    services = world.another("a")
    taken = steps(world, partial(use, world))
    commit = taken.index("transact") + 1
    low = []
    for number in range(1, len(taken) + 1):
        world = used()
        services = world.another("a")
        # with which 600 are left, and nothing is low
        interruption = Interruption(number, partial(give_as_b, world))
        world.disturb(interruption)
        use(world)
        world.disturb(Interruption(0))
        world.repair()
        give_as_b(world)

        low.append(len(world.bus.ids("credit.low")))
        assert world.balance() == "600"
        assert world.differences() == []
    # whoever comes before the commit wins
    assert low == [0] * commit + [1] * (len(taken) - commit)


def give_as_b(world: CardWorld) -> None:
    """Grant 500 as another process, once."""
    world.give("500", "race", world.another("b"))


def test_a_bus_that_is_down() -> None:
    """Without the bus, money and credit move all the same; all is told once it is back."""
    world = copied()
    world.give("100")
    world.recharge_below("10", "50")
    down = True

    def before_call(call: Call) -> Fault | None:
        return Fault.UNAVAILABLE if down and call.name == "publish" else None

    world.bus.before_call = before_call
    world.buy("100")
    world.use("195")
    for _ in range(3):
        world.clock.pass_by(900 * 1_000_000)
        assert world.run("settle-payments").failed == 0
        swept = world.run("sweep-outbox")
        assert (swept.failed, swept.left) == (2, 0)
    assert world.balance() == "55"
    assert world.bus.published == []

    down = False
    assert world.run("sweep-outbox").done == 2

    assert (len(world.bus.ids(BOUGHT)), len(world.bus.ids("credit.recharged"))) == (1, 1)
    assert world.run("sweep-outbox").done == 0
    world.check()


def test_what_is_due_next() -> None:
    """Effects that wait are due since their commit, and no more once they are carried out."""
    world = streaming()
    committed = world.clock.now()
    world.clock.pass_by(1_000_000)
    assert world.services.jobs.next_due_at() == committed

    world.run("sweep-outbox")

    due = world.services.jobs.next_due_at()
    assert due is not None
    assert due > world.clock.now()


def test_one_that_fails_stops_no_other() -> None:
    """A sweep goes on with the next effects where some cannot be carried out, and counts both."""
    world = copied()
    services = world.another("a", has_stream=True)
    for number in range(4):
        world.buy(key=f"key {number}", services=services)
    calls = 0

    def before_call(_call: Call) -> Fault | None:
        nonlocal calls
        calls += 1
        return Fault.UNAVAILABLE if calls == 2 else None

    world.bus.before_call = before_call

    run = world.run("sweep-outbox")

    assert (run.done, run.failed, run.left) == (3, 1, 0)
    again = world.run("sweep-outbox")
    assert (again.done, again.failed, again.left) == (1, 0, 0)
    assert len(set(world.bus.ids(BOUGHT))) == len(world.bus.ids(BOUGHT)) == 4


def test_as_of_before() -> None:
    """A sweep as of an instant leaves alone what was committed after it."""
    world = streaming()

    assert world.services.jobs.run("sweep-outbox", world.clock.now() - 1).done == 0
    assert world.services.jobs.run("sweep-outbox", world.clock.now()).done == 1


def test_other_notifications() -> None:
    """Recharges of a commitment and invoices are told of, too, wherever the schedule is cut off."""

    def slept() -> CardWorld:
        world = copied()
        world.commit("100")
        world.use("30")
        world.bus.published.clear()
        world.at("2026-12-10T02:00:00Z")
        return world

    def close(world: CardWorld) -> None:
        jobs = world.another("a").jobs
        for job in ("recharge-commitments", "issue-invoices"):
            jobs.run(job)

    world = slept()
    for number, fault in interruptions(steps(world, partial(close, world))):
        world = slept()
        cut_off(world, number, fault, partial(close, world))
        world.store.settle()
        with contextlib.suppress(ClientCrashedError, StoreError):
            close(world)

        world.repair()

        assert set(world.bus.ids("invoice.issued")) == {"acme:invoice-2026-11"}
        assert len(set(world.bus.ids("credit.recharged"))) == 1
        assert world.differences() == []
