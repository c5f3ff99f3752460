"""Cross-origin requests (CORS): which other origins' pages may use the API, and what a browser is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Collection

MAX_AGE_SECONDS: Final = 7_200
"""As long as browsers remember the answer to a preflight at most."""

_HEADERS_ALLOWED: Final = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
_HEADERS_EXPOSED: Final = (
    "Content-Disposition, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-As-Of, X-Request-Id"
)


class CrossOrigin:
    """Lets the pages of some *origins* in, and says nothing to all others."""

    def __init__(self, origins: Collection[str]) -> None:
        """Let in *origins* exactly as browsers write them, such as `https://console.example`."""
        self._origins = frozenset(origins)

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return what every answer to a request of *origin* carries."""
        if not self._origins:
            return {}
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": str(origin),
            "Access-Control-Expose-Headers": _HEADERS_EXPOSED,
        }

    def preflight_headers(self, origin: str | None, methods: Collection[str]) -> dict[str, str]:
        """Return what the answer to a preflight of *origin* carries besides, on a path that takes *methods*."""
        if origin not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": _HEADERS_ALLOWED,
            "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
        }
