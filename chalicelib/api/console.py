"""The page, its files, and whether the service is alive."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.services.errors import RefusedError
from chalicelib.storage import keys
from chalicelib.storage.items import StoreUnavailableError, Table


if TYPE_CHECKING:
    from chalicelib.settings import OidcClient


routes = Blueprint(__name__)

_CONTENT_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}
_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_NO_OIDC: Final = '<meta name="oidc" content="null">'


@routes.route("/", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_page(call: Call) -> Response:
    """
    Show the Usage page, with where its reader signs in.

    Its headers name all its modules at once, so that none waits for another to ask for it.
    """
    page = _file("index.html", call.oidc)
    page.body = page.body.replace(_NO_OIDC, _NO_OIDC.replace("null", _show(call.oidc)))
    modules = sorted(name for name in _folder() if name.endswith(".js"))
    page.headers["Link"] = ", ".join(f"<console/{name}>; rel=modulepreload" for name in modules)
    return page


@routes.route("/console/{name}", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_file(call: Call, name: str) -> Response:
    """Serve a file of the page."""
    return _file(name, call.oidc)


@routes.route("/health", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_health(call: Call) -> Response:
    """Tell whether the service and its store are there."""
    try:
        call.services.store.get(Table.STATE, keys.TEST_CLOCK)
    except StoreUnavailableError:
        return ok({"status": "unavailable", "store": "unavailable"}, status=503)
    return ok({"status": "ok", "store": "ok"})


def _show(oidc: OidcClient | None) -> str:
    """Write it as JSON in an attribute."""
    return escape(msgspec.json.encode(oidc).decode())


def _file(name: str, oidc: OidcClient | None) -> Response:
    text = _folder().get(name)
    if text is None:
        detail = f"there is no file {name!r}"
        raise RefusedError("not_found", detail)
    headers: dict[str, str | list[str]] = {
        **_HEADERS,
        "Content-Security-Policy": _policy(oidc),
        "Content-Type": _CONTENT_TYPES[name.rpartition(".")[2]],
    }
    return Response(body=text, headers=headers)


def _policy(oidc: OidcClient | None) -> str:
    """Return what the page may load: from its own address alone, and where it signs in, the issuer's answers."""
    if oidc is None:
        return _POLICY
    scheme, host, *_ = urlsplit(oidc.issuer)
    return f"{_POLICY}; connect-src 'self' {scheme}://{host}"


@cache
def _folder() -> dict[str, str]:
    return {
        file.name: file.read_text("utf-8")
        for file in files("chalicelib").joinpath("console").iterdir()
        if file.name.rpartition(".")[2] in _CONTENT_TYPES
    }
