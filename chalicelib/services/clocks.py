"""The service's clock: the real one, or a test clock that stands still until it is moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant


class Clock(Protocol):
    """Tells the time that everything but tokens and times to live goes by."""

    def now(self) -> Instant:
        """Return the present instant."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> Instant:
        """Return the present instant."""
        return time.time_ns() // 1_000
