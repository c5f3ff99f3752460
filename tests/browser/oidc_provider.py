"""A small OIDC provider: discovery, authorization code with PKCE, keys and the end of a session."""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

from chalicelib.local.signing_key import SigningKey


if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

CLIENT_ID: Final = "usage-page"
AUDIENCE: Final = "usage-tab"


class OidcProvider:
    """
    Signs everybody in at once, while the context is open.

    Tokens are of *account*, None for none, and expire after *lifetime*; *refusal* answers in place of a code, and
    *nonce* in place of the one that was sent. *signed_out* are the hints of sessions that ended.
    """

    def __init__(self, home: Path) -> None:
        self._key = SigningKey.load_or_create(home)
        self._asked: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.signed_out: list[str] = []
        self.forgive()

    def forgive(self) -> None:
        """Behave well again."""
        self.account: str | None = None
        self.lifetime = timedelta(minutes=5)
        self.refusal: dict[str, str] | None = None
        self.nonce: str | None = None

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a service that trusts this provider and whose page signs in here."""
        return {
            "USAGE_TAB_JWKS_URL": f"{self.url}/keys",
            "USAGE_TAB_ISSUER": self.url,
            "USAGE_TAB_AUDIENCE": AUDIENCE,
            "USAGE_TAB_OIDC_CLIENT_ID": CLIENT_ID,
            "USAGE_TAB_OIDC_SCOPE": "openid usage",
        }

    def configuration(self) -> dict[str, str]:
        """Return the discovery document."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=t1",
            "token_endpoint": f"{self.url}/token",
            "end_session_endpoint": f"{self.url}/logout",
            "jwks_uri": f"{self.url}/keys",
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser goes with the code, or with the refusal."""
        asked = {"response_type": "code", "client_id": CLIENT_ID, "code_challenge_method": "S256", "tenant": "t1"}
        assert asked.items() <= query.items()
        assert query["scope"] == "openid usage"
        code = uuid4().hex
        self._asked[code] = query
        answer = self.refusal or {"code": code, "iss": self.url}
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return tokens for a code, once, to whom knows the verifier."""
        asked = self._asked.pop(form["code"], None)
        digest = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        expected = {"grant_type": "authorization_code", "client_id": CLIENT_ID}
        if (
            asked is None
            or digest != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
            or not expected.items() <= form.items()
        ):
            return 400, {"error": "invalid_grant", "error_description": "the code cannot be used"}
        of_issuer = {"iss": self.url, "lifetime": self.lifetime}
        scopes = ("usage:read", "credits:write")
        return 200, {
            "token_type": "Bearer",
            "access_token": self._key.issue_token(scopes, account_id=self.account, aud=AUDIENCE, **of_issuer),
            "id_token": self._key.issue_token((), aud=CLIENT_ID, nonce=self.nonce or asked["nonce"], **of_issuer),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                if parts.path == "/authorize":
                    self._redirect(provider.authorize(query))
                elif parts.path == "/logout":
                    provider.signed_out.append(query["id_token_hint"])
                    self._redirect(query["post_logout_redirect_uri"])
                elif parts.path == "/keys":
                    self._answer(200, provider._key.jwks())
                else:
                    assert parts.path == "/.well-known/openid-configuration"
                    self._answer(200, provider.configuration())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*provider.exchange(dict(parse_qsl(body))))

            def _redirect(self, address: str) -> None:
                self.send_response(302)
                self.send_header("Location", address)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _answer(self, status: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
