"""How a new version takes over: by an alias, a part of the calls first, and back again where an alarm goes off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.intrinsics import Resource, Resources, ref, sub


if TYPE_CHECKING:
    from infra.stages import Stage

ALIAS: Final = "live"
API: Final = "APIHandler"

_ANSWERS_ALARM: Final = f"{API}AnswersRolloutAlarm"

_ERRORS_MAX: Final = 3
"""Calls in a minute that may end without an answer."""
_FAILED_ANSWERS_MAX: Final = 0.05
"""The part of all answers in a minute that may be 5xx."""


def alias_of(function: str) -> str:
    """Return the name that SAM gives a function's alias."""
    return f"{function}Alias{ALIAS}"


def properties(function: str, stage: Stage) -> Resource:
    """Return what a function needs so that a new version of it is rolled out."""
    return {
        "AutoPublishAlias": ALIAS,
        "AutoPublishAliasAllProperties": True,  # else a change of memory or environment never reaches the alias
        "DeploymentPreference": _preference(function, stage),
    }


def _preference(function: str, stage: Stage) -> dict[str, Any]:
    if stage.rollout is None:
        return {"Enabled": False}
    return {"Type": stage.rollout, "Alarms": [ref(alarm) for alarm in _alarms_of(function)]}


def alarms(functions: list[str]) -> Resources:
    """Return the alarms that take a new version of one of *functions* back."""
    errors = {_errors_alarm(function): _errors(function) for function in functions}
    return {**errors, _ANSWERS_ALARM: _failed_answers()}


def _errors_alarm(function: str) -> str:
    return f"{function}RolloutAlarm"


def _alarms_of(function: str) -> list[str]:
    return [_errors_alarm(function), *([_ANSWERS_ALARM] if function == API else [])]


def _errors(function: str) -> Resource:
    return _alarm(
        f"Calls of {function} end without an answer: a new version of it is taken back.",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[
            {"Name": "FunctionName", "Value": ref(function)},
            {"Name": "Resource", "Value": sub(f"${{{function}}}:{ALIAS}")},
        ],
        Statistic="Sum",
        Threshold=_ERRORS_MAX,
    )


def _failed_answers() -> Resource:
    """Return the alarm for what the function itself answers with 5xx, which is no error to Lambda."""
    return _alarm(
        "Too many answers of the API are 5xx: a new version of it is taken back.",
        Namespace="AWS/ApiGateway",
        MetricName="5XXError",
        Dimensions=[{"Name": "ApiName", "Value": sub("${AWS::StackName}")}, {"Name": "Stage", "Value": "api"}],
        Statistic="Average",
        Threshold=_FAILED_ANSWERS_MAX,
    )


def _alarm(description: str, **metric: Any) -> Resource:
    """Return an alarm for CodeDeploy, not for people: each function has one in `alarms.json` that tells them."""
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            **metric,
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        },
    }
