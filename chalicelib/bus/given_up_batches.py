"""
Batches of the stream that Lambda has given up: SQS is told where they lie, Amazon Kinesis still holds their records.

A record stays in the stream for as long as the stream keeps its records, however often it was read.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from chalicelib.bus.dead_letters import DeadBatch, DeadLettersUnavailableError
from chalicelib.bus.sqs_dead_letters import WAIT_SECONDS, SqsDeadLetters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.bus.sqs_dead_letters import ClientOf

RECEIVED_MAX: Final = 10
"""Batches at a time: each may have 6 MB."""


_GONE: Final = frozenset({"InvalidArgumentException", "ResourceNotFoundException"})
"""What Kinesis answers for a stream, a shard or a place in it that is not there any more."""


class _BatchInfo(Struct, rename="camel"):
    shard_id: str
    start_sequence_number: str
    end_sequence_number: str
    batch_size: int
    stream_arn: str


class _Notice(Struct, rename={"batch": "KinesisBatchInfo"}):
    batch: _BatchInfo


class GivenUpBatches(SqsDeadLetters[DeadBatch]):
    """The batches that the queue at *url* tells of, through what *client* returns for `sqs` and `kinesis`."""

    def __init__(self, client: ClientOf, url: str, wait_seconds: int = WAIT_SECONDS) -> None:
        """Read the queue and the stream."""
        super().__init__(client, url, self._read_batch, wait_seconds, RECEIVED_MAX)

    def _read_batch(self, message: dict[str, Any]) -> DeadBatch:
        name = message["MessageId"]
        try:
            info = msgspec.json.decode(message["Body"], type=_Notice).batch
        except msgspec.DecodeError:
            return DeadBatch(name, [], is_whole=False)
        name = f"{info.stream_arn.rpartition('/')[2]}/{info.shard_id}:{info.start_sequence_number}"
        try:
            records = list(self._records(info))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise DeadLettersUnavailableError(str(error)) from error
            records = []
        except BotoCoreError as error:
            raise DeadLettersUnavailableError(str(error)) from error
        return DeadBatch(name, records, is_whole=len(records) == info.batch_size)

    def _records(self, info: _BatchInfo) -> Iterator[dict[str, Any]]:
        """Yield the records that the stream still has, each as a function is given it."""
        end = int(info.end_sequence_number)
        kinesis = self._client("kinesis")
        iterator = kinesis.get_shard_iterator(
            StreamARN=info.stream_arn,
            ShardId=info.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=info.start_sequence_number,
        )["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(StreamARN=info.stream_arn, ShardIterator=iterator)
            for record in answer["Records"]:
                if int(record["SequenceNumber"]) > end:
                    return
                yield _delivered(info, record)
                if int(record["SequenceNumber"]) == end:
                    return
            iterator = answer.get("NextShardIterator") if answer["Records"] or answer["MillisBehindLatest"] else None


def _delivered(info: _BatchInfo, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventID": f"{info.shard_id}:{record['SequenceNumber']}",
        "eventSourceARN": info.stream_arn,
        "kinesis": {
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            "data": b64encode(record["Data"]).decode(),
            "sequenceNumber": record["SequenceNumber"],
        },
    }
