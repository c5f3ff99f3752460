"""The whole template of a stage: what Chalice makes of `app.py`, completed, and all that Chalice cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.api import api
from infra.chalice_template import chalice_template
from infra.data import PAGES_TABLE, REPORT_BUCKET, STATE_TABLE, data
from infra.functions import FUNCTIONS, functions
from infra.intrinsics import Resources, ref
from infra.queues import EVENT_DEAD_LETTERS, METERING_DEAD_LETTERS, REPORTS, WORK, WORK_DEAD_LETTERS, queues
from infra.rollout import alarms
from infra.secrets import SECRET, secrets
from infra.streams import EVENT_BUS, METERING_STREAM, streams


if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.stages import Stage

FRAGMENTS: Final = tuple(Path(__file__).with_name(name) for name in ("alarms.json", "dashboard.json"))
"""Resources that are the same in every stage, in CloudFormation's own words."""
ALARM_TOPIC: Final = "AlarmTopic"
"""Tells people; `alarms.json` has it."""

_FUNCTION: Final = "AWS::Serverless::Function"


class DoubleError(ValueError):
    """Two parts of the template describe the same resource; the message names it."""


def template(stage: Stage, fragments: Iterable[Path] = FRAGMENTS) -> dict[str, Any]:
    """
    Return the SAM template of *stage*, with the resources in the files *fragments*.

    Raises:
        UndescribedError: where `app.py` has other functions than `FUNCTIONS` describes.
        DoubleError: where two parts describe the same resource.
    """
    chalice = chalice_template(stage)
    found = {name: resource for name, resource in chalice["Resources"].items() if resource["Type"] == _FUNCTION}
    return {
        **chalice,
        "Description": f"usage-tab, stage {stage.name}",
        "Globals": {"Function": {"Environment": {"Variables": _environment(stage)}}},
        "Outputs": {**chalice["Outputs"], **_outputs()},
        "Resources": _together(
            functions(found, stage),
            api(chalice["Resources"], stage),
            data(stage),
            queues(_rules(found), stage),
            streams(stage),
            secrets(stage),
            alarms([name for name, function in FUNCTIONS.items() if function.has_alias]),
            *(json.loads(file.read_text())["Resources"] for file in fragments if file.exists()),
        ),
    }


def _together(*parts: Resources) -> Resources:
    together: Resources = {}
    for part in parts:
        if doubles := together.keys() & part.keys():
            raise DoubleError(f"described twice: {', '.join(sorted(doubles))}")
        together |= part
    return together


def _rules(found: Resources) -> tuple[str, ...]:
    """Return the names that SAM gives the rules of schedules."""
    return tuple(
        f"{function}{event}"
        for function, resource in found.items()
        for event, source in resource["Properties"].get("Events", {}).items()
        if source["Type"] == "Schedule"
    )


def _environment(stage: Stage) -> dict[str, Any]:
    origins = ",".join(stage.console_origins)
    return {
        "POWERTOOLS_SERVICE_NAME": ref("AWS::StackName"),  # tells the metrics of stages in one account apart
        "USAGE_TAB_STAGE": stage.name,
        "USAGE_TAB_STATE_TABLE": ref(STATE_TABLE),
        "USAGE_TAB_PAGES_TABLE": ref(PAGES_TABLE),
        "USAGE_TAB_EVENT_BUS": ref(EVENT_BUS),
        "USAGE_TAB_WORK_QUEUE": ref(WORK),
        "USAGE_TAB_DEAD_LETTERS": ref(WORK_DEAD_LETTERS),
        "USAGE_TAB_EVENT_DEAD_LETTERS": ref(EVENT_DEAD_LETTERS),
        "USAGE_TAB_METERING_DEAD_LETTERS": ref(METERING_DEAD_LETTERS),
        "USAGE_TAB_REPORT_QUEUE": ref(REPORTS),
        "USAGE_TAB_REPORT_BUCKET": ref(REPORT_BUCKET),
        "USAGE_TAB_PAYMENT_GATEWAY": "none",
        "USAGE_TAB_TEST_CLOCK": json.dumps(stage.test_clock),
        "USAGE_TAB_RETENTION_MONTHS": str(stage.retention_months),
        "USAGE_TAB_LOG_LEVEL": stage.log_level,
        **({"USAGE_TAB_CONSOLE_ORIGIN": origins} if origins else {}),
    }


def _outputs() -> dict[str, Any]:
    values = {
        "StateTableName": ref(STATE_TABLE),
        "PagesTableName": ref(PAGES_TABLE),
        "MeteringStreamName": ref(METERING_STREAM),
        "EventBusName": ref(EVENT_BUS),
        "WorkQueueUrl": ref(WORK),
        "ReportQueueUrl": ref(REPORTS),
        "EventDeadLettersUrl": ref(EVENT_DEAD_LETTERS),
        "MeteringDeadLettersUrl": ref(METERING_DEAD_LETTERS),
        "WorkDeadLettersUrl": ref(WORK_DEAD_LETTERS),
        "ReportBucketName": ref(REPORT_BUCKET),
        "SecretArn": ref(SECRET),
        "AlarmTopicArn": ref(ALARM_TOPIC),
    }
    return {name: {"Value": value} for name, value in values.items()}
