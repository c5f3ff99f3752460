"""
One-time purchases, cut off at every step and sent over and over: one charge, and its credit, once.

A step is what a process does to the store, the gateway or the bus. What can go wrong at each of them is gone through
completely: the process ends before or after it, it is not done, or it is done and nobody knows.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Event, Lock, get_ident
from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.domain.card_payments import PaymentKind, PaymentStatus
from chalicelib.domain.instants import MINUTE, SECOND
from chalicelib.services.buy_credit import FIRST_RUN_SECONDS_MAX
from chalicelib.services.errors import BusyError
from chalicelib.storage.items import StoreError
from tests.fakes.memory_store import Action, ClientCrashedError, Fault, Step, Undisturbed
from tests.fakes.turns import RandomTurns
from tests.unit.services.card_world import UNCOUNTED, CardWorld, copied, cut_off, impatient, run_three_times, steps
from tests.unit.services.world import BY_INVOICE, Interruption, interruptions, patiently, refusal


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.card_payments import CardPayment
    from tests.fakes.outside import Call

STATUS_BY_TOKEN: Final = {
    "tok_ok": PaymentStatus.SUCCEEDED,
    "tok_error": PaymentStatus.SUCCEEDED,
    "tok_declined": PaymentStatus.FAILED,
    "tok_refused": PaymentStatus.FAILED,
}
READS: Final = {"get", "query"}


def buying(world: CardWorld, client: str = "a") -> Callable[[], CardPayment]:
    """Return a purchase as *client* makes it."""
    return partial(world.buy, services=impatient(world, client))


def settling(world: CardWorld, client: str) -> Callable[[], object]:
    """Return a run of the schedule that settles payments, as *client* makes it."""
    return partial(world.run, "settle-payments", world.another(client))


def steps_of_a_purchase(token: str) -> list[str]:
    """Return the steps of a purchase that nothing disturbs."""
    world = copied(token)
    return steps(world, buying(world))


def test_steps_of_a_purchase() -> None:
    """A purchase is recorded, announced, named, confirmed, booked and told of, in this order and once each."""
    # The account, then its head and the key; the head, its snapshot, the payment and the key; the payment.
    placed = ["get", "get", "get", "transact", *["leg"] * 4, "get"]
    # The payment and the card; the gateway's name of the payment is stored before it is confirmed.
    taken = ["get", "get", "create", "put", "confirm"]
    # Head and payment; the head, its snapshot, the entry, the payment and the effects; these are done.
    booked = ["get", "get", "transact", *["leg"] * 5, "publish", "put"]

    assert steps_of_a_purchase("tok_ok") == placed + taken + booked


@pytest.mark.parametrize("token", STATUS_BY_TOKEN)
def test_cut_off_at_every_step(token: str) -> None:
    """Wherever a purchase is cut off, the schedule makes money and credit agree, and the key gives the outcome."""
    expected = steps_of_a_purchase(token)
    seen = Counter[int]()
    for number, fault in interruptions(expected):
        world = copied(token)
        interruption = cut_off(world, number, fault, buying(world))
        assert interruption.taken[:number] == expected[:number]
        seen[number] += 1

        world.repair()

        world.check()
        answer, again = buying(world, "b")(), buying(world, "c")()
        world.repair()
        assert answer.amount == 100
        assert world.payments() == [world.services.buying.get("acme", answer.id)]
        assert [payment.status for payment in world.payments()] == [STATUS_BY_TOKEN[token]]
        assert again.id == answer.id
        world.check()
        check_end(world, token)
    # every step of the purchase, and none in fewer than three ways
    assert sorted(seen) == list(range(1, len(expected) + 1))
    assert min(seen.values()) >= 3


def check_end(world: CardWorld, token: str) -> None:
    """Assert that one purchase of 100 was made and granted, or declined, and told of under one name."""
    paid = STATUS_BY_TOKEN[token] is PaymentStatus.SUCCEEDED
    head = world.services.heads.load("acme")
    assert head is not None
    assert [(grant.id, grant.remaining) for grant in head.state.grants] == world.charged()
    assert [amount for _, amount in world.charged()] == ([100] if paid else [])
    assert world.balance() == ("100" if paid else "0")
    assert len(set(world.bus.ids("credit.purchased"))) == (1 if paid else 0)


@pytest.mark.untraced
@pytest.mark.parametrize("token", ["tok_ok", "tok_error"])
def test_cut_off_twice(token: str) -> None:
    """
    Where the schedule that repairs a purchase is cut off as well, the next run of it repairs both.

    Steps that only read are left out: a process that ends there ends after the write before, or before the next.
    """
    pairs, seconds = 0, Counter[str]()
    for first in writing(steps_of_a_purchase(token)):
        world = copied(token)
        cut_off(world, *first, buying(world))
        world.store.settle()
        repairing = steps(world, settling(world, "b"), "b")
        for second in writing(repairing):
            world = copied(token)
            cut_off(world, *first, buying(world))
            world.store.settle()
            cut_off(world, *second, settling(world, "b"), "b")
            pairs += 1
            seconds[repairing[second[0] - 1]] += 1

            world.repair()

            world.check()
            buying(world, "c")()
            world.repair()
            world.check()
            check_end(world, token)
    # the schedule was cut off at everything it can have to do for a purchase
    assert seconds.keys() == {"create", "put", "retrieve", "confirm", "transact", "leg", "publish"}
    assert pairs > 1000


def writing(taken: list[str]) -> list[tuple[int, Fault]]:
    """Return the interruptions of steps that change something, here or at the gateway, or ask the gateway."""
    return [(number, fault) for number, fault in interruptions(taken) if taken[number - 1] not in READS]


@pytest.mark.untraced
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("other", ["repeat", "schedule", "repeat that is cut off"])
def test_beside_another(other: str, backwards: bool) -> None:  # noqa: FBT001 - the case
    """Whatever another process does about the same purchase before any of its steps, one payment is made."""
    for number in range(1, len(steps_of_a_purchase("tok_ok")) + 1):
        world = copied()
        repeat, schedule = buying(world, "b"), settling(world, "b")
        act = {"repeat": repeat, "schedule": schedule, "repeat that is cut off": partial(crash_at_confirm, world)}
        interruption = Interruption(number, act[other], backwards=backwards)
        world.disturb(interruption)

        answer = buying(world)()

        assert interruption.is_over
        world.repair()
        assert [payment.status for payment in world.payments()] == [PaymentStatus.SUCCEEDED]
        assert buying(world, "c")().id == answer.id
        world.check()
        check_end(world, "tok_ok")


def crash_at_confirm(world: CardWorld) -> None:
    """Send the purchase again, and end before the answer to its confirmation, if it comes that far."""

    def before_call(call: Call) -> Fault | None:
        return Fault.CRASH_AFTER if call.client == "b" and call.name == "confirm" else count(call)

    count = world.gateway.before_call
    world.gateway.before_call = before_call
    try:
        buying(world, "b")()
    except ClientCrashedError:
        pass
    finally:
        world.gateway.before_call = count


@pytest.mark.parametrize("change", ["tok_refused", "invoice"])
def test_refused_beside_a_charge(change: str) -> None:
    """A process that finds the card refused declines nothing that another process has announced meanwhile."""

    def placed() -> CardWorld:
        world = copied()
        cut_off(world, steps_of_a_purchase("tok_ok").index("create") + 1, Fault.CRASH_BEFORE, buying(world))
        return world

    def charge_and_change(world: CardWorld) -> None:
        if world.gateway.charges:
            return
        count = world.gateway.before_call
        world.gateway.before_call = lambda call: Fault.CRASH_AFTER if call.name == "confirm" else count(call)
        with pytest.raises(ClientCrashedError):
            settling(world, "c")()
        world.gateway.before_call = count
        if change == "invoice":
            world.put_account("acme", payment=BY_INVOICE)
        else:
            world.pay_with(change)

    world = placed()
    for number in range(1, len(steps(world, settling(world, "b"), "b")) + 1):
        world = placed()
        act = partial(charge_and_change, world)
        world.disturb(Interruption(number, act, client="b", uncounted=UNCOUNTED))

        settling(world, "b")()

        world.repair()
        world.check()
        assert len(world.charged()) == 1


class Gate:
    """Holds the first confirmation up until so many others wait for it."""

    def __init__(self, others: int) -> None:
        self._others = others
        self._waiting: set[int] = set()
        self._all_wait = Event()
        self._lock = Lock()

    def before_call(self, call: Call) -> None:
        """Wait until all others do."""
        if call.name == "confirm":
            assert self._all_wait.wait(timeout=30)

    def pause(self, _seconds: float) -> None:
        """Wait until all others do, or not at all."""
        with self._lock:
            self._waiting.add(get_ident())
            if len(self._waiting) == self._others:
                self._all_wait.set()
        self._all_wait.wait(timeout=30)


def test_twenty_at_once() -> None:
    """Of twenty requests with one key at the same time one pays, and all the others wait for it and answer alike."""
    world, gate = copied(), Gate(19)
    services = world.another("a", pause=gate.pause)
    world.gateway.before_call = gate.before_call

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: world.buy(services=services), range(20)))

    assert len(set(answers)) == 1
    assert (answers[0].status, answers[0].balance) == (PaymentStatus.SUCCEEDED, Decimal(100))
    assert [call.name for call in world.gateway.calls] == ["create", "confirm"]
    world.check()
    check_end(world, "tok_ok")


def test_twenty_at_once_in_two_processes() -> None:
    """So it is when the requests come to different processes."""
    world = copied()
    processes = [world.another(client, patiently) for client in ("a", "b")]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: world.buy(services=processes[number % 2]), range(20)))

    assert len(set(answers)) == 1
    assert [call.name for call in world.gateway.calls] == ["create", "confirm"]
    world.check()
    check_end(world, "tok_ok")


def test_processes_that_keep_failing() -> None:
    """Six processes with one key and two schedules, of which any may go first at any step and many fail, pay once."""
    faults = 0
    for seed in range(30):
        world = copied("tok_error" if seed % 3 == 0 else "tok_ok")
        turns = world.store.controller = RandomTurns(seed, fault_rate=0.3)
        buyers = {f"buyer {number}": until_answered(buying(world, f"buyer {number}")) for number in range(6)}
        schedules = {
            client: partial(run_three_times, world.another(client), "settle-payments") for client in ("one", "two")
        }

        turns.run({**buyers, **schedules})
        faults += turns.faults
        world.disturb(Interruption(0))
        world.repair()

        assert len({buying(world, f"late {number}")() for number in range(3)}) == 1
        world.check()
        check_end(world, "tok_ok")
    assert faults > 30


def until_answered(request: Callable[[], CardPayment]) -> Callable[[], CardPayment]:
    """Return a request that is sent again as long as it is answered that it should be."""

    def send() -> CardPayment:
        while True:
            with contextlib.suppress(BusyError, StoreError):
                return request()

    return send


def test_keys_at_once() -> None:
    """Requests with keys of their own are purchases of their own, however many come at the same time."""
    world = copied()
    processes = [world.another(client, patiently) for client in ("a", "b")]

    with ThreadPoolExecutor(8) as pool:
        numbers = range(8)
        list(pool.map(lambda number: world.buy(str(100 + number), f"k{number}", processes[number % 2]), numbers))

    assert sorted(amount for _, amount in world.charged()) == [100 + number for number in range(8)]
    assert world.balance() == "828"
    world.check()


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined", "tok_error"])
def test_another_body(token: str) -> None:
    """The key of a purchase, whatever became of it, is refused for another amount; equal amounts are the same."""
    world = copied(token)
    answer = world.buy("100")

    assert refusal(lambda: world.buy("100.01")) == "idempotency_key_reused"

    assert world.buy("100.00") == answer
    assert len(world.payments()) == 1


def test_what_binds_no_key() -> None:
    """A request that is refused leaves its key free, and asks the gateway for nothing."""
    world = copied()
    world.put_account("acme", payment=BY_INVOICE)
    assert refusal(lambda: world.buy("100")) == "payment_method_not_card"
    world.pay_with("tok_ok")
    assert refusal(lambda: world.buy("99.99")) == "below_minimum"
    assert refusal(lambda: world.buy("100.005")) == "invalid_amount"
    assert (world.payments(), world.gateway.calls) == ([], [])

    assert world.buy("250").amount == 250


def test_the_key_outlives_the_card() -> None:
    """The same request gives its first answer, though the account no longer pays by card."""
    world = copied()
    answer = world.buy()
    world.put_account("acme", payment=BY_INVOICE)

    assert world.buy() == answer


def test_a_repeat_waits_for_the_first() -> None:
    """A repeat looks again and again until the first request has its outcome, and leaves the gateway alone."""
    world = copied()
    cut_off(world, steps_of_a_purchase("tok_ok").index("create") + 1, Fault.CRASH_BEFORE, buying(world))
    first = world.another("a")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            first.jobs.run("settle-payments")

    answer = world.buy(services=world.another("b", pause))

    assert answer.status is PaymentStatus.SUCCEEDED
    assert len(pauses) == 3
    assert {call.client for call in world.gateway.calls} == {"a"}
    world.check()


def test_a_repeat_carries_on_what_was_abandoned() -> None:
    """A repeat after a crash gives the first request its time, and then makes the payment itself."""
    world = copied()
    cut_off(world, steps_of_a_purchase("tok_ok").index("confirm") + 1, Fault.CRASH_BEFORE, buying(world))
    began = world.clock.now()

    answer = buying(world, "b")()

    assert answer.status is PaymentStatus.SUCCEEDED
    assert world.clock.now() - began == FIRST_RUN_SECONDS_MAX * SECOND
    assert [(call.client, call.name) for call in world.gateway.calls][1:] == [("b", "retrieve"), ("b", "confirm")]
    world.check()


def test_a_repeat_of_what_is_pending() -> None:
    """Where the outcome is not known, a repeat says so at once; once it is, a repeat gives it."""
    world = copied("tok_error")
    began = world.clock.now()
    answer = buying(world)()
    assert (answer.status, answer.balance) == (PaymentStatus.PENDING, None)

    assert buying(world, "b")() == answer
    assert world.clock.now() == began
    assert len(world.gateway.calls) == 2

    world.repair()
    settled = buying(world, "b")()
    assert (settled.id, settled.status, settled.balance) == (answer.id, PaymentStatus.SUCCEEDED, Decimal(100))
    assert world.services.buying.get("acme", answer.id) == settled
    world.check()


def test_a_repeat_in_the_middle_of_the_first_record() -> None:
    """A repeat that sees the key but not yet the payment is told to come again."""
    world = copied()
    refusals: list[str] = []

    def repeat() -> None:
        try:
            buying(world, "b")()
        except BusyError as error:
            refusals.append(str(error))

    # the first leg that is visible is the key's
    second_leg = steps_of_a_purchase("tok_ok").index("leg") + 2
    world.disturb(Interruption(second_leg, repeat, backwards=True))

    assert buying(world)().status is PaymentStatus.SUCCEEDED

    assert len(refusals) == 1
    world.check()


def test_the_answer_stays() -> None:
    """The first answer is given again for ever, whatever the balance is by then."""
    world = copied()
    answer = world.buy()
    world.use("70")
    world.buy("300", "another key")

    assert world.buy() == answer
    assert answer.balance == 100
    assert world.balance() == "330"
    world.check()


def test_credit_pays_what_is_open() -> None:
    """What is bought pays first what is to be invoiced."""
    world = copied()
    world.use("130")

    assert world.buy("200").balance == 70

    (row,) = world.services.usage.tab("acme").figures.products
    assert (row.credits, row.to_be_invoiced) == (130, 0)
    world.check()


@pytest.mark.parametrize("name", ["nobody", "auto"])
def test_not_a_purchase(name: str) -> None:
    """Only purchases are found as purchases."""
    world = copied()
    world.buy()
    world.recharge_below("10")
    world.use("95")
    found = {payment.kind: payment.id for payment in world.payments()}
    wanted = found[PaymentKind.AUTO_RECHARGE] if name == "auto" else "nobody"

    assert refusal(lambda: world.services.buying.get("acme", wanted)) == "not_found"
    assert refusal(lambda: world.services.buying.get("other", found[PaymentKind.PURCHASE])) == "not_found"


def test_unknown_account() -> None:
    """Nobody buys for an account that is not."""
    world = copied()

    assert refusal(lambda: world.services.buying.purchase("nobody", "100", "key", "me")) == "not_found"
    with pytest.raises(LookupError):
        world.services.effects.carry_out("nobody", "none")


def test_asked_again_ever_later() -> None:
    """A payment that stays open is asked for at once, after 15 minutes, 30, and so on, and at least once a day."""
    world = copied()
    world.gateway.processing_answers = 1000
    payment = world.buy()
    assert payment.status is PaymentStatus.PENDING
    waits = []
    for tries in range(2, 13):
        asked = world.clock.now()
        run = world.run("settle-payments")
        assert (run.done, run.failed, run.left) == (0, 0, 1)
        (payment,) = world.payments()
        assert payment.tries == tries
        waits.append((payment.next_try_at - asked) // MINUTE)
        world.clock.set(payment.next_try_at - 1)
        assert (world.run("settle-payments").left, world.payments()) == (0, [payment])
        world.clock.pass_by(1)

    assert waits == [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440, 1440]
    world.gateway._announced["fake_1"].answers_open = 0
    run = world.run("settle-payments")
    assert (run.done, run.failed, run.left) == (1, 0, 0)
    world.check()
    check_end(world, "tok_ok")


class RefusesTheSecond(Undisturbed):
    """Has the second transaction find no store."""

    def __init__(self) -> None:
        self._transactions = 0

    def before(self, step: Step) -> Fault | None:
        """Let all else pass."""
        self._transactions += step.action is Action.TRANSACT
        return Fault.UNAVAILABLE if step.action is Action.TRANSACT and self._transactions == 2 else None


def test_what_a_run_counts() -> None:
    """A run counts payments that it settled, that stay open, and that failed; its heartbeat says the same."""
    world = copied("tok_error")
    for number in range(6):
        world.buy(key=f"key {number}")
    for payment in ("fake_1", "fake_2"):
        world.gateway._announced[payment].answers_open = 1
    world.store.controller = RefusesTheSecond()

    run = world.run("settle-payments")

    assert (run.done, run.failed, run.left) == (3, 1, 2)
    (heartbeat,) = (state.last_run for state in world.services.jobs.states() if state.job == "settle-payments")
    assert heartbeat is not None
    assert (heartbeat.at, heartbeat.done, heartbeat.failed, heartbeat.left) == (run.at, 3, 1, 2)
    assert world.run("settle-payments").done == 1
    world.clock.pass_by(15 * MINUTE)
    assert world.run("settle-payments").done == 2
    world.check()
    assert len(world.charged()) == 6


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNAVAILABLE])
def test_cut_off_while_looking_for_work(fault: Fault) -> None:
    """A schedule that is cut off while it looks for payments harms none of them."""
    number, is_over = 0, True
    while is_over:
        number += 1
        world = copied("tok_error")
        world.buy()
        interruption = Interruption(number, fault=fault)
        world.disturb(interruption)
        with contextlib.suppress(ClientCrashedError, StoreError):
            settling(world, "a")()
        is_over = interruption.is_over
        world.disturb(Interruption(0))

        world.repair()

        world.check()
        check_end(world, "tok_error")
    # the index has 16 shards of accounts and 16 of payments
    assert number > 32
