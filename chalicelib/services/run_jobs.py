"""The scheduled jobs: what needs each, what it does for one account or other subject, and its heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.instants import Instant, format_instant
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.storage.operations import Heartbeat, Heartbeats


if TYPE_CHECKING:
    from chalicelib.services.clocks import Clock


_log = logging.getLogger(__name__)


class WorkLeftError(Exception):
    """There is nothing wrong, but something has to wait for a later run."""


class Job(Struct, frozen=True):
    """
    A job: *subjects* are the accounts, payments or effects that may need it by an instant.

    *run* does for one of them all that is due by then, and counts what was (or tells whether any). The job falls due
    every *interval*, counted from the epoch.
    """

    name: str
    interval: Instant
    subjects: Callable[[Instant], Iterable[str]]
    run: Callable[[str, Instant], int]

    def next_run_at(self, after: Instant) -> Instant:
        """Return the first instant after *after* at which the job falls due."""
        return (after // self.interval + 1) * self.interval


class JobRun(Struct, frozen=True):
    """One run of a job as of *at*: how many of its subjects are *done*, *failed*, and *left* for a later run."""

    job: str
    at: Instant
    done: int
    failed: int
    left: int


class JobState(Struct, frozen=True):
    """When a job ran last and runs next."""

    job: str
    last_run: Heartbeat | None
    next_run_at: Instant


Progress = Callable[[int], None]
"""Is told how many subjects of a run are dealt with so far."""


def no_progress(subjects: int) -> None:
    """Take no note of *subjects*."""


class Jobs:
    """All jobs, in the order in which they run where they fall due together."""

    def __init__(
        self,
        jobs: Sequence[Job],
        next_dues: Sequence[Callable[[], Instant | None]],
        heartbeats: Heartbeats,
        clock: Clock,
        real_clock: Clock,
    ) -> None:
        """Run *jobs*; each of *next_dues* tells when the next thing of its kind falls due."""
        self.jobs = tuple(jobs)
        self._next_dues = tuple(next_dues)
        self._heartbeats = heartbeats
        self._clock = clock
        self._real_clock = real_clock

    def states(self) -> list[JobState]:
        """Return the last and next run of every job."""
        now = self._clock.now()
        return [JobState(job.name, self._heartbeats.get(job.name), job.next_run_at(now)) for job in self.jobs]

    def run(self, name: str, at: Instant | None = None, progress: Progress = no_progress) -> JobRun:
        """
        Run a job as of *at*, None for now.

        A subject that fails stops no other; what is not done, the next run finds again.

        Raises:
            RefusedError: `not_found` for no such job, `invalid_request` for an instant after now.
        """
        job = next((job for job in self.jobs if job.name == name), None)
        if job is None:
            detail = f"there is no job {name!r}"
            raise RefusedError("not_found", detail)
        now = self._clock.now()
        at = now if at is None else at
        if at > now:
            detail = f"must not be after now, {format_instant(now)}"
            raise RefusedError("invalid_request", f"at {detail}", (Fault("/at", detail),))
        return self._run(job, at, progress)

    def next_due_at(self) -> Instant | None:
        """Return when the next thing falls due anywhere."""
        instants = (next_due() for next_due in self._next_dues)
        return min((instant for instant in instants if instant is not None), default=None)

    def _run(self, job: Job, at: Instant, progress: Progress) -> JobRun:
        started_at = self._real_clock.now()
        done = failed = left = 0
        for seen, subject in enumerate(job.subjects(at), start=1):
            try:
                done += bool(job.run(subject, at))
            except WorkLeftError:
                left += 1
            except Exception:  # noqa: BLE001 - one subject's failure must not stop the others
                failed += 1
                _log.exception("job %s failed for %s", job.name, subject)
            progress(seen)
        run = JobRun(job.name, at, done, failed, left)
        self._heartbeats.put(Heartbeat(job.name, at, started_at, self._real_clock.now(), done, failed, run.left))
        return run
