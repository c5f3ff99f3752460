"""
Dead letters: what could not be taken, kept with its reason until the cause is mended, 14 days at the longest.

Work of jobs, events of the stream, and batches of the stream on which the function itself has failed lie in queues of
their own. An event may lie there twice: its id tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec import Struct

from chalicelib.domain.instants import Instant


if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class DeadEvent(Struct, frozen=True):
    """
    An event as it came, in *body*, whatever that is.

    *id* names its place in the stream, *code* and *detail* say why it was not taken; *arrived_at* is when the stream
    was given it.
    """

    id: str
    body: bytes
    code: str
    detail: str
    arrived_at: Instant


class DeadWork(Struct, frozen=True):
    """A message of the work queue that failed for good, why, and when it was put among the dead letters."""

    id: str
    body: str
    reason: str
    buried_at: Instant


class DeadBatch(Struct, frozen=True):
    """The *records* of a batch that the stream still has, as a function is given them; *is_whole*: these are all."""

    id: str
    records: list[dict[str, Any]]
    is_whole: bool


class Held(Struct, Generic[T], frozen=True):
    """
    A *letter* that is given to nobody else for a while.

    *message* is the same whenever it is received; *receipt* is what it is settled or released by.
    """

    letter: T
    message: str
    receipt: str


class DeadLettersUnavailableError(Exception):
    """The letters cannot be reached, or not all were dealt with; doing the same again is safe."""


class DeadLetters(Protocol[T]):
    """
    Dead letters of one kind.

    Every method may raise `DeadLettersUnavailableError`.
    """

    def count(self) -> int:
        """Return about how many letters there are to receive."""
        ...

    def receive(self) -> list[Held[T]]:
        """Return some of the letters that nobody holds, and hold them for a while; none: there are no more."""
        ...

    def settle(self, held: Sequence[Held[T]]) -> None:
        """Forget letters that are dealt with."""
        ...

    def release(self, held: Sequence[Held[T]]) -> None:
        """Let others have letters at once; one that is not held any more is passed over."""
        ...


class DeadEvents(DeadLetters[DeadEvent], Protocol):
    """The dead letters of the stream."""

    def send(self, events: Sequence[DeadEvent]) -> None:
        """Keep *events*, of any size and content."""
        ...
