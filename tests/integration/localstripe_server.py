"""
Localstripe, a server that behaves like Stripe and keeps all in memory: `LocalStripe` runs this file as a process.

Two liberties are taken with it. It listens on the loopback address alone and writes nothing to disk. And it takes the
two parameters of a confirmation that it does not know, and does nothing about them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final, Self


if TYPE_CHECKING:
    from types import TracebackType

API_KEY: Final = "sk_test_localstripe"
STOP_SECONDS_MAX: Final = 20


class LocalStripe:
    """Runs a localstripe while the context is open."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._end()
            message = "localstripe did not start; its own words are above"
            raise RuntimeError(message)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()

    def get(self, path: str) -> Any:
        """Return what is at *path*."""
        return self._ask(path, None)

    def post(self, path: str, **form: str) -> Any:
        """Return the answer to *form*."""
        return self._ask(path, urllib.parse.urlencode(form).encode())

    def charges(self, payment_intent: str) -> list[tuple[str, int]]:
        """Return state and amount of all charges that were tried for a PaymentIntent."""
        charges = self.get("/v1/charges?limit=100")["data"]
        return [
            (charge["status"], charge["amount"]) for charge in charges if charge["payment_intent"] == payment_intent
        ]

    def _ask(self, path: str, data: bytes | None) -> Any:
        request = urllib.request.Request(self.url + path, data, {"Authorization": f"Bearer {API_KEY}"})
        with urllib.request.urlopen(request, timeout=STOP_SECONDS_MAX) as answer:
            return json.load(answer)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate(timeout=STOP_SECONDS_MAX)


def _serve() -> None:
    from aiohttp import web  # noqa: PLC0415 - only this process needs it
    from localstripe import resources  # noqa: PLC0415 - the same

    def confirm(
        id: str,  # noqa: A002 - named so by localstripe
        off_session: object = None,  # noqa: ARG001 - the parameters to leave out
        error_on_requires_action: object = None,  # noqa: ARG001
        **others: object,
    ) -> object:
        return resources.PaymentIntent._api_confirm(id, **others)

    resources.Store.dump_to_disk = lambda _store: None
    resources.extra_apis[:] = [
        (method, url, confirm if url == "/v1/payment_intents/{id}/confirm" else function)
        for method, url, function in resources.extra_apis
    ]
    # It makes its routes of that list, as soon as it is imported.
    from localstripe.server import app  # noqa: PLC0415

    # Nobody else ends this process where that of the tests is killed.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - LocalStripe reads it
        web.run_app(app, sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    _serve()
