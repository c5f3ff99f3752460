"""Low-credit warnings in the service: each once per level, month and recharge, under any concurrency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.unit.services.card_world import CardWorld, copied, cut_off, steps
from tests.unit.services.world import BY_INVOICE, Interruption, interruptions, patiently, refusal


if TYPE_CHECKING:
    from chalicelib.services.container import Services


def committed(world: CardWorld) -> None:
    """Commit 1000 a month."""
    world.commit("1000")


def levels(world: CardWorld) -> list[int]:
    """Return the levels of the warnings that the tab shows."""
    return [warning.level for warning in world.services.usage.tab("acme").warnings]


def shown(world: CardWorld) -> str:
    """Return the id of the only warning on the tab."""
    (warning,) = world.services.usage.tab("acme").warnings
    return warning.id


def told(world: CardWorld) -> list[tuple[int, str]]:
    """Return level and balance of every warning that was published."""
    return [(one.data["level"], one.data["balance"]) for one in world.bus.published if one.name == "credit.low"]


def test_by_card() -> None:
    """An account that pays by card is warned at 15, 10 and 5 per cent left, at the limit and below."""
    world = copied(prepare=committed)
    for amount in ("849.99", "0.01", "49.99", "0.01", "50", "20"):
        world.use(amount)

    assert told(world) == [(15, "150.00"), (10, "100.00"), (5, "50.00")]
    assert levels(world) == [15, 10, 5]
    assert len(set(world.bus.ids("credit.low"))) == 3


def test_by_invoice() -> None:
    """An account that pays by invoice is warned when it has overdrawn by more than 85, 90 and 95 per cent."""
    world = copied(prepare=committed)
    world.put_account("acme", payment=BY_INVOICE)
    for amount in ("1850", "0.01", "49.99", "0.01", "50", "500"):
        world.use(amount)

    assert told(world) == [(85, "-850.01"), (90, "-900.01"), (95, "-950.01")]


def test_only_the_severest() -> None:
    """Of levels crossed together the severest alone is raised, and milder ones no more."""
    world = copied(prepare=committed)
    world.use("920")
    assert told(world) == [(10, "80.00")]

    world.use("10")
    world.use("30")

    assert told(world) == [(10, "80.00"), (5, "40.00")]


def test_rearmed() -> None:
    """Any credit of the pool re-arms all levels; the warning that comes again has an id of its own."""
    world = copied(prepare=committed)
    world.use("920")
    first = shown(world)
    world.give("10")
    # 90 of 1000 are left, but nothing was charged since
    assert levels(world) == []

    world.use("1")

    assert levels(world) == [10]
    assert shown(world) != first
    assert len(set(world.bus.ids("credit.low"))) == 2


def test_rearmed_by_purchase_and_by_month() -> None:
    """A purchase re-arms, and every month has warnings of its own."""
    world = copied(prepare=committed)
    world.use("920")
    world.buy("100")
    world.use("90")
    assert told(world) == [(10, "80.00"), (10, "90.00")]

    world.at("2026-12-01T02:00:00Z")
    assert levels(world) == []
    world.use("1")

    assert told(world)[2:] == [(10, "89.00")]
    assert len(set(world.bus.ids("credit.low"))) == 3


def test_dismissed() -> None:
    """A warning that was dismissed shows no more, is not raised again, and leaves the others on the tab."""
    world = copied(prepare=committed)
    world.use("860")
    mild = shown(world)
    world.use("50")

    for _ in range(2):
        world.services.warnings.dismiss("acme", mild)

    assert levels(world) == [10]
    world.use("1")
    assert levels(world) == [10]
    assert [level for level, _ in told(world)] == [15, 10]


def test_nothing_to_dismiss() -> None:
    """Only warnings that were raised since the last credit can be dismissed."""
    world = copied(prepare=committed)
    world.use("860")
    warning = shown(world)
    world.give("10")

    for account, name in (("acme", warning), ("acme", "credit-low-2026-11-5-0"), ("acme", ""), ("nobody", warning)):
        assert refusal(partial(world.services.warnings.dismiss, account, name)) == "not_found"


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.CONTENTION])
def test_dismissing_cut_off(fault: Fault) -> None:
    """Dismissing again after it was cut off dismisses once."""
    world = copied(prepare=committed)
    world.use("860")
    taken = steps(world, partial(world.another("a").warnings.dismiss, "acme", shown(world)))
    for number, _ in [way for way in interruptions(taken) if way[1] is fault]:
        world = copied(prepare=committed)
        world.use("860")
        warning = shown(world)
        cut_off(world, number, fault, partial(world.another("a").warnings.dismiss, "acme", warning))
        world.store.settle()

        world.services.warnings.dismiss("acme", warning)

        assert levels(world) == []
        assert world.differences() == []


def test_many_at_once() -> None:
    """Of 100 events at the same time in two processes, each level is raised by one."""
    world = copied(prepare=committed)
    processes = [world.another(client, patiently) for client in ("a", "b")]
    events = [world.event("10") for _ in range(100)]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: processes[number % 2].metering.take([events[number]]), range(100)))

    # one event after the other, in whatever order: each level at the event that reaches it
    assert sorted(told(world), reverse=True) == [(15, "150.00"), (10, "100.00"), (5, "50.00")]
    assert levels(world) == [15, 10, 5]
    assert world.balance() == "0"
    assert world.differences() == []


@pytest.mark.parametrize("fault", [None, Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.REQUEST_LOST])
def test_two_charges(fault: Fault | None) -> None:
    """Two charges that both cross a level raise it once, at whatever step of one the other comes, cut off or not."""

    def taking(world: CardWorld, services: Services) -> partial[object]:
        return partial(services.metering.take, [world.event("90")])

    world = copied(prepare=committed)
    number, is_over = 0, True
    while is_over:
        number += 1
        world = copied(prepare=committed)
        world.use("770")
        first, second = (taking(world, world.another(client)) for client in ("a", "b"))
        interruption = Interruption(number, second, fault)
        world.disturb(interruption)
        try:
            first()
        except ClientCrashedError:
            world.store.settle()
        is_over = interruption.is_over
        world.disturb(Interruption(0))
        for act in (first, second):
            act()
        world.repair()

        # 140, then 50
        assert levels(world) == [15, 5]
        assert len(set(world.bus.ids("credit.low"))) == 2
        assert world.balance() == "50"
        assert world.differences() == []
    assert number > 6


def test_before_auto_recharge() -> None:
    """A warning is raised by the balance before auto recharge has bought credit, which re-arms it."""
    world = copied(prepare=committed)
    world.recharge_below("100", "200")

    world.use("950")

    assert told(world) == [(5, "50.00")]
    assert world.balance() == "250"
    assert levels(world) == []


def test_free_units() -> None:
    """That the last of the free units is used is told once, however many events use it at once."""
    world = copied()
    world.free("call", "50")
    processes = [world.another(client, patiently) for client in ("a", "b")]
    events = [world.event("1") for _ in range(60)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: processes[number % 2].metering.take([events[number]]), range(60)))

    assert world.bus.ids("free_units.exhausted") == ["acme:free-units-2026-11-call-50"]
    assert world.balance() == "-10"
