"""
Auto recharge in the service: one payment when the balance is below the threshold, whatever is cut off or comes again.

A step is what a process does to the store, the gateway or the bus; each is interrupted in every way there is.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.auto_recharge import AutoRechargeStatus
from chalicelib.domain.card_payments import PaymentKind, PaymentStatus
from chalicelib.domain.instants import HOUR, MINUTE
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.errors import BusyError
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import ACCEPTED, DUPLICATE
from chalicelib.storage.items import StoreError
from tests.fakes.memory_store import Fault
from tests.fakes.turns import RandomTurns
from tests.unit.services.card_world import UNCOUNTED, CardWorld, copied, cut_off, impatient, run_three_times, steps
from tests.unit.services.world import BY_INVOICE, Interruption, interruptions, patiently, refusal


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.usage_events import UsageEvent
    from chalicelib.services.container import Services
    from chalicelib.services.meter_events import Verdict
    from chalicelib.services.run_jobs import JobRun

TOKENS: Final = ["tok_ok", "tok_error"]


def sixty_left(world: CardWorld) -> None:
    """Leave 60 of credit, and recharge below 10 in steps of 50."""
    world.give("160")
    world.recharge_below("10", "50")
    world.use("100")


def recharging(token: str = "tok_ok") -> CardWorld:  # noqa: S107 - no password
    """Return an account with 60 of credit, and auto recharge below 10 in steps of 50."""
    world = copied(token, sixty_left)
    world.pay_with(token)
    return world


def one_batch(world: CardWorld, services: Services) -> Callable[[], list[Verdict]]:
    """Return a batch of three calls that costs 489.80, however often it is sent."""
    events = [world.event(amount) for amount in ("49.80", "240", "200")]
    return lambda: services.metering.take(events)


def recharges(world: CardWorld) -> list[tuple[PaymentStatus, Decimal]]:
    """Return what became of the payments of auto recharge, the oldest first, and their amounts."""
    return [(one.status, one.amount) for one in world.payments() if one.kind is PaymentKind.AUTO_RECHARGE]


def paid_by_recharge(world: CardWorld) -> list[Decimal]:
    """Return what auto recharge has paid at the gateway, the smallest first."""
    ours = {one.id for one in world.payments() if one.kind is PaymentKind.AUTO_RECHARGE}
    return sorted(amount for payment, amount in world.charged() if payment in ours)


def steps_of_a_recharge(token: str) -> list[str]:
    """Return the steps of taking the batch, and of what follows in the same process."""
    world = recharging(token)
    services = world.another("a")
    services.metering.take([])
    return steps(world, one_batch(world, services))


def test_one_batch() -> None:
    """A batch that takes the balance from 60 to -429.80 is followed by one payment of 450."""
    world = recharging()

    one_batch(world, world.services)()

    # 10 + 429.80 = 439.80 are 8.796 steps of 50
    assert recharges(world) == [(PaymentStatus.SUCCEEDED, 450)]
    assert paid_by_recharge(world) == [450]
    assert world.balance() == "20.2"
    assert world.auto.in_flight is None
    assert world.services.auto_recharge.get("acme").spent_this_month == 450
    assert [entry.kind.value for entry in world.entries()] == ["grant", "auto_recharge"]
    world.check()


@pytest.mark.parametrize(("used", "paid"), [("50", []), ("50.01", [50]), ("100", [50]), ("100.01", [100])])
def test_the_smallest_multiple(used: str, paid: list[int]) -> None:
    """At the threshold nothing is paid; below it the smallest multiple that leads back to it."""
    world = recharging()

    world.use(used)

    assert paid_by_recharge(world) == paid


def test_steps_of_a_recharge() -> None:
    """The recharge is ordered with the charge, then announced, named, confirmed, booked and told of."""
    taken = steps_of_a_recharge("tok_ok")

    # a catalogue that is read once, and the events that are looked for among those of before
    ordered = taken.index("transact")
    assert set(taken[:ordered]) <= {"get", "query"}
    # the head, the effects and the payment; the payment and the card
    assert taken[ordered : ordered + 9] == ["transact", *["leg"] * 3, "get", "get", "create", "put", "confirm"]
    # head and payment; the head, its snapshot, the entry, the payment and the effects
    assert taken[ordered + 9 : -1] == ["get", "get", "transact", *["leg"] * 5, "publish", "put"]
    # the effects of the charge are done as well
    assert taken[-1] == "put"


@pytest.mark.parametrize("token", TOKENS)
def test_cut_off_at_every_step(token: str) -> None:
    """Wherever a recharge is cut off, the schedules and the batch sent again lead to one payment and its credit."""
    expected = steps_of_a_recharge(token)
    seen = Counter[int]()
    for number, fault in interruptions(expected):
        world = recharging(token)
        batch = one_batch(world, services := world.another("a"))
        services.metering.take([])
        interruption = cut_off(world, number, fault, batch)
        assert interruption.taken[:number] == expected[:number]
        seen[number] += 1

        world.repair()
        world.check()
        verdicts = one_batch_again(world, batch)
        world.repair("again")

        assert set(verdicts) <= {ACCEPTED, DUPLICATE}
        assert recharges(world) == [(PaymentStatus.SUCCEEDED, 450)]
        assert paid_by_recharge(world) == [450]
        assert world.balance() == "20.2"
        assert len(set(world.bus.ids("credit.recharged"))) == 1
        world.check()
    assert sorted(seen) == list(range(1, len(expected) + 1))
    assert min(seen.values()) >= 3


def one_batch_again(world: CardWorld, batch: Callable[[], list[Verdict]]) -> list[Verdict]:
    """Send a batch again as its sender does, once whoever was cut off is gone."""
    world.store.settle()
    return batch()


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("job", ["sweep-outbox", "settle-payments"])
def test_schedules_cut_off_at_every_step(job: str, token: str) -> None:
    """A schedule that carries a recharge on alone, and is cut off, is carried on by the next run."""

    def ordered() -> CardWorld:
        world = recharging(token)
        with_stream = world.another("stream", has_stream=True)
        one_batch(world, with_stream)()
        assert (world.charged(), recharges(world)) == ([], [(PaymentStatus.PENDING, 450)])
        return world

    world = ordered()
    expected = steps(world, partial(world.run, job, world.another("a")))
    assert {"create", "put", "confirm"} <= set(expected)
    for number, fault in interruptions(expected):
        world = ordered()
        cut_off(world, number, fault, partial(world.run, job, world.another("a")))

        world.repair()

        assert recharges(world) == [(PaymentStatus.SUCCEEDED, 450)]
        assert paid_by_recharge(world) == [450]
        assert world.balance() == "20.2"
        world.check()


@pytest.mark.untraced
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("other", ["event", "sweep-outbox", "settle-payments", "switched off", "by invoice"])
def test_beside_another(other: str, backwards: bool) -> None:  # noqa: FBT001 - the case
    """Whatever another process does before any of its steps, a recharge is paid once, or was switched off before."""
    for number in range(1, len(steps_of_a_recharge("tok_ok")) + 1):
        world = recharging()
        batch = one_batch(world, services := world.another("a"))
        services.metering.take([])
        world.disturb(Interruption(number, partial(disturbance, world, other), backwards=backwards))

        assert batch() == [ACCEPTED] * 3

        world.repair()
        amounts = [amount for status, amount in recharges(world) if status is PaymentStatus.SUCCEEDED]
        # an event of the other costs 1, which the rest of the last step covers
        assert amounts == paid_by_recharge(world)
        assert amounts in ([[450]] if other not in {"switched off", "by invoice"} else [[], [450]])
        assert world.auto.in_flight is None
        world.check()


def disturbance(world: CardWorld, other: str) -> None:
    """Do something else to the account, as another process."""
    services = world.another("b")
    if other == "event":
        world.use("1", services=services)
    elif other == "switched off":
        services.auto_recharge.put("acme", None, is_enabled=False)
    elif other == "by invoice":
        services.accounts.put(replace(services.accounts.get("acme"), payment_method=BY_INVOICE))
    else:
        run = services.jobs.run(other)
        # in the middle of a transaction there is nothing it could do
        assert run.done + run.failed + run.left <= 3


@pytest.mark.parametrize("token", ["tok_ok", "tok_error", "tok_declined"])
def test_many_events_at_once(token: str) -> None:
    """Of 200 events at the same time in two processes, which cross the threshold, one payment follows."""
    world = recharging(token)
    processes = [world.another(client, patiently) for client in ("a", "b")]
    events = [world.event("0.5") for _ in range(200)]

    def take(number: int) -> list[Verdict]:
        return processes[number % 2].metering.take([events[number]])

    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(take, range(200)))

    assert verdicts == [[ACCEPTED]] * 200
    # 60 - 100: at 9.5 a payment of 50, after which 10 are left in the end
    assert [amount for _, amount in recharges(world)] == [50]
    if token != "tok_declined":
        world.repair()
        assert world.balance() == "10"
    world.check()


def test_processes_that_keep_failing() -> None:
    """Four meters and two schedules, of which any may go first at any step and many fail, lead to one payment."""
    faults = 0
    for seed in range(20):
        world = recharging("tok_error" if seed % 3 == 0 else "tok_ok")
        turns = RandomTurns(seed, fault_rate=0.15)
        meters = {f"meter {number}": [world.event("7.5"), world.event("8")] for number in range(4)}
        clients = {name: partial(take_all, impatient(world, name), events) for name, events in meters.items()}
        for job in ("sweep-outbox", "settle-payments"):
            clients[job] = partial(run_three_times, impatient(world, job), job)
        world.store.controller = turns

        turns.run(clients)
        faults += turns.faults
        world.disturb(Interruption(0))
        world.repair()

        # 60 - 4 * 15.5 = -2: below 10 once, and after 50 more not again
        assert recharges(world) == [(PaymentStatus.SUCCEEDED, 50)]
        assert paid_by_recharge(world) == [50]
        assert world.balance() == "48"
        world.check()
    assert faults > 20


def take_all(services: Services, events: list[UsageEvent]) -> None:
    """Take events one by one, each again until it is answered."""
    for event in events:
        verdicts = None
        while verdicts is None:
            with contextlib.suppress(BusyError, StoreError):
                verdicts = services.metering.take([event])


def test_a_limit_of_a_month() -> None:
    """A limit of 100 a month lets 100 go out, whatever is used, and another 100 in the month after."""
    world = recharging()
    world.recharge_below("10", "50", "100")

    world.use("489.80")
    assert recharges(world) == [(PaymentStatus.SUCCEEDED, 100)]
    for _ in range(5):
        world.use("100")
    world.repair()
    assert paid_by_recharge(world) == [100]
    assert world.services.auto_recharge.get("acme").spent_this_month == 100

    world.at("2026-12-01T02:00:00Z")
    assert world.services.auto_recharge.get("acme").spent_this_month == 0
    world.use("45")
    # -45 in December, of which 55 are missing up to the threshold
    assert paid_by_recharge(world) == [100, 100]
    world.use("500")
    world.repair()
    assert paid_by_recharge(world) == [100, 100]
    world.check()


def test_a_limit_in_small_steps() -> None:
    """Payments one after the other stay within the limit together; the last step that would not fit is left out."""
    world = recharging()
    world.recharge_below("10", "40", "100")

    for _ in range(20):
        world.use("20")

    assert paid_by_recharge(world) == [40, 40]
    world.check()


def test_a_limit_under_concurrency() -> None:
    """However many events come at once, the month's payments stay within the limit."""
    world = recharging()
    world.recharge_below("10", "50", "100")
    processes = [world.another(client, patiently) for client in ("a", "b")]
    events = [world.event("10") for _ in range(60)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: processes[number % 2].metering.take([events[number]]), range(60)))
    world.repair()

    assert sum(paid_by_recharge(world)) == 100
    assert world.balance() == "-440"
    world.check()


