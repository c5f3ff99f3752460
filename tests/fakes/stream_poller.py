"""
What stands between a Kinesis stream and a function: it reads shards, hands over batches and goes by the answers.

It keeps AWS's rules: the lowest sequence number among the `batchItemFailures` is a checkpoint, and all from there on
is delivered again; a batch on which the function failed as a whole is split in two where it can be, which costs no try;
what failed too often is passed over, and its place in the stream goes to the destination for failures.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from typing import Any, Final

from msgspec import Struct

from chalicelib.domain.instants import SECOND, Instant, format_instant, to_instant
from tests.fakes.memory_store import ClientCrashedError


Invoke = Callable[[dict[str, Any]], Any]
"""Calls the function with an event and returns its answer; it may raise, as a function may fail."""

ARN: Final = "arn:aws:kinesis:eu-west-1:123456789012:stream/usage-tab-events"

_sequence = count(49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898)


class StreamRecord(Struct, frozen=True):
    """A record as it lies in a shard; *arrived_at* is the approximate time of its arrival."""

    data: bytes
    key: str
    arrived_at: Instant
    sequence: str

    @classmethod
    def of(cls, data: bytes, key: str, arrived_at: Instant) -> StreamRecord:
        """Return a record that comes after all that were made before it."""
        return cls(data, key, arrived_at, str(next(_sequence)))

    @classmethod
    def of_kinesis(cls, record: dict[str, Any]) -> StreamRecord:
        """Return a record that `GetRecords` has answered."""
        arrived_at: datetime = record["ApproximateArrivalTimestamp"]
        return cls(record["Data"], record["PartitionKey"], to_instant(arrived_at), record["SequenceNumber"])

    def delivered(self, shard: str, arn: str) -> dict[str, Any]:
        """Return the record as a function is given it, from a *shard* of the stream *arn*."""
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": self.key,
                "sequenceNumber": self.sequence,
                "data": b64encode(self.data).decode(),
                "approximateArrivalTimestamp": self.arrived_at / SECOND,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{self.sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/usage-tab-meter-events",
            "awsRegion": "eu-west-1",
            "eventSourceARN": arn,
        }


class Shard(Struct, frozen=True):
    """A shard of the stream *arn* and what lies in it, oldest first."""

    name: str
    records: Sequence[StreamRecord]
    arn: str = ARN


def batch_event(shard: str, records: Sequence[StreamRecord], arn: str = ARN) -> dict[str, Any]:
    """Return a batch as a function is called with it."""
    return {"Records": [record.delivered(shard, arn) for record in records]}


class StreamPoller:
    """
    Delivers *shards* to *invoke*, in batches of *batch_size*.

    *given_up* holds what the destination for failures is told, after one try and *retries_max* more. *invocations*
    holds the sequence numbers of every batch that was delivered.
    """

    def __init__(
        self,
        invoke: Invoke,
        shards: Sequence[Shard],
        *,
        batch_size: int = 100,
        retries_max: int = 3,
        splits: bool = True,
    ) -> None:
        self.given_up: list[dict[str, Any]] = []
        self.invocations: list[tuple[str, ...]] = []
        self._invoke = invoke
        self._readers = [_Reader(shard, batch_size) for shard in shards]
        self._retries_max = retries_max
        self._splits = splits

    @property
    def is_done(self) -> bool:
        """Tell whether every record was dealt with or given up."""
        return all(reader.is_done for reader in self._readers)

    def poll(self) -> None:
        """Deliver the next batch of each shard, one shard after the other."""
        for reader in self._readers:
            if not reader.is_done:
                self._deliver(reader)

    def drain(self) -> None:
        """Deliver until all is done, the shards taking turns."""
        while not self.is_done:
            self.poll()

    def drain_side_by_side(self) -> None:
        """Deliver until all is done, every shard at its own pace."""

        def drain(reader: _Reader) -> None:
            while not reader.is_done:
                self._deliver(reader)

        with ThreadPoolExecutor(len(self._readers)) as pool:
            list(pool.map(drain, self._readers))

    def _deliver(self, reader: _Reader) -> None:
        batch = reader.next()
        self.invocations.append(tuple(record.sequence for record in batch.records))
        done = self._call(reader.shard, batch)
        if done is None and self._splits and len(batch.records) > 1:
            middle = len(batch.records) // 2
            halves = (batch.records[:middle], batch.records[middle:])
            reader.put_back(*(_Batch(half, batch.failures) for half in halves))
            return
        rest = batch.records[done or 0 :]
        failures = 1 if done else batch.failures + 1
        if rest and failures <= self._retries_max:
            reader.put_back(_Batch(rest, failures))
        elif rest:
            self.given_up.append(_metadata(reader.shard, rest))

    def _call(self, shard: Shard, batch: _Batch) -> int | None:
        """Return how many of the first records were dealt with, None where the function failed as a whole."""
        try:
            answer = self._invoke(batch_event(shard.name, batch.records, shard.arn))
        except (Exception, ClientCrashedError):  # noqa: BLE001 - whatever it is, the function has failed
            return None
        sequences = [record.sequence for record in batch.records]
        failures = (answer or {}).get("batchItemFailures") or []
        failed = [failure.get("itemIdentifier") for failure in failures]
        if any(sequence not in sequences for sequence in failed):
            return None
        return min(map(sequences.index, failed), default=len(sequences))


class _Batch(Struct, frozen=True):
    records: Sequence[StreamRecord]
    failures: int = 0


class _Reader:
    """Where the reading of a shard stands."""

    def __init__(self, shard: Shard, batch_size: int) -> None:
        self.shard = shard
        starts = range(0, len(shard.records), batch_size)
        self._waiting = [_Batch(shard.records[start : start + batch_size]) for start in starts]

    @property
    def is_done(self) -> bool:
        return not self._waiting

    def next(self) -> _Batch:
        return self._waiting.pop(0)

    def put_back(self, *batches: _Batch) -> None:
        self._waiting[:0] = batches


def _metadata(shard: Shard, records: Sequence[StreamRecord]) -> dict[str, Any]:
    return {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "version": "1.0",
        "KinesisBatchInfo": {
            "shardId": shard.name,
            "startSequenceNumber": records[0].sequence,
            "endSequenceNumber": records[-1].sequence,
            "approximateArrivalOfFirstRecord": format_instant(records[0].arrived_at),
            "approximateArrivalOfLastRecord": format_instant(records[-1].arrived_at),
            "batchSize": len(records),
            "streamArn": shard.arn,
        },
    }
