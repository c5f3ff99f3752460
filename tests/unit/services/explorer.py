"""
Every schedule of a few clients over one store, with faults.

A client is a program over an `ItemStore`. What it does next depends only on the answers it got so far, so a client in
the middle of its work is kept as the list of those answers, and taken one step further by running it anew with one
more. The explorer goes through every order in which the steps of the clients, the legs of transactions and requests
that got lost on their way can take effect, and through every fault at every write. A situation (tables, clients, what
is under way) that was reached before is not gone into again; how many schedules lead through it is counted all the
same.

Some steps are taken at once, without trying all orders, because no order makes a difference: reads of partitions that
no client ever writes, writes to partitions that no client ever reads, writes that change nothing, legs with records
that no client reads, and writing and reading pages, which nobody reads before a head names them. What clients read and
write is noted on the way, and the exploration begins again where it took a partition for what it is not; that heads
name no page before it is there is for the check of writes to see.

Two things keep a schedule finite. A transaction refuses each other client once; a second try waits until the leg that
stands in its way is visible. And a client that waits for the turn of another reads again only when the head has
changed, or time passes because nobody else can go on.
"""

from __future__ import annotations

import gc
from enum import Enum
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from msgspec import Struct

from chalicelib.domain.instants import SECOND, Instant
from chalicelib.services.errors import BusyError
from chalicelib.storage.items import (
    Absent,
    Condition,
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    OutcomeUnknownError,
    Put,
    StoreError,
    StoreUnavailableError,
    Table,
    TransactionFailedError,
    VersionIs,
)
from tests.fakes.tables import Place, Tables, holds, mark


if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

TIME_STEP: Final = 5 * SECOND
TIME_STEPS_MAX: Final = 12

RECORDS: Final = ("snapshot#", "outbox#")
"""Beginnings of the keys of what taking events and closing months write and never read."""

_REFUSALS: Final = (ContentionError, TransactionFailedError)


class Fault(Enum):
    """What may go wrong at a write; a request that got lost may still arrive at any later moment, or never."""

    CRASH = "crash"
    LOST = "lost"
    TWICE = "twice"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class Get(Struct, frozen=True):
    """A read of one item."""

    table: Table
    key: Key


class Query(Struct, frozen=True):
    """A range query."""

    table: Table
    pk: str
    lower: str
    upper: str
    newest_first: bool


class Transact(Struct, frozen=True):
    """A transaction."""

    puts: tuple[Put, ...]


Call = Get | Query | Put | Transact


class Failed(Struct, frozen=True):
    """An answer that raises."""

    error: type[StoreError]
    current: Item | None = None
    positions: tuple[int, ...] = ()

    def throw(self) -> NoReturn:
        """Raise the error."""
        if self.error is ConditionFailedError:
            raise ConditionFailedError(self.current)
        if self.error is TransactionFailedError:
            raise TransactionFailedError(self.positions)
        raise self.error


class _Answered(NamedTuple):
    """An answer, and the real time when it came."""

    answer: Any
    now: Instant