def test_pending_payments_count() -> None:
    """What is in flight counts towards the limit, what is declined does not, and purchases never do."""
    world = recharging("tok_error")
    world.recharge_below("10", "50", "100")
    world.use("51")
    assert world.services.auto_recharge.get("acme").spent_this_month == 50
    world.repair()
    assert world.services.auto_recharge.get("acme").spent_this_month == 50

    world.pay_with("tok_declined")
    world.use("50")
    assert recharges(world)[-1] == (PaymentStatus.FAILED, 50)
    assert world.services.auto_recharge.get("acme").spent_this_month == 50

    world.pay_with("tok_ok")
    world.buy("500", "another key")
    assert world.services.auto_recharge.get("acme").spent_this_month == 50
    world.check()


def test_unknown_outcome() -> None:
    """While the outcome of a payment is not known, no event leads to another; once it is, the credit is there."""
    world = recharging("tok_error")

    for _ in range(30):
        world.use("20")
        world.clock.pass_by(MINUTE)

    # at 60 - 3 * 20 = 0
    assert recharges(world) == [(PaymentStatus.PENDING, 50)]
    assert [call.name for call in world.gateway.calls].count("create") == 1
    auto = world.auto
    assert (auto.failures, auto.is_enabled) == (0, True)
    assert auto.in_flight is not None

    world.pay_with("tok_ok")
    world.repair()
    # 60 - 600 + 50 = -490; 10 + 490 are 10 steps
    assert recharges(world) == [(PaymentStatus.SUCCEEDED, 50), (PaymentStatus.SUCCEEDED, 500)]
    assert world.balance() == "10"
    world.check()


