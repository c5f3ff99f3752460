"""
Writers and a month close at the same time, in every order, with faults at any write: each event counts exactly once.

The store takes one step at a time: a read, a put, the acceptance of a transaction, one of its legs becoming visible.
Every schedule of the clients' steps is gone through (see `explorer`), also those in which a client's process ends
before or after any of its writes and begins again, or a write's answer is lost and the write done at once, later or
never. They are all of them and no sample: from 4 * 10^8 schedules for one writer and a close with two faults to 10^15
for three writers and a close, in about a million situations together.

Event n of a product has the quantity 10^n, so that the digits of a total tell how often each event was counted.
"""

from __future__ import annotations

import secrets
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

import pytest
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import SECOND, parse_instant
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.changes import Changes, new_nonce
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import ACCEPTED, DUPLICATE
from chalicelib.storage import keys
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.heads import decode_head
from chalicelib.storage.items import Table
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.turns import RandomTurns
from tests.unit.services.engine import Engine
from tests.unit.services.explorer import Explorer, Fault, ScheduleError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chalicelib.domain.usage_events import Identity
    from chalicelib.services.changes import Decision, Situation
    from chalicelib.services.meter_events import Verdict
    from chalicelib.storage.accounts import Commit
    from chalicelib.storage.heads import Head
    from chalicelib.storage.items import Condition, Item, Key, Put
    from chalicelib.storage.pages import Pages
    from tests.fakes.tables import Tables
    from tests.unit.services.explorer import Session, Told

ACCOUNT: Final = "acme"
OCTOBER: Final = Period(2026, 10)
BEFORE_THE_END: Final = parse_instant("2026-10-31T23:45:00Z")
AFTER_THE_GRACE: Final = parse_instant("2026-11-01T01:30:00Z")
AFTER_ALL_TURNS: Final = parse_instant("2026-11-01T02:30:00Z")
PRICES: Final = {"call": Decimal("0.01"), "message": Decimal("0.02"), "chat": Decimal("0.03")}
CREDIT: Final = Decimal("5.00")

pytestmark = pytest.mark.untraced

R = TypeVar("R")
Batch = tuple[UsageEvent, ...]


def _event(number: int, resource: str = "call") -> UsageEvent:
    time = parse_instant(f"2026-10-31T23:5{number}:00Z")
    return UsageEvent(ACCOUNT, "/voice", f"e-{number}", time, resource, Decimal(10) ** number)


E0, E1, E2 = _event(0), _event(1), _event(2)
AS_CALL, AS_MESSAGE = _event(5), _event(5, "message")
"""One identity under two products: whichever comes second is a conflict."""

EARLIER: Final = [
    UsageEvent(ACCOUNT, "/chat", f"c-{n}", parse_instant(f"2026-10-31T23:40:{n:02d}Z"), "chat", Decimal(1))
    for n in range(8)
]


class Scenario(Struct, frozen=True):
    """
    What the writers send, batch after batch, and how many closes run beside them.

    *tail* events are in the head's tail at the start: with one commit more it overflows into a page, with two the
    page gets its index entries. Where it is the *first_use* of the products, charging them is a transaction.
    """

    writers: Mapping[str, tuple[Batch, ...]]
    closes: int = 1
    tail: int = 6
    first_use: bool = False

    @property
    def sent(self) -> list[UsageEvent]:
        """Return every event that any writer sends."""
        return [event for batches in self.writers.values() for batch in batches for event in batch]


def _prepare(scenario: Scenario) -> Tables:
    store = MemoryStore()
    clock = FixedClock(BEFORE_THE_END)
    engine = Engine(store, clock, clock, _no_pause)
    engine.put_card(PRICES)
    engine.put_account(ACCOUNT)
    engine.granting.grant(ACCOUNT, GrantRequest(SHARED_POOL, CREDIT, None, "welcome"), "key", "admin")
    for event in EARLIER[: scenario.tail]:
        assert engine.metering.take([event]) == [ACCEPTED]
    if not scenario.first_use:
        engine.put_account("other")
        for resource in PRICES:
            engine.metering.take([replace(EARLIER[0], account="other", id=resource, resource=resource)])
    return store.tables


def _no_pause(_seconds: float) -> None:
    """Go on at once."""


