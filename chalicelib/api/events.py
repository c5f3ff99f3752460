"""`POST /v1/events`: the synchronous door for usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.domain.usage_events import InvalidEventError, split_events
from chalicelib.services.count_verdicts import count_verdicts
from chalicelib.services.errors import RefusedError
from chalicelib.services.meter_events import EVENTS_MAX, UNKNOWN_ACCOUNT, Arrived, Status, Verdict
from chalicelib.services.receive_events import decide, read_event


if TYPE_CHECKING:
    import msgspec

    from chalicelib.api.tokens import Caller
    from chalicelib.services.receive_events import Reading


routes = Blueprint(__name__)


@routes.route("/v1/events", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_events(call: Call) -> Response:
    """Take one event or a batch; when this answers, the balances have moved."""
    caller = call.require("events:write")
    metering = call.services.metering
    readings = [_read(body, caller) for body in _split(call.body)]
    verdicts = decide(readings, lambda arrived: metering.take([event for event, _ in arrived]))
    count_verdicts(verdicts)
    return ok(_show(verdicts))


def _read(body: msgspec.Raw, caller: Caller) -> Reading:
    reading = read_event(body)
    is_others = isinstance(reading, Arrived) and caller.account_id not in {None, reading.event.account}
    return UNKNOWN_ACCOUNT if is_others else reading


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        bodies = split_events(body)
    except InvalidEventError as error:
        raise RefusedError("malformed_body", f"the body {error}") from error
    if len(bodies) > EVENTS_MAX:
        raise RefusedError("too_many_events", f"a batch has at most {EVENTS_MAX} events")
    return bodies


def _show(verdicts: list[Verdict]) -> dict[str, Any]:
    count = {status: sum(verdict.status is status for verdict in verdicts) for status in Status}
    return {
        "accepted": count[Status.ACCEPTED],
        "duplicates": count[Status.DUPLICATE],
        "rejected": count[Status.REJECTED],
        "results": [
            {"index": index, "status": verdict.status.value, "code": verdict.code, "detail": verdict.detail}
            for index, verdict in enumerate(verdicts)
            if verdict.status is not Status.ACCEPTED
        ],
    }
