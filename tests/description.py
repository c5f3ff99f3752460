"""The API's description as a judge of answers: what is not described must not be sent."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from jsonschema_rs import Draft202012Validator

from app import app
from chalicelib.api.openapi.document import description
from chalicelib.files.local import LINK_PATH


if TYPE_CHECKING:
    from collections.abc import Mapping

JSON: Final = "application/json"
BY_ITS_OWN: Final = {"post_events": "judges each event by itself, and answers 200 even if all are wrong"}
"""Operations that take bodies which do not fit the description."""


class Described(NamedTuple):
    """An operation that a request was for."""

    path: str
    method: str
    operation: Any

    def validator(self, *place: str) -> Draft202012Validator:
        """Return what judges the schema that stands at *place* within the operation."""
        return _validator(self.path, self.method, place)


@cache
def document() -> Any:
    """Return the description."""
    return json.loads(description(app))


def find(method: str, target: str) -> Described | None:
    """Return the operation that a request is for, None where there is none."""
    method = "get" if method == "HEAD" else method.lower()
    path = urlsplit(target).path
    for template, pattern in _patterns():
        if pattern.fullmatch(path):
            operation = document()["paths"][template].get(method)
            return None if operation is None else Described(template, method, operation)
    return None


def assert_described(method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Check that an answer is one that the description has: status, headers, content type, and no member too many."""
    described = find(method, target)
    if described is None:
        assert status in {404, 405} or method == "OPTIONS" or target.startswith(LINK_PATH), (method, target, status)
        return
    where = f"{method} {described.path} {status}"
    assert str(status) in described.operation["responses"], f"{where} is not described"
    response = described.operation["responses"][str(status)]
    for name in response["headers"]:
        if document()["components"]["headers"][name]["required"]:
            assert name in headers, f"{where} lacks {name}"
    kinds = response.get("content", {})
    if not kinds:
        assert body == b"", where
        return
    kind = headers["Content-Type"].partition(";")[0]
    assert kind in kinds, f"{where}: {kind} is not described"
    if kind.endswith("json") and method != "HEAD":
        described.validator("responses", str(status), "content", kind).validate(json.loads(body))


def assert_taken_as_described(method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
    """Check that the body of a request that was granted is one that the description has."""
    described = find(method, target)
    if described is None or described.operation["operationId"] in BY_ITS_OWN or not body.strip():
        return
    kind = headers.get("Content-Type", "").partition(";")[0]
    if kind == JSON and body.lstrip()[:1] in b"{[":
        described.validator("requestBody", "content", kind).validate(json.loads(body))


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return the paths, those with fewer parameters first."""
    templates = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(template, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))) for template in templates]


@cache
def _validator(path: str, method: str, place: tuple[str, ...]) -> Draft202012Validator:
    schema = document()["paths"][path][method]
    for step in place:
        schema = schema[step]
    components = _closed() if place[0] == "responses" else document()["components"]
    return Draft202012Validator({**schema["schema"], "components": components}, validate_formats=True)


@cache
def _closed() -> Any:
    """Return the components with no object taking members that it does not name."""
    components = json.loads(json.dumps(document()["components"]))
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components
