"""AWS in a process of its own on this machine, as far as the deployment needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Self

from chalicelib.local import store_process


if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 60


class AwsEmulator:
    """
    An emulator of AWS on a free loopback port, in memory, with its files in *folder*.

    Botocore finds it by `environment`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """Return what leads a client here."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def __enter__(self) -> Self:
        """Start it, and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as listener, (self._folder / "aws.log").open("wb") as log:
            self._port = listener.getsockname()[1]
            emulator = {
                "AUTH": "false",
                "DOCKER_HOST": f"unix://{self._folder}/no-docker.sock",
                "GATEWAY_PORT": str(self._port),
                "IOT_MTLS_ENABLED": "0",
                "LOG_LEVEL": "WARNING",
                "SFTP_ENABLED": "0",
                "TMPDIR": str(self._folder),
            }
            self._process = subprocess.Popen(
                [sys.executable, "-P", store_process.__file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **emulator},
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/_ministack/health", timeout=SECONDS_MAX):
            return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(SECONDS_MAX)
