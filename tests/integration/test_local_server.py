"""The HTTP loop over real sockets, with an app that shows what reaches it."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from chalice import Chalice, Response

from chalicelib.local.server import BODY_BYTES_MAX, LocalServer


if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = bytes(range(256))


class Gate:
    """Hold a request until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()


def toy_app(gate: Gate) -> Chalice:  # noqa: C901 - a list of routes
    """Build an app with a route for everything that the server has to carry."""
    app = Chalice(app_name="toy", configure_logs=False)

    @app.route("/")
    def root() -> Any:
        return Response("<p>hello</p>", headers={"Content-Type": "text/html"})

    @app.route("/things/{name}", methods=["GET", "PUT"], content_types=["*/*"])
    def thing(name: str) -> Any:
        request = app.current_request
        return {
            "name": name,
            "request_id": request.context["requestId"],
            "query": request.query_params and {key: request.query_params.getlist(key) for key in request.query_params},
            "body": request.raw_body.decode(),
            "thread": app.current_request.headers.get("x-thread"),
        }

    @app.route("/things/{name}/parts/{part}")
    def part(name: str, part: str) -> Any:
        return {"name": name, "part": part}

    @app.route("/upload", methods=["POST"], content_types=["*/*"])
    def upload() -> Any:
        return {"bytes": len(app.current_request.raw_body)}

    @app.route("/picture")
    def picture() -> Any:
        return Response(PNG, headers={"Content-Type": "image/png"})

    @app.route("/empty", methods=["DELETE"])
    def empty() -> Any:
        return Response("", status_code=204, headers={"X-Request-Id": "the-apps-own"})

    @app.route("/cookies")
    def cookies() -> Any:
        return Response("{}", headers={"Set-Cookie": ["a=1", "b=2"], "content-type": "application/json"})

    @app.route("/slow")
    def slow() -> Any:
        gate.entered.set()
        gate.opened.wait(10)
        return {"late": True}

    @app.route("/broken")
    def broken() -> Any:
        return Response("text where bytes must be", headers={"Content-Type": "image/png"})

    @app.authorizer()
    def guard(request: Any) -> Any:
        del request
        return {"policyDocument": {"Statement": []}, "context": {}, "principalId": "nobody"}

    @app.route("/guarded", authorizer=guard)
    def guarded() -> Any:
        return {}

    return app


@pytest.fixture
def gate() -> Gate:
    """Give the gate of the app's slow route."""
    return Gate()


@pytest.fixture
def log() -> list[str]:
    """Give the lines of the access log."""
    return []


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """Run a server that all tests ask."""
    with LocalServer(toy_app(Gate())) as server:
        yield server


@pytest.fixture
def own_server(gate: Gate, log: list[str]) -> Iterator[LocalServer]:
    """Run a server for one test, with the gate and the log."""
    with LocalServer(toy_app(gate), access_log=log.append) as server:
        yield server
        gate.opened.set()


@pytest.fixture
def connection(server: LocalServer) -> Iterator[http.client.HTTPConnection]:
    """Give a connection that is kept between requests."""
    with closing(connect(server)) as connection:
        yield connection


def connect(server: LocalServer) -> http.client.HTTPConnection:
    """Open a connection to the server."""
    return http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request and read its answer to the end."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response, response.read()


