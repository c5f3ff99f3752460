"""The queue that fans a job's work out: each subject of a job is a message and a unit of retry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from chalicelib.domain.instants import Instant


if TYPE_CHECKING:
    from collections.abc import Iterable


class Work(Struct, frozen=True):
    """What a job has to do for one subject: all that is due by *at*."""

    job: str
    subject: str
    at: Instant


class QueueUnavailableError(Exception):
    """Not all messages were taken; handing the work over again is safe."""


class WorkQueue(Protocol):
    """Takes work to be done by whoever is free."""

    def send(self, work: Iterable[Work]) -> int:
        """
        Hand *work* over, in batches, and count it.

        Raises:
            QueueUnavailableError: where not all of it was taken.
        """
        ...

    def bury(self, body: str, reason: str) -> None:
        """
        Put a message that failed for good among the dead letters, with the *reason*.

        Raises:
            QueueUnavailableError: where it was not taken.
        """
        ...
