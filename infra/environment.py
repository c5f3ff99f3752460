"""The settings by which the command line of an operator reaches a stage."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OUTPUTS: Final = {
    "USAGE_TAB_STATE_TABLE": "StateTableName",
    "USAGE_TAB_PAGES_TABLE": "PagesTableName",
    "USAGE_TAB_EVENT_BUS": "EventBusName",
    "USAGE_TAB_WORK_QUEUE": "WorkQueueUrl",
    "USAGE_TAB_DEAD_LETTERS": "WorkDeadLettersUrl",
    "USAGE_TAB_EVENT_DEAD_LETTERS": "EventDeadLettersUrl",
    "USAGE_TAB_METERING_DEAD_LETTERS": "MeteringDeadLettersUrl",
    "USAGE_TAB_REPORT_QUEUE": "ReportQueueUrl",
    "USAGE_TAB_REPORT_BUCKET": "ReportBucketName",
}


def exports(outputs: Mapping[str, str], region: str) -> Iterator[str]:
    """Yield lines for a shell, which name what is in the *outputs* of a stack in *region*; none holds a secret."""
    values = {name: outputs[output] for name, output in _OUTPUTS.items()}
    values["USAGE_TAB_REGION"] = region
    values["USAGE_TAB_STORE"] = f"https://dynamodb.{region}.amazonaws.com"
    for name, value in values.items():
        yield f"export {name}={shlex.quote(value)}"
