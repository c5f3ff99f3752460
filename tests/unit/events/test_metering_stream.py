"""Usage from the stream: what comes counts once, what cannot be taken lies among the dead letters, nothing is lost."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import app as table_of_contents
from chalicelib.domain.instants import DAY, MINUTE, SECOND, format_instant
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.usage_events import AGE_MAX
from chalicelib.events.metering_stream import meter
from chalicelib.services.container import Services
from chalicelib.storage import keys
from chalicelib.storage.items import Table
from tests.fakes.memory_store import FAULTS, Fault, Step, Undisturbed
from tests.fakes.metrics import deploy, totals_of
from tests.fakes.stream_poller import Shard, StreamPoller, StreamRecord, batch_event
from tests.unit.services.world import Interruption, World, interruptions, patiently


SHARD = "shardId-000000000001"
SAMPLE = Path(__file__).parents[3] / "events" / "kinesis-batch.json"


class Stream:
    """A stream into a world: records are written, and delivered as Lambda does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records: list[StreamRecord] = []
        self._numbers = itertools.count(1)

    def event(self, quantity: str = "1", *, account: str = "acme", age: int = 0, **members: Any) -> dict[str, Any]:
        """Return an event unlike any other, of which a unit costs 1; *age* is microseconds."""
        return {
            "specversion": "1.0",
            "id": f"e-{next(self._numbers)}",
            "source": "/voice",
            "type": "call",
            "subject": account,
            "time": format_instant(self.world.clock.now() - age),
            "data": {"quantity": quantity},
            **members,
        }

    def write(self, content: object, age: int = 0) -> StreamRecord:
        """Write a record: bytes as they are, anything else as JSON; it arrived *age* ago."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        record = StreamRecord.of(data, "acme", self.world.clock.now() - age)
        self.records.append(record)
        return record

    def poller(self, services: Services | None = None, **options: Any) -> StreamPoller:
        """Return what delivers all records, in one shard, to *services*."""
        taking = services or self.world.services
        return StreamPoller(lambda event: meter(taking, event), [Shard(SHARD, self.records)], **options)

    def deliver(self) -> list[str]:
        """Deliver all records once, in one batch, and return the sequence numbers of the answer."""
        return answered(self.world.services, self.records)


def answered(services: Services, records: Sequence[StreamRecord]) -> list[str]:
    """Deliver a batch and return the sequence numbers of the answer."""
    answer = meter(services, batch_event(SHARD, records))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def used(world: World, account: str = "acme") -> str:
    """Return what an account owes, which is what its events cost."""
    return str(-world.services.usage.tab(account).figures.pool(SHARED_POOL).balance)


def reasons(world: World) -> list[str]:
    """Return the codes of the dead letters, in order."""
    return [letter.code for letter in world.dead_events.letters]


@pytest.fixture
def world() -> World:
    """Give a service with the accounts `acme` and `beta`."""
    world = World()
    world.put_account("beta")
    return world


@pytest.fixture
def stream(world: World) -> Stream:
    """Give an empty stream."""
    return Stream(world)


class TestTaking:
    """What can be taken."""

    def test_one_event_or_an_array(self, stream: Stream, world: World) -> None:
        """A record holds one event or many, of any accounts, and a batch is one commit of each account."""
        stream.write(stream.event("1"))
        stream.write([stream.event("2"), stream.event("4", account="beta"), stream.event("8")])
        version = _version(world)

        assert stream.deliver() == []

        assert (used(world), used(world, "beta")) == ("11", "4")
        assert _version(world) == version + 1
        assert world.dead_events.letters == []

    def test_delivered_twice(self, stream: Stream, world: World) -> None:
        """A batch that comes again changes nothing, nor do parts of it."""
        for quantity in ("1", "2", "4"):
            stream.write([stream.event(quantity), stream.event(quantity, account="beta")])

        assert stream.deliver() == []
        assert stream.deliver() == []
        assert answered(world.services, stream.records[1:]) == []

        assert (used(world), used(world, "beta")) == ("7", "7")
        assert world.differences() == []

    def test_through_both_doors(self, stream: Stream, world: World) -> None:
        """An event that was posted is known when the stream brings it, and the other way round."""
        posted = world.event("3")
        assert world.services.metering.take([posted])[0].status.value == "accepted"
        stream.write(
            {
                **stream.event(),
                "id": posted.id,
                "time": format_instant(posted.time),
                "data": {"quantity": "3.0"},
            }
        )

        assert stream.deliver() == []

        assert used(world) == "3"
        assert world.dead_events.letters == []

    def test_age_is_judged_as_of_the_arrival(self, stream: Stream, world: World) -> None:
        """A stream that lags for days refuses nothing for it; what was too old or ahead when it came is rejected."""
        lag = 3 * DAY
        stream.write(stream.event("1", age=lag + AGE_MAX), age=lag)
        stream.write(stream.event("2", age=lag + AGE_MAX + SECOND), age=lag)
        stream.write(stream.event("4", age=lag - 6 * MINUTE), age=lag)
        stream.write(stream.event("8", age=lag - 4 * MINUTE), age=lag)

        assert stream.deliver() == []

        assert used(world) == "9"
        assert reasons(world) == ["too_old", "in_future"]
        assert {letter.arrived_at for letter in world.dead_events.letters} == {world.clock.now() - lag}

    def test_an_arrival_that_is_still_to_come(self, stream: Stream, world: World) -> None:
        """The stream's clock may be ahead; no event is taken from further ahead than over HTTP."""
        stream.write(stream.event(age=-6 * MINUTE), age=-2 * MINUTE)

        assert stream.deliver() == []

        assert reasons(world) == ["in_future"]

    def test_shards_out_of_order_and_side_by_side(self, stream: Stream, world: World) -> None:
        """After a split of a shard parent and children are read at once, and the same event may lie in all of them."""
        batches = [[stream.event("1") for _ in range(20)] for _ in range(6)]
        parent = [stream.write(batch) for batch in batches]
        children = [stream.write(batch) for batch in reversed(batches)]
        shards = [Shard("parent", parent), Shard("left", children[::2]), Shard("right", children[1::2])]
        processes = itertools.cycle([world.another(name, patiently) for name in "abc"])
        poller = StreamPoller(lambda event: meter(next(processes), event), shards, batch_size=2)

        poller.drain_side_by_side()

        assert used(world) == "120"
        assert world.differences() == []
        assert world.dead_events.letters == []


