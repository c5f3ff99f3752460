"""
Bearer tokens: who calls, and what they may do.

A token is a JWT, signed with RS256 or ES256 by a key of the configured key set (JWKS). It is judged by the
real clock, whatever the service's own clock says. Nothing of a token's content appears in a message.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import urllib3

from chalicelib.observability import logger
from chalicelib.settings import SettingsError


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jwt import PyJWK

    from chalicelib.settings import Settings

LEEWAY_SECONDS: Final = 30
TOKEN_CHARACTERS_MAX: Final = 8_192
RSA_BITS_MIN: Final = 2_048
TOKENS_REMEMBERED_MAX: Final = 1_000

KEY_SET_BYTES_MAX: Final = 1_000_000
FETCH_SECONDS_MAX: Final = 3
_ONCE: Final = urllib3.Retry(connect=0, read=0, redirect=2)
KEY_SET_AGE_SECONDS_MAX: Final = 15 * 60
RELOAD_INTERVAL_SECONDS: Final = 60
"""The least time between two loads, however many tokens name an unknown key."""
FIRST_LOAD_INTERVAL_SECONDS: Final = 5
"""The same as long as no load has succeeded."""

_EXPIRED: Final = "the token has expired"
_KEY_TYPES: Final = {"RS256": ("RSA", None), "ES256": ("EC", "P-256")}


class Unauthenticated(Exception):  # noqa: N818 - named like the answer's code
    """The request carries no token that can be trusted; *detail* says why, to the caller."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class KeysUnavailable(Unauthenticated):
    """The key set cannot be had, so no token can be judged: the service's trouble, not the caller's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; with an *account_id* it is a customer's user, who reaches that account alone."""

    subject: str
    scopes: frozenset[str]
    account_id: str | None


def bearer_token(authorization: str | None) -> str:
    """
    Take the token out of an Authorization header.

    Raises:
        Unauthenticated: without a header, or with another scheme.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not token:
        message = "a bearer token is required"
        raise Unauthenticated(message)
    if scheme.lower() != "bearer":
        message = "the Authorization header must use the Bearer scheme"
        raise Unauthenticated(message)
    return token.strip()


class KeySource:
    """
    Find the key that signed a token in a key set, which is loaded when first needed and kept.

    It is loaded again when it is old and when a token names a key that it lacks, and kept when that fails.
    Threads may share a source; a thread whose key is known never waits for another one's load.
    """

    def __init__(self, load: Callable[[], Any], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: tuple[PyJWK, ...] | None = None
        self._loaded_at = 0.0
        self._tried_at: float | None = None

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any]) -> KeySource:
        """Use a key set that is at hand."""
        return cls(lambda: jwks)

    @classmethod
    def from_file(cls, path: Path) -> KeySource:
        """Use a JWKS file."""
        return cls(lambda: json.loads(path.read_bytes()))

    @classmethod
    def from_url(cls, url: str) -> KeySource:
        """Use the JWKS document at *url*."""
        return cls(lambda: _fetch(url))

    def find(self, key_id: str | None, algorithm: str) -> PyJWK:
        """
        Return the key with that id, or for a token without one the only key of its algorithm.

        Raises:
            KeysUnavailable: while no key set could be loaded.
            Unauthenticated: if the key set has no such key.
        """
        key = self._choose(key_id, algorithm)
        if key is None or self._monotonic() - self._loaded_at > KEY_SET_AGE_SECONDS_MAX:
            self._reload(wait=key is None)
            key = self._choose(key_id, algorithm)
        if self._keys is None:
            message = "the keys that tokens are checked with cannot be had"
            raise KeysUnavailable(message)
        if key is None:
            message = "the token is signed with an unknown key"
            raise Unauthenticated(message)
        return key

    def _choose(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        of_algorithm = [key for key in self._keys or () if key.algorithm_name == algorithm]
        if key_id is None:
            return of_algorithm[0] if len(of_algorithm) == 1 else None
        return next((key for key in of_algorithm if key.key_id == key_id), None)

    def _reload(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            now = self._monotonic()
            interval = FIRST_LOAD_INTERVAL_SECONDS if self._keys is None else RELOAD_INTERVAL_SECONDS
            if self._tried_at is not None and now - self._tried_at < interval:
                return
            self._tried_at = now
            keys = self._loaded_keys()
            if keys is not None:
                self._keys, self._loaded_at = keys, now
        finally:
            self._lock.release()

    def _loaded_keys(self) -> tuple[PyJWK, ...] | None:
        try:
            return _usable_keys(self._load())
        except (OSError, ValueError, RecursionError, urllib3.exceptions.HTTPError) as error:
            logger().warning("the token keys cannot be loaded: %s", type(error).__name__)
            return None


class TokenVerifier:
    """
    Check tokens; *issuer* and *audience* only where they are given.

    A token that was found good is remembered: as long as its key is in the key set and it has not expired by *clock*,
    seconds since the epoch, its signature is not checked again.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._judge = lru_cache(maxsize=TOKENS_REMEMBERED_MAX)(self._judge_anew)

    @classmethod
    def from_settings(cls, settings: Settings) -> TokenVerifier:
        """
        Check tokens as the settings say.

        Raises:
            SettingsError: if they name no key set.
        """
        if settings.jwks_url is not None:
            keys = KeySource.from_url(settings.jwks_url)
        elif settings.jwks_file is not None:
            keys = KeySource.from_file(settings.jwks_file)
        else:
            message = "USAGE_TAB_JWKS_URL or USAGE_TAB_JWKS_FILE must be set"
            raise SettingsError(message)
        return cls(keys, issuer=settings.issuer, audience=settings.audience)

    def authenticate(self, authorization: str | None) -> Caller:
        """
        Tell who sent an Authorization header.

        Raises:
            Unauthenticated: if its token cannot be trusted, for whatever reason.
        """
        return self.verify(bearer_token(authorization))

    def verify(self, token: str) -> Caller:
        """
        Tell whose token it is.

        Raises:
            Unauthenticated: if it cannot be trusted, for whatever reason.
        """
        if len(token) > TOKEN_CHARACTERS_MAX:
            message = "the token is too long"
            raise Unauthenticated(message)
        key_id, algorithm = _header(token)
        # The key set may have lost the key since, so that the key is sought every time.
        caller, expires = self._judge(token, self._keys.find(key_id, algorithm), algorithm)
        if expires <= self._clock() - LEEWAY_SECONDS:
            raise Unauthenticated(_EXPIRED)
        return caller

    def _judge_anew(self, token: str, key: PyJWK, algorithm: str) -> tuple[Caller, int]:
        """Return whose token it is and until when; only what is trusted is remembered."""
        claims = self._claims(token, key, algorithm)
        return _caller(claims), int(claims["exp"])

    def _claims(self, token: str, key: PyJWK, algorithm: str) -> Mapping[str, Any]:
        import jwt  # noqa: PLC0415 - with its cryptography it is slow to load, and schedules need none

        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp"], "verify_aud": self._audience is not None},
            )
        except jwt.ExpiredSignatureError:
            message = _EXPIRED
        except jwt.ImmatureSignatureError:
            message = "the token is not valid yet"
        except jwt.InvalidSignatureError:
            message = "the token's signature does not match"
        except jwt.MissingRequiredClaimError as error:
            message = f"the token has no claim {error.claim}"
        except jwt.InvalidIssuerError:
            message = "the token is another issuer's"
        except jwt.InvalidAudienceError:
            message = "the token is for another audience"
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            message = "the token is malformed"
        else:
            return claims
        raise Unauthenticated(message)


