"""The tables and the bucket."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.storage.dynamo import DynamoItemStore
from infra.stages import read_stage
from tests.stores import dynamodb_client
from tests.templates import STAGES, of_type, sam


KEPT = (
    *("StateTable", "PagesTable", "ReportBucket", "Secret"),
    *("MeteringStream", "EventDeadLetters", "MeteringDeadLetters"),
)

every_stage = pytest.mark.parametrize("stage", STAGES)


def tables(stage: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the tables."""
    return of_type(sam(stage)["Resources"], "AWS::DynamoDB::Table")


def test_they_are_those_of_the_program(embedded_store: str) -> None:
    """Keys and index are as the program makes them where it makes tables itself."""
    DynamoItemStore(embedded_store, "eu-west-1", "template-state", "template-pages").create_tables()
    client = dynamodb_client(embedded_store)

    for name, packaged in (("template-state", "StateTable"), ("template-pages", "PagesTable")):
        made = client.describe_table(TableName=name)["Table"]
        properties = tables("prod")[packaged]
        assert made["KeySchema"] == properties["KeySchema"]
        assert _sorted(made["AttributeDefinitions"]) == _sorted(properties["AttributeDefinitions"])
        assert [_index(index) for index in made.get("GlobalSecondaryIndexes", ())] == [
            _index(index) for index in properties.get("GlobalSecondaryIndexes", ())
        ]


def _sorted(attributes: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(attributes, key=lambda attribute: attribute["AttributeName"])


def _index(index: dict[str, Any]) -> tuple[Any, ...]:
    return index["IndexName"], index["KeySchema"], index["Projection"]["ProjectionType"]


@every_stage
def test_tables_are_safe(stage: str) -> None:
    """They are encrypted, can be restored to any point in time, and forget what has expired."""
    assert tables(stage).keys() == {"StateTable", "PagesTable"}
    for table in tables(stage).values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"] == {"SSEEnabled": True}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert tables(stage)["StateTable"]["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}


@every_stage
def test_production_keeps_its_data(stage: str) -> None:
    """What may hold usage, and the secret, survives production's stack; tables cannot be deleted by hand there."""
    resources = sam(stage)["Resources"]
    policy = "Retain" if stage == "prod" else "Delete"

    assert read_stage(stage).retains_data == (stage == "prod")
    for name in KEPT:
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == policy
    for table in tables(stage).values():
        assert table["DeletionProtectionEnabled"] == (stage == "prod")


@every_stage
def test_reports_are_private(stage: str) -> None:
    """Nobody outside reaches the bucket, nothing goes in the clear, and what lies there is deleted after days."""
    resources = sam(stage)["Resources"]
    bucket = resources["ReportBucket"]["Properties"]
    (statement,) = resources["ReportBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    rules = bucket["LifecycleConfiguration"]["Rules"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules} == {
        "reports/": read_stage(stage).report_retention_days,
        "dead-letters/": 14,
    }
    assert all(rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1} for rule in rules)
