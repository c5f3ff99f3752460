"""The Chalice application: its services, and what every answer has in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chalice.app import Chalice

from chalicelib.api.problems import problem


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.tokens import TokenVerifier
    from chalicelib.services.container import Services

_CODE_OF_FRAMEWORK_ERROR = {
    "UnsupportedMediaType": "unsupported_media_type",
    "MethodNotAllowedError": "method_not_allowed",
    "BadRequest": "malformed_body",
    "BadRequestError": "malformed_body",
}


class Application(Chalice):
    """
    A Chalice application whose services are made when they are first needed.

    *connect* makes the services and the verifier of tokens; `serve` and tests hand over their own with `use`.
    """

    def __init__(self, name: str, connect: Callable[[], tuple[Services, TokenVerifier]]) -> None:
        """Name the application."""
        super().__init__(name, configure_logs=False)
        self._connect = connect
        self._connected: tuple[Services, TokenVerifier] | None = None

    def use(self, services: Services, verifier: TokenVerifier) -> None:
        """Answer from *services*, to whom *verifier* trusts."""
        self._connected = (services, verifier)

    @property
    def services(self) -> Services:
        """Return the services."""
        return self._parts[0]

    @property
    def verifier(self) -> TokenVerifier:
        """Return the judge of bearer tokens."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[Services, TokenVerifier]:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one API Gateway request: give it its id, and turn the framework's own errors into problems."""
        answer = _as_problem(super().__call__(event, context))
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = (event.get("requestContext") or {}).get("requestId") or str(uuid4())
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Cache-Control", "no-store")
        return answer


def _as_problem(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["statusCode"] < 400 or "problem+json" in str(answer["headers"].get("Content-Type")):  # noqa: PLR2004
        return answer
    try:
        body = json.loads(answer.get("body") or "{}")
    except ValueError:
        body = {}
    framework_code = body.get("Code") if isinstance(body, dict) else None
    code = _CODE_OF_FRAMEWORK_ERROR.get(framework_code or "", "internal_error")
    detail = str(body["Message"]) if code != "internal_error" else "the request could not be answered"
    return problem(code, detail).to_dict()
