"""The OpenAPI document, put together from the routes, the shapes of bodies and answers, and the examples."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from http import HTTPStatus
from inspect import getdoc
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib import __version__
from chalicelib.api.openapi.answers import Problem
from chalicelib.api.openapi.examples import Example, load_examples
from chalicelib.api.openapi.operations import (
    DESCRIPTION,
    IF_NONE_MATCH,
    OPERATIONS,
    PATH_KINDS,
    TAGS,
    Answer,
    Operation,
    Parameter,
    problem_codes,
)
from chalicelib.api.problems import CONTENT_TYPE, JSON, status_of


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chalice.app import Chalice

PREFLIGHT: Final = "OPTIONS"
"""The method of a browser's own questions, which are no operations."""

REQUEST: Final = "x-request"
"""What an example of an answer says of its request."""

_SCHEMA_REF: Final = "#/components/schemas/{name}"
_SCHEME: Final = "bearer"
_ALWAYS: Final = ("X-Request-Id",)
_RATE_LIMIT: Final = ("RateLimit", "RateLimit-Policy")
_HEADERS_OF_PROBLEMS: Final = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_PHRASES: Final = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.UNAUTHORIZED: "There is no token that can be trusted",
    HTTPStatus.PAYMENT_REQUIRED: "The payment was declined",
    HTTPStatus.FORBIDDEN: "The token is not for this",
    HTTPStatus.NOT_FOUND: "There is no such thing",
    HTTPStatus.CONFLICT: "It cannot be done as things stand",
    HTTPStatus.GONE: "It is not kept any more",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is wrong",
    HTTPStatus.TOO_MANY_REQUESTS: "There were too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service is busy; nothing is half-done, so that trying again is safe",
}
_REQUIRED_HEADERS: Final = frozenset(
    {"X-Request-Id", "WWW-Authenticate", "Location", "Retry-After", "Content-Disposition", "ETag", "X-As-Of"}
)
_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "X-Request-Id": ({"type": "string"}, "Names the request in the logs."),
    "WWW-Authenticate": ({"const": "Bearer"}, "A bearer token is asked for."),
    "Retry-After": ({"type": "integer", "minimum": 0}, "Seconds to wait before asking again."),
    "Location": ({"type": "string", "format": "uri"}, "Where to ask for what is being prepared."),
    "Content-Disposition": ({"type": "string"}, "The name to save the file by."),
    "ETag": ({"type": "string"}, "Names this answer: sent as `If-None-Match`, it is not sent again while it is true."),
    "X-As-Of": ({"type": "string", "format": "date-time"}, "The time up to which the answer is true."),
    "RateLimit": ({"type": "string"}, "The requests left to this client, and the seconds until it has all again."),
    "RateLimit-Policy": ({"type": "string"}, "The requests that a client may make, and the seconds that is for."),
}


def describe(app: Chalice) -> dict[str, Any]:
    """Return the description of *app*'s routes as an OpenAPI 3.1 document."""
    schemas = _Schemas()
    examples = defaultdict(list)
    for example in load_examples():
        if example.shown:
            examples[example.operation].append(example)
    paths: dict[str, dict[str, Any]] = {}
    for path, methods in sorted(app.routes.items()):
        for method, route in sorted(methods.items()):
            if method != PREFLIGHT:
                name = route.view_function.__name__
                writer = _OperationWriter(method, path, OPERATIONS[name], schemas, examples[name])
                summary = (getdoc(route.view_function) or "").partition("\n")[0]
                paths.setdefault(path, {})[method.lower()] = writer.write(name, summary)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Usage", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": {name: _header(name) for name in _HEADERS},
            "securitySchemes": {
                _SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT whose claim `scope` names what an operation asks for.",
                }
            },
        },
    }


@cache
def description(app: Chalice) -> bytes:
    """Return the description of *app* as JSON, written once."""
    return msgspec.json.encode(describe(app))


