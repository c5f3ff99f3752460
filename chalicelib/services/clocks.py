"""The service's clock: the real one, or a test clock that stands still until it is moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant
    from chalicelib.storage.operations import StoredTestClock


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


class StartableClock:
    """The test clock of a store; time is real until that is started."""

    def __init__(self, stored: StoredTestClock, real_clock: Clock) -> None:
        """Go by *stored*, and until then by *real_clock*."""
        self._stored = stored
        self._real_clock = real_clock

    def now(self) -> Instant:
        """Return the present instant."""
        now = self._stored.read()
        return self._real_clock.now() if now is None else now
