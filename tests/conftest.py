"""Fixtures that any test may ask for."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import hypothesis
import pytest

from chalicelib.local.embedded import EmbeddedStore
from tests.stores import DynamoDBLocal


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


# A machine that is busy with other tests is slow, not wrong.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """
    Run a test that is marked `untraced` without measuring coverage.

    What pytest-cov has for this, `no_cover`, does not stop all that measures in a process of pytest-xdist.
    """
    if item.get_closest_marker("untraced") is None:
        return (yield)
    own, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        return (yield)
    finally:
        sys.settrace(own)
        threading.settrace(of_threads)  # type: ignore[arg-type]


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
