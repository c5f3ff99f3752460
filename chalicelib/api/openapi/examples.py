"""A story told in requests: each with the answer that it gets, in the order in which they are sent."""

from __future__ import annotations

import json
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from chalicelib.api.openapi.operations import OPERATIONS
from chalicelib.api.problems import JSON, problem


if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOMER: Final = "globex"
"""The account whose token a customer sends."""

_STRANGER: Final = "nobody"


class Example(Struct, forbid_unknown_fields=True):
    """
    A request of an *operation* and its answer.

    *body* is sent as *content_type*, *answer* comes as *answered_as*: text where that is no JSON, null where it is too
    long to show. *token* tells with whose token the request is sent: an operator's with every scope or with none, a
    customer's, or without one. What only helps the story on is not *shown*.
    """

    operation: str
    name: str
    status: int
    path: dict[str, str] = {}
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    content_type: str = JSON
    body: Any = None
    answered_as: str = JSON
    answer: Any = None
    sender: Literal["operator", "operator_without_scopes", "customer", "stranger"] = "operator"
    shown: bool = True

    def given(self, place: str) -> dict[str, str]:
        """Return the parameters in the path, the query or the headers."""
        return {"path": self.path, "query": self.query, "header": self.headers}[place]

    def target(self, path: str) -> str:
        """Fill the parameters into the operation's *path*."""
        return path.format(**self.path) + (f"?{urlencode(self.query)}" if self.query else "")


def load_examples() -> list[Example]:
    """Return the examples in the order of the story; behind the first of an operation, who cannot do that."""
    text = files("chalicelib.api.openapi").joinpath("examples.json").read_bytes()
    told = msgspec.json.decode(text, type=list[Example])
    tell_of_nothing = {example.operation for example in told if example.status == HTTPStatus.NOT_FOUND}
    examples: list[Example] = []
    known: set[str] = set()
    for example in told:
        examples.append(example)
        if example.operation not in known:
            examples += _refusals(example, knows_not_found=example.operation in tell_of_nothing)
        known.add(example.operation)
    return examples


def _refusals(example: Example, *, knows_not_found: bool) -> Iterator[Example]:
    scope = OPERATIONS[example.operation].scope
    if scope is None:
        return
    yield _refused(example, "unauthenticated", "a bearer token is required", sender="stranger")
    yield _refused(
        example, "insufficient_scope", f"the token needs the scope {scope}", sender="operator_without_scopes"
    )
    account = example.path.get("account")
    if example.operation == "put_account":
        yield _refused(example, "not_found", f"there is no account {account!r}", sender="customer")
    elif account is not None and not knows_not_found:
        path = {**example.path, "account": _STRANGER}
        yield _refused(example, "not_found", f"there is no account {_STRANGER!r}", path=path)


def _refused(example: Example, code: str, detail: str, **changes: Any) -> Example:
    response = problem(code, detail)
    answer = {"name": code, "status": response.status_code, "answered_as": JSON, "answer": json.loads(response.body)}
    return msgspec.structs.replace(example, **answer, **changes)