class Clients:
    """The programs of a scenario's clients, over an engine that may be broken on purpose."""

    def __init__(self, accounts: type[Accounts] = Accounts, changes: type[Changes] = Changes) -> None:
        self._accounts = accounts
        self._changes = changes

    def of(self, scenario: Scenario) -> dict[str, Callable[[Session], None]]:
        """Return the clients of *scenario* by name."""
        writers = {name: self._writer(batches) for name, batches in scenario.writers.items()}
        return writers | {f"close {number}": self._close for number in range(scenario.closes)}

    def _engine(self, session: Session) -> Engine:
        clock = FixedClock(AFTER_THE_GRACE)
        return Engine(session, clock, session, session.pause, self._accounts, self._changes)

    def _writer(self, batches: Sequence[Batch]) -> Callable[[Session], None]:
        def write(session: Session) -> None:
            engine = self._engine(session)
            for batch in batches:
                session.tell((batch, tuple(engine.metering.take(batch))))

        return write

    def audit(self, session: Session) -> None:
        """Audit the account."""
        session.tell(tuple(self._engine(session).auditing.audit(ACCOUNT)))

    def _close(self, session: Session) -> None:
        self._engine(session).invoices.issue_due(ACCOUNT, AFTER_THE_GRACE)


class Expectations:
    """What has to hold wherever a schedule ends; tables seen before are not judged again."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._counted: dict[int, Mapping[Identity, str]] = {}

    def check(self, tables: Tables, told: Mapping[str, Told]) -> None:
        """Compare what is stored with what was sent, and what was answered with what is stored."""
        if tables.fingerprint not in self._counted:
            self._counted[tables.fingerprint] = self._check_tables(tables)
        self._check_answers(self._counted[tables.fingerprint], told)

    def check_write(self, tables: Tables, table: Table, before: Item | None, item: Item) -> None:
        """See that records and pages never change, that versions count and that pages are there before their names."""
        if before is not None and (table is Table.PAGES or item.sk.startswith(("invoice#", "ledger#"))):
            assert replace(item, expires=None) == replace(before, expires=None)
        if item.sk == "head":
            assert item.version == ((before and before.version) or 0) + 1, "a change of the head was overwritten"
            for page in _named_pages(item):
                assert tables.get(Table.PAGES, page) is not None, "a head names a page that is not there"

    def _check_tables(self, tables: Tables) -> Mapping[Identity, str]:
        """Return under which resource each event was counted."""
        store = MemoryStore(tables=tables.copy())
        clock = FixedClock(AFTER_THE_GRACE)
        engine = Engine(store, clock, FixedClock(AFTER_ALL_TURNS), _no_pause)
        quantities = _total_quantities(engine)
        counted = {}
        for identity, resources in _resources_by_identity(self._scenario.sent).items():
            times = {resource: _digit(quantities[resource], quantity) for resource, quantity in resources.items()}
            assert sum(times.values()) == 1, f"{identity} was counted {times}"
            counted[identity] = max(times, key=lambda resource: times[resource])
        assert quantities["chat"] == self._scenario.tail
        assert engine.auditing.audit(ACCOUNT) == []
        periods = [invoice.period for _, invoice in engine.records.invoices(ACCOUNT)]
        assert periods == [OCTOBER] * min(self._scenario.closes, 1)
        self._check_repeats(engine, counted)
        return counted

    def _check_repeats(self, engine: Engine, counted: Mapping[Identity, str]) -> None:
        """Send all again, close again: nothing changes."""
        head = engine.heads.load(ACCOUNT)
        for event in self._scenario.sent:
            (verdict,) = engine.metering.take([event])
            assert verdict == DUPLICATE if counted[event.identity] == event.resource else verdict.code == "conflict"
        if self._scenario.closes:
            assert engine.invoices.issue_due(ACCOUNT, AFTER_THE_GRACE) == 0
        assert engine.heads.load(ACCOUNT) == head

    def _check_answers(self, counted: Mapping[Identity, str], told: Mapping[str, Told]) -> None:
        """See that each event was accepted once, but for crashed clients, and that the loser knows of a conflict."""
        accepted: Counter[UsageEvent] = Counter()
        for event, verdict in _answers(told):
            if counted[event.identity] != event.resource:
                assert verdict.code == "conflict", f"{event} is not the one that counts, but was answered {verdict}"
            else:
                assert verdict in {ACCEPTED, DUPLICATE}, f"{event} counts, but was answered {verdict}"
                accepted[event] += verdict == ACCEPTED
        for event in self._scenario.sent:
            if counted[event.identity] == event.resource:
                senders = [name for name, batches in self._scenario.writers.items() if event in sum(batches, ())]
                is_lost = any(told[name].runs > 1 for name in senders)
                assert accepted[event] == 1 or (is_lost and not accepted[event]), f"{event}: {accepted[event]} times"


@lru_cache(maxsize=10_000)
def _named_pages(head: Item) -> list[Key]:
    return [keys.page(ACCOUNT, page.id) for page in decode_head(head).pages]


def _answers(told: Mapping[str, Told]) -> Iterator[tuple[UsageEvent, Verdict]]:
    for answers in told.values():
        for batch, verdicts in answers.answers:
            yield from zip(batch, verdicts, strict=True)


def _resources_by_identity(events: Sequence[UsageEvent]) -> dict[Identity, dict[str, Decimal]]:
    resources: dict[Identity, dict[str, Decimal]] = {}
    for event in events:
        resources.setdefault(event.identity, {})[event.resource] = event.quantity
    return resources


def _digit(total: Decimal, power: Decimal) -> int:
    return int(total / power) % 10


def _total_quantities(engine: Engine) -> dict[str, Decimal]:
    """Add up the usage of all invoices and open periods, and see that its money adds up as well."""
    head = engine.heads.load(ACCOUNT)
    assert head is not None
    usages = [
        (resource, usage.quantity, usage.amount, usage.credits)
        for period in head.state.periods.values()
        for resource, usage in period.products.items()
    ] + [
        (product.resource, product.quantity, product.amount, product.credits)
        for _, invoice in engine.records.invoices(ACCOUNT)
        for product in invoice.figures.products
    ]
    quantities = dict.fromkeys(PRICES, Decimal(0))
    for resource, quantity, amount, _ in usages:
        assert amount == quantity * PRICES[resource]
        quantities[resource] += quantity
    credits_left = sum(grant.remaining for grant in head.state.grants)
    assert sum(applied for _, _, _, applied in usages) == CREDIT - credits_left
    return quantities


def _explore(
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    faults: Sequence[Fault] = (),
    faults_max: int = 0,
    clients: Clients | None = None,
) -> int:
    """Return how many schedules were gone through."""
    tables = _prepare(scenario)
    expectations = Expectations(scenario)
    explorer = Explorer(
        (clients or Clients()).of(scenario),
        tables,
        AFTER_THE_GRACE,
        expectations.check,
        expectations.check_write,
        faults,
        faults_max,
    )
    with monkeypatch.context() as patches:
        patches.setattr(secrets, "token_bytes", explorer.random_bytes)
        return explorer.explore()


CRASH_OR_LOST: Final = (Fault.CRASH, Fault.LOST)

OVERLAPPING: Final = Scenario({"a": ((E0, E1, AS_CALL),), "b": ((E1, E2, AS_MESSAGE),)})
ONE_WRITER: Final = Scenario({"a": ((E0, E1, AS_CALL),)})
FIRST_USE: Final = Scenario({"a": ((E0, AS_CALL),), "b": ((E0, AS_MESSAGE),)}, first_use=True)
FIRST_USE_OF_ONE: Final = Scenario({"a": ((E0, E1, AS_CALL),)}, first_use=True)
THREE_WRITERS: Final = Scenario({"a": ((E0,),), "b": ((E0, E1),), "c": ((E1, AS_CALL),)}, tail=7)
SEVERAL_BATCHES: Final = Scenario({"a": ((E0,), (E0, E1)), "b": ((E1,), (E0,))}, tail=7)
TWO_CLOSES: Final = Scenario({"a": ((E0, AS_CALL),)}, closes=2, tail=7)


@pytest.mark.parametrize(
    ("scenario", "faults", "faults_max", "schedules_min"),
    [
        pytest.param(OVERLAPPING, CRASH_OR_LOST, 1, 10**12, id="two-writers-and-a-close-with-a-fault"),
        pytest.param(ONE_WRITER, tuple(Fault), 2, 10**8, id="a-writer-and-a-close-with-two-faults"),
        pytest.param(FIRST_USE, (), 0, 10**10, id="first-use-of-products"),
        pytest.param(FIRST_USE_OF_ONE, tuple(Fault), 1, 10**10, id="first-use-of-a-product-with-a-fault"),
        pytest.param(THREE_WRITERS, (), 0, 10**15, id="three-writers-and-a-close"),
        pytest.param(SEVERAL_BATCHES, (), 0, 10**11, id="two-writers-of-two-batches-and-a-close"),
        pytest.param(TWO_CLOSES, tuple(Fault), 1, 10**9, id="two-closes-and-a-writer-with-a-fault"),
    ],
)
def test_every_schedule_counts_each_event_once(
    scenario: Scenario,
    faults: Sequence[Fault],
    faults_max: int,
    schedules_min: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the order and whatever goes wrong: counted once, answered rightly, invoiced once, a clean audit."""
    schedules = _explore(scenario, monkeypatch, faults, faults_max)

    assert schedules >= schedules_min


