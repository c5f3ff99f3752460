"""
Posting the usage of a simulated fleet, as a metering system does that never knows whether it was heard.

Every so many batches one is sent again, at once in another order and later beside new usage, and with one of them go
events that cannot be taken.
"""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.domain.instants import DAY, Instant
from chalicelib.domain.usage_events import AGE_MAX, UsageEvent
from chalicelib.local.simulation.checks import NOTHING_MOVED, REFUSED, REPEATS
from chalicelib.local.simulation.fleet import STORAGE
from chalicelib.services.meter_events import EVENTS_MAX, Status


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.local.simulation.checks import Accepted, Findings, Watch
    from chalicelib.services.meter_events import Metering, Verdict

REPEATED_EVERY: Final = 7
STRAYS_EVERY: Final = 9
REPEATED_LATER_MAX: Final = 12
"""Batches that wait to be sent once more."""

LATER: Final = 6 * DAY


class Posting:
    """Posts batches and keeps count of the answers."""

    def __init__(self, metering: Metering, watch: Watch, findings: Findings, accepted: Accepted, seed: str) -> None:
        """Post to *metering*, and check its answers."""
        self._metering = metering
        self._watch = watch
        self._findings = findings
        self._accepted = accepted
        self._luck = Random(f"{seed}/posting")  # noqa: S311 - made up, to be drawn again
        self._batches = 0
        self._later: deque[tuple[Instant, Sequence[UsageEvent]]] = deque()
        self.sent = 0
        self.answers: Counter[str] = Counter()

    def post(self, events: Sequence[UsageEvent], now: Instant) -> None:
        """Post the usage of one account, and now and then something again."""
        for begin in range(0, len(events), EVENTS_MAX):
            taken = self._take_new(events[begin : begin + EVENTS_MAX])
            self._batches += 1
            if self._batches % REPEATED_EVERY == 0 and taken:
                self._repeat(taken)
                if len(self._later) < REPEATED_LATER_MAX:
                    self._later.append((now + LATER, taken))
            if self._batches % STRAYS_EVERY == 0 and taken:
                self._post_strays(taken[0], now)
        while self._later and self._later[0][0] <= now:
            _, taken = self._later.popleft()
            self._repeat([event for event in taken if event.time > now - AGE_MAX])

    def _take_new(self, batch: Sequence[UsageEvent]) -> Sequence[UsageEvent]:
        """Post events that were never sent before, and return those that were taken."""
        verdicts = self._take(batch)
        taken = [event for event, verdict in zip(batch, verdicts, strict=True) if verdict.status is Status.ACCEPTED]
        samples = [event for event in taken if event.resource == STORAGE]
        if samples:
            self._watch.note_samples(samples[0].account, samples)
        for event in taken:
            if event.resource != STORAGE:
                self._accepted.add_usage(event)
        return taken

    def _repeat(self, taken: Sequence[UsageEvent]) -> None:
        if not taken:
            return
        account = taken[0].account
        shuffled = self._luck.sample(taken, len(taken))
        before = self._watch.version(account)
        for event, verdict in zip(shuffled, self._take(shuffled), strict=True):
            self._findings.check(REPEATS, f"{account} {event.id}", verdict.status is Status.DUPLICATE, verdict)
        self._findings.check_equal(NOTHING_MOVED, account, before, self._watch.version(account))

    def _post_strays(self, taken: UsageEvent, now: Instant) -> None:
        """Post what cannot be taken: a changed event, one too old, one to come, and one of no product."""
        strays = {
            "conflict": replace(taken, quantity=taken.quantity + 1),
            "too_old": replace(taken, id=f"{taken.id}-old", time=now - AGE_MAX - DAY),
            "in_future": replace(taken, id=f"{taken.id}-new", time=now + DAY),
            "unknown_resource": replace(taken, id=f"{taken.id}-what", resource="carrier_pigeon", quantity=Decimal(1)),
        }
        for code, verdict in zip(strays, self._take(list(strays.values())), strict=True):
            self._findings.check_equal(REFUSED, f"{taken.account} {taken.id}", code, verdict.code)

    def _take(self, batch: Sequence[UsageEvent]) -> list[Verdict]:
        verdicts = self._metering.take(batch)
        self.sent += len(batch)
        for verdict in verdicts:
            self.answers[verdict.code or verdict.status.value] += 1
        return verdicts
