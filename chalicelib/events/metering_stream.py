"""
What the metering system's stream brings: usage events, one or an array of them in every record.

The events of all records of a batch are taken together, account by account, each judged as of its record's arrival.
What is rejected goes to the dead letters, event by event, and its record is dealt with once it lies there.
"""

from __future__ import annotations

from base64 import b64decode
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.bus.dead_letters import DeadEvent, DeadLettersUnavailableError
from chalicelib.domain.instants import SECOND, Instant
from chalicelib.domain.usage_events import InvalidEventError, split_events
from chalicelib.observability import logger
from chalicelib.services.count_verdicts import count_verdicts
from chalicelib.services.meter_events import Status, Verdict, rejected
from chalicelib.services.receive_events import decide, read_event


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.bus.dead_letters import DeadEvents
    from chalicelib.services.container import Services
    from chalicelib.services.receive_events import Reading


class _Part(NamedTuple):
    """A part of a record: an event, or all of a record that holds none; *place* is the record's in the batch."""

    place: int
    id: str
    raw: bytes
    arrived_at: Instant
    reading: Reading


def meter(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """
    Take the events of a batch of records, and return the first record that is not wholly dealt with.

    From there on the stream delivers the batch again; what was taken of it is known again.
    """
    records = event["Records"]
    dealt_with = _take(services, records)
    if dealt_with < len(records):
        logger().warning("%d of %d records are to be delivered again", len(records) - dealt_with, len(records))
    failed = [record["kinesis"]["sequenceNumber"] for record in records[dealt_with:][:1]]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def take_records(services: Services, records: Sequence[dict[str, Any]]) -> bool:
    """Take the events of *records*, and tell whether all is dealt with."""
    return _take(services, records) == len(records)


def _take(services: Services, records: Sequence[dict[str, Any]]) -> int:
    """Take the events of *records*, and return how many of the first records are wholly dealt with."""
    now = None if services.test_clock is None else services.clock.now()
    parts = [part for place, record in enumerate(records) for part in _parts(place, record, now)]
    verdicts = decide([part.reading for part in parts], services.metering.take_each)
    undecided = [
        part.place for part, verdict in zip(parts, verdicts, strict=True) if verdict.status is Status.UNDECIDED
    ]
    count_verdicts(verdict for verdict in verdicts if verdict.status is not Status.UNDECIDED)
    return _bury(services, parts, verdicts, min(undecided, default=len(records)))


def _parts(place: int, record: dict[str, Any], now: Instant | None) -> Iterator[_Part]:
    """Yield the parts of a record, which arrives *now* where a test clock says what time it is."""
    body = b64decode(record["kinesis"]["data"])
    arrived_at = _arrival(record) if now is None else now
    stream = record["eventSourceARN"].rpartition("/")[2]
    raws: Sequence[bytes]
    try:
        raws = [bytes(raw) for raw in split_events(body)]
        readings: list[Reading] = [read_event(raw, arrived_at) for raw in raws]
    except InvalidEventError as error:
        raws, readings = [body], [rejected("invalid_event", f"the record {error}")]
    for index, (raw, reading) in enumerate(zip(raws, readings, strict=True)):
        yield _Part(place, f"{stream}/{record['eventID']}/{index}", raw, arrived_at, reading)


def _arrival(record: dict[str, Any]) -> Instant:
    return int(Decimal(str(record["kinesis"]["approximateArrivalTimestamp"])) * SECOND)


def _bury(services: Services, parts: Sequence[_Part], verdicts: Sequence[Verdict], decided: int) -> int:
    """Send what is rejected of the first *decided* records to the dead letters; return how many are dealt with."""
    rejects = [
        (part, verdict)
        for part, verdict in zip(parts, verdicts, strict=True)
        if verdict.status is Status.REJECTED and part.place < decided
    ]
    letters = [
        DeadEvent(part.id, part.raw, verdict.code or "", verdict.detail or "", part.arrived_at)
        for part, verdict in rejects
    ]
    return decided if _send(services.event_dead_letters, letters) else rejects[0][0].place


def _send(dead_letters: DeadEvents | None, events: Sequence[DeadEvent]) -> bool:
    if not events:
        return True
    if dead_letters is None:
        logger().error("USAGE_TAB_EVENT_DEAD_LETTERS names no place for events that are rejected")
        return False
    try:
        dead_letters.send(events)
    except DeadLettersUnavailableError:
        logger().exception("dead letters of the stream could not be sent")
        return False
    return True
