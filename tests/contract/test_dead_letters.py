"""What every place of dead letters must do: one in memory, and SQS with S3, here those of the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chalicelib.bus.dead_letters import DeadEvent, DeadEvents, DeadLetters, DeadLettersUnavailableError, DeadWork, T
from chalicelib.bus.sqs import SqsWorkQueue
from chalicelib.bus.sqs_dead_letters import SqsDeadEvents, SqsDeadLetters, read_work
from chalicelib.domain.instants import MINUTE, parse_instant
from chalicelib.services.clocks import RealClock
from tests.fakes.dead_letters import FakeDeadEvents
from tests.stores import AwsClients


BUCKET = "bucket-of-reports"
ARRIVED_AT = parse_instant("2026-11-22T14:21:41.75Z")

_numbers = itertools.count(1)


def dead(body: bytes = b"{}", detail: str = "there is no such account") -> DeadEvent:
    """Return a dead event unlike any other."""
    return DeadEvent(f"stream/shard-1:{next(_numbers)}/0", body, "unknown_account", detail, ARRIVED_AT)


def received(letters: DeadLetters[T]) -> list[T]:
    """Receive all that can be received, and return it."""
    found: list[T] = []
    while held := letters.receive():
        found += [one.letter for one in held]
    return found


@pytest.fixture(scope="session")
def bucket(aws: AwsClients) -> str:
    """Give the bucket for what SQS cannot carry."""
    aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return BUCKET


@pytest.fixture
def new_queue(aws: AwsClients) -> Callable[[], str]:
    """Give a function that creates a queue and returns its URL."""
    return lambda: str(aws("sqs").create_queue(QueueName=f"queue-{next(_numbers)}")["QueueUrl"])


@pytest.fixture(params=["memory", "sqs"])
def events(request: pytest.FixtureRequest) -> DeadEvents:
    """Give an empty place of each kind."""
    if request.param == "memory":
        return FakeDeadEvents()
    url: str = request.getfixturevalue("new_queue")()
    return SqsDeadEvents(request.getfixturevalue("aws"), url, request.getfixturevalue("bucket"), wait_seconds=0)


def by_id(events: Sequence[DeadEvent]) -> list[DeadEvent]:
    """Return events in an order that does not depend on the place."""
    return sorted(events, key=lambda event: event.id)


class TestContents:
    """What is kept of an event."""

    @pytest.mark.parametrize(
        "body",
        [
            b'{"a":  "sch\xc3\xb6n \xe2\x98\x83 \xf0\x9f\x98\x80",\r\n\t"b": 1.0}',
            b"",
            b"\xff\xfe",
            b"\x00 and \x1b",
            "\ufffe".encode(),
            b"x" * 300_000,
            "\u2603".encode() * 400_000,
        ],
        ids=["text", "empty", "no text", "controls", "no character", "large", "larger"],
    )
    def test_any_body(self, events: DeadEvents, body: bytes) -> None:
        """An event comes back byte by byte, with all that is said of it, whatever it is and however large."""
        event = dead(body)
        events.send([event])

        assert received(events) == [event]

    def test_any_detail(self, events: DeadEvents) -> None:
        """A reason may hold what SQS would refuse; what is left of it can be read."""
        events.send([dead(detail="no \x00 product \ufffe " + "x" * 400), dead(detail="")])

        assert all(event.detail.startswith("no ") or event.detail in {"", "unknown"} for event in received(events))

    def test_many_at_once(self, events: DeadEvents) -> None:
        """Requests are as many as it takes, by number and by size."""
        sent = [dead(bytes([65 + place]) * size) for place, size in enumerate([1] * 23 + [150_000] * 3 + [240_000])]
        events.send(sent)

        assert by_id(received(events)) == by_id(sent)

    def test_twice(self, events: DeadEvents) -> None:
        """One that is sent twice may be there twice, with one id; both can be read though one is settled."""
        event = dead(b"\xff")
        events.send([event])
        events.send([event])
        first = events.receive()
        events.settle(first[:1])
        events.release(first[1:])

        assert {one.letter.id for one in first} == {event.id}
        assert received(events) == [event]

    def test_none(self, events: DeadEvents) -> None:
        """Nothing sent is nothing kept."""
        events.send([])

        assert events.count() == 0
        assert events.receive() == []


class TestHolding:
    """Who has a letter, and for how long."""

    def test_held_settled_released(self, events: DeadEvents) -> None:
        """One that is held is given to nobody else; settled it is gone, released it is there again."""
        sent = [dead() for _ in range(3)]
        events.send(sent)
        assert events.count() == 3

        held = []
        while more := events.receive():
            held += more
        events.settle(held[:1])
        events.release(held[1:])

        assert by_id([one.letter for one in held]) == by_id(sent)
        assert events.count() == 2
        again = events.receive()
        assert {one.message for one in again} <= {one.message for one in held[1:]}

    def test_released_twice(self, events: DeadEvents) -> None:
        """What is not held any more is passed over."""
        events.send([dead()])
        held = events.receive()
        events.release(held)
        events.settle(events.receive())

        events.release(held)

        assert events.receive() == []


class TestSqs:
    """What is SQS's own."""

    def test_a_message_put_there_by_hand(self, aws: AwsClients, new_queue: Callable[[], str], bucket: str) -> None:
        """A message without attributes is an event that arrived when it was sent."""
        url = new_queue()
        message = aws("sqs").send_message(QueueUrl=url, MessageBody="{}")["MessageId"]

        (event,) = received(SqsDeadEvents(aws, url, bucket, wait_seconds=0))

        assert (event.id, event.body, event.code) == (message, b"{}", "unknown")
        assert abs(event.arrived_at - RealClock().now()) < MINUTE

    def test_an_arrival_that_cannot_be_read(self, aws: AwsClients, new_queue: Callable[[], str], bucket: str) -> None:
        """An attribute that somebody has spoilt spoils no other letter."""
        url = new_queue()
        attributes = {"ArrivedAt": {"DataType": "String", "StringValue": "yesterday"}}
        aws("sqs").send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=attributes)

        (event,) = received(SqsDeadEvents(aws, url, bucket, wait_seconds=0))

        assert abs(event.arrived_at - RealClock().now()) < MINUTE

    def test_an_object_that_is_gone(self, aws: AwsClients, new_queue: Callable[[], str], bucket: str) -> None:
        """A letter whose event is lost is a letter still, with the address of it, and spoils no other."""
        events = SqsDeadEvents(aws, new_queue(), bucket, wait_seconds=0)
        lost, kept = dead(b"\xff"), dead(b"\xfe")
        events.send([lost, kept])
        aws("s3").delete_object(Bucket=bucket, Key=f"dead-letters/{lost.id}")

        found = {event.id: event.body for event in received(events)}

        assert found == {lost.id: f"s3://{bucket}/dead-letters/{lost.id}".encode(), kept.id: b"\xfe"}

    def test_buried_work(self, aws: AwsClients, new_queue: Callable[[], str]) -> None:
        """What the work queue has buried is read with its reason and its time."""
        url = new_queue()
        SqsWorkQueue(aws("sqs"), "", url).bury('{"job": "audit"}', "KeyError: x")

        (work,) = received(SqsDeadLetters(aws, url, read_work, wait_seconds=0))

        assert (work.body, work.reason) == ('{"job": "audit"}', "KeyError: x")
        assert isinstance(work, DeadWork)
        assert abs(work.buried_at - RealClock().now()) < MINUTE

    def test_without_a_bucket(self, aws: AwsClients, new_queue: Callable[[], str]) -> None:
        """What has nowhere to go is not taken."""
        with pytest.raises(DeadLettersUnavailableError, match="USAGE_TAB_REPORT_BUCKET"):
            SqsDeadEvents(aws, new_queue(), None).send([dead(b"\xff")])

    @pytest.mark.parametrize("act", ["count", "receive", "send"])
    def test_no_queue(self, aws: AwsClients, bucket: str, act: str) -> None:
        """A queue that is not there is said to be out of reach."""
        events = SqsDeadEvents(aws, "http://127.0.0.1/000000000000/none", bucket)
        acts: dict[str, Callable[[], Any]] = {
            "count": events.count,
            "receive": events.receive,
            "send": lambda: events.send([dead()]),
        }

        with pytest.raises(DeadLettersUnavailableError):
            acts[act]()
