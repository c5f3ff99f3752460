"""A Stripe that answers what it is told, late or not at all, and keeps what it is asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl


if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class Answer(NamedTuple):
    """An HTTP answer; without a *status* the connection is closed instead, or left hanging if *is_late*."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    is_late: bool = False


class Request(NamedTuple):
    """A request, its form decoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: dict[str, str]


CONNECTION_CLOSED: Final = Answer(0)
NO_ANSWER: Final = Answer(0, is_late=True)


def intent(status: str, **members: Any) -> Answer:
    """Return the answer that shows a PaymentIntent."""
    return Answer(200, json.dumps({"id": "pi_1", "object": "payment_intent", "status": status, **members}).encode())


def failure(status: int, *, headers: Mapping[str, str] | None = None, **error: Any) -> Answer:
    """Return the answer to a request that fails."""
    return Answer(status, json.dumps({"error": {"message": "no such pm_secret", **error}}).encode(), headers or {})


class StripeStub:
    """Answers requests in the order of the answers it is given, the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.is_over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """The address to give to the gateway."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def keys(self) -> list[str]:
        """The idempotency keys of all requests."""
        return [request.headers["Idempotency-Key"] for request in self.requests]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path of all requests."""
        return [(request.method, request.path) for request in self.requests]

    def will_answer(self, *answers: Answer) -> None:
        """Answer so from now on."""
        self.answers = list(answers)

    def __enter__(self) -> Self:
        """Start listening."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(stub: StripeStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            stub.requests.append(Request(self.command, self.path, self.headers, dict(parse_qsl(body))))
            answer = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
            self.close_connection = True
            if answer.is_late:
                stub.is_over.wait()
            if answer.status == 0:
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    return Handler
