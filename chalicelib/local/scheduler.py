"""The schedules of `usage-tab serve` where time is real: every job at its ticks, as EventBridge would run it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, Self

from chalicelib.domain.instants import SECOND


if TYPE_CHECKING:
    from types import TracebackType

    from chalicelib.services.clocks import Clock
    from chalicelib.services.run_jobs import Jobs

STOP_SECONDS_MAX: Final = 30

_log: Final = logging.getLogger(__name__)


class Scheduler:
    """Runs all jobs at once, to catch up, and then each at its ticks, while the context is open."""

    def __init__(self, jobs: Jobs, clock: Clock) -> None:
        """Run *jobs* by *clock*."""
        self._jobs = jobs
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def __enter__(self) -> Self:
        """Start to run jobs."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the running job finish and run no more."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        due = [job.name for job in self._jobs.jobs]
        while True:
            self._run_jobs(due)
            next_runs = {job.name: job.next_run_at(self._clock.now()) for job in self._jobs.jobs}
            tick = min(next_runs.values())
            if self._stopping.wait(max(0, tick - self._clock.now()) / SECOND):
                return
            due = [name for name, next_run in next_runs.items() if next_run == tick]

    def _run_jobs(self, names: list[str]) -> None:
        for name in names:
            if self._stopping.is_set():
                return
            try:
                self._jobs.run(name)
            except Exception:  # noqa: BLE001 - the next tick tries again
                _log.exception("job %s failed", name)