def test_an_audit_beside_a_writer_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes while the audit reads is no difference: it goes by one head."""
    scenario = Scenario({"a": ((E0,), (E1,), (E2,))}, closes=0, tail=7)
    clients = Clients()
    found = []
    explorer = Explorer(
        clients.of(scenario) | {"audit": clients.audit},
        _prepare(scenario),
        AFTER_THE_GRACE,
        lambda _tables, told: found.extend(told["audit"].answers),
        Expectations(scenario).check_write,
        reads_records=True,
    )
    monkeypatch.setattr(secrets, "token_bytes", explorer.random_bytes)

    assert explorer.explore() > 1_000
    assert set(found) == {()}


class UnfencedAccounts(Accounts):
    """Broken: puts the head whatever it is by now."""

    def _write(self, item: Item, condition: Condition, puts: Sequence[Put]) -> None:  # noqa: ARG002 - the fault
        super()._write(item, None, puts)  # type: ignore[arg-type]


class HastyAccounts(Accounts):
    """Broken: writes the index entries of a page before a head that names it is committed."""

    def _successor(self, head: Head, commit: Commit) -> Head:
        successor = super()._successor(head, commit)
        self._pages.index(head.state.account.id, successor.pages)
        return successor


class NoPagesToIndex:
    """Pages whose index entries are never written."""

    def __init__(self, pages: Pages) -> None:
        self.put = pages.put

    def index(self, _account: str, _names: object) -> None:
        """Write nothing."""


class ForgetfulAccounts(Accounts):
    """Broken: lets the names of pages leave the head without writing their index entries."""

    def commit(self, head: Head, commit: Commit) -> None:
        """Commit without the index."""
        self._pages = NoPagesToIndex(self._pages)  # type: ignore[assignment]
        super().commit(head, commit)


class AnonymousChanges(Changes):
    """Broken: does not recognise its own work after an answer was lost."""

    def apply(self, account: str, nonce: bytes, decide: Callable[[Situation], Decision[R]]) -> R | None:
        """Commit under another name than the request's."""
        return super().apply(account, new_nonce() if nonce else nonce, decide)


