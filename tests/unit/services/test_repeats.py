"""Events that were taken more than once, and for how long they are remembered."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal

from chalicelib.domain.instants import DAY, MINUTE, SECOND, Instant, parse_instant
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.audit.findings import Findings
from chalicelib.services.audit.repeats import Repeats


NOON = parse_instant("2026-10-20T12:00:00Z")


def _event(time: Instant, name: str = "e-1", source: str = "/voice") -> UsageEvent:
    return UsageEvent("acme", source, name, time, "message", Decimal(1))


def _found(*taken: tuple[UsageEvent, Instant]) -> list[str]:
    findings = Findings()
    repeats = Repeats(findings)
    for event, at in taken:
        repeats.check(event, at)
    return [str(finding) for finding in findings.all()]


def test_an_event_that_waited_as_long_as_it_may() -> None:
    """Eight weeks after it was taken it comes again: 35 days late, a week in the stream, two as a dead letter."""
    again = NOON + 56 * DAY
    assert _found(
        (_event(NOON), NOON),
        *((_event(again - day * DAY, "other"), again - day * DAY) for day in (40, 20, 1)),
        (_event(NOON), again),
    ) == ["counted twice: event e-1 of /voice at 2026-10-20T12:00:00Z is counted twice"]


def test_every_time_of_a_day_is_named() -> None:
    """The third time of a day is told with both before; after that the first again is counted twice."""
    events = [_event(time) for time in (NOON, NOON + SECOND, NOON + MINUTE, NOON)]
    earlier = "was taken with other times that day: 2026-10-20T12:00:00Z"
    assert _found(*((event, NOON + MINUTE) for event in events)) == [
        "counted twice: event e-1 of /voice at 2026-10-20T12:00:00Z is counted twice",
        f"restamped event: event e-1 of /voice at 2026-10-20T12:00:01Z {earlier}",
        f"restamped event: event e-1 of /voice at 2026-10-20T12:01:00Z {earlier}, 2026-10-20T12:00:01Z",
    ]


def test_source_and_id_are_told_apart() -> None:
    """What both spell together may be the same."""
    events = [_event(NOON, "e-1", "/voice"), _event(NOON, "1", "/voicee-"), _event(NOON, "e-1", "/chat")]
    assert _found(*((event, NOON) for event in events)) == []


def test_memory_goes_by_weeks_not_by_months() -> None:
    """Two years of events take no more to remember than the first three months."""
    repeats = Repeats(Findings())
    tracemalloc.start()
    try:
        after = [_remembered(repeats, range(first, first + 90)) for first in range(0, 720, 90)]
    finally:
        tracemalloc.stop()
    assert after[0] > 50_000
    assert max(after) < 1.2 * after[0]


def _remembered(repeats: Repeats, days: range) -> int:
    """Return what Python has allocated after twenty events on each of *days*."""
    for day in days:
        for number in range(20):
            time = NOON + day * DAY + number * MINUTE
            repeats.check(_event(time, f"e-{number}"), time)
    return tracemalloc.get_traced_memory()[0]