class _WaitingError(BaseException):
    """The client waits for the answer to a call; nothing of it may catch this."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.call = call


class Session:
    """
    One run of a client: its store, its real clock, its pause and its source of random bytes.

    What it gives to `tell` is what the client's own caller has been told.
    """

    def __init__(
        self, name: str, now: Instant, answers: Sequence[_Answered], at_once: Callable[[Call], _Answered | None]
    ) -> None:
        self._name = name
        self._now = now
        self._given = answers
        self._at_once = at_once
        self._draws = 0
        self._seen = b""
        self.taken: list[_Answered] = []
        self.told: list[Any] = []
        self.is_after_pause = False

    def now(self) -> Instant:
        """Return the real time."""
        return self._now

    def pause(self, seconds: float) -> None:  # noqa: ARG002 - nobody waits here
        """Note that the next call comes after a pause."""
        self.is_after_pause = True

    def tell(self, answer: object) -> None:
        """Keep an answer that the client's caller gets."""
        self.told.append(answer)

    def random_bytes(self, length: int) -> bytes:
        """
        Return bytes nobody else draws.

        They depend on the latest head the client has seen and what it has found since, not on its tries before, so that
        schedules meet again that differ in nothing but names; a page's name still tells its content.
        """
        self._draws += 1
        return blake2b(f"{self._name} {self._draws} ".encode() + self._seen, digest_size=length).digest()

    def _note(self, call: Call, answer: object) -> None:
        item = answer.current if isinstance(answer, Failed) else answer
        if isinstance(call, Put) and answer is None:
            item = call.item
        if isinstance(item, Item) and item.sk == "head":
            self._seen = b"%d %b" % (item.version or 0, item.body or b"")
            self._draws = 0
        elif isinstance(call, Query) and isinstance(answer, tuple):
            self._seen += "".join(found.sk for found in answer).encode()

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item."""
        item: Item | None = self._ask(Get(table, key))
        return item

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read items one by one."""
        return [item for key in keys if (item := self.get(table, key)) is not None]

    def query(  # noqa: PLR0913 - the parts of a range query
        self,
        table: Table,
        pk: str,
        lower: str,
        upper: str,
        *,
        newest_first: bool = False,
        page_size: int | None = None,  # noqa: ARG002 - these ranges fit one page
    ) -> Iterator[Item]:
        """Read a range."""
        yield from self._ask(Query(table, pk, lower, upper, newest_first))

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Clients here are told their account."""
        raise NotImplementedError

    def earliest_due(self, shard: str) -> int | None:
        """Clients here are told their account."""
        raise NotImplementedError

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """Put one item."""
        self._ask(Put(table, item, condition))

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Put items one by one."""
        for item in items:
            self.put(table, item)

    def transact(self, puts: Sequence[Put]) -> None:
        """Put all or nothing."""
        self._ask(Transact(tuple(puts)))

    def _ask(self, call: Call) -> Any:
        position = len(self.taken)
        answered = self._given[position] if position < len(self._given) else self._at_once(call)
        if answered is None:
            raise _WaitingError(call)
        self.taken.append(answered)
        self._now = answered.now
        self.is_after_pause = False
        self._note(call, answered.answer)
        if isinstance(answered.answer, Failed):
            answered.answer.throw()
        return answered.answer


class _Node:
    """A client at one point of its work: the answers so far, and the call that waits or how it ended."""

    __slots__ = ("answers", "call", "children", "is_after_pause", "is_busy", "number", "previous", "told")

    def __init__(self, number: int, answers: tuple[_Answered, ...], previous: Call | None) -> None:
        self.number = number
        self.answers = answers
        self.previous = previous
        self.call: Call | None = None
        self.is_busy = False
        self.is_after_pause = False
        self.told: tuple[Any, ...] = ()
        self.children: dict[_Answered, _Node] = {}


class _Client(NamedTuple):
    """Where a client stands; clients of the same *number* have the same future and were told the same."""

    number: int
    index: int
    run: int
    node: _Node
    told_before: tuple[Any, ...] = ()
    refused_by: frozenset[Hashable] = frozenset()
    awaits: Hashable | None = None


class _Situation(NamedTuple):
    """Everything that decides what can happen next."""

    tables: Tables
    clients: tuple[_Client, ...]
    in_flight: tuple[tuple[Hashable, Put | Transact], ...]
    faults_left: int
    now: Instant

    @property
    def key(self) -> Hashable:
        """Return what situations with the same future have in common."""
        numbers = [client.number for client in self.clients]
        names = frozenset([name for name, _ in self.in_flight]) if self.in_flight else None
        return self.tables.fingerprint, self.faults_left, self.now, names, *numbers


class _Choice(NamedTuple):
    """Something that can happen next: which *client* or what else acts, its *act*, and what goes wrong."""

    actor: str
    call: Call | str
    act: Callable[[], _Situation | None]
    fault: Fault | None = None

    def __str__(self) -> str:
        """Return the choice in a few words."""
        text = f"{self.actor}: {self.call if isinstance(self.call, str) else describe(self.call)}"
        return text if self.fault is None else f"{text}, {self.fault.value}"


class Told(Struct, frozen=True):
    """What the callers of a client were told in all its runs; *runs* is more than 1 where it had to begin again."""

    answers: tuple[Any, ...]
    runs: int


