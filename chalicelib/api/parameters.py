"""Reading path and query parameters."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from chalicelib.api.problems import invalid
from chalicelib.domain.instants import Instant, NotAnInstantError, parse_instant
from chalicelib.domain.names import is_name
from chalicelib.domain.periods import Period
from chalicelib.services.errors import Fault, RefusedError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


NAME_CHARACTERS_MAX: Final = 64
LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CURSOR_CHARACTERS_MAX: Final = 1000
_MARK_BYTES: Final = 4

T = TypeVar("T")


def check_name(pointer: str, name: str) -> str:
    """
    Return *name* if it can name an account, a product or a rate card.

    Raises:
        RefusedError: `invalid_request`.
    """
    if not is_name(name):
        raise invalid(pointer, "must match [A-Za-z0-9_-]{1,64}")
    return name


def read_period(text: str) -> Period:
    """
    Read a month, `2026-11`.

    Raises:
        RefusedError: `invalid_period`.
    """
    try:
        return Period.parse(text)
    except ValueError as error:
        raise RefusedError("invalid_period", f"{text[:40]!r} {error}", (Fault("/period", str(error)),)) from error


def read_date(pointer: str, text: str) -> date:
    """
    Read a day, `2026-11-22`.

    Raises:
        RefusedError: `invalid_request`.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise invalid(pointer, "must be a date such as 2026-11-22")


def read_instant(pointer: str, text: str) -> Instant:
    """
    Read an RFC 3339 time.

    Raises:
        RefusedError: `invalid_request`.
    """
    try:
        return parse_instant(text)
    except NotAnInstantError as error:
        raise invalid(pointer, str(error)) from error


def read_limit(query: Mapping[str, str]) -> int:
    """
    Return how many items a list shows at once.

    Raises:
        RefusedError: `invalid_request` for anything but 1 to 200.
    """
    text = query.get("limit", str(LIMIT_DEFAULT))
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= LIMIT_MAX:
        raise invalid("/limit", f"must be a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def read_cursor(query: Mapping[str, str], prefix: str, *of_list: str | None) -> str | None:
    """
    Return the position behind which a list goes on, None for its start; positions begin with *prefix*.

    *of_list* tells the list from others of its kind: the account and the filters.

    Raises:
        RefusedError: `invalid_cursor` for what this list has not handed out.
    """
    text = query.get("cursor")
    if text is None:
        return None
    try:
        mark, _, position = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(":")
    except ValueError:
        mark = position = ""
    is_of_list = position.startswith(prefix) and mark == _mark(of_list)
    if len(text) > _CURSOR_CHARACTERS_MAX or not is_of_list or not position.isprintable():
        raise RefusedError("invalid_cursor", "the cursor is not one that this list handed out")
    return position


def write_cursor(position: str, *of_list: str | None) -> str:
    """Return the cursor that `read_cursor` reads as *position*."""
    return urlsafe_b64encode(f"{_mark(of_list)}:{position}".encode()).decode().rstrip("=")


def _mark(of_list: tuple[str | None, ...]) -> str:
    """Return what guards against mistakes; it is no secret, and a token is what lets callers in."""
    return blake2b(msgspec.json.encode(of_list), digest_size=_MARK_BYTES).hexdigest()


def page_of(
    entries: Iterable[tuple[str, T]], limit: int, render: Callable[[T], Mapping[str, Any]], *of_list: str | None
) -> dict[str, Any]:
    """Return the first *limit* of *entries* (position and value) as a list with the cursor to the rest."""
    seen = list(islice(entries, limit + 1))
    shown = seen[:limit]
    cursor = write_cursor(shown[-1][0], *of_list) if len(seen) > limit else None
    return {"items": [render(value) for _, value in shown], "cursor": cursor}
