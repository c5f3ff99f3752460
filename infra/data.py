"""Where state lives: the two tables, and the bucket of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.bus.sqs_dead_letters import PREFIX as DEAD_LETTERS
from chalicelib.files.s3 import PREFIX as REPORTS
from infra.intrinsics import Resource, Resources, arn, ref, sub
from infra.queues import DEAD_LETTERS_DAYS
from infra.retention import kept


if TYPE_CHECKING:
    from infra.stages import Stage

STATE_TABLE: Final = "StateTable"
PAGES_TABLE: Final = "PagesTable"
DUE_INDEX: Final = "due"
REPORT_BUCKET: Final = "ReportBucket"
PRIVATE: Final = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}


def data(stage: Stage) -> Resources:
    """Return the tables and the bucket of *stage*."""
    state = _table(stage, due_shard="S", due_at="N")
    state["Properties"] |= {
        "GlobalSecondaryIndexes": [
            {
                "IndexName": DUE_INDEX,
                "KeySchema": _key("due_shard", "due_at"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        # The function behind the stream goes by keys alone, and reads what they stand for itself.
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
    }
    return {
        STATE_TABLE: state,
        PAGES_TABLE: _table(stage),
        REPORT_BUCKET: _bucket(stage),
        f"{REPORT_BUCKET}Policy": _over_tls_only(REPORT_BUCKET),
    }


def _table(stage: Stage, **index_keys: str) -> Resource:
    attributes = {"pk": "S", "sk": "S", **index_keys}
    return {
        "Type": "AWS::DynamoDB::Table",
        **kept(stage),
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
            ],
            "KeySchema": _key("pk", "sk"),
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            "DeletionProtectionEnabled": stage.retains_data,
        },
    }


def _key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _bucket(stage: Stage) -> Resource:
    """Return the bucket of reports, which are written again when asked for, and of events that no queue can carry."""
    return {
        "Type": "AWS::S3::Bucket",
        **kept(stage),
        "Properties": {
            "PublicAccessBlockConfiguration": PRIVATE,
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
            "LifecycleConfiguration": {
                "Rules": [
                    _deleted("reports", REPORTS, stage.report_retention_days),
                    _deleted("dead-letters", DEAD_LETTERS, DEAD_LETTERS_DAYS),
                ]
            },
        },
    }


def _deleted(name: str, prefix: str, days: int) -> dict[str, Any]:
    return {
        "Id": name,
        "Prefix": prefix,
        "Status": "Enabled",
        "ExpirationInDays": days,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def _over_tls_only(bucket: str) -> Resource:
    statement: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn(bucket), sub(f"${{{bucket}.Arn}}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": ref(bucket), "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
    }
