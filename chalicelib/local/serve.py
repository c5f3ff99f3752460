"""`usage-tab serve`: the API, the page and the schedules on this machine."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.api.tokens import Caller, KeySource, TokenVerifier, Unauthenticated
from chalicelib.bootstrap import build_services, open_store
from chalicelib.files.local import LocalReportFiles
from chalicelib.local.demo import DEMO_ACCOUNT, fill_demo
from chalicelib.local.embedded import EmbeddedStore
from chalicelib.local.scheduler import Scheduler
from chalicelib.local.server import HOST, LocalServer
from chalicelib.local.signing_key import ALL_SCOPES, SigningKey
from chalicelib.observability import configure_logs
from chalicelib.services.clocks import RealClock
from chalicelib.settings import Settings
from chalicelib.storage.operations import StoredTestClock


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chalicelib.domain.instants import Instant


def serve(  # noqa: PLR0913 - the options of the command
    *,
    port: int,
    store_url: str | None,
    data: Path | None,
    with_demo: bool,
    test_clock: Instant | None,
    say: Callable[[str], None],
) -> None:
    """
    Serve until SIGINT or SIGTERM; *store_url* None is the embedded store, *test_clock* None is real time.

    Raises:
        OSError: where the port is taken.
        EmbeddedStoreError: where the embedded store cannot start.
    """
    from app import app  # noqa: PLC0415 - registering routes takes a moment that other commands need not spend

    configure_logs()
    _check_port(port)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        endpoint = store_url or stack.enter_context(EmbeddedStore(data)).endpoint
        settings = replace(Settings.from_environment(), store=endpoint, test_clock=test_clock is not None)
        store = open_store(settings)
        store.create_tables()
        if test_clock is not None:
            StoredTestClock(store).start(test_clock)
        files = LocalReportFiles(RealClock().now)
        services = build_services(settings, store, report_files=files)
        if with_demo:
            say("filling the demo account ...")
            fill_demo(store, settings, services.clock.now())
        key = SigningKey.load_or_create()
        app.use(services, _verifier(key, settings), settings)
        server = stack.enter_context(LocalServer(app, port=port, files=files, cross_origin=app.cross_origin))
        if test_clock is None:
            stack.enter_context(Scheduler(services.jobs, services.clock))
        token = key.issue_token(ALL_SCOPES)
        account = f"&account={DEMO_ACCOUNT}" if with_demo else ""
        say(f"page   {server.url}/#token={token}{account}")
        say(f"token  {token}")
        say(f"store  {endpoint}")
        stopped.wait()
        say("stopping ...")


class _EitherVerifier(TokenVerifier):
    """Trusts this machine's own tokens, and those of the *issuer* that the settings name."""

    def __init__(self, own: TokenVerifier, issuer: TokenVerifier) -> None:
        self._own = own
        self._issuer_of_settings = issuer

    def verify(self, token: str) -> Caller:
        try:
            return self._own.verify(token)
        except Unauthenticated:
            return self._issuer_of_settings.verify(token)


def _verifier(key: SigningKey, settings: Settings) -> TokenVerifier:
    own = TokenVerifier(KeySource.from_jwks(key.jwks()))
    if settings.jwks_url is None and settings.jwks_file is None:
        return own
    return _EitherVerifier(own, TokenVerifier.from_settings(settings))


def _check_port(port: int) -> None:
    """Find out that a port is taken before anything is done."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} cannot be used: {error.strerror}"
            raise OSError(message) from error
