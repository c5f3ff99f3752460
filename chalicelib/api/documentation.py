"""The API's description and the page that shows it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering
from chalicelib.api.problems import JSON


if TYPE_CHECKING:
    from chalice.app import Chalice


routes = Blueprint(__name__)

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@routes.route("/openapi.json", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_description(call: Call) -> Response:  # noqa: ARG001 - it is the same for everybody
    """Show this description of the API, as OpenAPI 3.1."""
    from chalicelib.api.openapi.document import description  # noqa: PLC0415 - few ask for it, and it takes time to load

    return _answer(description(_app()).decode(), JSON)


@routes.route("/docs", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_documentation(call: Call) -> Response:  # noqa: ARG001 - as above
    """Show the description as a page."""
    from chalicelib.api.openapi.page import page  # noqa: PLC0415 - as above

    return _answer(page(_app()), "text/html; charset=utf-8")


@routes.route("/docs/style.css", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_documentation_style(call: Call) -> Response:  # noqa: ARG001 - as above
    """Serve the style sheet of that page."""
    style = files("chalicelib.api.openapi").joinpath("style.css").read_text("utf-8")
    return _answer(style, "text/css; charset=utf-8")


def _app() -> Chalice:
    app: Chalice = routes.current_app
    return app


def _answer(text: str, content_type: str) -> Response:
    return Response(body=text, headers={**_HEADERS, "Content-Type": content_type})