class ScheduleError(AssertionError):
    """A schedule that ends wrong: its steps, in order."""

    def __init__(self, steps: Sequence[object], cause: BaseException) -> None:
        super().__init__("\n".join([f"{type(cause).__name__}: {cause}", "after", *map(str, steps)]))


class _WrongPremiseError(Exception):
    """A partition taken for constant is written to, or one taken for write-only is read."""


class Explorer:
    """
    Goes through all schedules of *clients*, which begin with *tables* at the real time *now*.

    At most *faults_max* of *faults* happen in each. *check* is given the tables and what every client was told,
    wherever all have ended; *check_write* every item that becomes visible, after the tables and the item it replaces.
    Where none of them *reads_records*, the legs of a transaction with `RECORDS` become visible at once.
    """

    def __init__(  # noqa: PLR0913 - what a schedule is made of
        self,
        clients: Mapping[str, Callable[[Session], None]],
        tables: Tables,
        now: Instant,
        check: Callable[[Tables, Mapping[str, Told]], None],
        check_write: Callable[[Tables, Table, Item | None, Item], None],
        faults: Sequence[Fault] = (),
        faults_max: int = 0,
        *,
        reads_records: bool = False,
    ) -> None:
        self._unread = () if reads_records else RECORDS
        self._names = list(clients)
        self._programs = list(clients.values())
        self._tables = tables.copy()
        self._tables.mark = _mark
        self._now = now
        self._check = check
        self._check_write = check_write
        self._faults = faults
        self._faults_max = faults_max
        self._written: set[tuple[Table, str]] = set()
        self._read: set[tuple[Table, str]] = set()
        self._running: Session | None = None
        self._test = Session("test", now, (), lambda _call: None)
        self._reset()

    def _reset(self) -> None:
        self._roots: dict[tuple[int, int], _Node] = {}
        self._nodes = 0
        self._steps: list[_Choice] = []
        self._counts: dict[Hashable, int] = {}
        self._numbers: dict[Hashable, int] = {}

    @property
    def situations(self) -> int:
        """Return how many different situations were reached."""
        return len(self._counts)

    def random_bytes(self, length: int) -> bytes:
        """Draw for the client that is running, or for the test itself."""
        return (self._running or self._test).random_bytes(length)

    def explore(self) -> int:
        """
        Return the number of schedules, all of which ended well.

        Raises:
            ScheduleError: for the first that did not.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._explore()
        finally:
            if collects:
                gc.enable()

    def _explore(self) -> int:
        while True:
            self._reset()
            try:
                clients = tuple(self._begin(index, 0, self._tables, self._now) for index in range(len(self._names)))
                return self._follow(_Situation(self._tables, clients, (), self._faults_max, self._now))
            except _WrongPremiseError:
                continue
            except Exception as error:
                raise ScheduleError(self._steps, error) from error

    def _follow(self, situation: _Situation) -> int:
        key = situation.key
        known = self._counts.get(key)
        if known is not None:
            return known
        total = 0
        if (
            all(client.node.call is None for client in situation.clients)
            and not situation.tables.waiting_transactions()
        ):
            told = {
                name: Told((*client.told_before, *client.node.told), client.run + 1)
                for name, client in zip(self._names, situation.clients, strict=True)
            }
            self._check(situation.tables, told)
            total = 1
        for choice in self._choices(situation):
            self._steps.append(choice)
            successor = choice.act()
            if successor is not None:
                total += self._follow(_without_hopeless(successor))
            self._steps.pop()
        self._counts[key] = total
        return total

    def _choices(self, situation: _Situation) -> Iterator[_Choice]:
        """Yield all that can happen next."""
        working = [
            index
            for index, client in enumerate(situation.clients)
            if client.node.call is not None and client.awaits is None
        ]
        for index in working:
            if self._is_private(situation, index):
                yield from self._client_choices(situation, index)
                return
        enabled = [index for index in working if self._is_enabled(situation, situation.clients[index])]
        for index in enabled:
            yield from self._client_choices(situation, index)
        waiting = situation.tables.waiting_transactions()
        for name in waiting:
            for place in situation.tables.waiting_legs(name):
                yield _Choice("visible", place[1].sk, partial(self._show_leg, situation, name, place))
        for position, (_, request) in enumerate(situation.in_flight):
            yield _Choice("late", request, partial(self._arrive, situation, position, request))
        if working and not enabled and not waiting:
            yield _Choice("clock", "time passes", partial(self._let_time_pass, situation))

    def _client_choices(self, situation: _Situation, index: int) -> Iterator[_Choice]:
        call = situation.clients[index].node.call
        assert call is not None
        name = self._names[index]
        yield _Choice(name, call, partial(self._step, situation, index))
        if situation.faults_left and isinstance(call, (Put, Transact)):
            for fault in self._faults:
                yield _Choice(name, call, partial(self._fail, situation, index, call, fault), fault)

    def _is_private(self, situation: _Situation, index: int) -> bool:
        """Tell whether a client is about to do a write that no order of steps makes a difference to."""
        call = situation.clients[index].node.call
        if not isinstance(call, Put) or call.table is not Table.PAGES:
            return False
        return (
            _is_page(call.item.pk)
            or (call.table, call.item.pk) not in self._read
            or (situation.tables.get(call.table, call.item.key) == call.item)
        )

    def _is_enabled(self, situation: _Situation, client: _Client) -> bool:
        call = client.node.call
        if isinstance(call, (Put, Transact)):
            return client.refused_by.isdisjoint(_holders(situation.tables, call))
        if client.node.is_after_pause and isinstance(call, Get) and call == client.node.previous:
            last = client.node.answers[-1]
            return last.now != situation.now or situation.tables.get(call.table, call.key) != last.answer
        return True

    def _step(self, situation: _Situation, index: int) -> _Situation:
        call = situation.clients[index].node.call
        if isinstance(call, Get):
            return self._answer(situation, index, situation.tables.get(call.table, call.key))
        if isinstance(call, Query):
            return self._answer(situation, index, _query(situation.tables, call))
        client = situation.clients[index]
        if isinstance(call, Put):
            tables, answer = self._put(situation.tables, call)
            return self._answer(situation._replace(tables=tables), index, answer)
        assert isinstance(call, Transact)
        name = (index, client.run, client.node.number)
        tables, answer = self._accept(situation.tables, call, name)
        situation = situation._replace(tables=tables)
        if answer is not None:
            return self._answer(situation, index, answer)
        awaiting = self._client(index, client.run, client.node, client.told_before, awaits=name)
        return _with_client(situation, awaiting)

    def _put(self, tables: Tables, put: Put) -> tuple[Tables, Failed | None]:
        before = tables.get(put.table, put.item.key)
        changed = tables.copy()
        try:
            changed.put(put.table, put.item, put.condition)
        except ConditionFailedError as error:
            return tables, Failed(ConditionFailedError, error.current)
        except ContentionError:
            return tables, Failed(ContentionError)
        self._note_write(changed, put.table, before, put.item)
        return changed, None

    def _accept(self, tables: Tables, call: Transact, name: Hashable) -> tuple[Tables, Failed | None]:
        changed = tables.copy()
        try:
            changed.accept(call.puts, name)
        except TransactionFailedError as error:
            return tables, Failed(TransactionFailedError, positions=error.failed)
        except ContentionError:
            return tables, Failed(ContentionError)
        for table, key in changed.waiting_legs(name):
            if table is Table.STATE and key.sk.startswith(self._unread):
                before = changed.get(table, key)
                changed.show_leg(name, (table, key))
                self._note_write(changed, table, before, changed.get(table, key))
        return changed, None

    def _show_leg(self, situation: _Situation, name: Hashable, place: Place) -> _Situation:
        tables = situation.tables.copy()
        before = tables.get(*place)
        tables.show_leg(name, place)
        item = tables.get(*place)
        assert item is not None
        self._note_write(tables, place[0], before, item)
        situation = situation._replace(tables=tables)
        if not tables.waiting_legs(name):
            for index, client in enumerate(situation.clients):
                if client.awaits == name:
                    situation = self._answer(situation, index, None)
        return situation

    def _arrive(self, situation: _Situation, position: int, request: Put | Transact) -> _Situation:
        """Let a request that got lost arrive; whoever sent it does not hear of it any more."""
        name, _ = situation.in_flight[position]
        left = situation.in_flight[:position] + situation.in_flight[position + 1 :]
        if isinstance(request, Put):
            tables, _ = self._put(situation.tables, request)
        else:
            tables, _ = self._accept(situation.tables, request, name)
        return situation._replace(tables=tables, in_flight=left)

    def _fail(self, situation: _Situation, index: int, call: Put | Transact, fault: Fault) -> _Situation | None:
        client = situation.clients[index]
        situation = situation._replace(faults_left=situation.faults_left - 1)
        if fault is Fault.TWICE:
            return self._do_twice(situation, index, call)
        if fault is Fault.REFUSED:
            return self._answer(situation, index, Failed(ContentionError))
        if fault is Fault.UNAVAILABLE:
            return self._answer(situation, index, Failed(StoreUnavailableError))
        name = (index, client.run, client.node.number, "late")
        lost = situation._replace(in_flight=(*situation.in_flight, (name, call)))
        if fault is Fault.LOST:
            return self._answer(lost, index, Failed(OutcomeUnknownError))
        return self._restart(lost, index, client.node)

    def _do_twice(self, situation: _Situation, index: int, call: Put | Transact) -> _Situation | None:
        """Put an item, lose the answer, and put it again, as clients of DynamoDB do by themselves."""
        if not isinstance(call, Put) or call.condition is None:
            return None
        tables, answer = self._put(situation.tables, call)
        if answer is not None:
            return None
        _, answer = self._put(tables, call)
        return self._answer(situation._replace(tables=tables), index, answer)

    def _answer(self, situation: _Situation, index: int, answer: object) -> _Situation:
        client = situation.clients[index]
        answered = _Answered(answer, situation.now)
        node = client.node.children.get(answered)
        if node is None:
            answers = (*client.node.answers, answered)
            node = self._run(index, client.run, answers, client.node.call, situation.tables, situation.now)
            client.node.children[answered] = node
        if node.is_busy:
            return self._restart(situation, index, node)
        refused_by = client.refused_by
        if isinstance(answer, Failed) and answer.error in _REFUSALS and client.node.call is not None:
            refused_by |= _holders(situation.tables, client.node.call)
        if refused_by:
            refused_by &= frozenset(situation.tables.waiting_transactions())
        return _with_client(situation, self._client(index, client.run, node, client.told_before, refused_by))

    def _restart(self, situation: _Situation, index: int, node: _Node) -> _Situation:
        client = situation.clients[index]
        told_before = (*client.told_before, *node.told)
        return _with_client(situation, self._begin(index, client.run + 1, situation.tables, situation.now, told_before))

    def _begin(self, index: int, run: int, tables: Tables, now: Instant, told_before: tuple[Any, ...] = ()) -> _Client:
        if (index, run) not in self._roots:
            self._roots[index, run] = self._run(index, run, (), None, tables, now)
        return self._client(index, run, self._roots[index, run], told_before)

    def _client(  # noqa: PLR0913 - where a client stands
        self,
        index: int,
        run: int,
        node: _Node,
        told_before: tuple[Any, ...],
        refused_by: frozenset[Hashable] = frozenset(),
        awaits: Hashable | None = None,
    ) -> _Client:
        if node.call is None:
            key: Hashable = (index, run, (*told_before, *node.told))
        else:
            key = (index, run, node.number, told_before, refused_by, awaits)
        number = self._numbers.setdefault(key, len(self._numbers))
        return _Client(number, index, run, node, told_before, refused_by, awaits)

    def _run(  # noqa: PLR0913 - what a run depends on
        self,
        index: int,
        run: int,
        answers: tuple[_Answered, ...],
        previous: Call | None,
        tables: Tables,
        now: Instant,
    ) -> _Node:
        """Run a client from its start through all the answers it got, up to the call that comes then."""

        def at_once(call: Call) -> _Answered | None:
            self._note_read(call)
            if isinstance(call, Get) and (_is_page(call.key.pk) or (call.table, call.key.pk) not in self._written):
                return _Answered(tables.get(call.table, call.key), now)
            if isinstance(call, Query) and (call.table, call.pk) not in self._written:
                return _Answered(_query(tables, call), now)
            return None

        self._nodes += 1
        session = self._running = Session(f"{self._names[index]} {run}", now, answers, at_once)
        node = _Node(self._nodes, answers, previous)
        try:
            self._programs[index](session)
        except _WaitingError as waiting:
            node.call = waiting.call
        except BusyError:
            node.is_busy = True
        finally:
            self._running = None
        node.answers = tuple(session.taken)
        node.is_after_pause = session.is_after_pause and len(session.taken) == len(answers)
        node.told = tuple(session.told)
        return node

    def _note_write(self, tables: Tables, table: Table, before: Item | None, item: Item) -> None:
        self._check_write(tables, table, before, item)
        if not _is_page(item.pk) and (table, item.pk) not in self._written:
            self._written.add((table, item.pk))
            raise _WrongPremiseError

    def _note_read(self, call: Call) -> None:
        partition = (call.table, call.key.pk) if isinstance(call, Get) else None
        if isinstance(call, Query):
            partition = (call.table, call.pk)
            assert not call.lower.startswith(self._unread), f"{call} reads records"
        if isinstance(call, Get):
            assert not call.key.sk.startswith(self._unread), f"{call} reads records"
        if partition is not None and not _is_page(partition[1]) and partition not in self._read:
            self._read.add(partition)
            if partition in self._written:
                raise _WrongPremiseError

    def _let_time_pass(self, situation: _Situation) -> _Situation:
        later = situation.now + TIME_STEP
        if later > self._now + TIME_STEPS_MAX * TIME_STEP:
            message = "nobody can go on"
            raise AssertionError(message)
        return situation._replace(now=later)


def describe(call: Call | None) -> str:
    """Return a call in a few words."""
    if isinstance(call, Get):
        return f"get {call.key.sk}"
    if isinstance(call, Query):
        return f"query {call.pk}"
    if isinstance(call, Put):
        return f"put {call.item.pk} {call.item.sk} {_version(call.item)}".rstrip()
    if isinstance(call, Transact):
        return "transact " + ", ".join(f"{put.item.sk} {_version(put.item)}".rstrip() for put in call.puts)
    return "ends"


def _version(item: Item) -> str:
    return "" if item.version is None else f"version {item.version}"


def _is_page(pk: str) -> bool:
    return "#page#" in pk


def _mark(table: Table, item: Item) -> int:
    """Tell items apart; pages need not be, for their names do."""
    return 0 if table is Table.PAGES and _is_page(item.pk) else mark(table, item)


def _query(tables: Tables, call: Query) -> tuple[Item, ...]:
    return tuple(tables.query(call.table, call.pk, call.lower, call.upper, newest_first=call.newest_first))


def _holders(tables: Tables, call: Call) -> frozenset[Hashable]:
    puts = call.puts if isinstance(call, Transact) else (call,) if isinstance(call, Put) else ()
    holders = (tables.holder((put.table, put.item.key)) for put in puts)
    return frozenset(holder for holder in holders if holder is not None)


def _with_client(situation: _Situation, client: _Client) -> _Situation:
    tables, clients, in_flight, faults_left, now = situation
    index = client.index
    return _Situation(tables, (*clients[:index], client, *clients[index + 1 :]), in_flight, faults_left, now)


def _without_hopeless(situation: _Situation) -> _Situation:
    """Forget lost requests that cannot change anything any more."""
    if not situation.in_flight:
        return situation
    in_flight = tuple(
        (name, request) for name, request in situation.in_flight if not _is_hopeless(situation.tables, request)
    )
    return situation._replace(in_flight=in_flight)


def _is_hopeless(tables: Tables, request: Put | Transact) -> bool:
    if isinstance(request, Transact):
        return any(_can_never_hold(tables, put) for put in request.puts)
    is_unread = request.table is Table.PAGES and _is_page(request.item.pk)
    current = tables.get(request.table, request.item.key)
    return is_unread or _can_never_hold(tables, request) or (request.condition is None and current == request.item)


def _can_never_hold(tables: Tables, put: Put) -> bool:
    """Tell whether a condition fails from now on: versions only grow, and nothing is ever deleted."""
    current = tables.get(put.table, put.item.key)
    if isinstance(put.condition, VersionIs):
        return current is not None and (current.version or 0) > put.condition.version
    return isinstance(put.condition, Absent) and not holds(put.condition, current)
