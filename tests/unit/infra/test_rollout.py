"""How a new version takes over, and what takes it back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from infra.stages import read_stage
from infra.template import template
from tests.templates import STAGES, cloudformation, of_type, sam


ROLLED_OUT = {"APIHandler", "MeterEvents", "CarryOutEffects", "DoWork"}


@pytest.mark.parametrize("stage", STAGES)
def test_who_has_an_alias(stage: str) -> None:
    """The API and those behind streams and the queue of work are called by alias; any change makes a new version."""
    resources = cloudformation(stage)["Resources"]
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping")
    by_alias = {mapping["FunctionName"]["Ref"] for mapping in mappings.values()}

    assert of_type(resources, "AWS::Lambda::Alias").keys() == {f"{name}Aliaslive" for name in ROLLED_OUT}
    assert {"MeterEventsAliaslive", "CarryOutEffectsAliaslive", "DoWorkAliaslive"} <= by_alias
    for name in ROLLED_OUT:
        assert sam(stage)["Resources"][name]["Properties"]["AutoPublishAliasAllProperties"] is True


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_a_part_of_the_calls_first(stage: str) -> None:
    """A tenth of the calls goes to a new version for minutes, and all go back where an alarm goes off."""
    resources = cloudformation(stage)["Resources"]
    groups = of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")

    assert groups.keys() == {f"{name}DeploymentGroup" for name in ROLLED_OUT}
    for name, group in groups.items():
        watched = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert "Canary10Percent" in str(group["DeploymentConfigName"])
        assert watched
        assert all(alarm.startswith(name.removesuffix("DeploymentGroup")) for alarm in watched)
        assert set(watched) <= alarms.keys()
    for name in ROLLED_OUT:
        policy = resources[f"{name}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}


def test_at_once() -> None:
    """A stage without a rollout has nothing that an alarm could stop: so a fix gets in while one is on."""
    packaged = template(replace(read_stage("prod"), rollout=None))["Resources"]

    for name in ROLLED_OUT:
        assert packaged[name]["Properties"]["DeploymentPreference"] == {"Enabled": False}
        assert packaged[name]["Properties"]["AutoPublishAlias"] == "live"


def test_what_takes_it_back() -> None:
    """Calls of the alias without an answer do, within a minute, and where the API answers 5xx too often."""
    alarms = of_type(sam("prod")["Resources"], "AWS::CloudWatch::Alarm")

    for name in ROLLED_OUT:
        alarm = alarms[f"{name}RolloutAlarm"]
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert (alarm["MetricName"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Errors", 60, 1)
        assert dimensions == {"FunctionName": {"Ref": name}, "Resource": {"Fn::Sub": f"${{{name}}}:live"}}
        assert alarm["TreatMissingData"] == "notBreaching"
    answers = alarms["APIHandlerAnswersRolloutAlarm"]
    assert (answers["MetricName"], answers["Statistic"], answers["Threshold"]) == ("5XXError", "Average", 0.05)
