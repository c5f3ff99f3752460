"""The stores that keep the contract: one in memory, one embedded, one of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from chalicelib.storage.dynamo import DynamoItemStore
from tests.aws_server import AwsServer
from tests.fakes.memory_store import MemoryStore
from tests.stores import REGION, AwsClients, aws_client


if TYPE_CHECKING:
    from chalicelib.storage.items import ItemStore


def _with_tables(endpoint: str) -> DynamoItemStore:
    store = DynamoItemStore(endpoint, REGION, "contract-state", "contract-pages")
    store.create_tables()
    return store


@pytest.fixture(scope="session")
def store_on_embedded(embedded_store: str) -> DynamoItemStore:
    """Give the tables of the embedded store."""
    return _with_tables(embedded_store)


@pytest.fixture(scope="session")
def store_on_dynamodb_local(dynamodb_local: str) -> DynamoItemStore:
    """Give the tables of DynamoDB Local."""
    return _with_tables(dynamodb_local)


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsClients]:
    """Give clients of an emulated AWS, one for each test process."""
    with AwsServer("sqs,s3") as server:
        endpoint = server.environment["AWS_ENDPOINT_URL"]
        yield cache(lambda service: aws_client(service, endpoint))


@pytest.fixture(params=["memory", "embedded", "dynamodb_local"])
def store(request: pytest.FixtureRequest) -> ItemStore:
    """Give each store in turn; a test uses partitions of its own."""
    if request.param == "memory":
        return MemoryStore()
    found: ItemStore = request.getfixturevalue(f"store_on_{request.param}")
    return found


@pytest.fixture
def pk() -> str:
    """Give a partition that no other test uses."""
    return uuid4().hex
