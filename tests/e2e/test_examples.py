"""The examples of the API's description, sent in their order to a service: each gets the answer that stands there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from app import app
from chalicelib.api.openapi.examples import CUSTOMER, Example, load_examples
from chalicelib.api.openapi.operations import OPERATIONS, problem_codes
from tests.e2e.server import Server


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.client import Answer

START: Final = "2026-11-22T14:03:15Z"
EXAMPLES: Final = load_examples()
ROUTES: Final = {
    route.view_function.__name__: (method, path)
    for path, methods in app.routes.items()
    for method, route in methods.items()
}
NOT_ASKED_FOR: Final = {"busy", "internal_error", "too_many_requests"}
TOO_LONG: Final = {"body_too_large", "too_many_events"}
NOT_HERE: Final = {
    ("get_test_clock", "not_found"),
    ("put_test_clock", "not_found"),
    ("post_stripe_webhook", "malformed_body"),
    ("post_stripe_webhook", "invalid_signature"),
    ("post_stripe_webhook", "200"),
    ("get_health", "503"),
    ("get_cost_report", "202"),
    ("get_transactions_report", "202"),
    ("get_report_file", "200"),
    ("get_report_file", "202"),
}
"""What needs Stripe, a service without a test clock, a store that is gone, or a report of megabytes."""

_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_OF_THE_MACHINE: Final = {"started_at", "ended_at"}
_OPAQUE: Final = {"cursor"}


class Teller:
    """
    Tells the story to a server.

    Ids are the service's to choose: those of the examples stand for the ones that it has chosen.
    """

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._chosen: dict[str, str] = {}
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
        token = self._tokens[example.sender]
        return self._client.ask(method, target, example.body, query=query, headers=headers, token=token)

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


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    """Give a teller and a server that keeps usage for as short as it can."""
    home: Path = tmp_path_factory.mktemp("story")
    environment = {"USAGE_TAB_RETENTION_MONTHS": "3"}
    with Server(home, "--no-demo", "--test-clock", START, environment=environment) as server:
        yield Teller(server)
        assert server.failures == []


def test_the_story(teller: Teller) -> None:
    """Every example, sent in its turn, gets the answer that it shows."""
    for example in EXAMPLES:
        answer = teller.send(example)

        assert answer.status == example.status, (example, answer)
        if example.status < 400 and example.answer is not None:
            assert answer.headers["Content-Type"].partition(";")[0] == example.answered_as
        is_json = "json" in answer.headers.get("Content-Type", "")
        if example.answer is not None:
            teller.assert_told(example.answer, answer.json if is_json else answer.body.decode())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_has_an_example(name: str) -> None:
    """Of every operation each status and each error that a request can bring about is shown."""
    operation, (_, path) = OPERATIONS[name], ROUTES[name]
    shown = [example for example in EXAMPLES if example.operation == name and example.shown]
    seen = {example.answer["code"] if example.status >= 400 else str(example.status) for example in shown}
    can_be = {*problem_codes(operation, path), *map(str, operation.answers)} - NOT_ASKED_FOR - TOO_LONG

    assert {(name, one) for one in can_be - seen} <= NOT_HERE
    assert not {(name, one) for one in seen} & NOT_HERE


def test_no_name_stands_twice() -> None:
    """Within an operation an example is known by its name."""
    names = [(example.operation, example.name) for example in EXAMPLES]

    assert len(names) == len(set(names))
