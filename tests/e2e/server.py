"""The service as a user runs it: the command `usage-tab`, in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from coverage import Coverage

from tests.e2e.client import Client


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

REPOSITORY: Final = Path(__file__).parents[2]
STOP_SECONDS_MAX: Final = 60
COMMAND_SECONDS_MAX: Final = 120

_INSTALLED: Final = Path(sys.prefix) / "bin" / "usage-tab"
COMMAND: Final[Sequence[str]] = (
    [str(_INSTALLED)]
    if _INSTALLED.exists()
    else [sys.executable, "-c", "from chalicelib.cli import main; main(prog_name='usage-tab')"]
)
_MEASURED: Final[Sequence[str]] = (
    [sys.executable, "-m", "coverage", "run", *COMMAND] if _INSTALLED.exists() else COMMAND
)


class Server:
    """
    Run `usage-tab serve` with *options* while the context is open, on a free port; started again, on the same.

    *home* holds the key that signs tokens; *environment* is set on top of this process's own. Where coverage is
    measured, the server and its other commands take part if it *is_measured*, which makes them twice as slow.
    """

    def __init__(
        self, home: Path, *options: str, environment: Mapping[str, str] | None = None, is_measured: bool = False
    ) -> None:
        self._program = _MEASURED if is_measured and Coverage.current() is not None else COMMAND
        self._options = options
        self._port = "0"
        self.log: list[str] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("USAGE_TAB_")},
            **(environment or {}),
            "USAGE_TAB_HOME": str(home),
        }
        self._process: subprocess.Popen[str] | None = None
        self._said: dict[str, str] = {}
        self._reader: threading.Thread | None = None
        self._client: Client | None = None

    @property
    def url(self) -> str:
        """The address of the API."""
        return self.page.partition("/#")[0]

    @property
    def page(self) -> str:
        """The address of the page, as printed."""
        return self._said["page"]

    @property
    def token(self) -> str:
        """The token, as printed."""
        return self._said["token"]

    @property
    def store(self) -> str:
        """The address of the store, as printed."""
        return self._said["store"]

    @property
    def client(self) -> Client:
        """A client with the token that the server printed."""
        assert self._client is not None
        return self._client

    def start(self, **environment: str) -> Self:
        """Start the server, from now on with *environment*, and wait until it has told where it and its store are."""
        self._environment |= environment
        self._process = subprocess.Popen(
            [*self._program, "serve", "--port", self._port, *self._options],
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._said = {}
        for line in self._process.stdout:
            name, _, value = line.partition(" ")
            self._said[name] = value.strip()
            self.log.append(line)
            if name == "store":
                break
        else:
            self.kill()
            raise RuntimeError(f"the server did not start: {self.log}")
        self._reader = threading.Thread(target=self.log.extend, args=(self._process.stdout,))
        self._reader.start()
        self._port = self.url.rpartition(":")[2]
        self._client = Client(self.url, self.token)
        return self

    @property
    def failures(self) -> list[str]:
        """What it logged of requests and jobs that failed for no reason of the caller's."""
        return [line for line in self.log if '"ERROR"' in line or "Traceback" in line]

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self._end(subprocess.Popen.kill)

    def stop(self) -> int:
        """Ask the server to stop, wait until it has and return its exit code."""
        return self._end(subprocess.Popen.terminate)

    def _end(self, end: Callable[[subprocess.Popen[str]], None]) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        end(process)
        try:
            code = process.wait(STOP_SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
            if self._reader is not None:
                self._reader.join()
            assert process.stdout is not None
            process.stdout.close()
            if self._client is not None:
                self._client.__exit__(None, None, None)
        return code

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run another `usage-tab` command for the same user and return what it said."""
        with self.begin(*words, **environment) as process:
            out, err = process.communicate(timeout=COMMAND_SECONDS_MAX)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Begin another `usage-tab` command and return its process."""
        return subprocess.Popen(
            [*self._program, *words],
            cwd=REPOSITORY,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def token_for(self, *scopes: str, account: str | None = None) -> str:
        """Return a token as `usage-tab token` prints it."""
        of_account = [] if account is None else ["--account", account]
        done = self.command("token", *of_account, "--scope", " ".join(scopes))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def audit(self, account: str) -> subprocess.CompletedProcess[str]:
        """Audit an account in the server's store."""
        return self.command("audit", "--account", account, "--store", self.store)
