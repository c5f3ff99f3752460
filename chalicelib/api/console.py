"""The page, its files, and whether the service is alive."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import Call, answering, ok
from chalicelib.services.errors import RefusedError
from chalicelib.storage import keys
from chalicelib.storage.items import StoreUnavailableError, Table


routes = Blueprint(__name__)

_CONTENT_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@routes.route("/", methods=["GET"])
@answering(routes)
def get_page(call: Call) -> Response:  # noqa: ARG001 - the page is the same for everybody
    """Show the Usage page, and name all its modules at once, so that none waits for another to ask for it."""
    page = _file("index.html")
    modules = sorted(name for name in _folder() if name.endswith(".js"))
    page.headers["Link"] = ", ".join(f"<console/{name}>; rel=modulepreload" for name in modules)
    return page


@routes.route("/console/{name}", methods=["GET"])
@answering(routes)
def get_file(call: Call, name: str) -> Response:  # noqa: ARG001 - as above
    """Serve a file of the page."""
    return _file(name)


@routes.route("/health", methods=["GET"])
@answering(routes)
def get_health(call: Call) -> Response:
    """Tell whether the service and its store are there."""
    try:
        call.services.store.get(Table.STATE, keys.TEST_CLOCK)
    except StoreUnavailableError:
        return ok({"status": "unavailable", "store": "unavailable"}, status=503)
    return ok({"status": "ok", "store": "ok"})


def _file(name: str) -> Response:
    text = _read(name)
    if text is None:
        detail = f"there is no file {name!r}"
        raise RefusedError("not_found", detail)
    return Response(body=text, headers={**_HEADERS, "Content-Type": _CONTENT_TYPES[name.rpartition(".")[2]]})


@cache
def _folder() -> dict[str, str]:
    return {
        file.name: file.read_text("utf-8")
        for file in files("chalicelib").joinpath("console").iterdir()
        if file.name.rpartition(".")[2] in _CONTENT_TYPES
    }


def _read(name: str) -> str | None:
    return _folder().get(name)
