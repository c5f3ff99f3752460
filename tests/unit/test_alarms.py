"""Alarms: a schedule that silently stops is noticed."""

from __future__ import annotations

import json
from pathlib import Path

from chalicelib.bootstrap import build_services
from chalicelib.domain.instants import HOUR, SECOND
from chalicelib.settings import Settings
from tests.fakes.memory_store import MemoryStore


ALARMS = json.loads((Path(__file__).parents[2] / "infra" / "alarms.json").read_text())["Resources"]


def test_every_job_has_one() -> None:
    """Where a job has not run for an hour, or for its interval if that is longer, or never, its alarm goes off."""
    by_job = {
        dimension["Value"]: alarm["Properties"]
        for alarm in ALARMS.values()
        for dimension in alarm["Properties"]["Dimensions"]
        if dimension["Name"] == "job"
    }
    jobs = build_services(Settings(), MemoryStore()).jobs.jobs

    assert set(by_job) == {job.name for job in jobs}
    for job in jobs:
        alarm = by_job[job.name]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("UsageTab", "JobRuns")
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["Period"] * alarm["EvaluationPeriods"] == max(job.interval, HOUR) // SECOND
