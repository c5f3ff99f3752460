"""The embedded store: a DynamoDB emulator in a process of its own, on a free loopback port."""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from chalicelib.local import store_process


if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
START_SECONDS_MAX: Final = 120
STOP_SECONDS_MAX: Final = store_process.LOAD_OR_SAVE_SECONDS_MAX + 60
KILL_SECONDS_MAX: Final = 10
LOG_TAIL_BYTES: Final = 2_000
BACKLOG: Final = 128


class EmbeddedStoreError(RuntimeError):
    """The embedded store cannot start, or did not keep what it held; the message says why."""


class EmbeddedStore:
    """
    Run the embedded store as a child process while the context is open.

    Without a *data_dir* everything is in memory. With one, the tables are read from it at the start and
    written to it when the store is stopped in order: by `stop`, by a SIGTERM to the child, or because this
    process ended. Only one store at a time may use a directory.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        self._data_dir = data_dir
        self._child: _Child | None = None

    @property
    def endpoint(self) -> str:
        """The URL to give to a DynamoDB client."""
        return f"http://{HOST}:{self._running().port}"

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._running().process.pid

    def start(self) -> Self:
        """
        Start the child and wait until it answers.

        Raises:
            EmbeddedStoreError: if the directory is in use or unreadable, or the child does not answer.
        """
        if self._child is not None:
            message = "the embedded store has been started already"
            raise EmbeddedStoreError(message)
        work_dir = Path(tempfile.mkdtemp(prefix="usage-tab-store-"))
        try:
            child = _spawn(self._data_dir, work_dir)
        except BaseException:
            shutil.rmtree(work_dir)
            raise
        try:
            child.wait_until_ready()
        except BaseException:
            # Killed, for what it has not loaded it must not save.
            child.kill()
            child.clean_up()
            raise
        self._child = child
        return self

    def stop(self) -> None:
        """
        Stop the child in order and wait until its state is saved; do nothing if it is not running.

        Interrupted, it leaves the child to finish saving by itself.

        Raises:
            EmbeddedStoreError: if the child had died, or could not save.
        """
        child, self._child = self._child, None
        if child is None:
            return
        try:
            child.end_input()
            code = child.process.wait(STOP_SECONDS_MAX if self._data_dir else KILL_SECONDS_MAX)
            if code != 0:
                message = f"the embedded store ended with exit code {code}: {child.last_words()}"
                raise EmbeddedStoreError(message)
        except subprocess.TimeoutExpired as error:
            child.kill()
            if self._data_dir is not None:
                message = f"the embedded store was killed: it did not save its state in {STOP_SECONDS_MAX} s"
                raise EmbeddedStoreError(message) from error
        finally:
            child.clean_up()

    def __enter__(self) -> Self:
        """Start the store."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the store."""
        self.stop()

    def _running(self) -> _Child:
        if self._child is None:
            message = "the embedded store is not running"
            raise EmbeddedStoreError(message)
        return self._child


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    port: int
    work_dir: Path

    def wait_until_ready(self) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=START_SECONDS_MAX)
        try:
            connection.request("GET", "/_ministack/health")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            message = f"the embedded store did not start: {self.last_words() or error}"
            raise EmbeddedStoreError(message) from error
        finally:
            connection.close()
        if status != http.client.OK:
            message = f"the embedded store answered {status} when asked for its health"
            raise EmbeddedStoreError(message)

    def last_words(self) -> str:
        tail = _log_file(self.work_dir).read_bytes()[-LOG_TAIL_BYTES:]
        return tail.decode(errors="replace").strip().rpartition("\n")[2]

    def end_input(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(KILL_SECONDS_MAX)

    def clean_up(self) -> None:
        self.end_input()
        shutil.rmtree(self.work_dir)


def _spawn(data_dir: Path | None, work_dir: Path) -> _Child:
    inherited = [] if data_dir is None else [_lock(data_dir)]
    try:
        # Listening before the child exists: a client that connects early waits for it instead of failing.
        with (
            socket.create_server((HOST, 0), backlog=BACKLOG) as listener,
            _log_file(work_dir).open("wb") as log,
        ):
            port = listener.getsockname()[1]
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", store_process.__file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(data_dir, work_dir, port),
                # The child keeps the lock as long as it lives, which may be longer than this process.
                pass_fds=[listener.fileno(), *inherited],
                # A Ctrl-C in the terminal must not reach the child while this process ends its requests.
                start_new_session=True,
            )
    finally:
        for descriptor in inherited:
            os.close(descriptor)
    return _Child(process, port, work_dir)


def _log_file(work_dir: Path) -> Path:
    return work_dir / "store.log"


def _environment(data_dir: Path | None, work_dir: Path, port: int) -> dict[str, str]:
    emulator = {
        "AUTH": "false",
        # Where there is a Docker daemon, it would remove the containers of other emulators.
        "DOCKER_HOST": f"unix://{work_dir}/no-docker.sock",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "0",
        "SERVICES": "dynamodb",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(work_dir),
    }
    if data_dir is not None:
        emulator |= {"PERSIST_STATE": "1", "STATE_DIR": str(data_dir.resolve())}
    return {**os.environ, **emulator}


def _lock(data_dir: Path) -> int:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        message = f"{data_dir} is in use by another store"
        raise EmbeddedStoreError(message) from None
    return lock
