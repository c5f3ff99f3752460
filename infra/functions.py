"""
What each function is given beside its code: memory, time, a role of its own, and how it is called.

`app.py` says which functions there are; a function that is not described here cannot be packaged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from infra import permissions as may
from infra import rollout
from infra.bundle import RUNTIME as PYTHON
from infra.data import STATE_TABLE
from infra.intrinsics import Resource, Resources, arn, attribute, ref
from infra.queues import (
    METERING_DEAD_LETTERS,
    OUTBOX_DEAD_LETTERS,
    REPORT_SECONDS_MAX,
    REPORTS,
    SCHEDULES_DEAD_LETTERS,
    WORK,
    WORK_SECONDS_MAX,
)
from infra.secrets import SECRET
from infra.streams import METERING_STREAM


if TYPE_CHECKING:
    from infra.permissions import Permission
    from infra.stages import Stage

RUNTIME: Final = f"python{PYTHON}"

_ONE_PROCESSOR_MB: Final = 1_769
_QUARTER_OF_AN_HOUR_SECONDS: Final = 900
_DAY_SECONDS: Final = 24 * 3600
_WITHOUT_END: Final = -1
"""Of tries: the age of a record alone bounds them."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """
    One function.

    *concurrency* is how many of it may run side by side, and, where the stage reserves any, always can; *trigger*
    is what Chalice leaves out of its event source; *pays* is whether it takes payments, and so needs the keys for it;
    *moves_time* is whether it moves the test clock, where there is one, and then does the work of schedules itself.
    """

    memory_mb: int
    timeout_seconds: int
    concurrency: int
    permissions: tuple[Permission, ...]
    trigger: Resource = field(default_factory=dict)
    pays: bool = False
    moves_time: bool = False
    has_alias: bool = False
    is_schedule: bool = False


def _schedule() -> Function:
    """Return a finder of due work: it hands over what it finds, so one at a time is enough."""
    return Function(
        memory_mb=512,
        timeout_seconds=_QUARTER_OF_AN_HOUR_SECONDS,
        concurrency=1,
        permissions=(may.READ_STATE, may.PUT_STATE, may.FIND_DUE, may.HAND_OVER_WORK, may.BURY_SCHEDULES),
        trigger={
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": _QUARTER_OF_AN_HOUR_SECONDS},
            "DeadLetterConfig": {"Arn": arn(SCHEDULES_DEAD_LETTERS)},
        },
        is_schedule=True,
    )


FUNCTIONS: Final = {
    "APIHandler": Function(
        memory_mb=_ONE_PROCESSOR_MB,
        timeout_seconds=29,  # API Gateway waits no longer
        concurrency=200,
        permissions=(
            *(may.READ_STATE, may.PUT_STATE, may.READ_PAGES, may.PUT_PAGES, may.FIND_DUE),
            *(may.HAND_OVER_WORK, may.HAND_OVER_REPORTS, *may.REPORT_FILES, may.READ_SECRET),
        ),
        pays=True,
        moves_time=True,
        has_alias=True,
    ),
    "MeterEvents": Function(
        memory_mb=_ONE_PROCESSOR_MB,
        timeout_seconds=300,
        concurrency=10,
        permissions=(
            *(may.READ_STATE, may.PUT_STATE, may.READ_PAGES, may.PUT_PAGES),
            *(may.READ_METERING_STREAM, may.BURY_EVENTS, may.BURY_LARGE_EVENTS),
        ),
        trigger={
            "Stream": arn(METERING_STREAM),
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            # The function sorts out itself what it cannot take, so a batch that fails is one to try again: through an
            # outage of hours, or until a version that crashes is mended, nothing is given up. What is given up after a
            # day lies in the stream for days more, and where it lies is noted for longer.
            "MaximumRetryAttempts": _WITHOUT_END,
            "MaximumRecordAgeInSeconds": _DAY_SECONDS,
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": arn(METERING_DEAD_LETTERS)}},
        },
        has_alias=True,
    ),
    "CarryOutEffects": Function(
        memory_mb=1_024,
        timeout_seconds=300,
        concurrency=20,
        permissions=(
            *(may.READ_STATE, may.PUT_STATE, may.READ_PAGES, may.PUT_PAGES),
            *(may.READ_STATE_STREAM, may.READ_SECRET, may.PUBLISH, may.BURY_EFFECTS),
        ),
        trigger={
            "Stream": attribute(STATE_TABLE, "StreamArn"),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 3,  # each may wait for the payment gateway
            "ParallelizationFactor": 4,  # a payment waits for its gateway; those of one account stay in order
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": _WITHOUT_END,
            "MaximumRecordAgeInSeconds": _QUARTER_OF_AN_HOUR_SECONDS,  # the sweeper has it by then
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": arn(OUTBOX_DEAD_LETTERS)}},
            "FilterCriteria": {
                "Filters": [
                    {
                        "Pattern": json.dumps(
                            {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "outbox#"}]}}}}
                        )
                    }
                ]
            },
        },
        pays=True,
        has_alias=True,
    ),
    "DoWork": Function(
        memory_mb=1_024,
        timeout_seconds=WORK_SECONDS_MAX,
        concurrency=20,
        permissions=(
            *(may.READ_STATE, may.PUT_STATE, may.READ_PAGES, may.PUT_PAGES),
            *(may.TAKE_WORK, may.BURY_WORK, may.READ_SECRET, may.PUBLISH),
        ),
        trigger={
            "Queue": arn(WORK),
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 20},
        },
        pays=True,
        has_alias=True,
    ),
    "BuildReports": Function(
        memory_mb=_ONE_PROCESSOR_MB,
        timeout_seconds=REPORT_SECONDS_MAX,
        concurrency=5,
        permissions=(may.READ_STATE, may.READ_PAGES, may.TAKE_REPORTS, *may.REPORT_FILES),
        trigger={
            "Queue": arn(REPORTS),
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 5},
        },
    ),
    "ExpireCredit": _schedule(),
    "RechargeCommitments": _schedule(),
    "ComputeStoragePeaks": _schedule(),
    "IssueInvoices": _schedule(),
    "SettlePayments": _schedule(),
    "SweepOutbox": _schedule(),
    "Audit": _schedule(),
}


class UndescribedError(ValueError):
    """`app.py` and `FUNCTIONS` do not name the same functions; the message names those that differ."""


def functions(chalice: Resources, stage: Stage) -> Resources:
    """
    Return the functions that *chalice* has found, completed, and with a role and a log of its own each.

    Raises:
        UndescribedError: where one is not described, or one that is described is not there.
    """
    if different := chalice.keys() ^ FUNCTIONS.keys():
        raise UndescribedError(f"app.py and infra/functions.py differ in {', '.join(sorted(different))}")
    resources: Resources = {}
    for name, function in FUNCTIONS.items():
        resources[name] = _completed(chalice[name], name, function, stage)
        resources[role_of(name)] = _role(name, function, stage)
        resources[log_of(name)] = log_group(stage)
    return resources


def role_of(name: str) -> str:
    """Return the name of a function's role."""
    return f"{name}Role"