def test_processing_for_days() -> None:
    """A payment that the gateway processes for days stays in flight, is asked for ever later, and books once."""
    world = recharging()
    world.recharge_below(limit="50")
    world.gateway.processing_answers = 8
    world.use("100")
    runs: list[JobRun] = []
    for _ in range(2 * 24 * 4):
        world.clock.pass_by(15 * MINUTE)
        world.use("0.1")
        runs.append(world.run("settle-payments"))

    assert {run.failed for run in runs} == {0}
    # asked at once, after 15, 30, 60, 120, 240 and 480 minutes, then found settled
    assert [sum(run.left for run in runs), sum(run.done for run in runs)] == [7, 1]
    assert recharges(world) == [(PaymentStatus.SUCCEEDED, 50)]
    world.check()


def test_three_declines() -> None:
    """Declined three times, an hour apart, auto recharge is off until a person switches it on again."""
    world = recharging("tok_declined")
    world.use("60")
    assert (world.auto.failures, world.auto.status) == (1, AutoRechargeStatus.ACTIVE)

    # within the hour nobody tries
    world.clock.pass_by(HOUR - 1)
    world.use("1")
    assert (world.run("settle-payments").done, len(recharges(world))) == (0, 1)
    world.clock.pass_by(1)
    assert world.run("settle-payments").done == 1
    assert (world.auto.failures, len(recharges(world))) == (2, 2)
    assert world.run("settle-payments").done == 0

    world.clock.pass_by(HOUR)
    assert world.run("settle-payments").done == 1
    auto = world.auto
    assert (auto.failures, auto.is_enabled, auto.status) == (3, False, AutoRechargeStatus.DISABLED_AFTER_FAILURES)
    failed, disabled = world.bus.ids("auto_recharge.failed"), world.bus.ids("auto_recharge.disabled")
    assert (len(failed), len(set(failed)), len(disabled)) == (3, 3, 1)

    world.clock.pass_by(HOUR)
    world.use("10")
    assert (world.run("settle-payments").done, len(recharges(world))) == (0, 3)
    world.pay_with("tok_ok")
    assert world.buy("1000", "another key").status is PaymentStatus.SUCCEEDED
    world.use("995")
    assert world.auto.status is AutoRechargeStatus.DISABLED_AFTER_FAILURES
    assert paid_by_recharge(world) == []

    assert refusal(world.recharge_below) == "threshold_not_below_balance"
    world.buy("200", "a third key")
    world.recharge_below()
    auto = world.auto
    assert (auto.failures, auto.status) == (0, AutoRechargeStatus.ACTIVE)
    world.check()


