"""Every store the engine may run on, each with tables of its own for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from chalicelib.storage.dynamo import DynamoItemStore
from tests.fakes.memory_store import MemoryStore


if TYPE_CHECKING:
    from chalicelib.storage.items import ItemStore


def dynamo_store(endpoint: str) -> DynamoItemStore:
    """Return a store at *endpoint* whose tables are new."""
    name = uuid4().hex
    store = DynamoItemStore(endpoint, "eu-west-1", f"state-{name}", f"pages-{name}", pause=lambda _seconds: None)
    assert store.create_tables()
    return store


@pytest.fixture(params=["memory", "embedded", "dynamodb_local"])
def store(request: pytest.FixtureRequest) -> ItemStore:
    """Return each of the stores in turn."""
    if request.param == "memory":
        return MemoryStore()
    fixture = "embedded_store" if request.param == "embedded" else "dynamodb_local"
    return dynamo_store(request.getfixturevalue(fixture))
