"""How functions are called, and what becomes of calls that fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.events import report_builder, work_queue
from chalicelib.storage import keys
from infra.functions import FUNCTIONS, UndescribedError, functions
from infra.stages import read_stage
from infra.template import template
from tests.templates import STAGES, cloudformation, of_type, sam


API_GATEWAY_SECONDS_MAX = 29

every_stage = pytest.mark.parametrize("stage", STAGES)


def sources(stage: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all event sources by the function that they call."""
    mappings = of_type(cloudformation(stage)["Resources"], "AWS::Lambda::EventSourceMapping")
    return {_function(mapping["FunctionName"]["Ref"]): mapping for mapping in mappings.values()}


def _function(name: str) -> str:
    return name.removesuffix("Aliaslive")


@every_stage
def test_the_ones_of_the_program(stage: str) -> None:
    """Each has the runtime, the architecture, the memory and the time it was given."""
    packaged = of_type(cloudformation(stage)["Resources"], "AWS::Lambda::Function")

    assert packaged.keys() == FUNCTIONS.keys()
    for name, properties in packaged.items():
        assert properties["Runtime"] == "python3.13"
        assert properties["Architectures"] == ["arm64"]
        assert properties["MemorySize"] == FUNCTIONS[name].memory_mb
        assert properties["Timeout"] == FUNCTIONS[name].timeout_seconds
        assert properties["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Log"}}
        assert "TracingConfig" not in properties or properties["TracingConfig"] == {"Mode": "PassThrough"}
    assert packaged["APIHandler"]["Timeout"] <= API_GATEWAY_SECONDS_MAX


def test_another_architecture() -> None:
    """It is a setting."""
    stage = replace(read_stage("dev"), architecture="x86_64")

    packaged = of_type(template(stage)["Resources"], "AWS::Serverless::Function")
    assert {tuple(properties["Architectures"]) for properties in packaged.values()} == {("x86_64",)}


def test_production_reserves_concurrency() -> None:
    """In production no function can take all concurrency of the account; a new account could reserve none."""
    reserved = {
        name: properties.get("ReservedConcurrentExecutions")
        for name, properties in of_type(sam("prod")["Resources"], "AWS::Serverless::Function").items()
    }
    unreserved = of_type(sam("dev")["Resources"], "AWS::Serverless::Function")

    assert reserved == {name: function.concurrency for name, function in FUNCTIONS.items()}
    assert not [name for name, properties in unreserved.items() if "ReservedConcurrentExecutions" in properties]


@every_stage
def test_parts_of_a_batch_fail_by_themselves(stage: str) -> None:
    """AWS heeds what a function answers about parts of a batch only where it is told to."""
    assert sources(stage).keys() == {"MeterEvents", "CarryOutEffects", "DoWork", "BuildReports"}
    for mapping in sources(stage).values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@every_stage
@pytest.mark.parametrize(
    ("function", "queue", "tries_max"),
    [("DoWork", "WorkQueue", work_queue.TRIES_MAX), ("BuildReports", "ReportQueue", report_builder.TRIES_MAX)],
)
def test_queues(stage: str, function: str, queue: str, tries_max: int) -> None:
    """A message is out of sight while its function may run; the function buries it before the queue would."""
    properties = sam(stage)["Resources"][queue]["Properties"]
    mapping = sources(stage)[function]

    assert mapping["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert properties["VisibilityTimeout"] > FUNCTIONS[function].timeout_seconds
    assert properties["RedrivePolicy"]["maxReceiveCount"] == tries_max
    assert mapping["ScalingConfig"]["MaximumConcurrency"] <= FUNCTIONS[function].concurrency
    assert mapping["BatchSize"] == 1  # a message whose call crashes takes no other with it


@every_stage
@pytest.mark.parametrize(
    ("function", "stream", "dead_letters", "age_seconds_max"),
    [
        ("MeterEvents", ["MeteringStream", "Arn"], "MeteringDeadLetters", 24 * 3600),
        ("CarryOutEffects", ["StateTable", "StreamArn"], "OutboxDeadLetters", 15 * 60),
    ],
)
def test_streams(stage: str, function: str, stream: list[str], dead_letters: str, age_seconds_max: int) -> None:
    """A record that fails is found by halving its batch, tried until it is too old however often, and then noted."""
    mapping = sources(stage)[function]

    assert mapping["EventSourceArn"] == {"Fn::GetAtt": stream}
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    assert mapping["MaximumRecordAgeInSeconds"] == age_seconds_max
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [dead_letters, "Arn"]}}}


def test_the_outbox_alone_calls_its_function() -> None:
    """Of what the table's stream brings, new items of the outbox are passed on, by the beginning of their keys."""
    (pattern,) = sources("prod")["CarryOutEffects"]["FilterCriteria"]["Filters"]

    assert json.loads(pattern["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "outbox#"}]}}},
    }
    assert keys.outbox("acme", "1").sk.startswith("outbox#")


@every_stage
def test_schedules(stage: str) -> None:
    """A schedule that cannot call its function tries again, and tells where it did not; so does a call that fails."""
    resources = cloudformation(stage)["Resources"]
    rules = of_type(resources, "AWS::Events::Rule")
    schedules = {name for name, function in FUNCTIONS.items() if function.is_schedule}

    assert {target["Arn"]["Fn::GetAtt"][0] for rule in rules.values() for target in rule["Targets"]} == schedules
    for rule in rules.values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}}
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 15 * 60
    failed = of_type(resources, "AWS::Lambda::EventInvokeConfig")
    assert {config["FunctionName"]["Ref"] for config in failed.values()} == schedules
    for config in failed.values():
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}


def test_an_undescribed_function_is_refused() -> None:
    """A function of the program that nobody has thought about cannot be deployed, nor one that is not there."""
    packaged = of_type(sam("dev")["Resources"], "AWS::Serverless::Function")
    resources = {name: {"Type": "AWS::Serverless::Function", "Properties": value} for name, value in packaged.items()}

    with pytest.raises(UndescribedError, match="New"):
        functions({**resources, "New": resources["DoWork"]}, read_stage("dev"))
    del resources["DoWork"]
    with pytest.raises(UndescribedError, match="DoWork"):
        functions(resources, read_stage("dev"))
