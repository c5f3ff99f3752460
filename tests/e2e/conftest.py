"""Servers, samples and accounts for the tests that use the service from outside."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.e2e.samples import NOW, SETTINGS, Sample, plain_sample, put_rate_cards, shared_sample, varied_sample
from tests.e2e.server import Server


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.client import Client

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a user's files."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """Run a server for all tests that leave its clock alone, with the rate cards `standard` and `simple`."""
    with Server(home, "--no-demo", "--test-clock", NOW, is_measured=True) as server:
        put_rate_cards(server.client)
        yield server
        assert server.failures == []


@pytest.fixture
def client(server: Server) -> Client:
    """Give a client that may do everything."""
    return server.client


@pytest.fixture
def name() -> str:
    """Give a name that no other test uses."""
    return f"n{next(_numbers)}"


@pytest.fixture
def account(client: Client, name: str) -> str:
    """Give an account without usage on the shared server."""
    client.put_account(name, SETTINGS)
    return name


@pytest.fixture
def start_server(home: Path) -> Iterator[Callable[..., Server]]:
    """Give a function that runs a server of the test's own, without a demo, with the same rate cards."""
    servers = []

    def start(now: str, *options: str, **environment: str) -> Server:
        server = Server(home, "--no-demo", "--test-clock", now, *options, environment=environment)
        servers.append(server)
        put_rate_cards(server.start().client)
        return server

    yield start
    for server in servers:
        server.stop()
        assert server.failures == []


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Give the shared sample of calls where it is at hand, else one like it."""
    return shared_sample() or plain_sample(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Give a sample of calls of every kind."""
    return varied_sample(tmp_path_factory.mktemp("varied"))
