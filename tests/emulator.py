"""An emulator of AWS for tests that need more of it than DynamoDB: the embedded store's, with other services."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import botocore.config
import botocore.session

from chalicelib.local import store_process
from chalicelib.local.embedded import BACKLOG


AwsClients = Callable[[str], Any]
"""Returns a client of the service that it names."""

HOST: Final = "127.0.0.1"


@contextmanager
def emulated(services: Sequence[str], folder: Path) -> Iterator[str]:
    """Run an emulator of *services*, whose files are in *folder*, while the context is open; yield its address."""
    with socket.create_server((HOST, 0), backlog=BACKLOG) as listener:
        port = listener.getsockname()[1]
        environment = {
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "PATH": os.defpath,
            "PERSIST_STATE": "0",
            "SERVICES": ",".join(services),
            "SFTP_ENABLED": "0",
            "TMPDIR": str(folder),
        }
        process = subprocess.Popen(
            [sys.executable, "-P", store_process.__file__, str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            pass_fds=[listener.fileno()],
        )
    try:
        yield f"http://{HOST}:{port}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def aws_client(service: str, endpoint: str) -> Any:
    """Return a client of an emulated service."""
    return botocore.session.get_session().create_client(
        service,
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"})
        if service == "s3"
        else None,
    )