def send_raw(server: LocalServer, request: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(request)
        with raw.makefile("rb") as answer:
            return answer.read()


def assert_problem(response: http.client.HTTPResponse, body: bytes, status: int, code: str) -> None:
    """Check that an answer is a problem document with all that belongs to it."""
    document = json.loads(body)

    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"]
    assert document.keys() == {"type", "title", "status", "detail", "code"}
    assert (document["status"], document["code"]) == (status, code)


class TestRequests:
    """What reaches the app, and what comes back."""

    def test_json(self, connection: http.client.HTTPConnection) -> None:
        """A route's document comes back as JSON with a length and a request id."""
        response, body = ask(connection, "GET", "/things/one")

        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert int(response.headers["Content-Length"]) == len(body)
        assert json.loads(body)["name"] == "one"
        assert response.headers["X-Request-Id"] == json.loads(body)["request_id"]

    def test_path_parameters_stay_encoded(self, connection: http.client.HTTPConnection) -> None:
        """Path parameters come as they were sent, as on AWS."""
        _, body = ask(connection, "GET", "/things/a%2Fb%20c/parts/%C3%A9")

        assert json.loads(body) == {"name": "a%2Fb%20c", "part": "%C3%A9"}

    def test_query_is_decoded(self, connection: http.client.HTTPConnection) -> None:
        """Query parameters come decoded, repeated and empty ones too."""
        _, body = ask(connection, "GET", "/things/one?a=1&a=2%203&b=")

        assert json.loads(body)["query"] == {"a": ["1", "2 3"], "b": [""]}

    def test_trailing_slash(self, connection: http.client.HTTPConnection) -> None:
        """A slash at the end makes no other path, as on AWS."""
        response, _ = ask(connection, "GET", "/things/one/")

        assert response.status == 200

    def test_absolute_target(self, connection: http.client.HTTPConnection) -> None:
        """A request target may be a whole URL, as it is for a proxy."""
        _, body = ask(connection, "GET", "http://127.0.0.1/things/one?a=1")

        assert json.loads(body)["query"] == {"a": ["1"]}

    def test_body(self, connection: http.client.HTTPConnection) -> None:
        """A body reaches the app byte for byte."""
        _, body = ask(connection, "PUT", "/things/one", "é".encode(), content_type="text/plain")

        assert json.loads(body)["body"] == "é"

    def test_without_a_body(self, server: LocalServer) -> None:
        """A POST without a body and without a length is one with an empty body."""
        answer = send_raw(server, b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert answer.endswith(b'{"bytes":0}')

    def test_binary_answer(self, connection: http.client.HTTPConnection) -> None:
        """Bytes come back as bytes."""
        response, body = ask(connection, "GET", "/picture", accept="image/png")

        assert response.headers["Content-Type"] == "image/png"
        assert body == PNG

    def test_no_content(self, connection: http.client.HTTPConnection) -> None:
        """An answer without content has no length, and keeps the app's request id."""
        response, body = ask(connection, "DELETE", "/empty")

        assert (response.status, body) == (204, b"")
        assert "Content-Length" not in response.headers
        assert response.headers["X-Request-Id"] == "the-apps-own"

    def test_repeated_headers(self, connection: http.client.HTTPConnection) -> None:
        """A header with several values is sent several times, and none is added twice."""
        response, _ = ask(connection, "GET", "/cookies")

        assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert response.headers.get_all("Content-Type") == ["application/json"]

    def test_head(self, connection: http.client.HTTPConnection) -> None:
        """A HEAD answers like the GET, without its body."""
        full, body = ask(connection, "GET", "/")
        response, nothing = ask(connection, "HEAD", "/")

        assert (response.status, nothing) == (200, b"")
        assert response.headers["Content-Length"] == full.headers["Content-Length"] == str(len(body))

    def test_request_id_of_the_client(self, connection: http.client.HTTPConnection) -> None:
        """A request id that the client sends reaches the app and comes back, unless it is no id."""
        taken, body = ask(connection, "GET", "/things/one", x_request_id="from-the-client")
        given, _ = ask(connection, "GET", "/nowhere", x_request_id="from-the-client")
        odd, _ = ask(connection, "GET", "/nowhere", x_request_id="a b")

        assert taken.headers["X-Request-Id"] == "from-the-client" == json.loads(body)["request_id"]
        assert given.headers["X-Request-Id"] == "from-the-client"
        assert odd.headers["X-Request-Id"] not in {"", "a b"}

    def test_access_log(self, own_server: LocalServer, log: list[str], gate: Gate) -> None:
        """The log has a line for each request, without the query."""
        gate.opened.set()
        with closing(connect(own_server)) as connection:
            ask(connection, "GET", "/slow?cursor=secret")
        own_server.stop()

        assert [line.rsplit(" ", 2)[0] for line in log] == ["GET /slow 200"]

    def test_kept_connection_is_fast(self, connection: http.client.HTTPConnection) -> None:
        """No answer waits for a delayed acknowledgement, which would take 40 ms for each."""
        ask(connection, "GET", "/things/one")
        began = time.monotonic()
        for _ in range(25):
            ask(connection, "GET", "/things/one")

        assert time.monotonic() - began < 0.5

    def test_threads(self, server: LocalServer) -> None:
        """Requests that run at the same time see each their own request."""

        def talk(thread: int) -> set[str]:
            with closing(connect(server)) as connection:
                return {
                    json.loads(ask(connection, "GET", "/things/one", x_thread=str(thread))[1])["thread"]
                    for _ in range(25)
                }

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(talk, range(8))) == [{str(thread)} for thread in range(8)]

    def test_same_app_twice(self, gate: Gate) -> None:
        """An app may be served again, and elsewhere at the same time."""
        app = toy_app(gate)
        with LocalServer(app) as one, LocalServer(app) as other:
            for server in (one, other):
                with closing(connect(server)) as connection:
                    assert ask(connection, "GET", "/things/one")[0].status == 200


class TestRefusals:
    """What the server answers without the app."""

    @pytest.mark.parametrize("path", ["/nowhere", "/things", "/things/a/b", "//nowhere", "*"])
    def test_unknown_path(self, connection: http.client.HTTPConnection, path: str) -> None:
        """An unknown path is not found, with a token and without one."""
        assert_problem(*ask(connection, "GET", path), 404, "not_found")
        assert_problem(*ask(connection, "GET", path, authorization="Bearer é"), 404, "not_found")

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS", "QUERY", "TRACE"])
    def test_other_method(self, connection: http.client.HTTPConnection, method: str) -> None:
        """A method that the path does not have is refused with those that it has."""
        response, body = ask(connection, method, "/things/one")

        assert_problem(response, body, 405, "method_not_allowed")
        assert response.headers["Allow"] == "GET, HEAD, PUT"

    def test_head_without_get(self, connection: http.client.HTTPConnection) -> None:
        """A path without GET has no HEAD either."""
        response, _ = ask(connection, "HEAD", "/upload")

        assert response.status == 405
        assert response.headers["Allow"] == "POST"

    def test_largest_body(self, connection: http.client.HTTPConnection) -> None:
        """A body of exactly the limit is taken."""
        _, body = ask(connection, "POST", "/upload", bytes(BODY_BYTES_MAX), content_type="text/plain")

        assert json.loads(body) == {"bytes": BODY_BYTES_MAX}

    def test_body_too_large(self, server: LocalServer) -> None:
        """A client that has sent more than the limit can read why it was refused."""
        with closing(connect(server)) as connection:
            assert_problem(*ask(connection, "POST", "/upload", bytes(BODY_BYTES_MAX + 1)), 413, "body_too_large")

    def test_too_large_before_it_is_sent(self, server: LocalServer) -> None:
        """A client that waits for leave to send learns that its body is too large."""
        answer = send_raw(
            server,
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n",
        )

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"body_too_large"' in answer

    def test_leave_to_send(self, server: LocalServer) -> None:
        """A client that waits for leave to send gets it."""
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw, raw.makefile("rb") as answer:
            raw.sendall(
                b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
            )

            assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
            raw.sendall(b"ab")
            assert answer.read().endswith(b'{"bytes":2}')

    @pytest.mark.parametrize("length", ["", "abc", "-1", "+5", "1_0", "1, 2", "5\r\nContent-Length: 6", "9" * 30])
    def test_length_that_is_none(self, server: LocalServer, length: str) -> None:
        """A length that is no number, or two, is refused."""
        answer = send_raw(server, f"POST /upload HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"malformed_body"' in answer

    def test_chunked(self, server: LocalServer) -> None:
        """A body of unknown length is refused, whatever length is claimed beside it."""
        answer = send_raw(
            server,
            b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        )

        assert answer.startswith(b"HTTP/1.1 411 ")
        assert b'"length_required"' in answer

    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET / HTTP/x\r\n\r\n", b"400"),
            (b"GET / HTTP/2.0\r\n\r\n", b"505"),
            (b"BREW / HTTP/1.1\r\n\r\n", b"501"),
            (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
            (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        ],
    )
    def test_malformed(self, server: LocalServer, request_bytes: bytes, status: bytes) -> None:
        """What is no request gets a problem document, too."""
        answer = send_raw(server, request_bytes)

        assert b" " + status + b" " in answer or answer.startswith(b'{"type"')
        assert b'"malformed_request"' in answer

    def test_torn_body(self, own_server: LocalServer, log: list[str]) -> None:
        """A body that breaks off never reaches the app."""
        host, port = own_server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(b"POST /upload HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
            raw.shutdown(socket.SHUT_WR)

            assert raw.recv(1) == b""
        assert log == []

    def test_app_fails(self, connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture) -> None:
        """An answer that the app cannot make is an internal error, which is logged."""
        with caplog.at_level(logging.ERROR):
            answer = ask(connection, "GET", "/broken", accept="image/png", authorization="Bearer secret")

        assert_problem(*answer, 500, "internal_error")
        assert "GET /broken" in caplog.text
        assert "secret" not in caplog.text

    def test_authorizer_refuses(self, connection: http.client.HTTPConnection) -> None:
        """What an authorizer of Chalice refuses is a problem document."""
        assert_problem(*ask(connection, "GET", "/guarded"), 401, "unauthenticated")
        assert_problem(*ask(connection, "GET", "/guarded", authorization="x"), 403, "insufficient_scope")


class TestStop:
    """Ending in order."""

    def test_running_request_finishes(self, own_server: LocalServer, gate: Gate) -> None:
        """A request that runs when the server is stopped gets its answer, and its connection ends."""
        with ThreadPoolExecutor(2) as pool, closing(connect(own_server)) as connection:
            answer = pool.submit(ask, connection, "GET", "/slow")
            gate.entered.wait(10)
            stopped = pool.submit(own_server.stop)
            gate.opened.set()
            stopped.result(10)
            _, body = answer.result(10)

            assert json.loads(body) == {"late": True}
            assert connection.sock is None or connection.sock.recv(1) == b""

    def test_request_that_takes_too_long(self, own_server: LocalServer, gate: Gate) -> None:
        """A request that outlasts the grace is cut."""
        with ThreadPoolExecutor(1) as pool, closing(connect(own_server)) as connection:
            answer = pool.submit(ask, connection, "GET", "/slow")
            gate.entered.wait(10)
            own_server.stop(grace_seconds=0)

            with pytest.raises((ConnectionError, http.client.HTTPException)):
                answer.result(10)
            gate.opened.set()

    def test_no_more_connections(self, own_server: LocalServer) -> None:
        """A stopped server takes no connection, closes the idle ones, and may be stopped again."""
        with closing(connect(own_server)) as connection:
            ask(connection, "GET", "/")
            own_server.stop()
            own_server.stop()

            assert connection.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError), closing(connect(own_server)) as other:
            other.connect()

    def test_port_is_taken(self, own_server: LocalServer, gate: Gate) -> None:
        """A port that another server has is an error of the start."""
        port = int(own_server.url.rpartition(":")[2])

        with pytest.raises(OSError, match="in use"):
            LocalServer(toy_app(gate), port=port).start()

    def test_started_again(self, gate: Gate) -> None:
        """A stopped server starts again at the same address."""
        server = LocalServer(toy_app(gate))
        with server:
            url = server.url
        with server, closing(connect(server)) as connection:
            assert server.url == url
            assert ask(connection, "GET", "/")[0].status == 200
