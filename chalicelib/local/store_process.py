"""
The program of the embedded store's process; `chalicelib.local.embedded` starts it.

Its first argument is the descriptor of a listening socket, which it inherits, so no other process can take
the port. Standard input is a pipe that nobody writes to: it ends when the parent stops the store, and also
when the parent dies, however it dies, so the store never outlives it and still saves what it holds.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

LOAD_OR_SAVE_SECONDS_MAX: Final = 900
IDLE_CONNECTION_SECONDS: Final = 24 * 60 * 60


class PersistenceErrors(logging.Handler):
    """
    Remember that the emulator logged an error.

    It reports a state that it could not read or write in its log alone, goes on with empty tables, and would
    overwrite the unread state with them at its end.
    """

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.seen = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note the error."""
        del record
        self.seen = True


class CheckedApp:
    """The emulator's ASGI *app*, whose start or stop fails if its state was not loaded or saved."""

    def __init__(self, app: App, errors: PersistenceErrors) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take a request, or the start and the stop."""
        if scope["type"] == "lifespan":
            send = functools.partial(self._send, send)
        await self._app(scope, receive, send)

    async def _send(self, send: Send, message: Message) -> None:
        if self._errors.seen:
            phase = message["type"].removesuffix(".complete")
            message = {"type": f"{phase}.failed", "message": "the state was not loaded or saved"}
        await send(message)


async def serve(listener: int) -> None:
    """Serve the emulator on the descriptor *listener* until a SIGTERM or the end of standard input."""
    # Imported here, because the emulator reads its configuration and sets up logging at import.
    from hypercorn.asyncio import serve as serve_asgi  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=(loop, stop), name="parent-watch", daemon=True).start()

    errors = PersistenceErrors()
    for name in ("ministack", "persistence"):
        logging.getLogger(name).addHandler(errors)

    config = Config()
    config.bind = [f"fd://{listener}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1
    config.keep_alive_timeout = IDLE_CONNECTION_SECONDS
    config.keep_alive_max_requests = sys.maxsize
    config.startup_timeout = config.shutdown_timeout = LOAD_OR_SAVE_SECONDS_MAX
    await serve_asgi(CheckedApp(app, errors), config, shutdown_trigger=stop.wait)


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # Not sys.stdin.read(): its lock would be held when the interpreter ends.
    os.read(sys.stdin.fileno(), 1)
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
