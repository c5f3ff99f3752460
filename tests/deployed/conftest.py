"""The stack that all tests here share, and what they need beside it."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.aws_server import AwsServer
from tests.deployed.gateway_to_dynamodb import GatewayToDynamoDB
from tests.deployed.stack import DeployedStack, emulated_template
from tests.deployed.streams import Metering, Outbox
from tests.e2e.samples import SIMPLE, put_rate_cards, shared_sample
from tests.e2e.samples import plain_sample as made_up_sample
from tests.packages import packaged_for, python_for_functions


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.samples import Sample

START = "2021-01-31T23:59:59Z"
"""Where the stack's clock stands at first."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """Give the packaged zip, for the Python that runs functions here."""
    _, version = python_for_functions()
    return packaged_for(version)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a Python to run functions in, in which nothing is installed: all that they need is in the zip."""
    folder = tmp_path_factory.mktemp("python")
    interpreter, _ = python_for_functions()
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def gateway_to_dynamodb(dynamodb_local: str) -> Iterator[GatewayToDynamoDB]:
    """Give what stands before the functions' DynamoDB."""
    with GatewayToDynamoDB(dynamodb_local) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def stack(
    bundle: Path,
    python: Path,
    dynamodb_local: str,
    gateway_to_dynamodb: GatewayToDynamoDB,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DeployedStack]:
    """Give a stack with a test clock, and the rate cards `standard` and `simple`."""
    folder = tmp_path_factory.mktemp("stack")
    with AwsServer(python=python, AWS_ENDPOINT_URL_DYNAMODB=gateway_to_dynamodb.url) as aws:
        stack = DeployedStack(aws, folder, emulated_template(), bundle, dynamodb_local)
        assert stack.deploy()
        stack.open()
        stack.client.move_clock(START)
        put_rate_cards(stack.client)
        yield stack


@pytest.fixture(scope="session")
def metering(stack: DeployedStack) -> Metering:
    """Give the metering stream."""
    return Metering(stack)


@pytest.fixture(scope="session")
def outbox(stack: DeployedStack) -> Outbox:
    """Give the stream of the state table."""
    return Outbox(stack)


@pytest.fixture
def name() -> str:
    """Give a name that no other test uses."""
    return f"d{next(_numbers)}"


@pytest.fixture
def account(stack: DeployedStack, name: str) -> str:
    """Give an account without usage, with prices to reckon with by hand."""
    stack.client.put_account(name, SIMPLE)
    return name


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Give the shared sample of calls where it is at hand, else one like it."""
    return shared_sample() or made_up_sample(tmp_path_factory.mktemp("sample"))
