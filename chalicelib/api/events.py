"""`POST /v1/events`: the synchronous door for usage."""

from __future__ import annotations

from typing import Any

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.parameters import is_name
from chalicelib.domain.usage_events import InvalidEventError, UsageEvent, decode_cloud_event, read_usage_event
from chalicelib.services.count_verdicts import count_verdicts
from chalicelib.services.errors import RefusedError
from chalicelib.services.meter_events import (
    ACCEPTED,
    EVENTS_MAX,
    UNKNOWN_ACCOUNT,
    Status,
    Verdict,
    rejected,
)


routes = Blueprint(__name__)


@routes.route("/v1/events", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_events(call: Call) -> Response:
    """Take one event or a batch; when this answers, the balances have moved."""
    caller = call.require("events:write")
    bodies = _split(call.body)
    verdicts: list[Verdict] = [ACCEPTED] * len(bodies)
    events: dict[int, UsageEvent] = {}
    for index, body in enumerate(bodies):
        try:
            event = read_usage_event(decode_cloud_event(body))
        except InvalidEventError as error:
            verdicts[index] = rejected("invalid_event", f"{error.pointer or '/'}: {error}")
            continue
        if caller.account_id in (None, event.account) and is_name(event.account):
            events[index] = event
        else:
            verdicts[index] = UNKNOWN_ACCOUNT
    taken = call.services.metering.take(list(events.values()))
    for index, verdict in zip(events, taken, strict=True):
        verdicts[index] = verdict
    count_verdicts(verdicts)
    return ok(_show(verdicts))


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        raw = msgspec.json.decode(body, type=msgspec.Raw)
        first = bytes(raw).lstrip()[:1]
        bodies = msgspec.json.decode(raw, type=list[msgspec.Raw]) if first == b"[" else [raw]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("malformed_body", f"the body is not JSON: {error}") from error
    if first not in (b"[", b"{") or not bodies:
        raise RefusedError("malformed_body", "the body is neither an event nor a batch of at least one")
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
