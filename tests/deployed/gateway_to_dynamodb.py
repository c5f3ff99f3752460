"""What stands between the functions and DynamoDB Local: it can tell when a function writes, and do something then."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_SECONDS_MAX: Final = 60
_NOT_PASSED_ON: Final = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


class GatewayToDynamoDB(ThreadingHTTPServer):
    """Passes requests on to the DynamoDB at *endpoint* while the context is open."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        self.host, self.port = urlsplit(endpoint).hostname or "", urlsplit(endpoint).port
        self._on_put: Callable[[], None] | None = None
        self._waiting_for = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        super().__init__(("127.0.0.1", 0), _Request)

    @property
    def url(self) -> str:
        """The address to give to functions."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to pass requests on."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @contextmanager
    def before_put(self, number: int, act: Callable[[], None]) -> Iterator[None]:
        """Call *act* once, before the put of this *number* from now on is passed on."""
        with self._lock:
            self._on_put, self._waiting_for = act, number
        try:
            yield
        finally:
            with self._lock:
                self._on_put = None

    def note(self, target: str) -> None:
        """Take note of a request for the operation *target*."""
        with self._lock:
            if self._on_put is None or not target.endswith(".PutItem"):
                return
            self._waiting_for -= 1
            if self._waiting_for == 0:
                act, self._on_put = self._on_put, None
                act()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: GatewayToDynamoDB

    def do_POST(self) -> None:
        """Pass a request on, and its answer back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.note(self.headers["X-Amz-Target"])
        answer = self._ask(body)
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        if not hasattr(self, "_upstream"):
            self._upstream = http.client.HTTPConnection(self.server.host, self.server.port, timeout=_SECONDS_MAX)
        self._upstream.request("POST", self.path, body, dict(self.headers))
        return self._upstream.getresponse()

    def finish(self) -> None:
        """Close both ends."""
        super().finish()
        if hasattr(self, "_upstream"):
            self._upstream.close()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
