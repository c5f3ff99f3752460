"""Points in time: whole microseconds since the epoch, UTC, so that they compare and sort as numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final


Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

EARLIEST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first and the last instant that can be written."""

_RFC_3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)


class NotAnInstantError(ValueError):
    """The text is not an RFC 3339 time with an offset; the message says why."""


def parse_instant(text: str) -> Instant:
    """
    Read an RFC 3339 time; digits beyond the microsecond are cut off.

    Raises:
        NotAnInstantError: without an offset, for another notation or a date that does not exist.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        message = "must be an RFC 3339 time with an offset, such as 2026-11-22T14:03:11Z"
        raise NotAnInstantError(message)
    year, month, day, hour, minute, second, fraction, zulu, sign, offset_hours, offset_minutes = match.groups()
    try:
        offset = UTC if zulu else _offset(sign, int(offset_hours), int(offset_minutes))
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int(fraction[:6].ljust(6, "0")) if fraction else 0,
            tzinfo=offset,
        )
        return to_instant(moment.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        message = f"is not a time that exists: {error}"
        raise NotAnInstantError(message) from error


def _offset(sign: str, hours: int, minutes: int) -> timezone:
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - the hours and minutes of a clock
        message = "offset out of range"
        raise ValueError(message)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if sign == "-" else span)


def to_instant(moment: datetime) -> Instant:
    """Turn an aware datetime into an instant."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(instant: Instant) -> datetime:
    """Turn an instant into an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_instant(instant: Instant) -> str:
    """Write an instant as RFC 3339 in UTC, with a fraction only where there is one."""
    text = to_datetime(instant).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"
