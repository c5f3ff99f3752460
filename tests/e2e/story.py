"""The examples of the API's description, told to a service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from app import app
from chalicelib.api.openapi.examples import CUSTOMER, Example, load_examples
from tests.e2e.client import BAD_REQUEST


if TYPE_CHECKING:
    from tests.e2e.client import Answer
    from tests.e2e.server import Server

START: Final = "2026-11-22T14:03:15Z"
"""When the story begins."""

EXAMPLES: Final = load_examples()
ROUTES: Final = {
    route.view_function.__name__: (method, path)
    for path, methods in app.routes.items()
    for method, route in methods.items()
}

_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_OF_THE_MACHINE: Final = {"started_at", "ended_at"}
_OPAQUE: Final = {"cursor"}


class Teller:
    """
    Tells the story to a server.

    Ids and entity tags are the service's to choose: those of the examples stand for the ones that it has chosen.
    """

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._chosen: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._tokens = {
            "operator": server.token,
            "operator_without_scopes": server.token_for(),
            "customer": server.token_for("admin", account=CUSTOMER),
            "stranger": None,
        }

    def send(self, example: Example) -> Answer:
        """Send the request of an example."""
        method, path = ROUTES[example.operation]
        headers = {**example.headers, **({} if example.body is None else {"Content-Type": example.content_type})}
        query = {name: self._chosen.get(value, value) for name, value in example.query.items()}
        target = path.format(**{name: self._with_chosen(value) for name, value in example.path.items()})
        asked = f"{target}?{query}"
        if "If-None-Match" in headers:
            headers["If-None-Match"] = self._tags[asked]
        token = self._tokens[example.sender]
        answer = self._client.ask(method, target, example.body, query=query, headers=headers, token=token)
        if "ETag" in answer.headers:
            self._tags[asked] = answer.headers["ETag"]
        return answer

    def tell_what_is_granted(self) -> None:
        """Send all requests that are right, up to where usage is no longer kept."""
        for example in EXAMPLES:
            if example.operation == "put_test_clock" and not example.shown:
                break
            if example.status < BAD_REQUEST:
                self.send(example)

    def assert_told(self, told: Any, answered: Any, member: str = "") -> None:
        """Check that an answer, or a part of it, is the one of the example."""
        if isinstance(told, dict) and isinstance(answered, dict):
            assert list(told) == list(answered)
            for name in told:
                self.assert_told(told[name], answered[name], name)
        elif isinstance(told, list) and isinstance(answered, list):
            assert len(told) == len(answered), answered
            for one, other in zip(told, answered, strict=True):
                self.assert_told(one, other)
        elif isinstance(told, str) and isinstance(answered, str):
            self._choose(told, answered, member)
            assert member in _OF_THE_MACHINE or self._with_chosen(told) == answered
        else:
            assert told == answered

    def _choose(self, told: str, answered: str, member: str) -> None:
        if member in _OPAQUE:
            self._chosen.setdefault(told, answered)
        for one, other in zip(_ULID.findall(told), _ULID.findall(answered), strict=False):
            self._chosen.setdefault(one, other)

    def _with_chosen(self, text: str) -> str:
        return self._chosen.get(text) or _ULID.sub(lambda match: self._chosen.get(match[0], match[0]), text)
