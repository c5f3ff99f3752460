"""Counting what became of events, whichever door they came through: accepted, duplicate, rejected and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from chalicelib.observability import Metric, count
from chalicelib.services.meter_events import Status


if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.services.meter_events import Verdict

_METRIC_BY_STATUS: Final = {
    Status.ACCEPTED: Metric.EVENTS_ACCEPTED,
    Status.DUPLICATE: Metric.EVENTS_DUPLICATE,
    Status.REJECTED: Metric.EVENTS_REJECTED,
}


def count_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Count *verdicts* by their status, and rejections by their code as well."""
    counts = Counter((verdict.status, verdict.code) for verdict in verdicts)
    for (status, code), number in counts.items():
        count(_METRIC_BY_STATUS[status], number)
        if status is Status.REJECTED and code is not None:
            count(Metric.EVENTS_REJECTED, number, code=code)
