"""What a function writes for CloudWatch: read from what it printed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from chalicelib.observability import FUNCTION_NAME_VARIABLE, NAMESPACE, Metric


class Series(NamedTuple):
    """The values of a metric in one line; its *dimensions* without that of the service."""

    metric: str
    dimensions: dict[str, str]
    unit: str
    values: list[float]


def deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service believe that it runs on Lambda."""
    monkeypatch.setenv(FUNCTION_NAME_VARIABLE, "usage-tab-prod")


def lines_of(printed: str) -> list[dict[str, Any]]:
    """Return the lines in the embedded metric format among what was *printed*."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def series_of(printed: str) -> list[Series]:
    """Return all that was measured, in the order in which it was *printed*."""
    found: list[Series] = []
    for line in lines_of(printed):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        (names,) = directive["Dimensions"]
        assert directive["Namespace"] == NAMESPACE
        assert line["service"] == "usage-tab"
        dimensions = {name: line[name] for name in names if name != "service"}
        found += [Series(one["Name"], dimensions, one["Unit"], line[one["Name"]]) for one in directive["Metrics"]]
    return found


def totals_of(printed: str) -> dict[tuple[str, ...], float]:
    """Return the sum of every metric, by its name and the values of its dimensions."""
    totals: dict[tuple[str, ...], float] = {}
    for series in series_of(printed):
        assert Metric(series.metric).unit == series.unit
        name = (series.metric, *series.dimensions.values())
        totals[name] = totals.get(name, 0) + sum(series.values)
    return totals