@lru_cache(maxsize=TOKENS_REMEMBERED_MAX)
def _header(token: str) -> tuple[str | None, str]:
    import jwt  # noqa: PLC0415 - see above

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        message = "the token is malformed"
        raise Unauthenticated(message) from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
        message = f"the token must be signed with {' or '.join(_KEY_TYPES)}"
        raise Unauthenticated(message)
    return header.get("kid"), algorithm


def _caller(claims: Mapping[str, Any]) -> Caller:
    expires = claims["exp"]
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        message = "the token's claim exp must be a number"
        raise Unauthenticated(message)
    # Present but empty is no leave to reach every account.
    if "account_id" in claims and not _is_text(claims["account_id"]):
        message = "the token's claim account_id must be a string"
        raise Unauthenticated(message)
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        message = "the token's claim scope must be a string"
        raise Unauthenticated(message)
    return Caller(
        subject=claims.get("sub") or "unknown",
        scopes=frozenset(scope.split()),
        account_id=claims.get("account_id"),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _usable_keys(jwks: Any) -> tuple[PyJWK, ...]:
    import jwt  # noqa: PLC0415 - see above

    documents = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(documents, list):
        message = "not a JWKS document"
        raise ValueError(message)  # noqa: TRY004 - a wrong document, not a wrong call
    keys = []
    for document in documents:
        algorithm = _algorithm(document)
        if algorithm is None:
            continue
        try:
            key = jwt.PyJWK.from_dict(document, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            # A key set may hold keys for other purposes.
            continue
        if document["kty"] != "RSA" or key.key.key_size >= RSA_BITS_MIN:
            keys.append(key)
    return tuple(keys)


def _algorithm(document: Any) -> str | None:
    if not isinstance(document, dict) or document.get("use", "sig") != "sig" or "d" in document:
        return None
    for algorithm, (key_type, curve) in _KEY_TYPES.items():
        fits = document.get("kty") == key_type and document.get("crv") == curve
        if fits and document.get("alg", algorithm) == algorithm:
            return algorithm
    return None


def _fetch(url: str) -> Any:
    with urllib3.request("GET", url, timeout=FETCH_SECONDS_MAX, retries=_ONCE, preload_content=False) as response:
        if response.status != HTTPStatus.OK:
            raise ValueError("not the key set's address")
        return json.loads(response.read(KEY_SET_BYTES_MAX))
