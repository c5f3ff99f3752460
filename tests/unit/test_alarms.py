"""Alarms, dashboard and runbook: what stops is noticed, and whoever is woken finds out what to do."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from chalice.utils import to_cfn_resource_name

from app import app
from chalicelib.bootstrap import build_services
from chalicelib.domain.instants import DAY, HOUR, SECOND
from chalicelib.observability import NAMESPACE, Metric
from chalicelib.settings import Settings
from infra.queues import DEAD_LETTERS, DEAD_LETTERS_DAYS
from tests.fakes.memory_store import MemoryStore


INFRA: Final = Path(__file__).parents[2] / "infra"
RESOURCES: Final = json.loads((INFRA / "alarms.json").read_text())["Resources"]
ALARMS: Final = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
}
DASHBOARD: Final = json.loads((INFRA / "dashboard.json").read_text())["Resources"]["Dashboard"]["Properties"]
RUNBOOK: Final = (INFRA / "README.md").read_text()

DIMENSIONS: Final = {
    Metric.EVENTS_REJECTED: [set(), {"code"}],
    Metric.PAYMENTS: [{"result"}],
    Metric.JOB_RUNS: [{"job"}],
    Metric.WORK_DONE: [{"job"}],
    Metric.WORK_FAILED: [set(), {"job"}],
}
"""By which a metric is written, beside that of the stage; what is not named here is written by none."""


def jobs() -> tuple[Any, ...]:
    """Return all jobs."""
    return build_services(Settings(), MemoryStore()).jobs.jobs


def test_every_job_has_one() -> None:
    """Where a job has not run for an hour, or for its interval if that is longer, or never, its alarm goes off."""
    by_job = {
        dimension["Value"]: alarm
        for alarm in ALARMS.values()
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "job"
    }

    assert set(by_job) == {job.name for job in jobs()}
    for job in jobs():
        alarm = by_job[job.name]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("UsageTab", "JobRuns")
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["Period"] * alarm["EvaluationPeriods"] == max(job.interval, HOUR) // SECOND


def test_every_function_has_one() -> None:
    """A function that fails is noticed, whatever calls it."""
    called_by_aws = (*app.event_sources, *app.pure_lambda_functions)

    for function in ("APIHandler", *(to_cfn_resource_name(one.name) for one in called_by_aws)):
        alarm = ALARMS[f"{function}ErrorsAlarm"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]


@pytest.mark.parametrize("queue", DEAD_LETTERS)
def test_every_queue_of_dead_letters_has_two(queue: str) -> None:
    """One for the first letter, and one for what nobody acted on, while there is half the time left."""
    first, old = ALARMS[f"{queue}Alarm"], ALARMS[f"{queue}OldAlarm"]

    for alarm in (first, old):
        assert alarm["Namespace"] == "AWS/SQS"
        assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    assert (first["MetricName"], first["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
    assert (old["MetricName"], old["Threshold"]) == ("ApproximateAgeOfOldestMessage", 7 * 24 * 3600)
    assert DEAD_LETTERS_DAYS == 14


def test_a_silent_stream_is_noticed() -> None:
    """Kinesis says nothing of a stream into which nothing comes: silence is what the alarm is for."""
    alarm = ALARMS["MeteringSilentAlarm"]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Kinesis", "IncomingRecords")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["Period"] * alarm["EvaluationPeriods"] == DAY // SECOND
    assert alarm["TreatMissingData"] == "breaching"


def test_open_payments_are_noticed_for_as_long_as_they_are() -> None:
    """Every period of the alarm holds a run of the job that measures how old the oldest is."""
    (job,) = (job for job in jobs() if job.name == "settle-payments")

    assert ALARMS["PaymentsOpenAlarm"]["Period"] >= job.interval // SECOND


@pytest.mark.parametrize("name", ALARMS)
def test_somebody_is_told(name: str) -> None:
    """When an alarm goes off, and when it ends; it says whether silence is good."""
    alarm = ALARMS[name]

    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["TreatMissingData"] in {"breaching", "notBreaching"}
    assert RESOURCES["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "AlarmTopicKey"}


class TestRunbook:
    """The sections of the runbook and the alarms."""

    def test_every_alarm_has_a_section(self) -> None:
        """Its description leads there, and the section names it."""
        for name, alarm in ALARMS.items():
            anchor = _anchor(alarm)
            assert anchor in self._sections(), f"{name} leads to {anchor}"
            assert f"`{name}`" in self._sections()[anchor], f"{anchor} does not name {name}"

    def test_every_section_has_an_alarm(self) -> None:
        """It names no alarm that leads elsewhere, and says what its alarms mean and what to do."""
        alarms_by_anchor = defaultdict(set)
        for name, alarm in ALARMS.items():
            alarms_by_anchor[_anchor(alarm)].add(name)
        for anchor, text in self._sections().items():
            assert set(re.findall(r"`(\w+Alarm)`", text)) == alarms_by_anchor[anchor], anchor
            assert "**Means**" in text, anchor
            assert "**Do**" in text, anchor
            assert "**Threshold**" in text, anchor

    @staticmethod
    def _sections() -> dict[str, str]:
        """Return the sections below "What to do when an alarm goes off" by the anchors that GitHub gives them."""
        (runbook,) = re.findall(r"^## What to do when an alarm goes off$(.*?)^## ", RUNBOOK, re.MULTILINE | re.DOTALL)
        sections = re.split(r"^### (.+)$", runbook, flags=re.MULTILINE)[1:]
        return {
            title.lower().replace(" ", "-"): text for title, text in zip(sections[::2], sections[1::2], strict=True)
        }


class TestMetrics:
    """What alarms and the dashboard look at is really written."""

    def test_of_alarms(self) -> None:
        """Each metric of our own is one the code writes, by those dimensions."""
        looked_at = [metric for alarm in ALARMS.values() for metric in _metrics_of(alarm)]

        assert looked_at
        for metric in looked_at:
            names = {dimension["Name"] for dimension in metric["Dimensions"]}
            _check(metric["Namespace"], metric["MetricName"], names)
            if metric["Namespace"] == NAMESPACE:
                assert {"Name": "service", "Value": {"Ref": "AWS::StackName"}} in metric["Dimensions"]

    def test_of_the_dashboard(self) -> None:
        """The same for its widgets, and every metric of our own is to be seen in one."""
        shown = set()
        for widget in self._widgets():
            for metric in widget["properties"].get("metrics", []):
                if isinstance(metric[0], dict):
                    schema, name = re.findall(r"\{UsageTab,([\w,]+)\} MetricName=\"(\w+)\"", metric[0]["expression"])[0]
                    namespace, dimensions = NAMESPACE, set(schema.split(","))
                else:
                    namespace, name, *pairs = (part for part in metric if isinstance(part, str))
                    dimensions = set(pairs[::2])
                _check(namespace, name, dimensions)
                if namespace == NAMESPACE:
                    shown.add(name)

        assert shown == set(Metric)

    def test_widgets_lie_beside_each_other(self) -> None:
        """None covers another, and none is wider than the dashboard."""
        cells = [
            (x, y)
            for widget in self._widgets()
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]

        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24

    @staticmethod
    def _widgets() -> list[dict[str, Any]]:
        widgets: list[dict[str, Any]] = json.loads(_text(DASHBOARD["DashboardBody"]))["widgets"]
        return widgets


def _anchor(alarm: dict[str, Any]) -> str:
    description = alarm["AlarmDescription"]
    path, _, anchor = description.rpartition(" ")[2].partition("#")
    assert path == "infra/README.md"
    return str(anchor)


def _metrics_of(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", []):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def _check(namespace: str, name: str, dimensions: set[str]) -> None:
    if namespace == NAMESPACE:
        assert "service" in dimensions
        assert dimensions - {"service"} in DIMENSIONS.get(Metric(name), [set()]), name
    else:
        assert namespace in {"AWS/ApiGateway", "AWS/DynamoDB", "AWS/Kinesis", "AWS/Lambda", "AWS/SQS"}


def _text(value: Any) -> str:
    """Return what CloudFormation makes of *value*, references left as they are."""
    if isinstance(value, str):
        return value
    if "Fn::Sub" in value:
        return str(value["Fn::Sub"])
    separator, parts = value["Fn::Join"]
    return str(separator.join(map(_text, parts)))
