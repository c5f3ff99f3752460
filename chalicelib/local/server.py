"""
The HTTP loop of `usage-tab serve`: a threaded HTTP/1.1 server that stands in for API Gateway and Lambda.

It turns requests into the events that a deployed function gets, with Chalice's own local gateway, and answers
by itself what API Gateway would: unknown paths, methods a path does not have, bodies that are too large. Path
parameters reach the app as they were sent, percent-encoded, as they do on AWS. Report files it hands out by signed
links as S3 would, past the app.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import socket
import sys
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast
from urllib.parse import urlsplit

from chalice.config import Config
from chalice.local import (
    LambdaEventConverter,
    LocalGateway,
    LocalGatewayException,
    RouteMatcher,
    ThreadedHTTPServer,
)

from chalicelib.api.cross_origin import CrossOrigin
from chalicelib.api.problems import CONTENT_TYPE, TYPE_PREFIX
from chalicelib.files.local import LINK_PATH
from chalicelib.files.report_files import CONTENT_TYPE as FILE_CONTENT_TYPE


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from chalice.app import Chalice

    from chalicelib.files.local import Download, LocalReportFiles

HOST: Final = "127.0.0.1"
BODY_BYTES_MAX: Final = 6 * 1024 * 1024
IDLE_SECONDS_MAX: Final = 75
GRACE_SECONDS: Final = 10
CUT_SECONDS_MAX: Final = 0.5
LINGER_SECONDS_MAX: Final = 2
LINGER_BYTES_MAX: Final = 64 * 1024 * 1024
BACKLOG: Final = 128
POLL_SECONDS: Final = 0.1

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_GATEWAY_CODES: Final = {401: "unauthenticated", 403: "insufficient_scope", 500: "internal_error"}

_log: Final = logging.getLogger(__name__)


class LocalServer:
    """
    Serve *app* on the loopback interface while the context is open.

    *port* 0 takes a free one. *access_log* gets one line for each request, without its query. *files* are those that
    signed links lead to; *cross_origin* judges other origins where the server answers by itself.
    """

    def __init__(
        self,
        app: Chalice,
        *,
        port: int = 0,
        access_log: Callable[[str], None] | None = None,
        files: LocalReportFiles | None = None,
        cross_origin: CrossOrigin = CrossOrigin(()),  # noqa: B008 - it never changes
    ) -> None:
        self._app = app
        self._port = port
        self._access_log = access_log
        self._files = files
        self._cross_origin = cross_origin
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address, without a slash at its end; known once the server is started."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """
        Start to take requests, in threads of their own.

        Raises:
            OSError: if the port is taken.
        """
        self._server = _Server(self._app, self._port, self._access_log, self._files, self._cross_origin)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True
        )
        self._thread.start()
        return self

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Take no more requests, let those that run finish within *grace_seconds*, then cut the rest."""
        if self._server is None or self._thread is None:
            return
        self._server.draining = True
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.drain(grace_seconds)
        self._server = self._thread = None

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()


class _PerThreadRequest:
    """Make what Chalice keeps of the current request each thread's own; on Lambda there is one at a time."""

    _own = threading.local()

    @property
    def current_request(self) -> Any:
        return getattr(self._own, "current_request", None)

    @current_request.setter
    def current_request(self, request: Any) -> None:
        self._own.current_request = request

    @property
    def lambda_context(self) -> Any:
        return getattr(self._own, "lambda_context", None)

    @lambda_context.setter
    def lambda_context(self, context: Any) -> None:
        self._own.lambda_context = context


def _make_threaded(app: Chalice) -> None:
    kind = type(app)
    if not issubclass(kind, _PerThreadRequest):
        app.__class__ = type(kind.__name__, (_PerThreadRequest, kind), {})


