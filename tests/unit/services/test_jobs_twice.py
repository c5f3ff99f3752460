"""
Every scheduled job may run twice, in three processes at once, be killed after any write, or come 40 days late.

What it leaves in the store is compared, item by item, with what one clean run leaves. What may differ by right:

- how many commits there were and how events are laid out in tail and pages: so versions, snapshots, turns and pages are
  not compared, but every charge in the order of charging, and the balances of past times that snapshots are for;
- names drawn at random: those that a run gives are only told from those there were before;
- how often a gateway was asked, and when it is asked again once it has told;
- when something was recorded, for a late run; what is booked when a late run finds out is booked then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.card_payments import CardPayment
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import DAY, HOUR, format_instant, parse_instant
from chalicelib.domain.invoice import Invoice
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.products import SHARED_POOL
from chalicelib.storage.heads import decode_head
from chalicelib.storage.items import Item
from chalicelib.storage.outbox import Effects
from tests.fakes.memory_store import ClientCrashedError, Fault, Step
from tests.fakes.turns import RandomTurns
from tests.unit.services.peak_world import JOBS, STORAGE, PeakWorld


LATE: Final = 40 * DAY
CRASHING: Final = "crashing"
MONTHS: Final = ("2026-11", "2026-12", "2027-01")

_ULID: Final = re.compile(r"(?<![0-9A-Z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Z])")
_INSTANT: Final = re.compile(r"\b0?\d{16}\b")
_NOT_COMPARED: Final = ("snapshot#", "job#")


def _commit(  # noqa: PLR0913 - the parts of a commitment
    world: PeakWorld, pool: str, amount: str, starts_on: str, frequency: str = "monthly", *, rollover: bool = True
) -> None:
    terms = Terms(Decimal(amount), Frequency(frequency), date.fromisoformat(starts_on), None, rollover)
    world.services.committing.put("acme", pool, terms, "me")


def _credit_that_expires() -> PeakWorld:
    world = PeakWorld()
    world.use("2")
    world.grant("8", "a", "2026-11-14", pool=SHARED_POOL)
    world.grant("5", "b", "2026-11-14")
    world.grant("3", "c", "2026-11-15")
    world.grant("4", "d")
    return world.at("2026-11-16T00:15:00Z")


def _recharges() -> PeakWorld:
    world = PeakWorld()
    world.use("30")
    _commit(world, SHARED_POOL, "100", "2026-11-12", rollover=False)
    _commit(world, "virtual_agent", "20", "2026-11-12")
    return world.at("2026-11-12T00:15:00Z")


def _peaks() -> PeakWorld:
    world = PeakWorld(free_units={STORAGE: "2"})
    world.grant("3", "a")
    for quantity in range(1, 7):
        world.sample(str(quantity), f"2026-11-0{quantity}T12:00:00Z")
    return world.at("2026-11-28T00:15:00Z")


def _month_that_ends() -> PeakWorld:
    world = PeakWorld()
    world.sample("6")
    world.grant("3", "a")
    world.grant("50", "b", "2026-11-30", pool=SHARED_POOL)
    world.use("70")
    world.use("5", "2026-11-10T11:00:00Z", "message")
    _commit(world, SHARED_POOL, "100", "2026-12-01")
    return world.at("2026-12-01T01:15:00Z")


def _payments() -> PeakWorld:
    """Return one with a purchase and an auto recharge of which the gateway's answers were lost."""
    world = PeakWorld(card_token="tok_error")
    world.services.buying.purchase("acme", "100", "key", "me")
    world.services.jobs.run("settle-payments")
    rule = RechargeRule(Decimal(90), Decimal(40), None)
    world.services.auto_recharge.put("acme", rule, is_enabled=True)
    world.use("30")
    world.services.buying.purchase("acme", "200", "other", "me")
    return world.at(world.clock.now() + HOUR)


def _effects() -> PeakWorld:
    """Return one in which the bus was down when there was something to tell and to pay."""
    world = PeakWorld(card_token="tok_ok", free_units={"call": "10"})
    world.grant("100", "a", pool=SHARED_POOL)
    world.services.auto_recharge.put("acme", RechargeRule(Decimal(90), Decimal(40), None), is_enabled=True)
    world.bus.is_down = True
    _commit(world, SHARED_POOL, "5", "2026-11-10", "annual")
    world.use("50")
    return world.at(world.clock.now() + HOUR)


