"""Answers that a caller who has them already need not be sent again: `ETag`, `If-None-Match` and 304."""

from __future__ import annotations

import re
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from chalice.app import Response

from chalicelib.api.calls import Call, ok


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AS_OF: Final = "as_of"
AS_OF_HEADER: Final = "X-As-Of"

_DIGEST_CHARACTERS: Final = 32
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')
_CACHING: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


def ok_unless_known(call: Call, body: Mapping[str, Any]) -> Response:
    """
    Answer with *body* as JSON, or with 304 if the caller has it already.

    Its `as_of`, the time up to which it is true, moves on without making it another answer: a header tells it as well,
    of which a caller learns that what it has is still true.
    """
    parts = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    tag = _digest(part for name, part in parts.items() if name != AS_OF)
    headers: dict[str, Any] = {"ETag": f"W/{tag}", **_CACHING}
    if AS_OF in body:
        headers[AS_OF_HEADER] = body[AS_OF]
    if _names(call.header("If-None-Match") or "", tag):
        return Response(body="", status_code=HTTPStatus.NOT_MODIFIED.value, headers=headers)
    return ok(parts, headers=headers)


def _digest(parts: Iterable[msgspec.Raw]) -> str:
    # Processors have instructions for this one.
    return f'"{sha256(b",".join(parts)).hexdigest()[:_DIGEST_CHARACTERS]}"'


def _names(if_none_match: str, tag: str) -> bool:
    """Tell whether a header names the entity tag, by weak comparison."""
    return if_none_match.strip() == "*" or tag in _ENTITY_TAG.findall(if_none_match)
