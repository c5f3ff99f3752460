"""The queues, each with one for what could not be dealt with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.events import report_builder, work_queue
from infra.intrinsics import Resource, Resources, arn, ref
from infra.retention import kept


if TYPE_CHECKING:
    from infra.stages import Stage

WORK: Final = "WorkQueue"
WORK_DEAD_LETTERS: Final = "WorkDeadLetters"
REPORTS: Final = "ReportQueue"
REPORTS_DEAD_LETTERS: Final = "ReportDeadLetters"
EVENT_DEAD_LETTERS: Final = "EventDeadLetters"
"""Of usage events: each that was not taken, with its reason; `usage-tab replay` puts them back."""
METERING_DEAD_LETTERS: Final = "MeteringDeadLetters"
"""Of the metering stream: where those records are that Lambda has given up."""
OUTBOX_DEAD_LETTERS: Final = "OutboxDeadLetters"
SCHEDULES_DEAD_LETTERS: Final = "ScheduleDeadLetters"

DEAD_LETTERS: Final = (
    WORK_DEAD_LETTERS,
    REPORTS_DEAD_LETTERS,
    EVENT_DEAD_LETTERS,
    METERING_DEAD_LETTERS,
    OUTBOX_DEAD_LETTERS,
    SCHEDULES_DEAD_LETTERS,
)

_OF_USAGE: Final = (EVENT_DEAD_LETTERS, METERING_DEAD_LETTERS)

DEAD_LETTERS_DAYS: Final = 14
"""How long somebody has for what could not be dealt with: as long as SQS keeps anything."""

WORK_SECONDS_MAX: Final = 300
"""What a message of work may take."""
REPORT_SECONDS_MAX: Final = 900
"""What writing a report may take: as long as Lambda runs anything."""

# A message whose turn failed comes back once its visibility runs out: soon after the function must have ended.
_MARGIN_SECONDS: Final = 60


def queues(rules: tuple[str, ...], stage: Stage) -> Resources:
    """Return all queues; the *rules* of schedules put among the dead letters what they could not deliver."""
    return {
        **{name: _queue() for name in DEAD_LETTERS},
        **{name: _queue() | kept(stage) for name in _OF_USAGE},
        WORK: _queue(WORK_SECONDS_MAX, WORK_DEAD_LETTERS, work_queue.TRIES_MAX),
        REPORTS: _queue(REPORT_SECONDS_MAX, REPORTS_DEAD_LETTERS, report_builder.TRIES_MAX),
        f"{SCHEDULES_DEAD_LETTERS}Policy": _open_to_rules(SCHEDULES_DEAD_LETTERS, rules),
    }


def _queue(seconds_max: int | None = None, dead_letters: str | None = None, tries_max: int | None = None) -> Resource:
    properties: Resource = {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": DEAD_LETTERS_DAYS * 24 * 3600}
    if seconds_max is not None:
        properties["VisibilityTimeout"] = seconds_max + _MARGIN_SECONDS
    if dead_letters is not None:
        # The functions bury a message themselves at its last try, with the reason; this is for those that crash.
        properties["RedrivePolicy"] = {"deadLetterTargetArn": arn(dead_letters), "maxReceiveCount": tries_max}
    return {
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": properties,
    }


def _open_to_rules(queue: str, rules: tuple[str, ...]) -> Resource:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": [arn(rule) for rule in rules]}},
    }
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [ref(queue)],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        },
    }
