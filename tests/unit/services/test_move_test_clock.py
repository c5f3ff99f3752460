"""Moves of the test clock beside each other."""

from __future__ import annotations

import pytest

from chalicelib.domain.instants import HOUR, parse_instant
from chalicelib.services.clocks import StartableClock
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.services.move_test_clock import MovingTestClock
from chalicelib.services.run_jobs import Job, Jobs
from chalicelib.storage.operations import Heartbeats, StoredTestClock
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


NOON = parse_instant("2026-11-22T12:00:00Z")


def moving(overtaken_to: int | None = None) -> tuple[StoredTestClock, MovingTestClock]:
    """Return a clock at noon and what moves it; whoever asks what is due next may be overtaken at that moment."""
    store = MemoryStore()
    clock = StoredTestClock(store)
    clock.start(NOON)

    def next_due() -> None:
        if overtaken_to is not None:
            clock.move(clock.now(), overtaken_to)

    job = Job("rest", HOUR, lambda _: (), lambda _subject, _until: 0)
    return clock, MovingTestClock(clock, Jobs([job], [next_due], Heartbeats(store), clock, clock))


def test_alone() -> None:
    """The clock stands where it was moved, and the job of the last hour on the way has run."""
    clock, mover = moving()

    move = mover.move(NOON + 3 * HOUR)

    assert (move.now, clock.now()) == (NOON + 3 * HOUR, NOON + 3 * HOUR)
    assert [(run.job, run.at) for run in move.jobs] == [("rest", NOON + 3 * HOUR)]


@pytest.mark.parametrize("other", [1, 3, 5], ids=["behind", "at the same place", "beyond"])
def test_overtaken(other: int) -> None:
    """One that another has overtaken is busy, wherever the other went, and the clock stays where that put it."""
    clock, mover = moving(NOON + other * HOUR)

    with pytest.raises(BusyError):
        mover.move(NOON + 3 * HOUR)

    assert clock.now() == NOON + other * HOUR


def test_backwards() -> None:
    """The clock only goes forward."""
    _, mover = moving()

    with pytest.raises(RefusedError) as refused:
        mover.move(NOON - 1)

    assert refused.value.code == "clock_backwards"


def test_not_started_yet() -> None:
    """Time is real until the first move, which may go back and runs nothing; from then on it stands still."""
    stored = StoredTestClock(MemoryStore())
    clock = StartableClock(stored, FixedClock(NOON))
    before = clock.now()

    move = MovingTestClock(stored, Jobs([], [], Heartbeats(MemoryStore()), clock, clock)).move(NOON - HOUR)

    assert (before, move.now, move.jobs, clock.now()) == (NOON, NOON - HOUR, (), NOON - HOUR)
