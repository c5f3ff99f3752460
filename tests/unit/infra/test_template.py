"""What holds for everything in the template, whatever the stage."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chalicelib.secret import MEMBERS, VARIABLE
from chalicelib.settings import Settings
from infra.functions import FUNCTIONS
from infra.stages import read_stage
from infra.template import FRAGMENTS, DoubleError, template
from tests.templates import STAGES, cloudformation, of_type, sam


BYTES_MAX = 1_000_000
"""What CloudFormation takes from a bucket."""

every_stage = pytest.mark.parametrize("stage", STAGES)


class Noted(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, and note that it was asked for."""
        self.asked.add(name)
        return super().get(name, default)


def environments(stage: str) -> dict[str, dict[str, Any]]:
    """Return the environment of each function."""
    functions = of_type(cloudformation(stage)["Resources"], "AWS::Lambda::Function")
    return {name: function["Environment"]["Variables"] for name, function in functions.items()}


@every_stage
def test_it_is_small_enough(stage: str) -> None:
    """CloudFormation takes it, and what SAM makes of it."""
    assert len(json.dumps(sam(stage))) < BYTES_MAX
    assert len(json.dumps(cloudformation(stage))) < BYTES_MAX


@every_stage
def test_the_same_twice(stage: str) -> None:
    """It is the same however often it is made."""
    assert json.dumps(template(read_stage(stage))) == json.dumps(sam(stage))


@every_stage
def test_no_setting_is_misspelt(stage: str) -> None:
    """Every variable that a function is given is one that the service reads, and accepts."""
    for variables in environments(stage).values():
        values = {name: value if isinstance(value, str) else "https://x.example" for name, value in variables.items()}
        noted = Noted(**values)

        Settings.from_environment(noted)

        assert noted.keys() - {VARIABLE, "POWERTOOLS_SERVICE_NAME"} <= noted.asked


@every_stage
def test_nothing_secret(stage: str) -> None:
    """What belongs into the secret is not in the template, nor anything that looks like a key."""
    text = json.dumps(sam(stage))

    assert not [name for name in MEMBERS if name in text]
    assert not re.search(r"sk_(live|test)_|whsec_|AKIA|BEGIN [A-Z ]*PRIVATE KEY", text)


@every_stage
def test_only_those_who_pay_can_read_the_secret(stage: str) -> None:
    """The others are told neither its name nor a gateway."""
    for name, variables in environments(stage).items():
        assert (VARIABLE in variables) == FUNCTIONS[name].pays
        assert (variables["USAGE_TAB_PAYMENT_GATEWAY"] == "none") == (not FUNCTIONS[name].pays)


def test_production_is_real() -> None:
    """In production money and time are."""
    for name, variables in environments("prod").items():
        assert variables["USAGE_TAB_STAGE"] == "prod"
        assert variables["USAGE_TAB_TEST_CLOCK"] == "false"
        assert variables["USAGE_TAB_PAYMENT_GATEWAY"] == ("stripe" if FUNCTIONS[name].pays else "none")


@every_stage
def test_every_queue_has_dead_letters(stage: str) -> None:
    """What cannot be dealt with goes to a queue of its own, which keeps it as long as SQS can."""
    queues = of_type(sam(stage)["Resources"], "AWS::SQS::Queue")
    targets = {
        name: queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for name, queue in queues.items()
        if "RedrivePolicy" in queue
    }

    assert {name for name in queues if not name.endswith("DeadLetters")} == set(targets)
    for target in targets.values():
        assert target.endswith("DeadLetters")
        assert queues[target]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())


@every_stage
def test_logs_are_kept_for_a_while(stage: str) -> None:
    """Every group of logs has a retention, and its resource in the stack."""
    groups = of_type(sam(stage)["Resources"], "AWS::Logs::LogGroup")

    assert groups
    assert {group["RetentionInDays"] for group in groups.values()} == {read_stage(stage).log_retention_days}


@every_stage
def test_alarms(stage: str) -> None:
    """All alarms, and what else is the same in every stage, are in it as their files have them."""
    resources = sam(stage)["Resources"]

    fragments = [json.loads(file.read_text())["Resources"] for file in FRAGMENTS if file.exists()]
    assert fragments
    for fragment in fragments:
        assert {name: resources[name] for name in fragment} == fragment


def test_every_alarm_tells_somebody() -> None:
    """Only those of the rollout tell CodeDeploy alone; every function has one that tells somebody."""
    alarms = of_type(sam("prod")["Resources"], "AWS::CloudWatch::Alarm")
    telling = {name: alarm["AlarmActions"] for name, alarm in alarms.items() if "AlarmActions" in alarm}

    assert {str(actions) for actions in telling.values()} == {"[{'Ref': 'AlarmTopic'}]"}
    assert all(name.endswith("RolloutAlarm") for name in alarms.keys() - telling.keys())
    assert not [name for name in telling if name.endswith("RolloutAlarm")]
    for function in FUNCTIONS:
        assert [name for name in telling if name.startswith(function)], function


def test_a_name_is_given_once(tmp_path: Path) -> None:
    """Two parts of the template cannot describe the same resource."""
    fragment = tmp_path / "alarms.json"
    fragment.write_text(json.dumps({"Resources": {"WorkQueue": {}}}))

    with pytest.raises(DoubleError, match="WorkQueue"):
        template(read_stage("dev"), [fragment])
