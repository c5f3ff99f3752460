"""One HTTP call: who calls, what was sent, and how results and errors become answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import unquote

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.api.faults import fault_of
from chalicelib.api.parameters import NAME_CHARACTERS_MAX
from chalicelib.api.problems import JSON, problem
from chalicelib.api.tokens import Caller, KeysUnavailable, Unauthenticated
from chalicelib.domain.names import is_name
from chalicelib.observability import add_log_keys, logger
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.storage.items import StoreError


if TYPE_CHECKING:
    from chalice.app import Request

    from chalicelib.api.application import Application
    from chalicelib.api.rate_limit import Allowance
    from chalicelib.services.container import Services
    from chalicelib.settings import OidcClient

RETRY_AFTER_SECONDS: Final = 1
ANY_CONTENT: Final = ["*/*"]
"""Routes take any content type: what a body is, is seen by reading it."""

T = TypeVar("T")
Handler = Callable[..., Response]


class Call:
    """What a handler needs of the request and the application."""

    def __init__(self, application: Application) -> None:
        """Look at the current request of *application*."""
        self._application = application
        self._request = cast("Request", application.current_request)
        self._allowance: Allowance | None = None

    @property
    def services(self) -> Services:
        """Return the services that do the work."""
        return self._application.services

    @property
    def oidc(self) -> OidcClient | None:
        """Return where the page signs its reader in; None where tokens are handed to it."""
        return self._application.oidc

    @property
    def body(self) -> bytes:
        """Return the body as it was sent."""
        return cast("bytes", self._request.raw_body or b"")

    @property
    def query(self) -> Mapping[str, str]:
        """Return the query parameters; of one that is repeated the last."""
        return self._request.query_params or {}

    def header(self, name: str) -> str | None:
        """Return a header, whatever its case."""
        return cast("str | None", self._request.headers.get(name))

    def address_of(self, path: str) -> str:
        """Return the whole address of a *path* that begins with `/v1/`, as the caller has to write it."""
        stage = str(self._request.context.get("path", "")).partition("/v1/")[0]
        scheme = self.header("X-Forwarded-Proto") or "http"
        return f"{scheme}://{self.header('Host') or 'localhost'}{stage}{path}"

    def require(self, scope: str) -> Caller:
        """
        Return the caller, who must have *scope*.

        Raises:
            Unauthenticated: without a token that can be trusted.
            RefusedError: `too_many_requests`, `insufficient_scope`.
        """
        return _with_scope(self._authenticate(), scope)

    def require_for_account(self, scope: str, account: str, *, is_new: bool = False) -> Caller:
        """
        Return the caller, who must have *scope* and be of *account* or of none; one that *is_new* may be misnamed yet.

        Raises:
            Unauthenticated: without a token that can be trusted.
            RefusedError: `too_many_requests`, `not_found` for another account than the token's, `insufficient_scope`.
        """
        caller = self._authenticate()
        is_others = caller.account_id not in (None, account)
        if not is_others:
            _with_scope(caller, scope)
        if is_others or not (is_new or is_name(account)):
            raise RefusedError("not_found", f"there is no account {account[:NAME_CHARACTERS_MAX]!r}")
        return caller

    def require_operator(self, scope: str) -> Caller:
        """
        Return the caller, who must have *scope* for everybody: a customer's token never has.

        Raises:
            Unauthenticated: without a token that can be trusted.
            RefusedError: `too_many_requests`, `insufficient_scope`.
        """
        caller = self.require(scope)
        if caller.account_id is not None:
            raise RefusedError("insufficient_scope", "a token of one account cannot do this")
        return caller

    @property
    def rate_limit_headers(self) -> Mapping[str, str]:
        """Return what a caller is told of the requests left; nothing before it is known who it is."""
        return {} if self._allowance is None else self._allowance.headers

    def _authenticate(self) -> Caller:
        caller = self._application.verifier.authenticate(self.header("Authorization"))
        if caller.account_id is not None:
            add_log_keys(caller=caller.account_id)
        # All users of a customer are one client.
        client = ("subject", caller.subject) if caller.account_id is None else ("account", caller.account_id)
        self._allowance = self._application.limiter.take(client)
        if not self._allowance.is_granted:
            raise RefusedError("too_many_requests", "more requests than this client may make; try again later")
        return caller

    def read(self, kind: type[T]) -> T:
        """
        Read the body as JSON of the shape *kind*.

        Raises:
            RefusedError: `malformed_body` for what is no JSON, `invalid_request` for another shape.
        """
        try:
            try:
                return msgspec.json.decode(self.body, type=kind)
            except msgspec.ValidationError as error:
                fault = fault_of(error, self.body, kind)
                raise RefusedError("invalid_request", fault.detail, (fault,)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError("malformed_body", f"the body is not JSON: {error}") from error


def _with_scope(caller: Caller, scope: str) -> Caller:
    if scope not in caller.scopes:
        raise RefusedError("insufficient_scope", f"the token needs the scope {scope}")
    return caller


def answering(routes: Blueprint) -> Callable[[Handler], Handler]:
    """Return the decorator of *routes*' handlers: it passes a `Call` and decoded path parameters, and maps errors."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def answer(**path: str) -> Response:
            call = Call(cast("Application", routes.current_app))
            response = _answer(handler, call, path)
            response.headers.update(call.rate_limit_headers)
            return response

        return answer

    return decorate


def _answer(handler: Handler, call: Call, path: Mapping[str, str]) -> Response:
    try:
        return handler(call, **{name: unquote(value) for name, value in path.items()})
    except RefusedError as error:
        return problem(error.code, error.detail, error.faults)
    except KeysUnavailable as error:
        return _busy(error.detail)
    except Unauthenticated as error:
        return problem("unauthenticated", error.detail, headers={"WWW-Authenticate": "Bearer"})
    except (BusyError, StoreError) as error:
        logger().warning("busy: %s", error)
        return _busy("the service is busy; nothing is half-done, try again")
    except Exception:  # noqa: BLE001 - whatever it is, the caller gets an answer and the operator a trace
        logger().exception("request failed")
        return problem("internal_error", "the request could not be answered")


def _busy(detail: str) -> Response:
    return problem("busy", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def ok(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with *body* as JSON."""
    content: dict[str, Any] = {"Content-Type": JSON, **(headers or {})}
    return Response(body=msgspec.json.encode(body).decode(), status_code=status, headers=content)
