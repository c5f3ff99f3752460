"""What the queue of reports brings: reports that are too large for an answer, each to be written as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.bus.work_queue import Work
from chalicelib.observability import Metric, count, logger
from chalicelib.services.errors import RefusedError
from chalicelib.services.provide_reports import ReportFile


if TYPE_CHECKING:
    from chalicelib.services.container import Services

TRIES_MAX: Final = 3
"""Deliveries of a message before its report is given up: asked for again, it begins anew."""


def write_reports(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """Write the reports of a batch of messages, and return those that are to be delivered again."""
    failed = [record["messageId"] for record in event["Records"] if not _is_dealt_with(services, record)]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _is_dealt_with(services: Services, record: dict[str, Any]) -> bool:
    try:
        file = ReportFile.of_key(msgspec.json.decode(record["body"], type=Work).subject)
    except ValueError:
        # Nobody waits for it: only this service writes to the queue.
        logger().exception("a message on the queue of reports cannot be read")
        count(Metric.REPORTS_FAILED)
        return True
    try:
        services.reports.write(file)
    except Exception as error:  # noqa: BLE001 - one report's failure must not stop the others
        logger().exception("report %s could not be written", file.key)
        count(Metric.REPORTS_FAILED)
        is_last = int(record["attributes"]["ApproximateReceiveCount"]) >= TRIES_MAX
        return (is_last or isinstance(error, RefusedError)) and _is_given_up(services, file)
    count(Metric.REPORTS_WRITTEN)
    return True


def _is_given_up(services: Services, file: ReportFile) -> bool:
    try:
        services.reports.give_up(file)
    except Exception:  # noqa: BLE001 - the queue delivers it again
        logger().exception("report %s could not be given up", file.key)
        return False
    return True
