"""The examples of the API's description, sent in their order to a service: each gets the answer that stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.api.openapi.operations import OPERATIONS, problem_codes
from tests.e2e.server import Server
from tests.e2e.story import EXAMPLES, ROUTES, START, Teller


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    can_be |= {"304"} if operation.is_revalidated else set()

    assert {(name, one) for one in can_be - seen} <= NOT_HERE
    assert not {(name, one) for one in seen} & NOT_HERE


def test_no_name_stands_twice() -> None:
    """Within an operation an example is known by its name."""
    names = [(example.operation, example.name) for example in EXAMPLES]

    assert len(names) == len(set(names))