class _Schemas:
    """Turns types into schemas, and gathers those that have a name of their own."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        (schema,), named = msgspec.json.schema_components([kind], ref_template=_SCHEMA_REF)
        for name, component in named.items():
            component.pop("title", None)
            if self.components.setdefault(name, component) != component:
                message = f"two shapes are called {name}"
                raise ValueError(message)
        self.components = dict(sorted(self.components.items()))
        return schema


class _OperationWriter(NamedTuple):
    """Writes an *operation*, with its *examples*; what it names goes into *schemas*."""

    method: str
    path: str
    operation: Operation
    schemas: _Schemas
    examples: Sequence[Example]

    @property
    def granted(self) -> Iterator[Example]:
        """The examples of requests that are right."""
        return (one for one in self.examples if one.status < HTTPStatus.BAD_REQUEST)

    def write(self, name: str, summary: str) -> dict[str, Any]:
        operation = self.operation
        described: dict[str, Any] = {"operationId": name, "summary": summary.rstrip("."), "tags": [operation.tag]}
        if operation.description:
            described["description"] = operation.description
        described["security"] = [] if operation.scope is None else [{_SCHEME: [operation.scope]}]
        parameters = self._parameters()
        if parameters:
            described["parameters"] = parameters
        if operation.body is not None:
            described["requestBody"] = {
                "required": operation.body.is_required,
                "content": {
                    content: self._content(kind, self._sent_as(content))
                    for content, kind in operation.body.kinds.items()
                },
            }
        described["responses"] = dict(sorted(self._responses().items()))
        return described

    def _parameters(self) -> list[dict[str, Any]]:
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        of_path = [Parameter(name, *PATH_KINDS[name], place="path", is_required=True) for name in names]
        of_cache = [IF_NONE_MATCH] if self.operation.is_revalidated else []
        return [self._parameter(parameter) for parameter in (*of_path, *self.operation.parameters, *of_cache)]

    def _parameter(self, parameter: Parameter) -> dict[str, Any]:
        name, place = parameter.name, parameter.place
        default = {} if parameter.default is None else {"default": parameter.default}
        examples = {one.name: {"value": one.given(place)[name]} for one in self.granted if name in one.given(place)}
        return {
            "name": name,
            "in": place,
            "description": parameter.description,
            "required": parameter.is_required,
            "schema": {**self.schemas.of(parameter.kind), **default},
            **_examples(examples),
        }

    def _responses(self) -> dict[str, Any]:
        operation = self.operation
        own = _RATE_LIMIT if operation.scope is not None else ()
        entity = _entity_headers(operation.answers[HTTPStatus.OK]) if operation.is_revalidated else ()
        responses = {
            str(status): self._answer(status, answer, (*answer.headers, *entity, *own))
            for status, answer in operation.answers.items()
        }
        if operation.is_revalidated:
            responses["304"] = self._answer(304, Answer("The answer at hand is still true"), (*entity, *own))
        codes = defaultdict(list)
        for code in problem_codes(operation, self.path):
            codes[status_of(code)].append(code)
        for status, of_status in codes.items():
            headers = () if status is HTTPStatus.UNAUTHORIZED else own
            responses[str(status.value)] = self._problem(status, of_status, headers)
        return responses

    def _answer(self, status: int, answer: Answer, headers: Iterable[str]) -> dict[str, Any]:
        described: dict[str, Any] = {"description": answer.description, "headers": _refer(*_ALWAYS, *headers)}
        content = {
            content: self._content(kind, self._answered(status, content)) for content, kind in answer.kinds.items()
        }
        return {**described, "content": content} if content else described

    def _problem(self, status: HTTPStatus, codes: list[str], headers: Iterable[str]) -> dict[str, Any]:
        schema = {**self.schemas.of(Problem), "properties": {"code": {"enum": codes}}}
        return {
            "description": _PHRASES[status],
            "headers": _refer(*_ALWAYS, *_HEADERS_OF_PROBLEMS.get(status, ()), *headers),
            "content": {CONTENT_TYPE: {"schema": schema, **self._answered(status, JSON)}},
        }

    def _content(self, kind: Any, examples: Mapping[str, Any]) -> dict[str, Any]:
        return {"schema": self.schemas.of(kind), **examples}

    def _sent_as(self, content: str) -> dict[str, Any]:
        return _examples(
            {
                one.name: {"value": one.body}
                for one in self.granted
                if one.body is not None and one.content_type == content
            }
        )

    def _answered(self, status: int, content: str) -> dict[str, Any]:
        return _examples(
            {
                one.name: {"value": one.answer, REQUEST: self._request(one)}
                for one in self.examples
                if one.status == status and one.answered_as == content and one.answer is not None
            }
        )

    def _request(self, example: Example) -> dict[str, Any]:
        """Return what was asked: a wrong request stands nowhere else."""
        content_type = {} if example.body is None else {"Content-Type": example.content_type}
        body = {} if example.body is None else {"body": example.body}
        headers = {**example.headers, **content_type}
        request = {"method": self.method, "target": example.target(self.path)}
        return {**request, **({"headers": headers} if headers else {}), **body}


def _entity_headers(answer: Answer) -> tuple[str, ...]:
    """Name the headers of an answer that need not be sent again: that to it, and its time where it has one."""
    return ("ETag", "X-As-Of") if "as_of" in answer.kinds[JSON].__struct_fields__ else ("ETag",)


def _examples(named: dict[str, Any]) -> dict[str, Any]:
    return {"examples": named} if named else {}


def _header(name: str) -> dict[str, Any]:
    schema, text = _HEADERS[name]
    return {"description": text, "required": name in _REQUIRED_HEADERS, "schema": schema}


def _refer(*headers: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(headers)}
