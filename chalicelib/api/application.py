"""The Chalice application: its services, and what every answer has in common."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote
from uuid import uuid4

from chalice.app import Chalice, Response

from chalicelib.api.calls import ANY_CONTENT
from chalicelib.api.connection import Connection
from chalicelib.api.cross_origin import CrossOrigin
from chalicelib.api.problems import JSON, problem
from chalicelib.api.rate_limit import RequestLimiter
from chalicelib.domain.names import is_name
from chalicelib.observability import is_deployed, logger, one_call
from chalicelib.secret import read_settings
from chalicelib.settings import Settings, SettingsError


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.tokens import TokenVerifier
    from chalicelib.services.container import Services
    from chalicelib.settings import OidcClient

PREFLIGHT: Final = "OPTIONS"

_CODE_OF_FRAMEWORK_ERROR = {
    "UnsupportedMediaType": "unsupported_media_type",
    "MethodNotAllowedError": "method_not_allowed",
    "BadRequest": "malformed_body",
    "BadRequestError": "malformed_body",
}


_EVENTS: Final = ("scheduled", "sqs", "kinesis", "dynamodb", "pure_lambda")
"""Whatever calls the service, except HTTP."""


class _Parts(NamedTuple):
    services: Services
    verifier: TokenVerifier | None
    limiter: RequestLimiter
    cross_origin: CrossOrigin
    oidc: OidcClient | None

    @classmethod
    def of(cls, services: Services, verifier: TokenVerifier | None, settings: Settings) -> _Parts:
        limiter = RequestLimiter(settings.requests_per_second)
        return cls(services, verifier, limiter, CrossOrigin(settings.console_origins), settings.oidc)


class Application(Chalice):
    """
    A Chalice application whose services are made when they are first needed, and anew when the settings have changed.

    *connect* makes the services and the verifier of tokens of what *read_settings* returns; *monotonic* tells seconds.
    `serve` and tests hand over their own with `use`, and they stay.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[Settings], tuple[Services, TokenVerifier | None]],
        read_settings: Callable[[], Settings] = read_settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the application."""
        super().__init__(name, configure_logs=False)
        for kind in _EVENTS:
            self.register_middleware(_observe, kind)
        self._handed_over: _Parts | None = None
        self._connection = Connection(
            lambda settings: _Parts.of(*connect(settings), settings), read_settings, monotonic
        )

    def use(
        self,
        services: Services,
        verifier: TokenVerifier | None,
        settings: Settings = Settings(),  # noqa: B008 - frozen
    ) -> None:
        """
        Answer from *services*, to whom *verifier* trusts, as many requests and to such origins as *settings* say.

        They say as well where the page signs its reader in.
        """
        self._handed_over = _Parts.of(services, verifier, settings)

    @property
    def services(self) -> Services:
        """Return the services."""
        return self._parts.services

    @property
    def verifier(self) -> TokenVerifier:
        """
        Return the judge of bearer tokens.

        Raises:
            SettingsError: where no key set is named.
        """
        verifier = self._parts.verifier
        if verifier is None:
            raise SettingsError("USAGE_TAB_JWKS_URL or USAGE_TAB_JWKS_FILE must be set")
        return verifier

    @property
    def limiter(self) -> RequestLimiter:
        """Return the judge of how many requests a client may make."""
        return self._parts.limiter

    @property
    def cross_origin(self) -> CrossOrigin:
        """Return the judge of other origins."""
        return self._parts.cross_origin

    @property
    def oidc(self) -> OidcClient | None:
        """Return where the page signs its reader in; None where tokens are handed to it."""
        return self._parts.oidc

    @property
    def _parts(self) -> _Parts:
        return self._handed_over or self._connection.get()

    def take_preflights(self) -> None:
        """
        Let every path that has a route take a browser's preflight as well.

        Chalice's own `cors` would fix one origin when the API is built, and have API Gateway answer by itself.
        """
        for path in tuple(self.routes):
            self.route(path, methods=[PREFLIGHT], content_types=ANY_CONTENT)(_preflight)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one API Gateway request: give it its id, and turn the framework's own errors into problems."""
        started = time.perf_counter()
        request = event.get("requestContext") or {}
        request_id = request.get("requestId") or str(uuid4())
        with one_call(
            request_id=request_id,
            function_request_id=getattr(context, "aws_request_id", None),
            method=request.get("httpMethod"),
            route=request.get("resourcePath"),
            account=_account_of(event),
        ):
            answer = _as_problem(super().__call__(event, context))
            _log_answer(answer, time.perf_counter() - started)
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = request_id
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Cache-Control", "no-store")
        _add(headers, self._cross_origin_headers())
        return answer

    def _cross_origin_headers(self) -> dict[str, str]:
        request = self.current_request
        if request is None:
            return {}
        origin = request.headers.get("Origin")
        headers = self.cross_origin.headers(origin)
        if request.method == PREFLIGHT:
            methods = self.routes.get(request.context["resourcePath"], {})
            headers |= self.cross_origin.preflight_headers(origin, methods)
        return headers


def _preflight(**_: str) -> Response:
    return Response("", status_code=HTTPStatus.NO_CONTENT.value)


def _add(headers: dict[str, str], more: dict[str, str]) -> None:
    """Add *more* headers; what an answer varies with adds up."""
    vary = ", ".join(part["Vary"] for part in (headers, more) if "Vary" in part)
    headers |= {**more, "Vary": vary} if vary else more


def _account_of(event: dict[str, Any]) -> str | None:
    """Return the account in the path, unless that is something that names none and might be anything."""
    account = unquote((event.get("pathParameters") or {}).get("account") or "")
    return account if is_name(account) else None


def _log_answer(answer: dict[str, Any], seconds: float) -> None:
    """Log the one line of a request: on Lambda always, elsewhere where details are wanted."""
    log = logger().info if is_deployed() else logger().debug
    log("answered", extra={"status": answer["statusCode"], "ms": round(seconds * 1000, 1)})


def _observe(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Be the middleware of everything but requests: their lines carry Lambda's id of the call."""
    with one_call(request_id=getattr(event.context, "aws_request_id", None)):
        return get_response(event)


def _as_problem(answer: dict[str, Any]) -> dict[str, Any]:
    """Return *answer*, or the problem it stands for where the framework itself made it."""
    if answer["statusCode"] < HTTPStatus.BAD_REQUEST or answer["headers"].get("Content-Type") != JSON:
        return answer
    error = json.loads(answer["body"])
    if "Code" not in error:
        return answer
    code = _CODE_OF_FRAMEWORK_ERROR.get(error["Code"], "internal_error")
    detail = "the request could not be answered" if code == "internal_error" else str(error["Message"])
    return problem(code, detail).to_dict()