class _EventConverter(LambdaEventConverter):
    def create_lambda_event(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        event: dict[str, Any] = super().create_lambda_event(method, path, headers, body)
        event["requestContext"]["requestId"] = headers[REQUEST_ID_HEADER]
        return event


class _Response(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes | Path


class _Server(ThreadedHTTPServer):
    request_queue_size = BACKLOG

    def __init__(
        self,
        app: Chalice,
        port: int,
        access_log: Callable[[str], None] | None,
        files: LocalReportFiles | None,
        cross_origin: CrossOrigin,
    ) -> None:
        _make_threaded(app)
        self.files = files
        self.cross_origin = cross_origin
        self.routes: dict[str, dict[str, Any]] = app.routes
        self.matcher = RouteMatcher(list(app.routes))
        self.gateway = LocalGateway(app, Config())
        self.gateway.event_converter = _EventConverter(self.matcher, app.api.binary_types)
        self.access_log = access_log
        self.draining = False
        self._running = 0
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        # Without the look-up of the host's name that the base class makes.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address: tuple[str, int] = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address

    @contextmanager
    def one_request(self) -> Iterator[None]:
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self, grace_seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, grace_seconds)
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, CUT_SECONDS_MAX)

    def process_request_thread(self, request: socket.socket, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._connections.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError):
            _log.exception("A connection failed")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS_MAX
    # Buffered and without Nagle's algorithm an answer is one packet; otherwise a kept connection waits for
    # the client's delayed acknowledgement, 40 ms each time.
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _server(self) -> _Server:
        return cast("_Server", self.server)

    def handle_expect_100(self) -> bool:
        if self._body_length() is None:
            return False
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _handle(self) -> None:
        started = time.monotonic()
        length = self._body_length()
        if length is None:
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        request_id = self._request_id()
        with self._server.one_request():
            response = self._download() or self._response(body, request_id)
            self._send(response, request_id)
        if self._server.access_log is not None:
            milliseconds = (time.monotonic() - started) * 1000
            path = self.path.partition("?")[0]
            self._server.access_log(f"{self.command} {path} {response.status} {milliseconds:.1f} ms")

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _handle  # noqa: N815 - http.server's
    do_QUERY = do_TRACE = _handle  # noqa: N815 - as above

    def _body_length(self) -> int | None:
        """Return the body's length; None once the request is answered, for it has no length that will do."""
        lengths = {length.strip() for length in self.headers.get_all("content-length", ["0"])}
        length = lengths.pop()
        if "transfer-encoding" in self.headers:
            problem = _problem(411, "length_required", "the body must be sent with a Content-Length")
        elif lengths or not _LENGTH.fullmatch(length):
            problem = _problem(400, "malformed_body", "the Content-Length is not a whole number")
        elif int(length) > BODY_BYTES_MAX:
            problem = _problem(413, "body_too_large", f"the body must have at most {BODY_BYTES_MAX} bytes")
        else:
            return int(length)
        self.close_connection = True
        self._send(problem)
        with suppress(OSError):
            self._linger()
        return None

    def _linger(self) -> None:
        # The client may still be sending. To close now would reset the connection, and the answer with it.
        deadline = time.monotonic() + LINGER_SECONDS_MAX
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(LINGER_SECONDS_MAX)
        unread = LINGER_BYTES_MAX
        while unread > 0 and time.monotonic() < deadline and (chunk := self.rfile.read1(1 << 16)):
            unread -= len(chunk)

    def _download(self) -> _Response | None:
        """Return the file that the request's signed link leads to; None where it is no such link."""
        parts = urlsplit(self.path)
        if self._server.files is None or parts.path != LINK_PATH:
            return None
        if self.command not in {"GET", "HEAD"}:
            return _problem(405, "method_not_allowed", "a file can only be fetched", [("Allow", "GET, HEAD")])
        download = self._server.files.open(parts.query.removeprefix("token="))
        if download is None:
            return _problem(403, "link_expired", "the link is not one of this server, or has expired")
        return _attachment(download)

    def _response(self, body: bytes, request_id: str) -> _Response:
        parts = urlsplit(self.path)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            route = self._server.routes[self._server.matcher.match_route(path).route]
        except ValueError:
            return _problem(404, "not_found", "there is nothing at this path")
        method = "GET" if self.command == "HEAD" and "HEAD" not in route else self.command
        if method not in route:
            allowed = sorted({*route, "HEAD"} if "GET" in route else route)
            detail = f"this path takes {', '.join(allowed)}"
            return _problem(405, "method_not_allowed", detail, [("Allow", ", ".join(allowed))])
        headers = {name: value for name, value in self.headers.items() if name.lower() != REQUEST_ID_HEADER.lower()}
        headers[REQUEST_ID_HEADER] = request_id
        try:
            return _from_lambda(self._server.gateway.handle_request(method, path, headers, body))
        except LocalGatewayException as error:
            return _problem(error.CODE, _GATEWAY_CODES[error.CODE], HTTPStatus(error.CODE).phrase)
        except Exception:  # noqa: BLE001 - as Lambda does for a function that fails
            _log.exception("The app failed at %s %s", method, parts.path)
            return _problem(500, "internal_error", "the request could not be completed")

    def _send(self, response: _Response, request_id: str | None = None) -> None:
        if self._server.draining:
            self.close_connection = True
        names = {name.lower() for name, _ in response.headers}
        self.send_response(response.status)
        for name, value in (*response.headers, *self._cross_origin_headers(names)):
            self.send_header(name, value)
        if REQUEST_ID_HEADER.lower() not in names:
            self.send_header(REQUEST_ID_HEADER, request_id or self._request_id())
        if response.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.send_header("Content-Length", str(_length(response.body)))
            if response.body and "content-type" not in names:
                self.send_header("Content-Type", "application/json")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(response.body)
        self.wfile.flush()

    def _cross_origin_headers(self, names: set[str]) -> Iterable[tuple[str, str]]:
        """Return what the app has not put among the *names* of its headers itself."""
        headers = self._server.cross_origin.headers(self._header("Origin"))
        return ((name, value) for name, value in headers.items() if name.lower() not in names)

    def _send_body(self, body: bytes | Path) -> None:
        if isinstance(body, bytes):
            self.wfile.write(body)
        else:
            with body.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)

    def _request_id(self) -> str:
        given = self._header(REQUEST_ID_HEADER) or ""
        return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())

    def _header(self, name: str) -> str | None:
        headers = getattr(self, "headers", None)  # There are none of a request that could not be read.
        return headers.get(name) if headers else None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what `http.server` itself refuses, such as a request line that is none."""
        del message, explain
        self.close_connection = True
        self._send(_problem(code, "malformed_request", HTTPStatus(code).description))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        _log.debug(format, *args)

    def version_string(self) -> str:
        return "usage-tab"


def _length(body: bytes | Path) -> int:
    return len(body) if isinstance(body, bytes) else body.stat().st_size


def _attachment(download: Download) -> _Response:
    headers = [
        ("Content-Type", FILE_CONTENT_TYPE),
        ("Content-Disposition", f'attachment; filename="{download.name}"'),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return _Response(200, headers, download.path)


def _from_lambda(answer: dict[str, Any]) -> _Response:
    body = answer["body"] or b""
    if answer.get("isBase64Encoded"):
        body = base64.b64decode(body)
    if isinstance(body, str):
        body = body.encode()
    headers = [*_header_lines(answer["headers"]), *_header_lines(answer["multiValueHeaders"])]
    return _Response(answer["statusCode"], headers, body)


def _header_lines(headers: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        if name.lower() not in _HOP_BY_HOP:
            for line in value if isinstance(value, list) else [value]:
                yield name, str(line).encode("latin-1", "replace").decode("latin-1")


def _problem(status: int, code: str, detail: str, headers: Iterable[tuple[str, str]] = ()) -> _Response:
    document = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return _Response(status, [("Content-Type", CONTENT_TYPE), *headers], json.dumps(document).encode())