class TestRejecting:
    """What cannot be taken."""

    def test_poison_among_a_thousand(self, stream: Stream, world: World) -> None:
        """A record that is no JSON is a dead letter, as it came; the others are taken at once."""
        for number in range(1000):
            stream.write(b"\xff{poison" if number == 500 else stream.event("1"))

        poller = stream.poller(batch_size=500)
        poller.drain()

        assert used(world) == "999"
        assert [len(batch) for batch in poller.invocations] == [500, 500]
        (letter,) = world.dead_events.letters
        poison = stream.records[500]
        assert letter.body == b"\xff{poison"
        assert letter.id == f"usage-tab-events/{SHARD}:{poison.sequence}/0"
        assert (letter.code, letter.arrived_at) == ("invalid_event", poison.arrived_at)
        assert letter.detail.startswith("the record is not JSON: ")

    def test_event_by_event(self, stream: Stream, world: World) -> None:
        """Of an array each rejected event is a letter of its own, byte by byte, with the code that HTTP would give."""
        good = stream.event("1")
        unfit: list[tuple[str, dict[str, Any]]] = [
            ("invalid_event", stream.event("-1")),
            ("invalid_event", {}),
            ("unknown_account", stream.event(subject="nobody")),
            ("unknown_account", stream.event(subject="a/b")),
            ("unknown_resource", stream.event(type="telex")),
            ("too_old", stream.event(age=AGE_MAX + DAY)),
            ("conflict", {**good, "data": {"quantity": "2"}}),
            ("no_rate", stream.event(type="transcription")),
        ]
        texts = [json.dumps(event, indent=3) for _, event in unfit]
        stream.write(f"[{json.dumps(good)},\n  {' , '.join(texts)}]".encode())

        assert stream.deliver() == []

        assert used(world) == "1"
        assert reasons(world) == [code for code, _ in unfit]
        letters = world.dead_events.letters
        assert [letter.body.decode() for letter in letters] == texts
        assert [letter.id.rpartition("/")[2] for letter in letters] == [str(1 + place) for place in range(len(unfit))]

    @pytest.mark.parametrize("content", [b"", b"[]", b"5", b"null", b'[{"torn": 1', b"\x00", b"[" * 100_000])
    def test_a_record_without_events(self, stream: Stream, world: World, content: bytes) -> None:
        """A record of which nothing can be read is a letter as a whole."""
        stream.write(content)
        stream.write(stream.event("1"))

        assert stream.deliver() == []

        assert used(world) == "1"
        assert [(letter.code, letter.body) for letter in world.dead_events.letters] == [("invalid_event", content)]

    def test_twice_in_a_batch(self, stream: Stream, world: World) -> None:
        """Of two events of one identity the first counts; the other is a duplicate, or a conflict."""
        event = stream.event("1")
        for quantity in ("1", "2", "1.0"):
            stream.write({**event, "data": {"quantity": quantity}})

        assert stream.deliver() == []
        assert stream.deliver() == []

        assert used(world) == "1"
        assert {(letter.code, json.loads(letter.body)["data"]["quantity"]) for letter in world.dead_events.letters} == {
            ("conflict", "2")
        }

    def test_a_letter_is_known_again(self, stream: Stream, world: World) -> None:
        """Where a batch comes twice its letters do, too, under the same ids."""
        stream.write([{}, stream.event("1"), {}])
        stream.deliver()
        once = {letter.id for letter in world.dead_events.letters}
        stream.deliver()

        assert len(once) == 2
        assert {letter.id for letter in world.dead_events.letters} == once

    def test_a_damaged_account_is_no_others_trouble(self, stream: Stream, world: World) -> None:
        """Where nobody has foreseen the trouble, the events of that account are letters, and the shard goes on."""
        _damage(world, "beta")
        stream.write([stream.event("1"), stream.event("2", account="beta"), stream.event("4", account="beta")])

        assert stream.deliver() == []

        assert used(world) == "1"
        assert [(letter.code, letter.detail) for letter in world.dead_events.letters] == [
            ("internal_error", "UnknownFormatError")
        ] * 2

    def test_nothing_of_an_event_is_logged(
        self, stream: Stream, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """No number leaves through the log, whether its event is taken or not."""
        number = {"quantity": "1", "number": "12065550142"}
        stream.write([stream.event(data=number), stream.event(data={**number, "quantity": "x"})])

        assert stream.deliver() == []

        out, err = capfd.readouterr()
        assert "12065550142" not in out + err + caplog.text


class TestTrouble:
    """What fails on the way is delivered again, and nothing is lost or counted twice."""

    def test_a_busy_account(self, stream: Stream, world: World) -> None:
        """The answer is the first record with an event that is not decided; the accounts beside it have moved."""
        for account in ("acme", "beta", "acme", "beta"):
            stream.write(stream.event("1", account=account))
        world.store.controller = _Unreachable("account#beta")

        assert stream.deliver() == [stream.records[1].sequence]

        assert used(world) == "2"
        world.store.controller = _Unreachable("nothing")
        assert answered(world.services, stream.records[1:]) == []
        assert (used(world), used(world, "beta")) == ("2", "2")

    def test_letters_wait_for_what_comes_before_them(self, stream: Stream, world: World) -> None:
        """What is delivered again anyway is not sent to the dead letters yet."""
        stream.write({"first": 1})
        stream.write(stream.event("1"))
        stream.write({"last": 1})
        world.store.controller = _Unreachable("account#acme")

        assert stream.deliver() == [stream.records[1].sequence]

        assert [letter.body for letter in world.dead_events.letters] == [b'{"first": 1}']

    def test_dead_letters_out_of_reach(self, stream: Stream, world: World) -> None:
        """A record is dealt with once its letter is sent, and until then comes again; good events count once."""
        for content in (stream.event("1"), [stream.event("2"), {}], stream.event("4")):
            stream.write(content)
        calls = itertools.count(1)
        world.dead_events.before_call = lambda _call: Fault.UNAVAILABLE if next(calls) < 3 else None

        poller = stream.poller()
        poller.drain()

        assert used(world) == "7"
        assert reasons(world) == ["invalid_event"]
        assert [len(batch) for batch in poller.invocations] == [3, 2, 2]
        assert poller.given_up == []

    def test_no_dead_letters_at_all(self, stream: Stream, world: World) -> None:
        """Where none are set, nothing is dropped either: the stream waits."""
        stream.write(stream.event("1"))
        poison = stream.write({})

        answer = answered(dataclasses.replace(world.services, event_dead_letters=None), stream.records)

        assert answer == [poison.sequence]

    def test_killed_anywhere(self) -> None:
        """Whatever step a process dies at or loses the answer of, the next delivery puts all right."""
        taken = _deliveries()[1].taken
        assert {"put", "transact", "send"} <= set(taken)
        for number, fault in interruptions(taken):
            world, _ = _deliveries(number, fault)
            assert used(world) == "63", (number, fault)
            assert {letter.body for letter in world.dead_events.letters} == {b'{"a": 1}', b"?"}, (number, fault)
            assert world.differences() == [], (number, fault)

    @pytest.mark.parametrize("seed", range(10))
    def test_faults_anywhere_over_many_accounts(self, seed: int) -> None:
        """Whatever fails however often, every event counts once, or is a dead letter, on every account of a batch."""
        world = World()
        accounts = ["acme", "beta", "gamma", "delta"]
        for account in accounts[1:]:
            world.put_account(account)
        stream = Stream(world)
        chance = random.Random(seed)
        owed = dict.fromkeys(accounts, 0)
        for number in range(40):
            batch = [stream.event(str(number), account=chance.choice(accounts)) for _ in range(chance.randint(1, 4))]
            for event in batch:
                owed[event["subject"]] += number
            stream.write([*batch, {"poison": number}] if number % 5 == 0 else batch)
            if number % 7 == 0:
                stream.records.append(chance.choice(stream.records))
        world.store.controller = _Flaky(chance)
        names = itertools.count()
        shards = [Shard("parent", stream.records[:25]), Shard("child", stream.records[15:])]
        poller = StreamPoller(
            lambda event: meter(world.another(f"{next(names)}"), event), shards, batch_size=8, retries_max=100
        )

        poller.drain()

        world.store.controller = Undisturbed()
        assert poller.given_up == []
        assert {account: used(world, account) for account in accounts} == {
            account: str(amount) for account, amount in owed.items()
        }
        assert {letter.body for letter in world.dead_events.letters} == {
            json.dumps({"poison": number}).encode() for number in range(0, 40, 5)
        }
        for account in accounts:
            assert world.services.auditing.audit(account) == []


class _Flaky(Undisturbed):
    """Lets one step in thirty fail, in whatever way it can."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def before(self, step: Step) -> Fault | None:
        """Draw a fault."""
        faults = sorted(FAULTS[step.action], key=lambda fault: fault.name)
        return self._chance.choice(faults) if self._chance.random() < 1 / 30 else None


def _deliveries(number: int = 0, fault: Fault | None = None) -> tuple[World, Interruption]:
    """Deliver a stream until it is done: the first process is interrupted at its step *number*, others follow it."""
    world = World()
    stream = Stream(world)
    stream.write([stream.event("1"), {"a": 1}, stream.event("2")])
    stream.write([stream.event("4"), stream.event("8")])
    stream.write(b"?")
    stream.write(stream.event("16", type="message"))
    stream.write([stream.event("32", type="message")])
    interruption = Interruption(number, fault=fault)
    world.disturb(interruption)
    processes = itertools.chain([world.another("a")] * 2, (world.another(str(place)) for place in itertools.count()))
    shards = [Shard(SHARD, stream.records)]
    poller = StreamPoller(lambda event: meter(next(processes), event), shards, batch_size=4)
    poller.drain()
    assert poller.given_up == []
    return world, interruption


class _Unreachable(Interruption):
    """Keeps everybody from a partition of the store."""

    def __init__(self, partition: str) -> None:
        super().__init__(0)
        self._partition = partition

    def before(self, step: Any) -> Fault | None:
        """Refuse the steps that touch the partition."""
        return Fault.UNAVAILABLE if any(key.pk == self._partition for _, key in step.places) else None


class TestWiring:
    """The function that Lambda calls."""

    @pytest.fixture
    def connected(self, world: World) -> Iterator[Any]:
        """Give the function, over the world."""
        table_of_contents.app.use(world.services, None)  # type: ignore[arg-type]
        yield table_of_contents.meter_events
        table_of_contents.app._handed_over = None

    def test_the_answer_passes_through(self, connected: Any, stream: Stream, world: World) -> None:
        """What Lambda goes by is the answer of the function."""
        stream.write(stream.event("1"))
        assert connected(batch_event(SHARD, stream.records), None) == {"batchItemFailures": []}
        world.dead_events.before_call = lambda _call: Fault.UNAVAILABLE
        poison = stream.write({})

        answer = connected(batch_event(SHARD, stream.records), None)

        assert answer == {"batchItemFailures": [{"itemIdentifier": poison.sequence}]}

    def test_what_is_measured(
        self,
        connected: Any,
        stream: Stream,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Every event that is decided is counted by what became of it."""
        deploy(monkeypatch)
        stream.write([stream.event("1"), stream.event("2"), {}])

        for _ in range(2):
            connected(batch_event(SHARD, stream.records), None)

        totals = totals_of(capsys.readouterr().out)
        assert (totals["EventsAccepted",], totals["EventsDuplicate",], totals["EventsRejected",]) == (2, 2, 2)
        assert totals["EventsRejected", "invalid_event"] == 2

    def test_the_builder_of_reports(self, connected: Any) -> None:
        """What the queue of reports brings goes to the builder, which gives up what nobody can read."""
        assert connected is not None
        record = {"messageId": "1", "body": "{}", "receiptHandle": "r", "attributes": {"ApproximateReceiveCount": "1"}}

        assert table_of_contents.build_reports({"Records": [record]}, None) == {"batchItemFailures": []}

    def test_the_sample(self, connected: Any, world: World) -> None:
        """The sample of a batch holds what its description says: events that can be taken, and one poison."""
        world.at("2026-11-22T15:00:00Z")

        assert connected(json.loads(SAMPLE.read_bytes()), None) == {"batchItemFailures": []}

        assert [letter.code for letter in world.dead_events.letters] == ["invalid_event"]


def _version(world: World) -> int:
    head = world.services.heads.load("acme")
    assert head is not None
    return head.version


def _damage(world: World, account: str) -> None:
    item = world.store.get(Table.STATE, keys.head(account))
    assert item is not None
    world.store.put(Table.STATE, msgspec.structs.replace(item, body=b"\xff"))
