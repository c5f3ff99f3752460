"""What EventBridge calls: the jobs, at every quarter of an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.observability import Metric, count, log_keys, logger


if TYPE_CHECKING:
    from chalicelib.services.container import Services

EVERY_QUARTER_OF_AN_HOUR: Final = "cron(0/15 * * * ? *)"
"""In UTC: every local midnight, and the hour of grace after it, falls on a quarter of an hour."""

EVERY_NIGHT: Final = "cron(5 0 * * ? *)"
"""In UTC, once the jobs of midnight are at work."""


def run_job(services: Services, name: str) -> dict[str, Any]:
    """Run a job as of now, and return its summary."""
    with log_keys(job=name):
        run = services.jobs.run(name)
        logger().info("job %s: %d done, %d failed, %d left", run.job, run.done, run.failed, run.left)
    count(Metric.JOB_RUNS, job=name)
    return {"job": run.job, "done": run.done, "failed": run.failed, "left": run.left}
