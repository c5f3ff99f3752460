"""Requests drawn from the API's description, right and wrong ones: no 5xx, and no answer that is not described."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.api.openapi.operations import OPERATIONS
from tests.e2e.server import Server
from tests.e2e.story import START, Teller


if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND: Final = Path(sys.prefix) / "bin" / "schemathesis"
SETTINGS: Final = Path(__file__).with_name("schemathesis.toml")
SECONDS_MAX: Final = 300
LEFT_OUT: Final = 2
"""The move of the clock, which the settings switch off, and the description, which is read before."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server on which the examples of the description find what they speak of."""
    with Server(tmp_path_factory.mktemp("home"), "--no-demo", "--test-clock", START) as server:
        Teller(server).tell_what_is_granted()
        yield server
        assert server.failures == []


@pytest.mark.parametrize(
    ("has_scopes", "options"),
    [(True, ("--phases=examples,coverage,fuzzing,stateful", "--max-examples=10")), (False, ("--phases=coverage",))],
    ids=["with every scope", "without a scope"],
)
def test_drawn_requests(server: Server, tmp_path: Path, options: tuple[str, ...], *, has_scopes: bool) -> None:
    """Whatever is sent, the answer is described, fits, and is no failure of the service's own."""
    token = server.token if has_scopes else server.token_for()
    command = [COMMAND, f"--config-file={SETTINGS}", "run", f"{server.url}/openapi.json", f"--url={server.url}"]
    run = subprocess.run(
        [*command, "--no-color", f"--header=Authorization: Bearer {token}", *options],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        timeout=SECONDS_MAX,
        text=True,
    )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    (tested,) = re.findall(r"Tested: ([0-9]+)", run.stdout)
    assert int(tested) == len(OPERATIONS) - LEFT_OUT
