"""A stage deployed to an emulator of AWS and destroyed again."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from click.testing import CliRunner
from msgspec.structs import replace

from infra.deploy import main
from infra.stacks import Stack, StackError
from infra.stages import read_stage
from infra.template import template
from tests.aws_server import AwsServer


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.stages import Stage


KEPT: Final = (
    *("EventDeadLetters", "MeteringDeadLetters", "MeteringStream"),
    *("PagesTable", "ReportBucket", "Secret", "StateTable"),
)
"""What may hold usage, and the secret."""
OF_THE_ACCOUNT: Final = ["GatewayAccount", "GatewayAccountRole"]
"""What other stages need too."""


def names(kept: tuple[str, ...]) -> list[str]:
    """Return what the template calls the resources that were *kept*."""
    return [line.partition(" ")[0] for line in kept]


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    """Give an account of AWS."""
    with AwsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def clients_find_it(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the program's own clients there."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)


class Deployment:
    """A package of a stage in a folder, and its stack."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.sam, self.bundle = folder / "sam.json", folder / "deployment.zip"
        self.said: list[str] = []
        self.stack = Stack(stage, get_session(), self.said.append)
        self.put_code("code")
        self.write(emulated(stage))

    def put_code(self, code: str) -> None:
        """Put a program into the package."""
        with zipfile.ZipFile(self.bundle, "w") as bundle:
            bundle.writestr("app.py", code)

    def write(self, packaged: dict[str, Any]) -> None:
        """Put a template into the package."""
        self.sam.write_text(json.dumps(packaged))

    def deploy(self) -> bool:
        """Deploy the package."""
        return self.stack.deploy(self.sam, self.bundle)


def emulated(stage: Stage) -> dict[str, Any]:
    """Return the template of *stage* without what the emulator cannot make: firewall, canaries, alarms on quotients."""
    packaged = template(replace(stage, rollout=None, web_acl=False))
    resources = packaged["Resources"]
    packaged["Resources"] = {
        name: resource for name, resource in resources.items() if "Metrics" not in resource.get("Properties", {})
    }
    return packaged


def test_a_life(aws: AwsServer, tmp_path: Path) -> None:
    """A stage is created, not changed by the same package, changed by other code, and leaves no data when it goes."""
    deployment = Deployment(read_stage("dev"), tmp_path)
    assert deployment.deploy() is True
    outputs = deployment.stack.outputs()
    tables = aws.client("dynamodb").list_tables()["TableNames"]
    assert outputs["StateTableName"] in tables
    assert f"StateTableName {outputs['StateTableName']}" in deployment.said

    assert deployment.deploy() is False
    assert deployment.said[-1] == "usage-tab-dev: no change"

    deployment.put_code("other code")
    assert deployment.deploy() is True
    assert deployment.stack.outputs() == outputs

    aws.client("s3").put_object(Bucket=outputs["ReportBucketName"], Key="reports/acme/cost", Body=b"report")
    assert names(deployment.stack.destroy()) == OF_THE_ACCOUNT
    tables = aws.client("dynamodb").list_tables()["TableNames"]
    buckets = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    functions = [function["FunctionName"] for function in aws.client("lambda").list_functions()["Functions"]]
    assert not [name for name in (*tables, *buckets, *functions) if name.startswith("usage-tab-dev-")]
    assert deployment.stack.destroy() == ()
    assert deployment.said[-1] == "usage-tab-dev: not there"


def test_production_keeps_its_tables(aws: AwsServer, tmp_path: Path) -> None:
    """A stage that retains its data leaves what may hold usage, and says so; another's artifacts are left alone."""
    deployment = Deployment(read_stage("prod"), tmp_path)
    deployment.deploy()
    other = Deployment(read_stage("dev"), tmp_path)
    other.deploy()
    outputs = deployment.stack.outputs()
    dead_letter = {"Bucket": outputs["ReportBucketName"], "Key": "dead-letters/1"}
    aws.client("s3").put_object(**dead_letter, Body=b"usage")
    with pytest.raises(ClientError, match="TerminationProtection"):
        aws.client("cloudformation").delete_stack(StackName="usage-tab-prod")

    kept = deployment.stack.destroy()

    assert names(kept) == sorted([*OF_THE_ACCOUNT, *KEPT])
    assert outputs["StateTableName"] in aws.client("dynamodb").list_tables()["TableNames"]
    assert aws.client("s3").get_object(**dead_letter)["Body"].read() == b"usage"
    assert other.deploy() is False
    other.stack.destroy()