@pytest.mark.parametrize(
    ("clients", "complaint"),
    [
        pytest.param(Clients(UnfencedAccounts), "a change of the head was overwritten", id="no-version"),
        pytest.param(Clients(HastyAccounts), "was counted", id="index-before-commit"),
        pytest.param(Clients(ForgetfulAccounts), "the events say", id="no-index"),
        pytest.param(Clients(changes=AnonymousChanges), "0 times", id="no-nonce"),
    ],
)
def test_a_broken_engine_is_caught(clients: Clients, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the rules of the engine is needed: without it some schedule ends wrong."""
    with pytest.raises(ScheduleError, match=complaint):
        _explore(SEVERAL_BATCHES, monkeypatch, CRASH_OR_LOST, 1, clients)


@pytest.mark.parametrize("seed", range(4))
def test_many_writers_in_random_schedules(seed: int) -> None:
    """What every schedule of a few clients shows holds of many, with many faults, in some schedules."""
    random = Random(seed)
    events = [
        UsageEvent(
            ACCOUNT, "/voice", f"e-{n}", BEFORE_THE_END + n * SECOND, random.choice(["call", "chat"]), Decimal(n)
        )
        for n in range(120)
    ]
    turns = RandomTurns(seed, fault_rate=0.1)
    store = MemoryStore(tables=_prepare(Scenario({}, tail=3)))
    store.controller = turns
    real_clock = FixedClock(AFTER_THE_GRACE)

    def engine(name: str) -> Engine:
        clock = FixedClock(AFTER_THE_GRACE)
        return Engine(
            store.client(name), clock, real_clock, lambda seconds: real_clock.pass_by(round(seconds * SECOND))
        )

    def writer(number: int) -> Callable[[], object]:
        mine = [event for n, event in enumerate(events) if (n - number) % 6 < 3]
        batches = [random.sample(mine, random.randrange(1, 20)) for _ in range(5)] + [mine]
        return lambda: [engine(f"writer {number}").metering.take(batch) for batch in batches]

    clients = {f"writer {number}": writer(number) for number in range(6)}
    clients["close"] = lambda: engine("close").invoices.issue_due(ACCOUNT, AFTER_THE_GRACE)
    turns.run(clients)
    store.settle()
    after = Engine(MemoryStore(tables=store.tables), real_clock, real_clock, _no_pause)
    quantities = _total_quantities(after)

    assert turns.faults > 5
    assert sum(quantities.values()) == sum(range(120)) + 3
    assert after.auditing.audit(ACCOUNT) == []
    assert set(after.metering.take(events)) == {DUPLICATE}
