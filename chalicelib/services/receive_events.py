"""Events as they come, through whichever door: each read by itself, those that can be read taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.names import is_name
from chalicelib.domain.usage_events import InvalidEventError, decode_cloud_event, read_usage_event
from chalicelib.services.meter_events import UNKNOWN_ACCOUNT, Arrived, Verdict, rejected


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from chalicelib.domain.instants import Instant

    Reading = Arrived | Verdict


def read_event(raw: bytes | msgspec.Raw, at: Instant | None = None) -> Reading:
    """Read the JSON of an event that arrived *at*, or return why there is none to be taken."""
    try:
        event = read_usage_event(decode_cloud_event(raw))
    except InvalidEventError as error:
        return rejected("invalid_event", f"{error.pointer or '/'}: {error}")
    return Arrived(event, at) if is_name(event.account) else UNKNOWN_ACCOUNT


def decide(readings: Sequence[Reading], take: Callable[[list[Arrived]], list[Verdict]]) -> list[Verdict]:
    """Let *take* judge what could be read, and return the verdicts on all, in order."""
    taken = iter(take([reading for reading in readings if isinstance(reading, Arrived)]))
    return [next(taken) if isinstance(reading, Arrived) else reading for reading in readings]
