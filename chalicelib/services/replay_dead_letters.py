"""Putting dead letters back once the cause is mended: events into metering, work into its queue."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from chalicelib.bus.work_queue import Work
from chalicelib.services.meter_events import Arrived, Metering, Status, Verdict
from chalicelib.services.receive_events import decide, read_event


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from chalicelib.bus.dead_letters import DeadBatch, DeadEvent, DeadLetters, DeadWork, Held
    from chalicelib.bus.work_queue import WorkQueue
    from chalicelib.domain.instants import Instant
    from chalicelib.services.receive_events import Reading
    from chalicelib.services.run_jobs import Progress

T = TypeVar("T")


class Left(NamedTuple):
    """A dead letter that stays where it is, and why."""

    id: str
    reason: str


class Replay(Struct, frozen=True):
    """What became of dead letters: how many are dealt with, by what was done, and those that are *left*."""

    done: dict[str, int]
    left: tuple[Left, ...]


def replay_events(
    metering: Metering, letters: DeadLetters[DeadEvent], progress: Progress, *, is_trial: bool = False
) -> Replay:
    """
    Let *metering* take the events among *letters*, each judged as of its arrival at the stream.

    One that is taken, or was before, is forgotten. Safe to be killed, and to be run again. A trial changes nothing.

    Raises:
        DeadLettersUnavailableError: where the letters cannot be reached.
    """

    def put_back(events: Sequence[DeadEvent]) -> list[str | Left]:
        readings = [read_event(event.body, event.arrived_at) for event in events]
        verdicts = decide(readings, lambda arrived: metering.take_each(arrived, is_trial=is_trial))
        return [_outcome(*judged) for judged in zip(events, readings, verdicts, strict=True)]

    return _replay(letters, put_back, progress, is_trial=is_trial)


def replay_batches(
    take: Callable[[list[dict[str, Any]]], bool],
    letters: DeadLetters[DeadBatch],
    progress: Progress,
    *,
    is_trial: bool = False,
) -> Replay:
    """
    Let *take* have the records of the batches among *letters*; it tells whether all of them are dealt with.

    Safe to be killed, and to be run again. A trial takes nothing.

    Raises:
        DeadLettersUnavailableError: where the letters cannot be reached.
    """

    def put_back(batches: Sequence[DeadBatch]) -> list[str | Left]:
        return [_put_back_batch(batch) for batch in batches]

    def _put_back_batch(batch: DeadBatch) -> str | Left:
        if not (is_trial or take(batch.records)):
            return Left(batch.id, "not all of it could be dealt with")
        return "taken" if batch.is_whole else Left(batch.id, "not all its records are in the stream any more")

    return _replay(letters, put_back, progress, is_trial=is_trial)


def replay_work(  # noqa: PLR0913 - what it needs, and how it is told
    queue: WorkQueue,
    jobs: Collection[str],
    letters: DeadLetters[DeadWork],
    now: Instant,
    progress: Progress,
    *,
    is_trial: bool = False,
) -> Replay:
    """
    Put the work among *letters* back into its *queue*, but for what names none of *jobs*.

    What is buried after *now* has failed again and is left. Safe to be killed, and to be run again: work that is done
    twice is done once. A trial changes nothing.

    Raises:
        DeadLettersUnavailableError: where the letters cannot be reached.
        QueueUnavailableError: where the queue cannot.
    """

    def put_back(buried: Sequence[DeadWork]) -> list[str | Left]:
        read = [_read_work(one, jobs, now) for one in buried]
        if not is_trial:
            queue.send([work for work in read if isinstance(work, Work)])
        return ["put back" if isinstance(work, Work) else work for work in read]

    return _replay(letters, put_back, progress, is_trial=is_trial)


def _replay(
    letters: DeadLetters[T], put_back: Callable[[Sequence[T]], list[str | Left]], progress: Progress, *, is_trial: bool
) -> Replay:
    """Receive each letter once; settle it where *put_back* says what it did with it, else release it at the end."""
    done: Counter[str] = Counter()
    left: dict[str, Left] = {}
    seen: set[str] = set()
    holding: dict[str, Held[T]] = {}
    try:
        while held := letters.receive():
            holding.update({one.message: one for one in held})
            fresh = [one for one in held if one.message not in seen]  # in a long run, holds end
            outcomes = put_back([one.letter for one in fresh])
            left.update({outcome.id: outcome for outcome in outcomes if isinstance(outcome, Left)})
            done.update(outcome for outcome in outcomes if isinstance(outcome, str))
            dealt_with = [one for one, outcome in zip(fresh, outcomes, strict=True) if isinstance(outcome, str)]
            if not is_trial:
                letters.settle(dealt_with)
                for one in dealt_with:
                    del holding[one.message]
            seen.update(one.message for one in fresh)
            progress(len(seen))
    finally:
        letters.release(list(holding.values()))
    return Replay(dict(done), tuple(left.values()))


def _outcome(event: DeadEvent, reading: Reading, verdict: Verdict) -> str | Left:
    if verdict.status in {Status.ACCEPTED, Status.DUPLICATE}:
        return str(verdict.status.value)
    reason = "the account is too busy" if verdict.status is Status.UNDECIDED else f"{verdict.code}: {verdict.detail}"
    account = f"account {reading.event.account}: " if isinstance(reading, Arrived) else ""
    return Left(event.id, account + reason)


def _read_work(buried: DeadWork, jobs: Collection[str], now: Instant) -> Work | Left:
    try:
        work = msgspec.json.decode(buried.body, type=Work)
    except msgspec.DecodeError:
        return Left(buried.id, f"no work of a job: {buried.reason}")
    if work.job not in jobs:
        return Left(buried.id, f"there is no job {work.job!r}: {buried.reason}")
    if buried.buried_at > now:
        return Left(buried.id, f"{work.job} failed for {work.subject} meanwhile: {buried.reason}")
    return work
