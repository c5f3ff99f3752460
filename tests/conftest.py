"""Fixtures that any test may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from coverage import Coverage

from chalicelib.local.embedded import EmbeddedStore
from tests.stores import DynamoDBLocal
from tests.tracing import untraced


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


# A machine that is busy with other tests is slow, not wrong.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of the longest tests, so that no process is left alone with one of them at the end."""
    long = {item.path for item in items if item.get_closest_marker("untraced")}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage of tests that are marked so, nor of those of Hypothesis, which run a hundred times."""
    if any(item.get_closest_marker(name) for name in ("untraced", "hypothesis")):
        with untraced():
            return (yield)
    return (yield)


@pytest.fixture
def measured_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python processes that the test starts take part where coverage is measured."""
    if Coverage.current() is not None:
        monkeypatch.setenv("COVERAGE_PROCESS_START", str(Path(__file__).parents[1] / "pyproject.toml"))


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