def test_production_keeps_its_data_from_changes(tmp_path: Path) -> None:
    """A change that removes what holds data is shown and refused there, unless it is confirmed."""
    deployment = Deployment(read_stage("prod"), tmp_path)
    more = emulated(read_stage("prod"))
    more["Resources"]["OtherStream"] = {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}}
    deployment.write(more)
    deployment.deploy()
    deployment.write(emulated(read_stage("prod")))

    with pytest.raises(StackError, match=r"removes OtherStream \(AWS::Kinesis::Stream\): --replace-data allows it"):
        deployment.deploy()
    assert deployment.said[-1] == "usage-tab-prod: removes OtherStream (AWS::Kinesis::Stream)"

    assert deployment.stack.deploy(deployment.sam, deployment.bundle, replaces_data=True) is True
    deployment.stack.destroy()


def test_another_stages_package(tmp_path: Path) -> None:
    """What was packaged for one stage is not deployed as another."""
    deployment = Deployment(read_stage("staging"), tmp_path)
    deployment.write(emulated(read_stage("dev")))

    with pytest.raises(StackError, match="packaged for the stage dev, not for staging"):
        deployment.deploy()


def test_what_went_wrong(tmp_path: Path) -> None:
    """A stack that cannot be created tells AWS's reasons, and must be destroyed before it is tried again."""
    deployment = Deployment(read_stage("dev"), tmp_path)
    broken = emulated(read_stage("dev"))
    broken["Resources"]["Broken"] = {
        "Type": "AWS::SQS::Queue",
        "Properties": {"RedrivePolicy": {"deadLetterTargetArn": "x"}},
    }
    deployment.write(broken)

    with pytest.raises(StackError, match="usage-tab-dev failed:\nBroken: "):
        deployment.deploy()
    deployment.write(emulated(read_stage("dev")))
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE: destroy it first"):
        deployment.deploy()
    deployment.stack.destroy()
    assert deployment.deploy() is True
    deployment.stack.destroy()


def test_commands(tmp_path: Path) -> None:
    """The commands deploy what lies in a folder, tell how to reach it, and ask before they delete."""
    Deployment(read_stage("staging"), tmp_path)
    run = CliRunner().invoke

    deployed = run(main, ["deploy", "--stage", "staging", "--folder", str(tmp_path)], catch_exceptions=False)
    assert "usage-tab-staging: create begun" in deployed.output
    exported = run(main, ["environment", "--stage", "staging"], catch_exceptions=False).output
    told = run(main, ["outputs", "--stage", "staging"], catch_exceptions=False).output
    table = re.findall(r"^export USAGE_TAB_STATE_TABLE=(\S+)$", exported, re.MULTILINE)
    assert f"StateTableName {table[0]}" in told.splitlines()
    assert "AlarmTopicArn arn:aws:sns:" in told
    assert "export USAGE_TAB_STORE=https://dynamodb.eu-west-1.amazonaws.com" in exported.splitlines()
    assert run(main, ["destroy", "--stage", "staging"], input="n\n").exit_code == 1
    destroyed = run(main, ["destroy", "--stage", "staging", "--yes"], catch_exceptions=False)
    assert "usage-tab-staging: deletion begun" in destroyed.output


def test_production_is_not_destroyed_in_passing(aws: AwsServer, tmp_path: Path) -> None:
    """Nobody can answer for whoever asks, and it takes more than a yes: the stage's name."""
    Deployment(read_stage("prod"), tmp_path).deploy()
    run = CliRunner().invoke

    refused = run(main, ["destroy", "--stage", "prod", "--yes"])
    assert (refused.exit_code, "its name must be typed in" in refused.output) == (2, True)
    assert run(main, ["destroy", "--stage", "prod"], input="yes\n").exit_code == 1
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="usage-tab-prod")["Stacks"]
    assert stack["EnableTerminationProtection"] is True
    destroyed = run(main, ["destroy", "--stage", "prod"], input="prod\n", catch_exceptions=False)
    assert "kept StateTable " in destroyed.output
