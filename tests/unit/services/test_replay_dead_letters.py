"""Dead letters put back: events once each, as of their arrival; work into its queue; what cannot be stays."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from chalicelib.bus.dead_letters import DeadEvent, DeadLettersUnavailableError, DeadWork
from chalicelib.bus.work_queue import QueueUnavailableError, Work
from chalicelib.domain.instants import DAY, HOUR, format_instant
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.usage_events import AGE_MAX
from chalicelib.services.replay_dead_letters import Left, Replay, replay_events, replay_work
from chalicelib.services.run_jobs import no_progress
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.unit.services.world import Interruption, World, interruptions


_numbers = itertools.count(1)


def dead(world: World, quantity: str = "1", *, account: str = "acme", age: int = 0, **members: Any) -> DeadEvent:
    """Return a dead event that arrived when it happened, *age* ago; a unit costs 1."""
    number = next(_numbers)
    at = world.clock.now() - age
    event = {
        "specversion": "1.0",
        "id": f"dead-{number}",
        "source": "/voice",
        "type": "call",
        "subject": account,
        "time": format_instant(at),
        "data": {"quantity": quantity},
        **members,
    }
    return DeadEvent(f"letter-{number}", json.dumps(event).encode(), "unknown_account", "no such account", at)


def replayed(world: World, *, is_trial: bool = False) -> Replay:
    """Replay the events."""
    return replay_events(world.services.metering, world.dead_events, no_progress, is_trial=is_trial)


def used(world: World, account: str = "acme") -> str:
    """Return what an account owes."""
    return str(-world.services.usage.tab(account).figures.pool(SHARED_POOL).balance)


class TestEvents:
    """Events of the stream."""

    def test_accepted_duplicate_and_still_rejected(self) -> None:
        """What is taken, or was before, is forgotten; what is still rejected stays, and is told with its reason."""
        world = World()
        letters = [dead(world, "2"), dead(world, account="nobody"), dead(world, "4"), dead(world, "-1")]
        world.dead_events.add([*letters, letters[0]])

        replay = replayed(world)

        assert replay.done == {"accepted": 2, "duplicate": 1}
        unknown, invalid = replay.left
        assert unknown == Left(letters[1].id, "account nobody: unknown_account: there is no such account")
        assert invalid.id == letters[3].id
        assert invalid.reason.startswith("invalid_event: /data/quantity: ")
        assert world.dead_events.letters == [letters[1], letters[3]]
        assert used(world) == "6"

    def test_after_the_cause_is_mended(self) -> None:
        """Run again, it takes what had to wait, as of its arrival: no letter grows too old among the dead."""
        world = World()
        letters = [dead(world, "2", account="late", age=AGE_MAX), dead(world, "3", account="late", age=30 * DAY)]
        world.dead_events.add(letters)
        assert [left.id for left in replayed(world).left] == [letter.id for letter in letters]
        assert world.dead_events.count() == 2

        world.put_account("late")
        world.clock.pass_by(13 * DAY)
        replay = replayed(world)

        assert (replay.done, replay.left) == ({"accepted": 2}, ())
        assert used(world, "late") == "5"
        assert world.services.auditing.audit("late") == []
        assert world.dead_events.letters == []
        assert replayed(world) == Replay({}, ())

    def test_age_as_of_the_arrival(self) -> None:
        """What was too old or ahead of its time when it came is so for ever."""
        world = World()
        too_old = msgspec.structs.replace(dead(world, age=AGE_MAX + DAY), arrived_at=world.clock.now())
        ahead = dead(world, age=2 * HOUR)
        ahead = msgspec.structs.replace(ahead, arrived_at=ahead.arrived_at - HOUR)
        world.dead_events.add([too_old, ahead])

        reasons = [left.reason for left in replayed(world).left]

        assert [reason.split(": ")[1] for reason in reasons] == ["too_old", "in_future"]

    def test_a_letter_twice(self) -> None:
        """A letter that lies there twice counts once, and left is told of once."""
        world = World()
        taken, left = dead(world, "2"), dead(world, account="nobody")
        world.dead_events.add([taken, left, left, taken])

        replay = replayed(world)

        assert replay.done == {"accepted": 1, "duplicate": 1}
        assert [one.id for one in replay.left] == [left.id]
        assert world.dead_events.letters == [left, left]

    def test_more_than_are_received_at_once(self) -> None:
        """All letters are looked at, whatever stays of the first of them; progress is told."""
        world = World()
        world.dead_events.add([dead(world, account="nobody") for _ in range(15)])
        world.dead_events.add([dead(world) for _ in range(15)])
        told: list[int] = []

        replay = replay_events(world.services.metering, world.dead_events, told.append)

        assert (replay.done, len(replay.left)) == ({"accepted": 15}, 15)
        assert told == [10, 20, 30]

    def test_letters_that_come_back_meanwhile(self) -> None:
        """In a run so long that holds end, each letter is looked at once, and the run ends."""
        world = World()
        letters = [dead(world, account="nobody") for _ in range(25)]
        world.dead_events.add(letters)

        ends = iter([lambda: None, world.dead_events.let_time_pass])
        replay = replay_events(world.services.metering, world.dead_events, lambda _seen: next(ends, lambda: None)())

        assert [left.id for left in replay.left] == [letter.id for letter in letters]
        assert world.dead_events.count() == 25

    def test_a_trial(self) -> None:
        """A trial tells what would become of them, and changes nothing."""
        world = World()
        letters = [dead(world, "2"), dead(world, account="nobody"), dead(world, type="telex")]
        world.dead_events.add([*letters, letters[0]])

        trial = replayed(world, is_trial=True)

        assert trial.done == {"accepted": 1, "duplicate": 1}
        assert [left.id for left in trial.left] == [letters[1].id, letters[2].id]
        assert used(world) == "0"
        assert world.dead_events.count() == 4
        assert replayed(world) == trial

    def test_a_busy_account(self) -> None:
        """Where the store is not to be reached, letters stay."""
        world = World()
        world.dead_events.add([dead(world)])
        world.disturb(Interruption(1, fault=Fault.UNAVAILABLE, client=""))

        (left,) = replayed(world).left

        assert left.reason == "account acme: the account is too busy"
        assert replayed(world).done == {"accepted": 1}

    def test_killed_anywhere(self) -> None:
        """Whatever step a run dies at, another one later puts all right."""
        taken = _runs()[1].taken
        assert {"receive", "settle", "release", "put"} <= set(taken)
        for number, fault in interruptions(taken):
            world, _ = _runs(number, fault)
            assert used(world) == "7", (number, fault)
            assert [letter.code for letter in world.dead_events.letters] == ["unknown_account"], (number, fault)
            assert world.dead_events.count() == 1, (number, fault)
            assert world.differences() == [], (number, fault)


def _runs(number: int = 0, fault: Fault | None = None) -> tuple[World, Interruption]:
    """Replay in a process that is interrupted at its step *number*, and, once holds have ended, in another."""
    world = World()
    world.use("1")
    world.dead_events.add([dead(world, "2"), dead(world, account="nobody"), dead(world, "4")])
    interruption = Interruption(number, fault=fault)
    world.disturb(interruption)
    with suppress(ClientCrashedError, DeadLettersUnavailableError):
        replay_events(world.another("a").metering, world.dead_events, no_progress)
    world.disturb(Interruption(0))
    world.dead_events.let_time_pass()
    replay_events(world.another("b").metering, world.dead_events, no_progress)
    return world, interruption


class Queue:
    """Keeps the work it is sent, unless it is down."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.work: list[Work] = []
        self._is_down = is_down

    def send(self, work: Iterable[Work]) -> int:
        """Take work."""
        if self._is_down:
            raise QueueUnavailableError
        self.work += work
        return len(self.work)

    def bury(self, body: str, reason: str) -> None:
        """Nobody buries here."""
        raise NotImplementedError


