"""
The scheduled jobs: what needs each, what it does for one account or other subject, and its heartbeat.

Where there is a work queue, a run only finds the subjects and hands them over, and whoever takes one from the queue
does its work; where there is none, a run does all by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.bus.work_queue import Work, WorkQueue
from chalicelib.domain.instants import Instant, format_instant
from chalicelib.observability import Metric, count
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.storage.operations import Failure, Heartbeat, Heartbeats


if TYPE_CHECKING:
    from chalicelib.services.clocks import Clock


FAILURES_NAMED_MAX: Final = 20
REASON_CHARACTERS_MAX: Final = 300

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
    """
    One run of a job as of *at*: how many of its subjects are *done*, *failed*, and *left* for later.

    *failures* names the first of those that failed.
    """

    job: str
    at: Instant
    done: int
    failed: int
    left: int
    failures: tuple[Failure, ...] = ()


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

    def __init__(  # noqa: PLR0913 - the parts of a schedule
        self,
        jobs: Sequence[Job],
        next_dues: Sequence[Callable[[], Instant | None]],
        heartbeats: Heartbeats,
        clock: Clock,
        real_clock: Clock,
        queue: WorkQueue | None = None,
    ) -> None:
        """
        Run *jobs*, over *queue* where there is one.

        Each of *next_dues* tells when the next thing of its kind falls due.
        """
        self.jobs = tuple(jobs)
        self._next_dues = tuple(next_dues)
        self._heartbeats = heartbeats
        self._clock = clock
        self._real_clock = real_clock
        self._queue = queue

    def without_queue(self) -> Jobs:
        """Return the same jobs, each of which does all its work before it answers."""
        return Jobs(self.jobs, self._next_dues, self._heartbeats, self._clock, self._real_clock)

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
        job = self._job(name)
        now = self._clock.now()
        at = now if at is None else at
        if at > now:
            detail = f"must not be after now, {format_instant(now)}"
            raise RefusedError("invalid_request", f"at {detail}", (Fault("/at", detail),))
        return self._run(job, at, progress) if self._queue is None else self._hand_over(job, at, self._queue)

    def next_due_at(self) -> Instant | None:
        """Return when the next thing falls due anywhere."""
        instants = (next_due() for next_due in self._next_dues)
        return min((instant for instant in instants if instant is not None), default=None)

    def work(self, work: Work) -> None:
        """
        Do what a job has to do for one subject, and note it in the job's heartbeat.

        Raises:
            RefusedError: `not_found` for no such job.
            Exception: whatever went wrong; the work may be tried again.
        """
        job = self._job(work.job)
        try:
            done = bool(job.run(work.subject, work.at))
        except WorkLeftError:
            return
        except Exception:
            _count(job, failed=1)
            raise
        _count(job, done=int(done))
        self._heartbeats.add(work.job, done=int(done), left=-1)

    def give_up(self, work: Work, reason: str) -> None:
        """Note that *work* failed for good."""
        self._heartbeats.add(work.job, failed=1, left=-1, failure=Failure(work.subject, reason))

    def _job(self, name: str) -> Job:
        job = next((job for job in self.jobs if job.name == name), None)
        if job is None:
            detail = f"there is no job {name!r}"
            raise RefusedError("not_found", detail)
        return job

    def _run(self, job: Job, at: Instant, progress: Progress) -> JobRun:
        started_at = self._real_clock.now()
        done = left = 0
        failures = []
        for seen, subject in enumerate(job.subjects(at), start=1):
            try:
                done += bool(job.run(subject, at))
            except WorkLeftError:
                left += 1
            except Exception as error:  # noqa: BLE001 - one subject's failure must not stop the others
                failures.append(Failure(subject, describe(error)))
                _log.exception("job %s failed for %s", job.name, subject)
            progress(seen)
        _count(job, done, len(failures))
        named = tuple(failures[:FAILURES_NAMED_MAX])
        run = JobRun(job.name, at, done, len(failures), left, named)
        ended_at = self._real_clock.now()
        self._heartbeats.put(Heartbeat(job.name, at, started_at, ended_at, done, run.failed, left, named))
        return run

    def _hand_over(self, job: Job, at: Instant, queue: WorkQueue) -> JobRun:
        started_at = self._real_clock.now()
        is_last = self._heartbeats.put(Heartbeat(job.name, at, started_at, started_at, 0, 0, 0))
        left = queue.send(Work(job.name, subject, at) for subject in job.subjects(at))
        if is_last:
            self._heartbeats.add(job.name, left=left, ended_at=self._real_clock.now())
        return JobRun(job.name, at, done=0, failed=0, left=left)


def _count(job: Job, done: int = 0, failed: int = 0) -> None:
    count(Metric.WORK_DONE, done, job=job.name)
    count(Metric.WORK_FAILED, failed)
    count(Metric.WORK_FAILED, failed, job=job.name)


def describe(error: Exception) -> str:
    """Return what went wrong in a line."""
    return f"{type(error).__name__}: {error}"[:REASON_CHARACTERS_MAX]
