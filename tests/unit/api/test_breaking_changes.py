"""A release must not break the clients of the one before; every kind of break is noticed, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from app import app
from chalicelib.api.openapi.document import describe
from tests.breaking_changes import breaking_changes
from tests.releases import last_release


if TYPE_CHECKING:
    from collections.abc import Callable


def test_nothing_that_was_released_is_broken() -> None:
    """Clients of the last release can talk to this one."""
    assert breaking_changes(last_release(), json.loads(json.dumps(describe(app)))) == []


def sample() -> Any:
    """Return a description with something of everything."""
    return {
        "paths": {
            "/things/{thing}": {
                "put": {
                    "operationId": "put_thing",
                    "security": [{"bearer": ["admin"]}],
                    "parameters": [
                        {"in": "path", "name": "thing", "required": True, "schema": {"type": "string", "maxLength": 9}},
                        {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 200, "default": 50}},
                        {"in": "query", "name": "kind", "schema": {"enum": ["a", "b"]}},
                    ],
                    "requestBody": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/ThingBody"}},
                            "text/csv": {"schema": {"type": "string"}},
                        }
                    },
                    "responses": {
                        "200": {
                            "headers": {"Location": {"$ref": "#/components/headers/Location"}},
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                        },
                        "202": {"content": {"application/json": {"schema": {"type": "object"}}}},
                        "404": {
                            "content": {
                                "application/problem+json": {
                                    "schema": {
                                        "$ref": "#/components/schemas/Problem",
                                        "properties": {"code": {"enum": ["not_found"]}},
                                    }
                                }
                            }
                        },
                    },
                }
            }
        },
        "components": {
            "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
            "schemas": {
                "ThingBody": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
                        "size": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/ThingBody"}},
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                },
                "Thing": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "status": {"enum": ["new", "old"]},
                        "note": {"type": "string"},
                        "at": {"type": "string", "format": "date-time"},
                        "size": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                    },
                    "required": ["id", "status"],
                },
                "Problem": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
            },
        },
    }


def operation(document: Any) -> Any:
    """Return the operation."""
    return document["paths"]["/things/{thing}"]["put"]


def body(document: Any) -> Any:
    """Return the shape of the request's body."""
    return document["components"]["schemas"]["ThingBody"]


def thing(document: Any) -> Any:
    """Return the shape of the answer."""
    return document["components"]["schemas"]["Thing"]


