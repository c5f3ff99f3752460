"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from chalice.app import Response

from chalicelib.services.errors import Fault, RefusedError


JSON: Final = "application/json"
CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:usage-tab:problem:"
FAULTS_SHOWN_MAX: Final = 1000

_STATUS_BY_CODE: Final = {
    "malformed_body": HTTPStatus.BAD_REQUEST,
    "invalid_cursor": HTTPStatus.BAD_REQUEST,
    "idempotency_key_required": HTTPStatus.BAD_REQUEST,
    "invalid_signature": HTTPStatus.BAD_REQUEST,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "card_declined": HTTPStatus.PAYMENT_REQUIRED,
    "insufficient_scope": HTTPStatus.FORBIDDEN,
    "refused": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "clock_backwards": HTTPStatus.CONFLICT,
    "fixed_by_usage": HTTPStatus.CONFLICT,
    "idempotency_key_reused": HTTPStatus.CONFLICT,
    "not_promotional": HTTPStatus.CONFLICT,
    "payment_method_not_card": HTTPStatus.CONFLICT,
    "threshold_not_below_balance": HTTPStatus.CONFLICT,
    "product_in_use": HTTPStatus.CONFLICT,
    "gone": HTTPStatus.GONE,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_events": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "busy": HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(code: str) -> HTTPStatus:
    """Return the status of an error *code*: 422 for one without a status of its own."""
    return _STATUS_BY_CODE.get(code, HTTPStatus.UNPROCESSABLE_ENTITY)


def problem(code: str, detail: str, faults: tuple[Fault, ...] = (), headers: dict[str, str] | None = None) -> Response:
    """Return the answer for an error *code*."""
    status = status_of(code)
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    if faults:
        body["errors"] = [fault._asdict() for fault in faults[:FAULTS_SHOWN_MAX]]
    return Response(
        body=msgspec.json.encode(body).decode(),
        status_code=status.value,
        headers={"Content-Type": CONTENT_TYPE, **(headers or {})},
    )


def invalid(pointer: str, detail: str) -> RefusedError:
    """Return the refusal of a request whose member at *pointer* is wrong."""
    return RefusedError("invalid_request", f"{pointer.strip('/') or 'the request'} {detail}", (Fault(pointer, detail),))