def log_of(name: str) -> str:
    """Return the name of a function's log group."""
    return f"{name}Log"


def log_group(stage: Stage) -> Resource:
    """Return a group of logs."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {"RetentionInDays": stage.log_retention_days},
    }


def _completed(chalice: Resource, name: str, function: Function, stage: Stage) -> Resource:
    properties = {
        **chalice["Properties"],
        "Runtime": RUNTIME,
        "Architectures": [stage.architecture],
        "MemorySize": function.memory_mb,
        "Timeout": function.timeout_seconds,
        "Role": arn(role_of(name)),
        "LoggingConfig": {"LogGroup": ref(log_of(name))},
    }
    if stage.reserves_concurrency:
        properties["ReservedConcurrentExecutions"] = function.concurrency
    if function.pays:
        environment = {"USAGE_TAB_SECRET": ref(SECRET), "USAGE_TAB_PAYMENT_GATEWAY": stage.payment_gateway}
        properties["Environment"] = {"Variables": environment}
    if function.trigger:
        properties["Events"] = _events(properties.get("Events"), name, function.trigger)
    if function.is_schedule:
        properties["EventInvokeConfig"] = {
            "MaximumRetryAttempts": 1,
            "MaximumEventAgeInSeconds": _QUARTER_OF_AN_HOUR_SECONDS,
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": arn(SCHEDULES_DEAD_LETTERS)}},
        }
    if function.has_alias:
        properties |= rollout.properties(name, stage)
    return {"Type": chalice["Type"], "Properties": properties}


def _events(chalice: Resources | None, name: str, trigger: Resource) -> Resources:
    """Return the one event source of a function; that of the table's stream Chalice cannot know of."""
    ((event, source),) = (chalice or {f"{name}Event": {"Type": "DynamoDB", "Properties": {}}}).items()
    return {event: {"Type": source["Type"], "Properties": {**source["Properties"], **trigger}}}


def _role(name: str, function: Function, stage: Stage) -> Resource:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    statements = [may.write_logs(log_of(name)), *function.permissions]
    if function.moves_time and stage.test_clock:
        statements.append(may.PUBLISH)
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [
                {"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}},
            ],
        },
    }
