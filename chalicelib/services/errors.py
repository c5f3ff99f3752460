"""What a service refuses, in the words of the API: a stable code, a sentence, and the places that are wrong."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: an RFC 6901 pointer into what was sent, and why."""

    pointer: str
    detail: str


class RefusedError(Exception):
    """
    The request is refused and nothing has changed.

    *code* is the error code of the API, *detail* a sentence for people, *faults* name the places of bad input.
    """

    def __init__(self, code: str, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        """Keep code, detail and faults."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.faults = faults


class BusyError(Exception):
    """The account or the store is too busy: nothing is half-done, and trying again is safe."""
