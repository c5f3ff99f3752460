"""
A deployed function on this machine: the runtime client that AWS runs, over a Runtime API of our own.

The client, PyPI's `awslambdaric`, is what calls the handlers on Lambda too; it comes from there, not from the package.
Works on Linux, which says what a process has used.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from infra.bundle import ROOT
from tests.stores import HOST, REGION


if TYPE_CHECKING:
    from types import TracebackType

CLIENT: Final = "awslambdaric==4.2.2"
CLIENT_FOLDER: Final = ROOT / "build" / "runtime-client"
ANSWER_SECONDS_MAX: Final = 60
TIME_LEFT_MS: Final = 900_000

ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_LAMBDA_FUNCTION_NAME": "measured",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
}
"""What Lambda gives to every function."""


class Used(NamedTuple):
    """What a process has used: seconds since it began, seconds on a processor, and the most memory it has held."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class FunctionError(RuntimeError):
    """A function has failed; the message is what it said."""


def fetch_client(interpreter: str, version: str) -> Path:
    """Return the folder of the runtime client for an *interpreter* of *version*, installed the first time."""
    folder = CLIENT_FOLDER / f"{CLIENT}-{version}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        only = ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}", "--no-compile"]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(unfinished), *only, CLIENT]
        subprocess.run(command, check=True)
        subprocess.run([interpreter, "-I", "-m", "compileall", "-q", str(unfinished)], check=True)
        unfinished.replace(folder)
    return folder


class RuntimeApi(ThreadingHTTPServer):
    """What a runtime client asks for calls, and gives their answers to: one client at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.calls: Queue[bytes] = Queue()
        self.messages: Queue[tuple[str, bytes]] = Queue()
        """What the client does: `next`, `response` and `error`."""

    @property
    def address(self) -> str:
        """Return what `AWS_LAMBDA_RUNTIME_API` has to be."""
        return f"{HOST}:{self.server_port}"

    def expect(self, message: str) -> bytes:
        """Wait until the client sends *message*, and return its body."""
        sent, body = self.messages.get(timeout=ANSWER_SECONDS_MAX)
        if sent != message:
            raise FunctionError(f"{sent} where {message} was due: {body.decode()}")
        return body

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def do_GET(self) -> None:
        self.server.messages.put(("next", b""))
        self._answer(
            200,
            self.server.calls.get(),
            {
                "Lambda-Runtime-Aws-Request-Id": "8f2c1d9a-6a5e-4c3e-9d57-1f2d3c4b5a69",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + TIME_LEFT_MS),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:measured",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.messages.put((self.path.rpartition("/")[2], body))
        self._answer(202, b"{}", {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Function:
    """One instance of a function while the context is open, started and ready for its first call."""

    def __init__(self, interpreter: str, client: Path, folder: Path, handler: str, environment: dict[str, str]) -> None:
        """Name what runs: the *handler* of the package that is unpacked in *folder*, by an *interpreter*."""
        self._command = [interpreter, "-m", "awslambdaric", handler]
        self._folder = folder
        self._environment = {
            **ENVIRONMENT,
            "LAMBDA_TASK_ROOT": str(folder),
            "PYTHONPATH": str(client),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        self._log = folder.with_suffix(".log")

    def __enter__(self) -> Self:
        """Start it and wait until it asks for a call."""
        self._api = RuntimeApi().__enter__()
        self._started = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**self._environment, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdout=log,
                stderr=log,
            )
        self._api.expect("next")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._api.__exit__()

    @property
    def log(self) -> str:
        """Return what it has written so far."""
        return self._log.read_text()

    def call(self, event: Any) -> Any:
        """
        Return its answer to *event*, once it is ready for the next one.

        Raises:
            FunctionError: if it fails.
        """
        self._api.calls.put(json.dumps(event).encode())
        answer = json.loads(self._api.expect("response"))
        self._api.expect("next")
        return answer

    def used(self) -> Used:
        """Return what it has used since its start."""
        process = Path(f"/proc/{self._process.pid}")
        nanoseconds = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
        (peak,) = (line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
        return Used(time.perf_counter() - self._started, nanoseconds / 1e9, int(peak.split()[1]) / 1024)