def test_a_success_resets_the_count() -> None:
    """Only declines in a row switch it off."""
    world = recharging("tok_declined")
    world.use("60")
    world.clock.pass_by(HOUR)
    world.run("settle-payments")
    assert world.auto.failures == 2

    world.pay_with("tok_ok")
    world.clock.pass_by(HOUR)
    world.run("settle-payments")

    assert world.auto.failures == 0
    assert [status for status, _ in recharges(world)] == [PaymentStatus.FAILED] * 2 + [PaymentStatus.SUCCEEDED]
    world.check()


def test_a_purchase_while_a_decline_waits() -> None:
    """Credit that a person buys makes the next try unnecessary, and nothing stays due."""
    world = recharging("tok_declined")
    world.use("60")
    world.pay_with("tok_ok")
    world.buy("100", "another key")
    world.clock.pass_by(HOUR)

    runs = [world.run("settle-payments") for _ in range(2)]

    assert len(recharges(world)) == 1
    assert [run.done for run in runs] == [1, 0]
    assert world.auto.next_try_at is None


def test_due_for_another_reason() -> None:
    """A schedule that finds the account due for something else leaves a decline its hour, and counts nothing."""
    world = recharging("tok_declined").at("2026-11-10T23:30:00Z")
    world.use("60")
    last_day = GrantRequest(SHARED_POOL, Decimal(1), date(2026, 11, 10), "gift")
    world.services.granting.grant("acme", last_day, "last day", "admin-7")
    assert [status for status, _ in recharges(world)] == [PaymentStatus.FAILED]

    world.at("2026-11-11T00:15:00Z")
    early = world.run("settle-payments")
    world.at("2026-11-11T00:30:00Z")
    due = world.run("settle-payments")

    assert (early.done, early.failed, early.left) == (0, 0, 0)
    assert (due.done, due.failed, due.left) == (1, 0, 0)
    assert [status for status, _ in recharges(world)] == [PaymentStatus.FAILED] * 2
    world.check()


