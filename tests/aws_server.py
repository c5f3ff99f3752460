"""An emulator of AWS in a process of its own: the one that is also the embedded store, with other services."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import botocore.config
import botocore.session

from chalicelib.local import store_process
from tests import aws_process


if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

HOST: Final = "127.0.0.1"
REGION: Final = "eu-west-1"
STOP_SECONDS_MAX: Final = 20


class AwsServer:
    """
    Runs the emulator on a free loopback port while the context is open, with the *services* named, or with all.

    Where functions are called, *python* runs them, with nothing in their environment but the emulator's *settings*.
    """

    def __init__(self, services: str | None = None, python: Path | None = None, **settings: str) -> None:
        self._services = services
        self._python = python
        self._settings = settings
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = tempfile.TemporaryDirectory()

    @property
    def environment(self) -> dict[str, str]:
        """Return what leads every client of a process here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    @property
    def url(self) -> str:
        """The address of the emulator."""
        return f"http://{HOST}:{self._port}"

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        return client_of(service, self.url)

    def __enter__(self) -> Self:
        """Start it; the first request waits until it listens."""
        with socket.create_server((HOST, 0)) as listener:
            self._port = listener.getsockname()[1]
            program = [store_process.__file__] if self._python is None else [aws_process.__file__]
            arguments = [str(listener.fileno()), *([] if self._python is None else [str(self._python)])]
            inherited = os.environ if self._python is None else {"PATH": os.defpath}
            self._process = subprocess.Popen(
                [sys.executable, "-P", *program, *arguments],
                stdin=subprocess.PIPE,
                env={**inherited, **self._own_environment(), **self._settings},
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(STOP_SECONDS_MAX)
        self._scratch.cleanup()

    def _own_environment(self) -> dict[str, str]:
        environment = {
            "AUTH": "false",
            "DOCKER_HOST": f"unix://{self._scratch.name}/no-docker.sock",
            "GATEWAY_PORT": str(self._port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "ERROR",
            "PERSIST_STATE": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": self._scratch.name,
        }
        return environment if self._services is None else {**environment, "SERVICES": self._services}


def client_of(service: str, endpoint: str) -> Any:
    """Return a plain client that does not try again."""
    return botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
    )