SCENARIOS: Final[Mapping[str, Callable[[], PeakWorld]]] = {
    "expire-credit": cache(_credit_that_expires),
    "recharge-commitments": cache(_recharges),
    "compute-storage-peaks": cache(_peaks),
    "issue-invoices": cache(_month_that_ends),
    "settle-payments": cache(_payments),
    "sweep-outbox": cache(_effects),
}
BOOKED_WHEN_FOUND_OUT: Final = ("settle-payments", "sweep-outbox")


def assert_same(actual: Facts, expected: Facts, where: str = "") -> None:
    """Compare item by item."""
    kinds = {*actual.items, *expected.items}
    differing = {kind for kind in kinds if actual.items.get(kind) != expected.items.get(kind)}
    shown = [f"{kind}: {actual.items.get(kind)} instead of {expected.items.get(kind)}" for kind in sorted(differing)]
    assert not shown, f"{where}: " + "\n".join(shown)
    assert actual == expected, where


class Facts(NamedTuple):
    """What a store says, in a form in which two can be compared."""

    items: Mapping[str, Counter[str]]
    charges: Sequence[str]
    balances: Mapping[str, str]
    published: Sequence[str]


def facts(world: PeakWorld, before: PeakWorld, *, is_late: bool = False, is_booked_late: bool = False) -> Facts:
    """Return what *world*, which began as *before*, says; a late run is not held to when it recorded things."""
    known = {name for item in _items(before) for name in _ULID.findall(f"{item.sk} {item.body!r}")}
    known |= {name for item in _items(before) for name in _ULID.findall(_said(item))}

    def normal(text: str) -> str:
        text = _ULID.sub(lambda name: name[0] if name[0] in known else "NEW", text)
        return _INSTANT.sub("INSTANT", text) if is_booked_late else text

    items: dict[str, Counter[str]] = {}
    for item in _items(world):
        if item.sk.startswith("outbox#"):
            items.setdefault("outbox", Counter()).update(_effects_of(item))
        elif not item.sk.startswith(_NOT_COMPARED):
            kind, said = _kind(item), _said(item, is_late=is_late, is_booked_late=is_booked_late)
            items.setdefault(normal(kind), Counter())[normal(said)] += 1
    charges = [
        normal(f"{replace(charge, event=replace(charge.event, quantity=charge.event.quantity.normalize()))}")
        for month in MONTHS
        for charge in world.recorded(month)
    ]
    times = sorted({parse_instant("2026-11-10T12:00:00Z"), before.clock.now() - 1, world.clock.now()})
    shown = {format_instant(at): f"{world.services.past_balances.balances('acme', at)}" for at in times}
    if is_booked_late:
        shown = {}
    ids = [normal(name) for name in world.bus.ids()]
    return Facts(items, charges, shown, sorted(ids))


def _items(world: PeakWorld) -> list[Item]:
    return [item for partition in world.store.tables._state.values() for item in partition.values()]


def _kind(item: Item) -> str:
    """Name an item by its key, without the version of the head in it."""
    if item.sk.startswith("ledger#"):
        _, at, rank, _, _, name = item.sk.split("#")
        return f"ledger#{at}#{rank}#{name}"
    return f"{item.pk} {item.sk}"


def _said(item: Item, *, is_late: bool = False, is_booked_late: bool = False) -> str:
    """Write down what an item says, without its version."""
    content = (item.body or b"\x01")[1:]
    if item.sk == "head":
        state = decode_head(item).state
        return f"{replace(state, at=0)} {item.due_at}"
    if item.sk.startswith("ledger#"):
        entry = msgspec.json.decode(content, type=LedgerEntry)
        entry = replace(entry, recorded_at=0) if is_late else entry
        return f"{replace(entry, period=None) if is_booked_late else entry}"
    if item.sk.startswith("invoice#"):
        invoice = msgspec.json.decode(content, type=Invoice)
        return f"{replace(invoice, recorded_at=0) if is_late else invoice}"
    if item.sk.startswith("payment#") and item.pk.startswith("account#"):
        payment = msgspec.json.decode(content, type=CardPayment)
        return f"{replace(payment, tries=0, next_try_at=0) if payment.is_settled else payment} {item.due_at}"
    return f"{replace(item, version=None)}"


def _effects_of(item: Item) -> Iterator[str]:
    """Yield what a commit caused, and whether it is done; several commits may cause what one can cause as well."""
    effects = msgspec.json.decode((item.body or b"")[1:], type=Effects)
    for cause in (*(notification.id for notification in effects.notifications), effects.payment):
        if cause is not None:
            yield f"{_ULID.sub('ID', cause)} is done: {effects.is_done and item.due_at is None}"


def _clean(job: str) -> tuple[PeakWorld, Facts]:
    before = SCENARIOS[job]()
    world = before.copy()
    assert world.run(job) > 0
    return before, facts(world, before)


