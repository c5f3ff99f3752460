"""The packaged stack on an emulator of AWS: its functions run from the zip, over DynamoDB Local."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import botocore.session
from msgspec.structs import replace

from chalicelib.local.signing_key import ALL_SCOPES, SigningKey
from infra.stacks import Stack
from infra.stages import read_stage
from infra.template import template
from tests.aws_server import REGION
from tests.e2e.client import Client
from tests.e2e.samples import written
from tests.packages import own_architecture
from tests.stores import dynamodb_client


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.aws_server import AwsServer

_Seen = TypeVar("_Seen")

STAGE: Final = "dev"
WAIT_SECONDS_MAX: Final = 60
_POLL_SECONDS: Final = 0.05
_TABLE_MEMBERS: Final = (
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "StreamSpecification",
)


def emulated_template() -> dict[str, Any]:
    """Return the packaged template without what the emulator cannot create; README.md here says how that is held."""
    whole = template(replace(read_stage(STAGE), architecture=own_architecture()))
    resources = {name: resource for name, resource in whole["Resources"].items() if not _is_refused(resource)}
    return {**whole, "Resources": resources}


def _is_refused(resource: dict[str, Any]) -> bool:
    """Tell whether a resource is an alarm that reckons with several metrics."""
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


class DeployedStack:
    """
    The stack of the stage `dev` on *aws*, made of the template *packaged* and the zip *bundle*.

    Where functions use another DynamoDB, at *dynamodb*, its tables are made there as the template describes them.
    """

    def __init__(
        self, aws: AwsServer, folder: Path, packaged: dict[str, Any], bundle: Path, dynamodb: str | None = None
    ) -> None:
        self.aws = aws
        self.sam, self.bundle = folder / "sam.json", bundle
        self.sam.write_text(json.dumps(packaged))
        self.stack = Stack(read_stage(STAGE), _SessionAt(aws), lambda _: None)
        self._dynamodb = dynamodb
        self._key = SigningKey.load_or_create(folder)
        self._resources: dict[str, str] = {}

    def deploy(self) -> bool:
        """Bring the stack to its template, and tell whether anything changed."""
        return self.stack.deploy(self.sam, self.bundle)

    def open(self) -> None:
        """Make the tables, and tell the functions whose tokens to trust."""
        if self._dynamodb is not None:
            for name in ("StateTable", "PagesTable"):
                table = self.aws.client("dynamodb").describe_table(TableName=self.resource(name))["Table"]
                wanted = {member: table[member] for member in _TABLE_MEMBERS if member in table}
                self.dynamodb.create_table(BillingMode="PAY_PER_REQUEST", **wanted)
        s3 = self.aws.client("s3")
        s3.create_bucket(Bucket="identity-provider", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="identity-provider", Key="jwks.json", Body=json.dumps(self._key.jwks()).encode())
        keys = s3.generate_presigned_url("get_object", Params={"Bucket": "identity-provider", "Key": "jwks.json"})
        settings = {"USAGE_TAB_JWKS_URL": keys}
        self.aws.client("secretsmanager").put_secret_value(
            SecretId=self.resource("Secret"), SecretString=json.dumps(settings)
        )

    @cached_property
    def dynamodb(self) -> Any:
        """A client of the DynamoDB that the functions use."""
        return dynamodb_client(self._dynamodb or self.aws.url)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """What the stack tells of itself."""
        return self.stack.outputs()

    @cached_property
    def client(self) -> Client:
        """A client of the API through its gateway, with a token for everything."""
        return Client(f"{self.aws.url}/restapis/{self.outputs['RestAPIId']}/api/_user_request_", self.token)

    @cached_property
    def token(self) -> str:
        """A token for everything."""
        return self._key.issue_token(ALL_SCOPES)

    def resource(self, name: str) -> str:
        """Return what a resource of the template is called on AWS."""
        if not self._resources:
            pages = (
                self.aws.client("cloudformation")
                .get_paginator("list_stack_resources")
                .paginate(StackName=self.stack.name)
            )
            found = [summary for page in pages for summary in page["StackResourceSummaries"]]
            self._resources = {summary["LogicalResourceId"]: summary["PhysicalResourceId"] for summary in found}
        return self._resources[name]

    def ago(self, seconds: int) -> str:
        """Return the time that was some seconds ago by the stack's clock."""
        return written(datetime.fromisoformat(self.client.get("/v1/test-clock")["now"]) - timedelta(seconds=seconds))

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """
        Call a function of the template, or one by its ARN, and return its answer.

        Raises:
            FunctionFailedError: where it did not answer.
        """
        name = function if function.startswith("arn:") else self.resource(function)
        answer = self.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise FunctionFailedError(str(payload))
        return payload

    def rule(self, function: str) -> dict[str, Any]:
        """Return the schedule of a function of the template."""
        rules = self.aws.client("events").list_rules()["Rules"]
        found: dict[str, Any]
        (found,) = (rule for rule in rules if function in rule["Name"])
        return found

    def fire(self, rule: dict[str, Any]) -> Any:
        """Call the target of a schedule as EventBridge does when its time has come, and return what that answers."""
        (target,) = self.aws.client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        scheduled = {
            "version": "0",
            "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": "2021-02-01T00:00:00Z",
            "region": REGION,
            "resources": [rule["Arn"]],
            "detail": {},
        }
        return self.invoke(target["Arn"], scheduled)


class FunctionFailedError(Exception):
    """A function ended without an answer; the message is what Lambda says of it."""


class _SessionAt(botocore.session.Session):
    """Makes clients of an emulator alone."""

    def __init__(self, aws: AwsServer) -> None:
        super().__init__()
        self._aws = aws

    def create_client(self, service_name: str, **_: Any) -> Any:
        return self._aws.client(service_name)


def wait_for(look: Callable[[], _Seen | None]) -> _Seen:
    """Look until there is something to be seen, and return it."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while (seen := look()) is None:
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(_POLL_SECONDS)
    return seen
