"""Token keys that are fetched from an identity provider."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest

from chalicelib.api.tokens import KeysUnavailable, TokenVerifier
from chalicelib.local.signing_key import SigningKey
from chalicelib.settings import Settings


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Provider(http.server.ThreadingHTTPServer):
    """An identity provider that shows *document* with *status*."""

    def __init__(self) -> None:
        self.document = b""
        self.status = 200
        super().__init__(("127.0.0.1", 0), Page)

    @property
    def url(self) -> str:
        """The address of the key set."""
        return f"http://127.0.0.1:{self.server_address[1]}/jwks.json"


class Page(http.server.BaseHTTPRequestHandler):
    """Answer every GET with the provider's document."""

    server: Provider

    def do_GET(self) -> None:
        """Send the document."""
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Run a provider while a test asks it."""
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
        thread.start()
        yield provider
        provider.shutdown()
        thread.join()


def test_fetched(provider: Provider, tmp_path: Path) -> None:
    """The keys are those that the URL shows."""
    key = SigningKey.load_or_create(tmp_path)
    provider.document = json.dumps(key.jwks()).encode()
    verifier = TokenVerifier.from_settings(Settings(jwks_url=provider.url))

    assert verifier.authenticate(f"Bearer {key.issue_token(['admin'])}").scopes == {"admin"}


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, b'{"keys": []}'),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b'{"keys": [' + b" " * 2_000_000 + b"]}"),
    ],
)
def test_no_key_set(provider: Provider, status: int, document: bytes, tmp_path: Path) -> None:
    """An answer that is no key set, or far too long, is the service's trouble."""
    provider.status, provider.document = status, document
    verifier = TokenVerifier.from_settings(Settings(jwks_url=provider.url))

    with pytest.raises(KeysUnavailable):
        verifier.verify(SigningKey.load_or_create(tmp_path).issue_token([]))


def test_nobody_there(provider: Provider, tmp_path: Path) -> None:
    """A provider that cannot be reached is the service's trouble, too."""
    provider.server_close()
    verifier = TokenVerifier.from_settings(Settings(jwks_url=provider.url))

    with pytest.raises(KeysUnavailable):
        verifier.verify(SigningKey.load_or_create(tmp_path).issue_token([]))