@pytest.mark.parametrize("job", JOBS)
def test_there_is_something_to_do(job: str) -> None:
    """What is compared is no empty store: each job changes its own."""
    before, after = _clean(job)

    assert facts(before, before) != after


@pytest.mark.parametrize("job", JOBS)
def test_twice(job: str) -> None:
    """A second run finds nothing to do and leaves every item as it is, to the byte."""
    before, clean = _clean(job)
    world = before.copy()
    world.run(job)
    items = {(item.pk, item.sk): item for item in _items(world) if not item.sk.startswith("job#")}

    assert world.run(job) == 0

    assert {(item.pk, item.sk): item for item in _items(world) if not item.sk.startswith("job#")} == items
    assert_same(facts(world, before), clean)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("job", JOBS)
def test_three_processes_at_once(job: str, seed: int) -> None:
    """Step by step in any order, three runs do together what one does."""
    before, clean = _clean(job)
    turns = RandomTurns(seed)
    world = before.copy(turns)
    processes = {name: world.another(name) for name in ("a", "b", "c")}

    runs = turns.run({name: lambda services=services: services.jobs.run(job) for name, services in processes.items()})

    assert all(run.failed == 0 for run in runs.values())
    undisturbed = world.copy()
    undisturbed.bus.published = world.bus.published
    assert_same(facts(undisturbed, before), clean)


class CrashAtWrite:
    """Ends the client `crashing` at its write of a number, before or after it is done."""

    def __init__(self, number: int, fault: Fault) -> None:
        self._left = number
        self._fault = fault
        self.has_crashed = False

    def before(self, step: Step) -> Fault | None:
        """Count writes down."""
        if not step.is_write or step.client != CRASHING:
            return None
        self._left -= 1
        self.has_crashed = self.has_crashed or not self._left
        return None if self._left else self._fault

    def next_leg(self, places: Sequence[object]) -> int:
        """Choose the last."""
        return len(places) - 1


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("job", JOBS)
def test_killed_at_every_write(job: str, fault: Fault) -> None:
    """Wherever a run ends, the next one finishes the work, and nothing is done twice."""
    before, clean = _clean(job)
    writes = 0
    while True:
        controller = CrashAtWrite(writes + 1, fault)
        world = before.copy(controller)
        try:
            world.another(CRASHING).jobs.run(job)
        except ClientCrashedError:
            writes += 1
        if not controller.has_crashed:
            break
        world.store.settle()
        world.run(job)
        world.run("sweep-outbox")
        world.run("settle-payments")
        assert_same(facts(world, before), clean, f"killed at write {writes}")

    # the head at least, and the heartbeat
    assert writes >= 2


@pytest.mark.parametrize("job", JOBS)
def test_forty_days_late(job: str) -> None:
    """A run that comes 40 days late does what a timely one would have done, with the dates of then."""
    is_booked_late = job in BOOKED_WHEN_FOUND_OUT
    before = SCENARIOS[job]()
    timely, late = before.copy(), before.copy()
    timely.run(job)
    for world in (timely, late):
        world.at(before.clock.now() + LATE)
        world.run(job)
        for other in [] if is_booked_late else JOBS:
            world.run(other)

    expected = facts(timely, before, is_late=True, is_booked_late=is_booked_late)
    assert_same(facts(late, before, is_late=True, is_booked_late=is_booked_late), expected)


@pytest.mark.parametrize("order", [JOBS, JOBS[::-1], JOBS[3:] + JOBS[:3]])
def test_all_jobs_forty_days_late_in_any_order(order: Sequence[str]) -> None:
    """Of jobs that slept for 40 days it does not matter which wakes first: what is due has an order of its own."""
    before = SCENARIOS["issue-invoices"]()
    timely, late = before.copy(), before.copy()
    hour = parse_instant("2026-12-01T00:00:00Z")
    while hour <= before.clock.now() + LATE:
        timely.at(max(hour, before.clock.now()))
        for job in JOBS:
            timely.run(job)
        hour += DAY
    for world in (timely, late):
        world.at(before.clock.now() + LATE)
        for job in (*order, *order):
            world.run(job)

    assert_same(facts(late, before, is_late=True), facts(timely, before, is_late=True))


def test_a_bookkeeper_sees_every_kind_of_item() -> None:
    """What these tests compare are all kinds of items the service keeps of an account."""
    kinds = set()
    for job in JOBS:
        _, after = _clean(job)
        kinds |= {kind.partition(" ")[2].partition("#")[0] or kind.partition("#")[0] for kind in after.items}

    assert kinds >= {"head", "ledger", "invoice", "idempotency", "payment", "outbox"}