class TestWork:
    """Work of jobs."""

    NOW = 1_000

    def letters(self, *bodies: str, at: int = 1_000) -> FakeDeadLetters[DeadWork]:
        """Return the dead letters of the work queue."""
        letters: FakeDeadLetters[DeadWork] = FakeDeadLetters()
        letters.add([DeadWork(f"m-{place}", body, "KeyError: x", at) for place, body in enumerate(bodies)])
        return letters

    def test_put_back(self) -> None:
        """Work goes back into its queue as it was; what is none, or of no job, stays."""
        works = [Work("audit", "acme", 7), Work("audit", "beta", 7), Work("none", "acme", 7)]
        letters = self.letters(*(msgspec.json.encode(work).decode() for work in works), "{}")
        queue = Queue()

        replay = replay_work(queue, ["audit"], letters, self.NOW, no_progress)

        assert queue.work == works[:2]
        assert replay.done == {"put back": 2}
        assert replay.left == (
            Left("m-2", "there is no job 'none': KeyError: x"),
            Left("m-3", "no work of a job: KeyError: x"),
        )
        assert [letter.id for letter in letters.letters] == ["m-2", "m-3"]

    def test_what_fails_again_meanwhile(self) -> None:
        """Work that is buried while the run lasts is not put back in turn for ever."""
        letters = self.letters('{"job": "audit", "subject": "acme", "at": 7}', at=self.NOW + 1)

        replay = replay_work(Queue(), ["audit"], letters, self.NOW, no_progress)

        assert replay.left == (Left("m-0", "audit failed for acme meanwhile: KeyError: x"),)

    def test_a_trial(self) -> None:
        """A trial puts nothing back."""
        letters = self.letters('{"job": "audit", "subject": "acme", "at": 7}')
        queue = Queue()

        replay = replay_work(queue, ["audit"], letters, self.NOW, no_progress, is_trial=True)

        assert (replay.done, queue.work, letters.count()) == ({"put back": 1}, [], 1)

    def test_the_queue_is_down(self) -> None:
        """What cannot be put back stays, for the next run."""
        letters = self.letters('{"job": "audit", "subject": "acme", "at": 7}')

        with pytest.raises(QueueUnavailableError):
            replay_work(Queue(is_down=True), ["audit"], letters, self.NOW, no_progress)

        assert letters.count() == 1
