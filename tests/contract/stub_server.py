"""A DynamoDB endpoint that answers what it is told, or nothing."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self


if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType


class Answer(NamedTuple):
    """An HTTP answer; the connection is closed without one where *status* is 0."""

    status: int
    body: dict[str, Any]


OK: Final = Answer(200, {})
CONNECTION_CLOSED: Final = Answer(0, {})
SERVER_ERROR: Final = Answer(500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "oh"})
UNAVAILABLE: Final = Answer(503, {"__type": "com.amazon.coral.service#ServiceUnavailable", "message": "oh"})


def refusal(code: str, **members: Any) -> Answer:
    """Return the answer to a request that is refused."""
    return Answer(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **members})


def cancelled(*codes: str) -> Answer:
    """Return the answer to a transaction that was cancelled, with a reason for each leg."""
    return refusal("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


class StubServer:
    """Answers the requests of one client in the order of `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [OK]
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def will_answer(self, answers: Iterable[Answer]) -> None:
        """Answer so from now on."""
        self.answers = list(answers)
        self.requests.clear()

    def __enter__(self) -> Self:
        """Start listening."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(stub: StubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            stub.requests.append((operation, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            answer = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
            self.close_connection = True
            if answer.status == 0:
                return
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    return Handler
