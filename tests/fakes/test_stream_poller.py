"""The poller of the stream keeps the rules of Lambda's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.domain.instants import parse_instant
from tests.fakes.stream_poller import Shard, StreamPoller, StreamRecord


AT = parse_instant("2026-11-22T14:21:41.75Z")


def shard(size: int, name: str = "shard-1") -> Shard:
    """Return a shard of records whose data are their numbers."""
    return Shard(name, [StreamRecord.of(str(number).encode(), "acme", AT) for number in range(size)])


def delivered(poller: StreamPoller, shard: Shard) -> list[list[int]]:
    """Return which records of a shard each invocation was given."""
    places = {record.sequence: place for place, record in enumerate(shard.records)}
    return [[places[sequence] for sequence in batch] for batch in poller.invocations]


def failing(*sequences: str) -> dict[str, Any]:
    """Return the answer that names these sequence numbers."""
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in sequences]}


def answering(*answers: Any) -> Any:
    """Return a function that gives these answers, or raises them, and then is content with everything."""
    waiting = iter(answers)

    def invoke(_event: dict[str, Any]) -> Any:
        answer = next(waiting, None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return invoke


def test_batches_in_order() -> None:
    """A shard is delivered in batches, oldest first; several take turns."""
    first, second = shard(5), shard(1, "shard-2")
    events: list[dict[str, Any]] = []
    poller = StreamPoller(events.append, [first, second], batch_size=2)

    poller.drain()

    assert [(len(event["Records"]), event["Records"][0]["eventID"].partition(":")[0]) for event in events] == [
        (2, "shard-1"),
        (1, "shard-2"),
        (2, "shard-1"),
        (1, "shard-1"),
    ]
    record = events[0]["Records"][0]
    assert (record["kinesis"]["data"], record["kinesis"]["approximateArrivalTimestamp"]) == ("MA==", 1795357301.75)


@pytest.mark.parametrize("order", [(1, 3), (3, 1)])
def test_the_lowest_failure_is_the_checkpoint(order: Sequence[int]) -> None:
    """All from the lowest sequence number on comes again, whatever the order of the answer."""
    records = shard(4)
    poller = StreamPoller(answering(failing(*(records.records[place].sequence for place in order))), [records])

    poller.drain()

    assert delivered(poller, records) == [[0, 1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("answer", [RuntimeError(), failing("unknown"), failing("")])
def test_a_failure_as_a_whole_splits(answer: Any) -> None:
    """Where the function raises, or names what it was not given, the batch comes again in halves."""
    records = shard(3)
    poller = StreamPoller(answering(answer), [records])

    poller.drain()

    assert delivered(poller, records) == [[0, 1, 2], [0], [1, 2]]


def test_what_fails_too_often_is_given_up() -> None:
    """After the last try the record is passed over, and the destination is told where it lies; progress starts anew."""
    records = shard(3)
    poison = records.records[1].sequence

    def invoke(event: dict[str, Any]) -> dict[str, Any]:
        sequences = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
        return failing(poison) if poison in sequences else failing()

    poller = StreamPoller(invoke, [records], batch_size=2, retries_max=2)
    poller.drain()

    assert delivered(poller, records) == [[0, 1], [1], [1], [2]]
    (notice,) = poller.given_up
    info = notice["KinesisBatchInfo"]
    assert (info["shardId"], info["startSequenceNumber"], info["endSequenceNumber"]) == ("shard-1", poison, poison)
    assert info["batchSize"] == 1
