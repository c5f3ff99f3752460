"""Fixtures that any test may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from chalicelib.local.embedded import EmbeddedStore
from tests.stores import DynamoDBLocal


if TYPE_CHECKING:
    from collections.abc import Iterator


# A machine that is busy with other tests is slow, not wrong.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """Give the URL of a DynamoDB Local, in memory and one for each test process."""
    with DynamoDBLocal() as store:
        yield store.endpoint


@pytest.fixture(scope="session")
def embedded_store() -> Iterator[str]:
    """Give the URL of an embedded store, in memory and one for each test process."""
    with EmbeddedStore() as store:
        yield store.endpoint