@pytest.mark.parametrize("fault", list(Fault))
def test_declines_are_counted_once(fault: Fault) -> None:
    """Whatever happens to the schedule's try, one decline is one failure, told under one name."""

    def waiting() -> CardWorld:
        world = recharging("tok_declined")
        world.use("60")
        world.clock.pass_by(HOUR)
        return world

    world = waiting()
    expected = steps(world, partial(world.run, "settle-payments", world.another("a")))
    ways = [number for number, possible in interruptions(expected) if possible is fault]
    for number in ways:
        world = waiting()
        cut_off(world, number, fault, partial(world.run, "settle-payments", world.another("a")))
        world.repair()

        assert world.auto.failures == 2
        assert [status for status, _ in recharges(world)] == [PaymentStatus.FAILED] * 2
        assert len(set(world.bus.ids("auto_recharge.failed"))) == 2
        world.check()
    assert len(ways) > 2


def test_by_invoice() -> None:
    """An account that changes to payment by invoice has auto recharge off, also once it pays by card again."""
    world = recharging()
    world.put_account("acme", payment=BY_INVOICE)
    assert world.auto.status is AutoRechargeStatus.OFF

    world.use("500")
    world.pay_with("tok_ok")
    world.use("1")

    assert world.auto.status is AutoRechargeStatus.OFF
    assert recharges(world) == []
    world.check()


@pytest.mark.parametrize("how", ["switched off", "by invoice"])
def test_off_while_in_flight(how: str) -> None:
    """A payment that was in flight when auto recharge was switched off is booked, and is the last."""
    world = recharging("tok_error")
    world.use("60")
    if how == "by invoice":
        world.put_account("acme", payment=BY_INVOICE)
    else:
        world.recharge_below(is_enabled=False)

    world.repair()
    world.use("500")

    assert recharges(world) == [(PaymentStatus.SUCCEEDED, 50)]
    assert paid_by_recharge(world) == [50]
    assert world.auto.status is AutoRechargeStatus.OFF
    assert world.auto.in_flight is None
    world.check()


def test_off_before_it_was_announced() -> None:
    """A payment of which the gateway does not know yet is not made with a card that is no longer there."""
    world = recharging()
    with_stream = world.another("stream", has_stream=True)
    world.use("60", services=with_stream)
    world.put_account("acme", payment=BY_INVOICE)

    world.repair()

    assert recharges(world) == [(PaymentStatus.FAILED, 50)]
    assert paid_by_recharge(world) == []
    assert (world.auto.in_flight, world.auto.failures) == (None, 0)
    world.check()


def test_settings() -> None:
    """Auto recharge needs a card and a balance above the threshold; what is on already stays on when put again."""
    world = copied()
    assert world.services.auto_recharge.get("acme").auto.status is AutoRechargeStatus.OFF
    world.recharge_below(is_enabled=False)
    assert refusal(world.recharge_below) == "threshold_not_below_balance"
    world.buy("100")
    assert refusal(partial(world.recharge_below, "100")) == "threshold_not_below_balance"
    world.recharge_below("99.99")

    world.gateway.processing_answers = 1
    world.use("50")
    world.recharge_below("99.99")
    assert world.auto.is_enabled
    assert refusal(partial(world.recharge_below, "99.98")) == "threshold_not_below_balance"
    for act in (
        world.services.auto_recharge.get,
        lambda name: world.services.auto_recharge.put(name, None, is_enabled=False),
    ):
        assert refusal(partial(act, "nobody")) == "not_found"
    world.put_account("acme", payment=BY_INVOICE)
    assert refusal(partial(world.recharge_below, "1")) == "payment_method_not_card"


def test_too_busy() -> None:
    """An event whose account cannot be changed leads to no payment."""
    world = recharging()
    world.disturb(Interruption(1, fault=Fault.UNAVAILABLE, uncounted=UNCOUNTED))

    with pytest.raises(BusyError):
        world.use("500", services=world.another("a"))

    assert recharges(world) == []


def test_limit_raised_below_the_threshold() -> None:
    """What is on may be changed whatever the balance, and pays at once; only a new threshold must be below it."""
    world = CardWorld()
    world.give("100")
    world.recharge_below("50", "20", "20")
    world.use("150")
    # 100 - 150 = -50, and 20 of the limit
    assert world.balance() == "-30"

    assert refusal(partial(world.recharge_below, "60", "20", "200")) == "threshold_not_below_balance"
    world.recharge_below("50", "20", "200")

    # from -30 four times 20 reach 50
    assert world.balance() == "50"
    world.check()
