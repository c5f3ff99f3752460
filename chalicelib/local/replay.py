"""`usage-tab replay`: the dead letters that the settings name put back, with a progress bar and a summary."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress

from chalicelib.bootstrap import open_dead_work, open_event_dead_letters, open_given_up_batches, open_work_queue
from chalicelib.events.metering_stream import take_records
from chalicelib.services.clocks import RealClock
from chalicelib.services.replay_dead_letters import Replay, replay_batches, replay_events, replay_work


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.services.container import Services
    from chalicelib.settings import Settings

NAMED_MAX: Final = 20
"""Letters that are left and named one by one."""


class NothingToReplayError(Exception):
    """The settings name no dead letters."""


def replay_dead_letters(
    settings: Settings, services: Services, say: Callable[[str], None], *, is_trial: bool = False
) -> bool:
    """
    Put back what the settings name, batches, events and then work, and tell whether no letter is left.

    Raises:
        NothingToReplayError: where they name neither.
        DeadLettersUnavailableError, QueueUnavailableError: where a queue cannot be reached.
    """
    events = open_event_dead_letters(settings)
    batches, work, queue = open_given_up_batches(settings), open_dead_work(settings), open_work_queue(settings)
    replays = []
    if batches is not None:
        take = partial(take_records, replace(services, event_dead_letters=events))
        with _progress("batches", batches.count()) as progress:
            replays.append(("batches", replay_batches(take, batches, progress, is_trial=is_trial)))
    if events is not None:
        with _progress("events", events.count()) as progress:
            replays.append(("events", replay_events(services.metering, events, progress, is_trial=is_trial)))
    if work is not None and queue is not None:
        jobs = [job.name for job in services.jobs.jobs]
        with _progress("work", work.count()) as progress:
            now = RealClock().now()
            replays.append(("work", replay_work(queue, jobs, work, now, progress, is_trial=is_trial)))
    if not replays:
        message = (
            "there is nothing to replay: name the dead letters of the stream by --queue or "
            "USAGE_TAB_EVENT_DEAD_LETTERS, its batches by USAGE_TAB_METERING_DEAD_LETTERS, "
            "those of jobs by USAGE_TAB_DEAD_LETTERS and USAGE_TAB_WORK_QUEUE"
        )
        raise NothingToReplayError(message)
    for kind, replay in replays:
        _tell(kind, replay, say, is_trial=is_trial)
    return not any(replay.left for _, replay in replays)


@contextmanager
def _progress(kind: str, total: int) -> Iterator[Callable[[int], None]]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"replaying {kind}", total=total or None)
        yield lambda seen: bar.update(task, completed=seen)


def _tell(kind: str, replay: Replay, say: Callable[[str], None], *, is_trial: bool) -> None:
    done = ", ".join(f"{number} {what}" for what, number in sorted(replay.done.items())) or "none put back"
    say(f"{kind}{' (dry run)' if is_trial else ''}: {done}, {len(replay.left)} left")
    for left in replay.left[:NAMED_MAX]:
        say(f"left: {left.id}: {left.reason}")
    if len(replay.left) > NAMED_MAX:
        say(f"left: {len(replay.left) - NAMED_MAX} more")
