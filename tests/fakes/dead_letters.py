"""Dead letters that are kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from threading import Lock
from typing import Final, Generic, TypeVar

from chalicelib.bus.dead_letters import DeadEvent, DeadLettersUnavailableError, Held
from tests.fakes.outside import BeforeCall, Call, calling, undisturbed


RECEIVED_MAX: Final = 10

T = TypeVar("T")


class FakeDeadLetters(Generic[T]):
    """All letters that wait, by their receipts, in the order in which they came; *before_call* may have calls fail."""

    def __init__(self, before_call: BeforeCall = undisturbed) -> None:
        self.before_call = before_call
        self._waiting: dict[str, T] = {}
        self._held: set[str] = set()
        self._receipts = count(1)
        self._lock = Lock()

    @property
    def letters(self) -> list[T]:
        """Return all letters, held or not."""
        return list(self._waiting.values())

    def add(self, letters: Sequence[T]) -> None:
        """Put letters where nobody has to send them."""
        with self._lock:
            self._waiting.update({str(next(self._receipts)): letter for letter in letters})

    def let_time_pass(self) -> None:
        """Let all holds end, as after the death of whoever held the letters."""
        self._held.clear()

    def count(self) -> int:
        """Count the letters that nobody holds."""
        with self._calling("count"):
            return len(self._waiting) - len(self._held)

    def receive(self) -> list[Held[T]]:
        """Hold up to ten letters."""
        with self._calling("receive"):
            free = [receipt for receipt in self._waiting if receipt not in self._held][:RECEIVED_MAX]
            self._held.update(free)
            return [Held(self._waiting[receipt], receipt, receipt) for receipt in free]

    def settle(self, held: Sequence[Held[T]]) -> None:
        """Forget letters."""
        with self._calling("settle"):
            for one in held:
                self._waiting.pop(one.receipt, None)
                self._held.discard(one.receipt)

    def release(self, held: Sequence[Held[T]]) -> None:
        """Hold letters no more."""
        with self._calling("release"):
            self._held.difference_update(one.receipt for one in held)

    def _calling(self, name: str):  # noqa: ANN202 - a context manager
        return calling(self.before_call(Call("a", name)), DeadLettersUnavailableError)


class FakeDeadEvents(FakeDeadLetters[DeadEvent]):
    """The dead letters of the stream."""

    def send(self, events: Sequence[DeadEvent]) -> None:
        """Keep events."""
        with self._calling("send"):
            self.add(events)
