"""Calls of a client to what is outside the store, each of which can fail as the network can make it fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from tests.fakes.memory_store import ClientCrashedError, Fault


if TYPE_CHECKING:
    from collections.abc import Iterator

CALL_FAULTS: Final = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNAVAILABLE, Fault.ANSWER_LOST})


class Call(Struct, frozen=True):
    """What a *client* is about to ask for."""

    client: str
    name: str


BeforeCall = Callable[[Call], Fault | None]
"""Returns how a call is to fail, None for not at all; may wait, or let others go first."""


def undisturbed(call: Call) -> Fault | None:  # noqa: ARG001 - it treats all alike
    """Let *call* pass."""
    return None


@contextmanager
def calling(fault: Fault | None, unavailable: type[Exception]) -> Iterator[None]:
    """Do what is within, or not, and fail with *unavailable* or the end of the client as *fault* says."""
    if fault is Fault.CRASH_BEFORE:
        raise ClientCrashedError
    if fault is Fault.UNAVAILABLE:
        raise unavailable("nobody answers")
    if fault is not None and fault not in CALL_FAULTS:
        message = f"a call cannot end so: {fault}"
        raise ValueError(message)
    yield
    if fault is Fault.CRASH_AFTER:
        raise ClientCrashedError
    if fault is Fault.ANSWER_LOST:
        raise unavailable("the answer was lost")
