"""Moving the test clock: time passes in a moment, and every schedule that falls due on the way runs, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.instants import DAY, Instant, format_instant
from chalicelib.services.errors import BusyError, Fault, RefusedError
from chalicelib.services.run_jobs import JobRun, Jobs


if TYPE_CHECKING:
    from chalicelib.storage.operations import StoredTestClock


MOVE_MAX: Final = 3660 * DAY
"""Ten years: what one request gets through."""


class Move(Struct, frozen=True):
    """Where the test clock stands, and the jobs that ran on the way."""

    now: Instant
    jobs: tuple[JobRun, ...]


class MovingTestClock:
    """Moves the test clock where there is one."""

    def __init__(self, clock: StoredTestClock, jobs: Jobs) -> None:
        """Move *clock* and run *jobs*."""
        self._clock = clock
        self._jobs = jobs

    def move(self, to: Instant) -> Move:
        """
        Move the clock to the instant *to*, run what falls due on the way, and answer when all is done.

        Where there is no test clock yet it begins at *to*, which may be in the past; nothing runs.

        Raises:
            RefusedError: `clock_backwards` for an instant before the clock's, `invalid_request` for one too far ahead.
            BusyError: where somebody else is moving it.
        """
        if self._clock.start(to):
            return Move(to, ())
        now = self._clock.now()
        if to > now + MOVE_MAX:
            detail = f"must be at most {MOVE_MAX // DAY} days ahead: a longer way takes several moves"
            raise RefusedError("invalid_request", f"now {detail}", (Fault("/now", detail),))
        runs: list[JobRun] = []
        if to < now:
            detail = f"the test clock stands at {format_instant(now)} and only goes forward"
            raise RefusedError("clock_backwards", detail)
        while (tick := self._next_tick(now, to)) is not None:
            now = self._step(now, tick)
            runs += [self._jobs.run(job.name) for job in self._jobs.jobs if tick % job.interval == 0]
        if now != to:
            self._step(now, to)
        return Move(to, tuple(runs))

    def _next_tick(self, now: Instant, to: Instant) -> Instant | None:
        """Return the next instant up to *to* at which a job has work; without work, the last at which one runs."""
        interval = min(job.interval for job in self._jobs.jobs)
        first, last = (now // interval + 1) * interval, to // interval * interval
        if last < first:
            return None
        due_at = self._jobs.next_due_at()
        tick = last if due_at is None else -(-due_at // interval) * interval
        return min(max(tick, first), last)

    def _step(self, now: Instant, to: Instant) -> Instant:
        if not self._clock.move(now, to):
            message = "the test clock is being moved"
            raise BusyError(message)
        return to
