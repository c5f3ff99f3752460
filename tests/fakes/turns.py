"""Clients in threads of which one at a time takes a step, in an order that a seed decides."""

from __future__ import annotations

from random import Random
from threading import Condition, Thread
from typing import TYPE_CHECKING, TypeVar

from tests.fakes.memory_store import Action, ClientCrashedError, Fault, Step


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

R = TypeVar("R")

_WRITE_FAULTS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.REQUEST_LOST, Fault.ANSWER_LOST, Fault.CONTENTION)
_LEG_FAULTS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST)


class RandomTurns:
    """
    A controller under which every step is a chance for any other client to go first.

    A write fails with the probability *fault_rate*. The same *seed* and clients give the same schedule.
    """

    def __init__(self, seed: int, fault_rate: float = 0.0) -> None:
        self._random = Random(seed)
        self._fault_rate = fault_rate
        self._changed = Condition()
        self._waiting: set[str] = set()
        self._working = 0
        self._next: str | None = None
        self.faults = 0

    def run(self, clients: Mapping[str, Callable[[], R]]) -> dict[str, R]:
        """
        Run every client to its end, again from its start whenever it crashed, and return what each of them returned.

        A client has to use `MemoryStore.client` of its own name. What a client raises is raised here.
        """
        results: dict[str, R] = {}
        errors: list[BaseException] = []

        def live(name: str) -> None:
            try:
                self._wait_for_turn(name)
                results[name] = _until_it_survives(clients[name])
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that asked
                errors.append(error)
            finally:
                self._leave()

        self._working = len(clients)
        threads = [Thread(target=live, args=(name,)) for name in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    def before(self, step: Step) -> Fault | None:
        """Let others go first, and decide whether the step fails."""
        self._wait_for_turn(step.client)
        if not step.is_write or self._random.random() >= self._fault_rate:
            return None
        self.faults += 1
        return self._random.choice(_LEG_FAULTS if step.action is Action.LEG else _WRITE_FAULTS)

    def next_leg(self, places: Sequence[object]) -> int:
        """Choose any."""
        return self._random.randrange(len(places))

    def _wait_for_turn(self, name: str) -> None:
        with self._changed:
            self._waiting.add(name)
            self._working -= 1
            self._choose()
            self._changed.wait_for(lambda: self._next == name)
            self._next = None
            self._waiting.remove(name)
            self._working += 1

    def _leave(self) -> None:
        with self._changed:
            self._working -= 1
            self._choose()

    def _choose(self) -> None:
        if self._working == 0 and self._next is None and self._waiting:
            self._next = self._random.choice(sorted(self._waiting))
            self._changed.notify_all()


def _until_it_survives(client: Callable[[], R]) -> R:
    while True:
        try:
            return client()
        except ClientCrashedError:
            continue
