"""What functions may do, a statement each: actions by their names, on resources by theirs."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.bus.sqs_dead_letters import PREFIX as DEAD_LETTERS
from chalicelib.files.s3 import PREFIX as REPORT_PREFIX
from infra.data import DUE_INDEX, PAGES_TABLE, REPORT_BUCKET, STATE_TABLE
from infra.intrinsics import arn, attribute, sub
from infra.queues import (
    EVENT_DEAD_LETTERS,
    METERING_DEAD_LETTERS,
    OUTBOX_DEAD_LETTERS,
    REPORTS,
    SCHEDULES_DEAD_LETTERS,
    WORK,
    WORK_DEAD_LETTERS,
)
from infra.secrets import SECRET
from infra.streams import EVENT_BUS, METERING_STREAM


Permission = dict[str, Any]

# Transactions are of puts alone, and need no action of their own. Nothing is updated in place, nothing deleted; items
# of state are read and put one by one, pages and their index in batches.
_TAKE: Final = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
_SEND: Final = ("sqs:SendMessage",)


def _allow(actions: tuple[str, ...], *resources: Any) -> Permission:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


READ_STATE: Final = _allow(("dynamodb:GetItem", "dynamodb:Query"), arn(STATE_TABLE))
PUT_STATE: Final = _allow(("dynamodb:PutItem",), arn(STATE_TABLE))
READ_PAGES: Final = _allow(("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"), arn(PAGES_TABLE))
PUT_PAGES: Final = _allow(("dynamodb:BatchWriteItem",), arn(PAGES_TABLE))
FIND_DUE: Final = _allow(("dynamodb:Query",), sub(f"${{{STATE_TABLE}.Arn}}/index/{DUE_INDEX}"))

HAND_OVER_WORK: Final = _allow(_SEND, arn(WORK))
TAKE_WORK: Final = _allow(_TAKE, arn(WORK))
BURY_WORK: Final = _allow(_SEND, arn(WORK_DEAD_LETTERS))
HAND_OVER_REPORTS: Final = _allow(_SEND, arn(REPORTS))
TAKE_REPORTS: Final = _allow(_TAKE, arn(REPORTS))
BURY_EVENTS: Final = _allow(_SEND, arn(EVENT_DEAD_LETTERS), arn(METERING_DEAD_LETTERS))
BURY_LARGE_EVENTS: Final = _allow(("s3:PutObject",), sub(f"${{{REPORT_BUCKET}.Arn}}/{DEAD_LETTERS}*"))
BURY_EFFECTS: Final = _allow(_SEND, arn(OUTBOX_DEAD_LETTERS))
BURY_SCHEDULES: Final = _allow(_SEND, arn(SCHEDULES_DEAD_LETTERS))

READ_METERING_STREAM: Final = _allow(
    (
        "kinesis:DescribeStream",
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
    ),
    arn(METERING_STREAM),
)
READ_STATE_STREAM: Final = _allow(
    ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"),
    attribute(STATE_TABLE, "StreamArn"),
)

REPORT_FILES: Final = (
    _allow(
        ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        sub(f"${{{REPORT_BUCKET}.Arn}}/{REPORT_PREFIX}*"),
    ),
    # Without it, S3 says of a file which is not there that it must not be seen.
    _allow(("s3:ListBucket",), arn(REPORT_BUCKET)),
)

READ_SECRET: Final = _allow(("secretsmanager:GetSecretValue",), attribute(SECRET, "Id"))
PUBLISH: Final = _allow(("events:PutEvents",), arn(EVENT_BUS))


def write_logs(group: str) -> Permission:
    """Allow writing to a log group."""
    return _allow(("logs:CreateLogStream", "logs:PutLogEvents"), arn(group))
