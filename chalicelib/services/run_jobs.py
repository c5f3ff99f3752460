"""The scheduled jobs: what each does for one account, which accounts need it, and its heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.instants import Instant, format_instant
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.storage.operations import Heartbeat, Heartbeats


if TYPE_CHECKING:
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts


_log = logging.getLogger(__name__)


class Job(Struct, frozen=True):
    """
    A job: *run* does for one account all that is due by an instant, and counts what was (or tells whether any).

    It falls due every *interval*, counted from the epoch.
    """

    name: str
    interval: Instant
    run: Callable[[str, Instant], int]

    def next_run_at(self, after: Instant) -> Instant:
        """Return the first instant after *after* at which the job falls due."""
        return (after // self.interval + 1) * self.interval


class JobRun(Struct, frozen=True):
    """One run of a job as of *at*: how many accounts are *done*, *failed*, and *left* for the next run."""

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
"""Is told how many accounts of a run are dealt with so far."""


def no_progress(accounts: int) -> None:
    """Take no note of *accounts*."""


class Jobs:
    """All jobs, in the order in which they run where they fall due together."""

    def __init__(
        self, jobs: Sequence[Job], accounts: Accounts, heartbeats: Heartbeats, clock: Clock, real_clock: Clock
    ) -> None:
        """Run *jobs* on *accounts*."""
        self.jobs = tuple(jobs)
        self._accounts = accounts
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

        An account that fails stops no other; what is not done, the next run finds again.

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
        """Return when the next thing falls due for any account."""
        return self._accounts.next_due_at()

    def _run(self, job: Job, at: Instant, progress: Progress) -> JobRun:
        started_at = self._real_clock.now()
        done = failed = 0
        for seen, account in enumerate(self._accounts.due(at), start=1):
            try:
                done += bool(job.run(account, at))
            except Exception:  # noqa: BLE001 - one account's failure must not stop the others
                failed += 1
                _log.exception("job %s failed for account %s", job.name, account)
            progress(seen)
        run = JobRun(job.name, at, done, failed, left=0)
        self._heartbeats.put(Heartbeat(job.name, at, started_at, self._real_clock.now(), done, failed, run.left))
        return run
