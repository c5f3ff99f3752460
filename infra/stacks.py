"""A stage on AWS: its stack, and the bucket through which CloudFormation gets what is too large to be sent to it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError, WaiterError

from infra.changes import described, losses, of_data
from infra.data import PRIVATE, REPORT_BUCKET


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from botocore.session import Session

    from infra.stages import Stage

CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")

_NOT_THERE: Final = "not there"
_NEVER_DEPLOYED: Final = frozenset({_NOT_THERE, "REVIEW_IN_PROGRESS"})
_TO_BE_DESTROYED: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
_HALF_TAKEN_BACK: Final = "UPDATE_ROLLBACK_FAILED"
_NO_CHANGE: Final = ("didn't contain changes", "No updates are to be performed")
_HOME_REGION: Final = "us-east-1"
_BEGINNINGS: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})
_PATIENCE: Final = {"Delay": 2, "MaxAttempts": 1_800}
"""An hour: a canary takes its time."""


class StackError(RuntimeError):
    """A stage could not be deployed or destroyed; the message has AWS's reasons."""


class Stack:
    """The stack of a stage, reached through a botocore *session*; *say* is told what happens."""

    def __init__(self, stage: Stage, session: Session, say: Callable[[str], None]) -> None:
        """Make the clients; nothing is sent but the question whose credentials they have."""
        self.name = f"usage-tab-{stage.name}"
        self._stage = stage
        self._say = say
        self._cloudformation: Any = session.create_client("cloudformation", region_name=stage.region)
        self._s3: Any = session.create_client("s3", region_name=stage.region)
        sts: Any = session.create_client("sts", region_name=stage.region)
        self._account = str(sts.get_caller_identity()["Account"])
        self._artifacts = f"usage-tab-artifacts-{self._account}-{stage.region}"

    def deploy(self, sam: Path, bundle: Path, *, replaces_data: bool = False) -> bool:
        """
        Bring the stack to what the template *sam* says, with the code in *bundle*; tell whether anything changed.

        Where the stage retains its data, nothing that holds some is replaced or removed but by *replaces_data*, and
        the stack is protected against deletion.

        Raises:
            StackError: where it could not be; AWS has taken back what was begun.
        """
        packaged = json.loads(sam.read_text())
        if (stage := _stage_of(packaged)) != self._stage.name:
            raise StackError(f"{sam} was packaged for the stage {stage}, not for {self._stage.name}")
        status = self._changeable_status()
        self._create_artifacts()
        code = self._upload(bundle.read_bytes(), "zip")
        template = self._upload(_with_code(packaged, f"s3://{self._artifacts}/{code}"), "json")
        kind = "CREATE" if status in _NEVER_DEPLOYED else "UPDATE"
        change_set = self._propose(kind, template)
        if change_set is None:
            self._say(f"{self.name}: no change")
            self._protect(on=True)
            return False
        self._refuse_losses(change_set, replaces_data=replaces_data)
        self._cloudformation.execute_change_set(ChangeSetName=change_set)
        self._say(f"{self.name}: {kind.lower()} begun")
        self._wait(f"stack_{kind.lower()}_complete", self.name)
        self._protect(on=True)
        for name, value in self.outputs().items():
            self._say(f"{name} {value}")
        return True

    def outputs(self) -> dict[str, str]:
        """Return what the stack tells of itself."""
        (stack,) = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}

    def destroy(self) -> tuple[str, ...]:
        """
        Delete the stack, also one that `deploy` protects, and all it has left, and return what the stage keeps.

        Raises:
            StackError: where it could not be deleted.
        """
        if self._status() == _NOT_THERE:
            self._say(f"{self.name}: not there")
            self._delete_artifacts()
            return ()
        (stack,) = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        bucket = None if self._stage.retains_data else self._bucket_of_reports()
        self._protect(on=False)
        try:
            self._delete(stack["StackId"], bucket)
        except StackError:
            if bucket is None:
                raise
            self._delete(stack["StackId"], bucket)  # the bucket's turn came before it was empty
        self._delete_artifacts()
        return self._kept(stack["StackId"])

    def _delete(self, stack: str, bucket: str | None) -> None:
        """Delete the stack; *bucket* is emptied once CloudFormation has accepted that."""
        self._cloudformation.delete_stack(StackName=self.name)
        self._say(f"{self.name}: deletion begun")
        self._empty(bucket)
        self._wait("stack_delete_complete", stack)

    def _protect(self, *, on: bool) -> None:
        """Have the stack of a stage that retains its data protected against deletion, or not; leave others alone."""
        if self._stage.retains_data:
            self._cloudformation.update_termination_protection(StackName=self.name, EnableTerminationProtection=on)

    def _changeable_status(self) -> str:
        status = self._status()
        if status == _HALF_TAKEN_BACK:
            raise StackError(f"the stack {self.name} is {status}: {self._way_out()}")
        if status in _TO_BE_DESTROYED:
            raise StackError(f"the stack {self.name} is {status}: destroy it first")
        if status.endswith("_IN_PROGRESS") and status not in _NEVER_DEPLOYED:
            raise StackError(f"the stack {self.name} is {status}: wait for its end")
        return status

    def _status(self) -> str:
        try:
            (stack,) = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return _NOT_THERE
            raise
        return str(stack["StackStatus"])

    def _propose(self, kind: str, template: str) -> str | None:
        """Return a change set that can be executed, None where there is nothing to change."""
        change_set = str(
            self._cloudformation.create_change_set(
                StackName=self.name,
                ChangeSetName=f"deploy-{uuid4().hex}",
                ChangeSetType=kind,
                TemplateURL=f"{self._s3.meta.endpoint_url}/{self._artifacts}/{template}",
                Capabilities=list(CAPABILITIES),
                Tags=[{"Key": "service", "Value": "usage-tab"}, {"Key": "stage", "Value": self._stage.name}],
            )["Id"]
        )
        try:
            self._cloudformation.get_waiter("change_set_create_complete").wait(
                ChangeSetName=change_set, WaiterConfig=_PATIENCE
            )
        except WaiterError as error:
            reason = str(error.last_response.get("StatusReason", error))
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            if any(text in reason for text in _NO_CHANGE):
                return None
            raise StackError(f"{self.name} cannot be changed: {reason}") from error
        return change_set

    def _refuse_losses(self, change_set: str, *, replaces_data: bool) -> None:
        """Tell what *change_set* replaces and removes; delete it where that is data that is to stay."""
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        lost = losses(change["ResourceChange"] for page in pages for change in page.get("Changes", ()))
        for change in lost:
            self._say(f"{self.name}: {described(change)}")
        if self._stage.retains_data and not replaces_data and (data := of_data(lost)):
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            listed = ", ".join(described(change) for change in data)
            raise StackError(f"the deployment {listed}: --replace-data allows it")

    def _way_out(self) -> str:
        return (
            "mend what stopped the way back, then run `aws cloudformation continue-update-rollback "
            f"--stack-name {self.name} --region {self._stage.region}`"
        )

    def _wait(self, waiter: str, stack: str) -> None:
        try:
            self._cloudformation.get_waiter(waiter).wait(StackName=stack, WaiterConfig=_PATIENCE)
        except WaiterError as error:
            reasons = "\n".join(self._reasons(stack)) or str(error)
            if self._status() == _HALF_TAKEN_BACK:
                reasons = f"{reasons}\n{_HALF_TAKEN_BACK}: {self._way_out()}"
            raise StackError(f"{self.name} failed:\n{reasons}") from error

    def _reasons(self, stack: str) -> Iterator[str]:
        """Yield what went wrong in the last operation, oldest first."""
        for event in reversed(self._last_events(stack)):
            if event["ResourceStatus"].endswith("_FAILED"):
                yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"

    def _kept(self, stack: str) -> tuple[str, ...]:
        """Return what the stack has left in its life, each by its names in the stack and on AWS."""
        return tuple(
            sorted(
                {
                    f"{event['LogicalResourceId']} {event['PhysicalResourceId']}"
                    for event in self._events(stack)
                    # SAM lets versions be kept, so that a stack can go back to one; they go with their function.
                    if event["ResourceStatus"] == "DELETE_SKIPPED" and event["ResourceType"] != "AWS::Lambda::Version"
                }
            )
        )

    def _last_events(self, stack: str) -> list[dict[str, Any]]:
        """Return the events of the last operation, newest first."""
        events = []
        for event in self._events(stack):
            events.append(event)
            if event["PhysicalResourceId"] == event["StackId"] and event["ResourceStatus"] in _BEGINNINGS:
                break
        return events

    def _events(self, stack: str) -> Iterator[dict[str, Any]]:
        """Yield all events, newest first."""
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
            yield from page["StackEvents"]

    def _bucket_of_reports(self) -> str | None:
        try:
            detail = self._cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=REPORT_BUCKET)[
                "StackResourceDetail"
            ]
        except ClientError:
            return None  # a stack that never came so far
        return str(detail["PhysicalResourceId"]) if detail.get("PhysicalResourceId") else None

    def _create_artifacts(self) -> None:
        """Create the bucket of all stages' artifacts where it is missing; never use one of another account."""
        try:
            self._s3.head_bucket(Bucket=self._artifacts, ExpectedBucketOwner=self._account)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                raise
        else:
            return
        region = self._stage.region
        where = {} if region == _HOME_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._s3.create_bucket(Bucket=self._artifacts, **where)
        self._s3.put_public_access_block(Bucket=self._artifacts, PublicAccessBlockConfiguration=PRIVATE)

    def _upload(self, content: bytes, suffix: str) -> str:
        """Put *content* under its hash, so that the same package is the same object, and return the key."""
        key = f"{self._stage.name}/{hashlib.sha256(content).hexdigest()}.{suffix}"
        where = {"Bucket": self._artifacts, "Key": key, "ExpectedBucketOwner": self._account}
        try:
            self._s3.head_object(**where)
        except ClientError:
            self._s3.put_object(**where, Body=content)
        return key

    def _delete_artifacts(self) -> None:
        try:
            self._empty(self._artifacts, f"{self._stage.name}/")
            if not self._s3.list_objects_v2(Bucket=self._artifacts, MaxKeys=1).get("Contents"):
                self._s3.delete_bucket(Bucket=self._artifacts)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _empty(self, bucket: str | None, prefix: str = "") -> None:
        if bucket is None:
            return
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
                if keys:
                    self._s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


def _stage_of(template: dict[str, Any]) -> str:
    return str(template["Globals"]["Function"]["Environment"]["Variables"]["USAGE_TAB_STAGE"])


def _with_code(template: dict[str, Any], code: str) -> bytes:
    """Return *template*, whose functions take their code from the URI *code*."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code
    return json.dumps(template, sort_keys=True).encode()
