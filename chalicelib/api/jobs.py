"""Jobs and the test clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Response
from msgspec import Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.fields import Time
from chalicelib.api.parameters import read_instant
from chalicelib.domain.instants import format_instant
from chalicelib.services.errors import RefusedError


if TYPE_CHECKING:
    from chalicelib.services.move_test_clock import MovingTestClock
    from chalicelib.services.run_jobs import JobRun, JobState
    from chalicelib.storage.operations import Failure


routes = Blueprint(__name__)


class RunBody(Struct, forbid_unknown_fields=True):
    """As of when a job runs; null is now."""

    at: Time | None = None


class ClockBody(Struct, forbid_unknown_fields=True):
    """Where the test clock is moved."""

    now: Time


@routes.route("/v1/jobs", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def list_jobs(call: Call) -> Response:
    """List the jobs with their last and next runs."""
    call.require_operator("admin")
    return ok({"items": [_show_state(state) for state in call.services.jobs.states()], "cursor": None})


@routes.route("/v1/jobs/{job}/runs", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_run(call: Call, job: str) -> Response:
    """Run a job now."""
    call.require_operator("admin")
    body = call.read(RunBody) if call.body.strip() else RunBody()
    at = None if body.at is None else read_instant("/at", body.at)
    return ok(_show_run(call.services.jobs.run(job, at)))


@routes.route("/v1/test-clock", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_test_clock(call: Call) -> Response:
    """Show where the test clock stands; until it is moved for the first time, that is the present."""
    call.require_operator("admin")
    _test_clock(call)
    return ok({"now": format_instant(call.services.clock.now())})


@routes.route("/v1/test-clock", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_test_clock(call: Call) -> Response:
    """Move the test clock forward; everything that falls due on the way is done when this answers."""
    call.require_operator("admin")
    clock = _test_clock(call)
    move = clock.move(read_instant("/now", call.read(ClockBody).now))
    return ok({"now": format_instant(move.now), "jobs": [_show_run(run) for run in move.jobs]})


def _test_clock(call: Call) -> MovingTestClock:
    clock = call.services.test_clock
    if clock is None:
        raise RefusedError("not_found", "there is no test clock here")
    return clock


def _show_run(run: JobRun) -> dict[str, Any]:
    failures = {"failures": _show_failures(run.failures)} if run.failures else {}
    return {
        "job": run.job,
        "at": format_instant(run.at),
        "done": run.done,
        "failed": run.failed,
        "left": run.left,
        **failures,
    }


def _show_failures(failures: tuple[Failure, ...]) -> list[dict[str, str]]:
    return [{"subject": failure.subject, "reason": failure.reason} for failure in failures]


def _show_state(state: JobState) -> dict[str, Any]:
    last = state.last_run
    return {
        "job": state.job,
        "last_run": None
        if last is None
        else {
            "at": format_instant(last.at),
            "started_at": format_instant(last.started_at),
            "ended_at": format_instant(last.ended_at),
            "done": last.done,
            "failed": last.failed,
            "left": last.left,
            "failures": _show_failures(last.failures),
        },
        "next_run_at": format_instant(state.next_run_at),
    }
