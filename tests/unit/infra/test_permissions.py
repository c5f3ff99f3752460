"""What functions may do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates import STAGES, cloudformation, of_type


every_stage = pytest.mark.parametrize("stage", STAGES)


def roles_by_function(stage: str) -> dict[str, str]:
    """Return the name of each function's role."""
    functions = of_type(cloudformation(stage)["Resources"], "AWS::Lambda::Function")
    return {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions.items()}


def statements(stage: str) -> list[tuple[str, Any, Any]]:
    """Return what each function is allowed: its name, an action, and a resource."""
    resources = cloudformation(stage)["Resources"]
    return [
        (function, action, resource)
        for function, role in roles_by_function(stage).items()
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]


@every_stage
def test_every_function_has_its_own_role(stage: str) -> None:
    """No two share one, and none has more than what stands in it."""
    roles = roles_by_function(stage)
    resources = cloudformation(stage)["Resources"]

    assert len(set(roles.values())) == len(roles)
    for role in roles.values():
        assert "ManagedPolicyArns" not in resources[role]["Properties"]
        assert "PermissionsBoundary" not in resources[role]["Properties"]


@every_stage
def test_no_wildcards(stage: str) -> None:
    """Actions go by name, and resources are those of the stack; of the bucket, all reports or all large events."""
    for _, action, resource in statements(stage):
        assert "*" not in action
        assert isinstance(resource, dict)
        text = resource.get("Fn::Sub", "")
        assert "*" not in text or text.removeprefix("${ReportBucket.Arn}/") in {"reports/*", "dead-letters/*"}


@every_stage
def test_nobody_deletes_or_describes_tables(stage: str) -> None:
    """Of DynamoDB, functions read and put items, and nothing else."""
    actions = {action for _, action, _ in statements(stage) if action.startswith("dynamodb:")}

    assert actions == {
        *("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:BatchWriteItem"),
        *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"),
    }


@every_stage
def test_schedules_only_find(stage: str) -> None:
    """A schedule reads no usage, no secret, and publishes nothing: it hands over what it finds."""
    allowed = {(action, str(resource)) for name, action, resource in statements(stage) if name == "IssueInvoices"}

    assert {action.partition(":")[0] for action, _ in allowed} == {"logs", "dynamodb", "sqs"}
    assert not [resource for _, resource in allowed if "PagesTable" in resource]


@pytest.mark.parametrize(
    ("action", "functions"),
    [
        ("secretsmanager:GetSecretValue", {"APIHandler", "CarryOutEffects", "DoWork"}),
        ("events:PutEvents", {"CarryOutEffects", "DoWork"}),
        ("s3:PutObject", {"APIHandler", "BuildReports", "MeterEvents"}),
        ("s3:GetObject", {"APIHandler", "BuildReports"}),
        ("sqs:ReceiveMessage", {"BuildReports", "DoWork"}),
        ("kinesis:GetRecords", {"MeterEvents"}),
        ("dynamodb:GetRecords", {"CarryOutEffects"}),
    ],
)
def test_who_may(action: str, functions: set[str]) -> None:
    """What is costly or secret is allowed to few."""
    assert {name for name, allowed, _ in statements("prod") if allowed == action} == functions


@every_stage
def test_nobody_else_is_let_in(stage: str) -> None:
    """A policy of a resource names a service and the resource it calls for, or denies."""
    resources = cloudformation(stage)["Resources"]
    policies = [
        *of_type(resources, "AWS::SQS::QueuePolicy").values(),
        *of_type(resources, "AWS::S3::BucketPolicy").values(),
    ]
    allowing = [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]

    assert [statement["Principal"] for statement in allowing] == [{"Service": "events.amazonaws.com"}]
    assert len(allowing[0]["Condition"]["ArnEquals"]["aws:SourceArn"]) == 7
    assert "*" not in str(allowing)
