"""What brings streams to functions here: pollers that go by the answers and by what the template says of mappings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.stream_poller import Shard, StreamPoller, StreamRecord
from tests.stores import dynamodb_streams_client


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.deployed.stack import DeployedStack

_PUT_MAX: Final = 500
_RETRIES_MAX: Final = 1_000
"""What stands here for tries without end."""


class Metering:
    """
    The metering stream of a stack, and what delivers its records to the function.

    The emulator's own mapping passes over records that the function asks for again, so it is switched off.
    """

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._kinesis = stack.aws.client("kinesis")
        self._stream = stack.resource("MeteringStream")
        self._mapping = mapping_of(stack, "kinesis")
        stack.aws.client("lambda").update_event_source_mapping(UUID=self._mapping["UUID"], Enabled=False)
        assert self._mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def put(self, records: Sequence[tuple[str, bytes]]) -> set[str]:
        """Put records, each an account and what is said of it, and return their numbers."""
        numbers = set()
        for start in range(0, len(records), _PUT_MAX):
            entries = [{"PartitionKey": key, "Data": data} for key, data in records[start : start + _PUT_MAX]]
            answer = self._kinesis.put_records(StreamName=self._stream, Records=entries)
            assert answer["FailedRecordCount"] == 0
            numbers |= {entry["SequenceNumber"] for entry in answer["Records"]}
        return numbers

    def split(self) -> None:
        """Split the shard that is open into two."""
        shards = self._kinesis.list_shards(StreamName=self._stream)["Shards"]
        shard = next(shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"])
        bounds = shard["HashKeyRange"]
        middle = (int(bounds["StartingHashKey"]) + int(bounds["EndingHashKey"])) // 2
        self._kinesis.split_shard(
            StreamName=self._stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
        )

    def shards(self, numbers: set[str]) -> list[Shard]:
        """Return the shards of the stream, the oldest first, with those of their records that have these *numbers*."""
        shards = self._kinesis.list_shards(StreamName=self._stream)["Shards"]
        read = [Shard(shard["ShardId"], self._records(shard["ShardId"], numbers), self._arn) for shard in shards]
        return [shard for shard in read if shard.records]

    def poller(self, shards: Sequence[Shard], invoke: Callable[[dict[str, Any]], Any] | None = None) -> StreamPoller:
        """Return what delivers *shards* as the template's mapping says."""
        return StreamPoller(
            invoke or self.invoke,
            shards,
            batch_size=self._mapping["BatchSize"],
            retries_max=_RETRIES_MAX if (retries := self._mapping["MaximumRetryAttempts"]) < 0 else retries,
            splits=self._mapping["BisectBatchOnFunctionError"],
        )

    def deliver(self, records: Sequence[tuple[str, bytes]]) -> StreamPoller:
        """Put records and deliver them until all are dealt with."""
        poller = self.poller(self.shards(self.put(records)))
        poller.drain()
        assert poller.given_up == []
        return poller

    def invoke(self, event: dict[str, Any]) -> Any:
        """Call the function as its mapping does."""
        return self._stack.invoke(self._mapping["FunctionArn"], event)

    @property
    def _arn(self) -> str:
        arn: str = self._mapping["EventSourceArn"]
        return arn

    def _records(self, shard: str, numbers: set[str]) -> list[StreamRecord]:
        iterator = self._kinesis.get_shard_iterator(
            StreamName=self._stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = []
        while True:
            answer = self._kinesis.get_records(ShardIterator=iterator)
            records += [StreamRecord.of_kinesis(record) for record in answer["Records"]]
            iterator = answer.get("NextShardIterator")
            if iterator is None or not answer["Records"]:
                return [record for record in records if record.sequence in numbers]


class Outbox:
    """The stream of a stack's state table, and what delivers its records to the function."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._mapping = mapping_of(stack, "dynamodb")
        (only,) = self._mapping["FilterCriteria"]["Filters"]
        self._pattern = json.loads(only["Pattern"])
        self._streams = dynamodb_streams_client(stack.dynamodb.meta.endpoint_url)
        table = stack.dynamodb.describe_table(TableName=stack.resource("StateTable"))["Table"]
        self._arn = table["LatestStreamArn"]
        self._delivered: set[str] = set()

    def deliver(self) -> int:
        """Deliver what has come since the last time, in batches, and return how many records the function was given."""
        waiting = [record for record in self._records() if record["dynamodb"]["SequenceNumber"] not in self._delivered]
        wanted = [record for record in waiting if self._passes(record)]
        size = self._mapping["BatchSize"]
        for start in range(0, len(wanted), size):
            answer = self._stack.invoke(self._mapping["FunctionArn"], {"Records": wanted[start : start + size]})
            assert answer == {"batchItemFailures": []}
        self._delivered |= {record["dynamodb"]["SequenceNumber"] for record in waiting}
        return len(wanted)

    def _records(self) -> list[dict[str, Any]]:
        shards = self._streams.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        return [record for shard in shards for record in self._read(shard["ShardId"])]

    def _read(self, shard: str) -> list[dict[str, Any]]:
        iterator = self._streams.get_shard_iterator(
            StreamArn=self._arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict[str, Any]] = []
        while iterator is not None:
            answer = self._streams.get_records(ShardIterator=iterator)
            records += [self._as_delivered(record) for record in answer["Records"]]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
        return records

    def _as_delivered(self, record: dict[str, Any]) -> dict[str, Any]:
        change = {member: record["dynamodb"][member] for member in ("Keys", "SequenceNumber", "StreamViewType")}
        return {
            "eventID": record["eventID"],
            "eventName": record["eventName"],
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "dynamodb": change,
            "eventSourceARN": self._arn,
        }

    def _passes(self, record: dict[str, Any]) -> bool:
        """Tell whether a record passes the filter of the mapping: a name of an event, and a beginning of a key."""
        (beginning,) = self._pattern["dynamodb"]["Keys"]["sk"]["S"]
        key: str = record["dynamodb"]["Keys"]["sk"]["S"]
        return record["eventName"] in self._pattern["eventName"] and key.startswith(beginning["prefix"])


def mapping_of(stack: DeployedStack, service: str) -> dict[str, Any]:
    """Return the mapping whose source is of a *service*."""
    mappings = stack.aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    found: dict[str, Any]
    (found,) = (mapping for mapping in mappings if mapping["EventSourceArn"].split(":")[2] == service)
    return found
