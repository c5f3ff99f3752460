"""Events that were taken more than once: again as they were, or on the same day with another time."""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.instants import DAY, Instant, format_instant
from chalicelib.domain.usage_events import AGE_MAX
from chalicelib.services.audit.findings import Kind, name_event


if TYPE_CHECKING:
    from chalicelib.domain.usage_events import UsageEvent
    from chalicelib.services.audit.findings import Findings


WAIT_MAX: Final = 28 * DAY
"""How long what has arrived may wait to be taken: a week in the stream, two as a dead letter; the rest is to spare."""

_DIGEST_BYTES: Final = 12
"""So many that a thousand million events of a day all have their own."""


class _Day(NamedTuple):
    """What is remembered of a day: when each event was, and of those with several times all of them."""

    first: dict[bytes, Instant]
    several: dict[bytes, list[Instant]]


class Repeats:
    """
    Compares the events of each UTC day with each other, by source and id.

    A day is forgotten once none of its events can be taken any more, so that memory goes by the events of some weeks,
    however many months are read.
    """

    def __init__(self, findings: Findings) -> None:
        """Remember nothing yet."""
        self._findings = findings
        self._days: defaultdict[int, _Day] = defaultdict(lambda: _Day({}, {}))
        self._oldest_day = 0

    def check(self, event: UsageEvent, taken_at: Instant) -> None:
        """Compare an event with those before; events come in the order in which they were taken."""
        self._forget_before((taken_at - AGE_MAX - WAIT_MAX) // DAY)
        day = self._days[event.time // DAY]
        digest = _digest(event)
        if digest not in day.first:
            day.first[digest] = event.time
            return
        times = day.several.setdefault(digest, [day.first[digest]])
        if event.time in times:
            self._findings.add(Kind.COUNTED_TWICE, name_event(event), "is counted twice")
        else:
            earlier = ", ".join(map(format_instant, times))
            self._findings.add(Kind.RESTAMPED, name_event(event), f"was taken with other times that day: {earlier}")
        times.append(event.time)

    def _forget_before(self, oldest_day: int) -> None:
        if oldest_day <= self._oldest_day:
            return
        self._oldest_day = oldest_day
        for day in [day for day in self._days if day < oldest_day]:
            del self._days[day]


def _digest(event: UsageEvent) -> bytes:
    text = f"{len(event.source)} {event.source}{event.id}"
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES, usedforsecurity=False).digest()
