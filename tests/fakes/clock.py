"""A clock for tests: it stands still until it is set."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant


class FixedClock:
    """Tells the time it was given."""

    def __init__(self, at: Instant) -> None:
        self._at = at

    def now(self) -> Instant:
        """Return the time it was given."""
        return self._at

    def set(self, at: Instant) -> None:
        """Stand at another time, earlier or later."""
        self._at = at

    def pass_by(self, duration: Instant) -> None:
        """Go forward by *duration*, microseconds."""
        self._at += duration
