"""An answer that the description does not have is noticed by whoever sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema_rs import ValidationError

from tests.description import assert_described, assert_taken_as_described


HEADERS = {"X-Request-Id": "1", "Content-Type": "application/json"}
CLOCK = {"now": "2026-11-22T14:03:15Z"}
PROBLEM = {"type": "urn:x", "title": "X", "status": 404, "detail": "x", "code": "not_found"}


def judge(status: int, body: Any, headers: dict[str, str] | None = None, path: str = "/v1/test-clock") -> None:
    """Judge an answer to a GET."""
    assert_described("GET", path, status, headers or HEADERS, json.dumps(body).encode())


def test_what_is_described_passes() -> None:
    """The right answer is let through, an error among them."""
    judge(200, CLOCK)
    judge(404, PROBLEM, {**HEADERS, "Content-Type": "application/problem+json"})


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, {**CLOCK, "zone": "UTC"}, HEADERS),
        (200, {}, HEADERS),
        (200, {"now": 5}, HEADERS),
        (200, {"now": "today"}, HEADERS),
        (201, CLOCK, HEADERS),
        (200, CLOCK, {"Content-Type": "application/json"}),
        (200, CLOCK, {**HEADERS, "Content-Type": "text/plain"}),
        (404, {**PROBLEM, "code": "gone"}, {**HEADERS, "Content-Type": "application/problem+json"}),
        (404, {**PROBLEM, "hint": "x"}, {**HEADERS, "Content-Type": "application/problem+json"}),
    ],
)
def test_what_is_not_described_fails(status: int, body: Any, headers: dict[str, str]) -> None:
    """A member too many or too few, another type, status, header, content type or code is an error."""
    with pytest.raises((AssertionError, ValidationError)):
        judge(status, body, headers)


def test_fixed_paths_come_before_parameters() -> None:
    """The next invoice is not the invoice of a month called `upcoming`, which would have an entity tag."""
    invoice = {"id": "a", "period": "2026-11", "status": "upcoming", "issued_at": CLOCK["now"], "currency": "EUR"}
    judge(200, {**invoice, "total": "0.00", "lines": []}, path="/v1/accounts/a/invoices/upcoming")


def test_a_request_that_was_granted_must_be_described() -> None:
    """A body that is taken and does not fit is an error of the description."""
    assert_taken_as_described("PUT", "/v1/test-clock", HEADERS, json.dumps(CLOCK).encode())

    with pytest.raises(ValidationError):
        assert_taken_as_described("PUT", "/v1/test-clock", HEADERS, b'{"now": 5}')
