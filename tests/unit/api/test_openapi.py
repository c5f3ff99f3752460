"""The description of the API says what the code does, and all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from app import app
from chalicelib import __version__
from chalicelib.api.fields import MONEY_PATTERN, NAME_PATTERN, PAYMENT_PATTERN, PERIOD_PATTERN, QUANTITY_PATTERN
from chalicelib.api.openapi.document import describe
from chalicelib.api.openapi.operations import OPERATIONS, PriceRowBody
from chalicelib.api.parameters import check_name
from chalicelib.api.problems import status_of
from chalicelib.domain.money import NotADecimalError, parse_money, parse_payment, parse_quantity
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.services.errors import RefusedError


@pytest.fixture(scope="module")
def document() -> Any:
    """Give the description."""
    return describe(app)


def operations(document: Any) -> dict[str, Any]:
    """Return the operations of a document by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_openapi(document: Any) -> None:
    """The document is one of OpenAPI 3.1, of this version of the service."""
    validate(document)

    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__


def test_every_route_is_described(document: Any) -> None:
    """Every route is an operation, and every operation a route."""
    routes = {f"{method} {path}": route for path, methods in app.routes.items() for method, route in methods.items()}
    routes = {request: route for request, route in routes.items() if not request.startswith("OPTIONS ")}

    described = operations(document)
    assert set(described) == set(routes)
    assert {operation["operationId"] for operation in described.values()} == set(OPERATIONS)


def test_every_operation_says_what_it_needs(document: Any) -> None:
    """Each has a summary, one tag, and either one scope or no need of a token, which 401 and 403 go along with."""
    for request, operation in operations(document).items():
        assert operation["summary"], request
        assert len(operation["tags"]) == 1, request
        needs_token = operation["security"] != []
        assert ({"401", "403"} <= set(operation["responses"])) == needs_token, request
        assert needs_token == (request.partition(" ")[2].startswith("/v1/") and "webhooks" not in request)


def test_every_problem_stands_under_its_status(document: Any) -> None:
    """A code is listed with the status that it is answered with."""
    for request, operation in operations(document).items():
        for status, response in operation["responses"].items():
            schema = response.get("content", {}).get("application/problem+json", {}).get("schema")
            for code in schema["properties"]["code"]["enum"] if schema else ():
                assert str(status_of(code).value) == status, (request, code)


def test_right_requests_of_examples_fit(document: Any) -> None:
    """The body of a request that is granted fits its schema."""
    bodies = 0
    for request, operation in operations(document).items():
        for kind, content in operation.get("requestBody", {"content": {}})["content"].items():
            validator = Draft202012Validator({**content["schema"], "components": document["components"]})
            for example in content.get("examples", {}).values():
                validator.validate(example["value"])
                bodies += 1
            assert kind != "application/json" or "examples" in content or request in WITHOUT_BODY
    assert bodies > len(OPERATIONS) // 3


WITHOUT_BODY = {"POST /v1/events", "POST /v1/webhooks/stripe"}
"""Events have content types of their own; a webhook's body is Stripe's."""


def test_the_document_is_always_the_same() -> None:
    """Two processes write the same bytes, whatever the order of their sets."""
    code = (
        "from app import app; from chalicelib.api.openapi.document import description; print(description(app).decode())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }

    assert len(texts) == 1
    assert json.loads(texts.pop()) == json.loads(json.dumps(describe(app)))


def test_nothing_of_it_is_loaded_before_it_is_asked_for() -> None:
    """A cold start does not pay for the description."""
    code = "import sys, app; print(any('openapi' in name for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert run.stdout.strip() == "False"


def test_the_rows_of_a_rate_card_have_its_columns() -> None:
    """The members of a row in JSON are named like the columns."""
    assert set(PriceRowBody.__struct_fields__) == {column.lower().replace(" ", "_") for column in COLUMNS}


NEARLY = st.text("0123456789.-+e ", max_size=30)


@pytest.mark.parametrize(
    ("pattern", "parse"),
    [
        (MONEY_PATTERN, parse_money),
        (QUANTITY_PATTERN, parse_quantity),
        (PAYMENT_PATTERN, lambda text: parse_payment(text, "CLF")),
        (PERIOD_PATTERN, Period.parse),
        (NAME_PATTERN, partial(check_name, "/name")),
    ],
    ids=["money", "quantity", "payment", "period", "name"],
)
@given(data=st.data())
def test_patterns_are_the_parsers_rules(pattern: str, parse: Any, data: st.DataObject) -> None:
    """What a pattern lets in the parser reads, and nothing else."""
    text = data.draw(st.from_regex(pattern, fullmatch=True) | NEARLY)
    try:
        parse(text)
        is_read = True
    except (NotADecimalError, RefusedError, ValueError):
        is_read = False

    matches = Draft202012Validator({"type": "string", "pattern": pattern}).is_valid(text)
    assert matches == is_read