BREAKS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a path is gone": (lambda new: new["paths"].clear(), "PUT /things/{thing} is gone"),
    "an operation is gone": (lambda new: new["paths"]["/things/{thing}"].pop("put"), "is gone"),
    "another name": (lambda new: operation(new).update(operationId="set_thing"), "operationId"),
    "another scope": (lambda new: operation(new).update(security=[{"bearer": ["root"]}]), "security"),
    "a parameter is gone": (lambda new: operation(new)["parameters"].pop(2), "the query parameter kind is gone"),
    "a parameter is required": (lambda new: operation(new)["parameters"][1].update(required=True), "limit is required"),
    "a new parameter is required": (
        lambda new: operation(new)["parameters"].append(
            {"in": "header", "name": "Key", "required": True, "schema": {"type": "string"}}
        ),
        "the header parameter Key is required now",
    ),
    "a lower limit": (lambda new: operation(new)["parameters"][1]["schema"].update(maximum=100), "maximum changed"),
    "another default": (lambda new: operation(new)["parameters"][1]["schema"].update(default=20), "the default was 50"),
    "a value is not taken": (
        lambda new: operation(new)["parameters"][2]["schema"].update(enum=["a"]),
        "the value b is not taken any more",
    ),
    "values are limited": (
        lambda new: operation(new)["parameters"][0]["schema"].update(enum=["a"]),
        "the values are limited now",
    ),
    "a body is required": (lambda new: operation(new)["requestBody"].update(required=True), "a body is required now"),
    "the body is gone": (lambda new: operation(new).pop("requestBody"), "the body: application/json is gone"),
    "a content type is gone": (
        lambda new: operation(new)["requestBody"]["content"].pop("text/csv"),
        "the body: text/csv is gone",
    ),
    "a member is required": (lambda new: body(new)["required"].append("size"), ".size is required now"),
    "a member is not taken": (lambda new: body(new)["properties"].pop("size"), ".size is gone"),
    "a member of another type": (lambda new: body(new)["properties"].update(name={"type": "integer"}), "type changed"),
    "a narrower pattern": (lambda new: body(new)["properties"]["name"].update(pattern="^[a-f]+$"), "pattern changed"),
    "a longer least length": (lambda new: body(new)["properties"]["name"].update(minLength=2), "minLength changed"),
    "null is not taken": (
        lambda new: body(new)["properties"].update(size={"type": "string", "default": None}),
        "choice 2 is not taken any more",
    ),
    "parts of another type": (
        lambda new: body(new)["properties"]["parts"].update(items={"type": "string"}),
        ".parts[]: the type changed",
    ),
    "an answer is gone": (lambda new: operation(new)["responses"].pop("202"), "the answer 202 is gone"),
    "an error is gone": (lambda new: operation(new)["responses"].pop("404"), "the answer 404 is gone"),
    "an answer of another type": (
        lambda new: operation(new)["responses"]["200"].update(content={"text/csv": {"schema": {"type": "string"}}}),
        "200: application/json is gone",
    ),
    "a header is gone": (
        lambda new: operation(new)["responses"]["200"]["headers"].clear(),
        "the header Location is gone",
    ),
    "a header may be missing": (
        lambda new: new["components"]["headers"]["Location"].update(required=False),
        "the header Location may be missing now",
    ),
    "a field is gone": (lambda new: thing(new)["properties"].pop("note"), ".note is gone"),
    "a field may be missing": (lambda new: thing(new)["required"].remove("status"), ".status may be missing now"),
    "a field of another type": (
        lambda new: thing(new)["properties"].update(id={"type": "integer"}),
        "the type changed",
    ),
    "a field of any type": (lambda new: thing(new)["properties"].update(id={}), "the type is wider now"),
    "a field may be null": (
        lambda new: thing(new)["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ".id: choice 2 is new",
    ),
    "a new value": (
        lambda new: thing(new)["properties"]["status"]["enum"].append("lost"),
        ".status: the value lost is new",
    ),
    "any value": (lambda new: thing(new)["properties"].update(status={"type": "string"}), "not limited any more"),
    "another format": (lambda new: thing(new)["properties"]["at"].update(format="date"), ".at: the format changed"),
}

HARMLESS: dict[str, Callable[[Any], object]] = {
    "a new path": lambda new: new["paths"].update({"/more": {}}),
    "a new optional parameter": lambda new: operation(new)["parameters"].append(
        {"in": "query", "name": "more", "schema": {"type": "string"}}
    ),
    "a higher limit": lambda new: operation(new)["parameters"][1]["schema"].update(maximum=500),
    "another value is taken": lambda new: operation(new)["parameters"][2]["schema"]["enum"].append("c"),
    "a new optional member": lambda new: body(new)["properties"].update(more={"type": "string"}),
    "a member need not be there": lambda new: body(new)["required"].clear(),
    "null is taken": lambda new: body(new)["properties"].update(
        parts={"anyOf": [sample()["components"]["schemas"]["ThingBody"]["properties"]["parts"], {"type": "null"}]}
    ),
    "a new field": lambda new: thing(new)["properties"].update(more={"type": "string"}),
    "a field is always there": lambda new: thing(new)["required"].append("note"),
    "a field is never null": lambda new: thing(new)["properties"].update(size={"type": "string"}),
    "a value is not answered": lambda new: thing(new)["properties"]["status"]["enum"].remove("old"),
    "a new answer": lambda new: operation(new)["responses"].update({"409": {}}),
    "a new code of an error": lambda new: operation(new)["responses"]["404"]["content"]["application/problem+json"][
        "schema"
    ]["properties"]["code"]["enum"].append("gone"),
    "another description": lambda new: body(new).update(description="new"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_noticed(name: str) -> None:
    """A change that can break a client is named, with the place of it."""
    change, said = BREAKS[name]
    new = deepcopy(sample())
    change(new)

    found = breaking_changes(sample(), new)
    assert found
    assert any(said in one for one in found), found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_is_let_through(name: str) -> None:
    """What takes more, or answers no more than before, is no break."""
    new = deepcopy(sample())
    HARMLESS[name](new)

    assert new != sample()
    assert breaking_changes(sample(), new) == []


def test_the_same_breaks_nothing() -> None:
    """A description agrees with itself, also where shapes hold themselves."""
    assert breaking_changes(sample(), sample()) == []
