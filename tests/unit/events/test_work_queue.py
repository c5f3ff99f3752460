"""Jobs handed over to a queue: found by the schedule, done message by message, each retried by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from chalice.test import Client

from app import app
from chalicelib.bootstrap import build_services
from chalicelib.bus.work_queue import QueueUnavailableError, Work
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.periods import Period
from chalicelib.events.work_queue import TRIES_MAX
from chalicelib.settings import Settings
from chalicelib.storage import keys
from chalicelib.storage.items import Item, Table
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore
from tests.unit.services.world import World


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Queue:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.work: list[Work] = []
        self.dead: list[tuple[str, str]] = []
        self.is_down = False

    def send(self, work: Iterable[Work]) -> int:
        """Take work."""
        taken = list(work)
        self.work += taken
        return len(taken)

    def bury(self, body: str, reason: str) -> None:
        """Take a dead letter."""
        if self.is_down:
            raise QueueUnavailableError
        self.dead.append((body, reason))


class Fleet:
    """Three accounts in December, whose invoices of November are due, behind a queue."""

    def __init__(self) -> None:
        world = World("2026-11-22T12:00:00Z")
        for account in ("beta", "gamma"):
            world.put_account(account)
        self.store: MemoryStore = world.store
        clock = FixedClock(parse_instant("2026-12-01T02:00:00Z"))
        self.queue = Queue()
        self.services = build_services(
            Settings(), self.store.client("other"), clock, clock=clock, work_queue=self.queue, pause=lambda _: None
        )
        app.use(self.services, None)  # type: ignore[arg-type]

    def start(self) -> dict[str, Any]:
        """Let EventBridge start the job."""
        with Client(app) as client:
            event = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
            return client.lambda_.invoke("issue_invoices", event).payload

    def deliver(self, bodies: Iterable[str], tries: int = 1) -> list[str]:
        """Let SQS deliver messages, named by their places, and return the names of those that it shall bring again."""
        attributes = {"ApproximateReceiveCount": str(tries)}
        records = [
            {"messageId": str(place), "body": body, "receiptHandle": "r", "attributes": attributes}
            for place, body in enumerate(bodies)
        ]
        with Client(app) as client:
            answer = client.lambda_.invoke("do_work", {"Records": records}).payload
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def bodies(self) -> list[str]:
        """Return what lies in the queue."""
        return [msgspec.json.encode(work).decode() for work in self.queue.work]

    def invoiced(self) -> list[str]:
        """Return the accounts whose November is invoiced."""
        accounts = ("acme", "beta", "gamma")
        return [name for name in accounts if self.services.records.invoice(name, Period(2026, 11)) is not None]

    def damage(self, account: str) -> None:
        """Make the head of an account unreadable."""
        item = self.store.get(Table.STATE, keys.head(account))
        assert item is not None
        self.store.put(Table.STATE, msgspec.structs.replace(item, body=b"\xff"))


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Give a fleet behind the application."""
    yield Fleet()
    app._handed_over = None


def test_a_schedule_hands_over(fleet: Fleet) -> None:
    """The run itself does nothing but find the accounts; each is a message."""
    assert fleet.start() == {"job": "issue-invoices", "done": 0, "failed": 0, "left": 3}

    assert sorted(work.subject for work in fleet.queue.work) == ["acme", "beta", "gamma"]
    assert {work.at for work in fleet.queue.work} == {parse_instant("2026-12-01T02:00:00Z")}
    assert fleet.invoiced() == []


def test_messages_are_done(fleet: Fleet) -> None:
    """Delivered, each does its account's work; delivered twice, the second does nothing. The heartbeat adds up."""
    fleet.start()

    assert fleet.deliver([*fleet.bodies(), *fleet.bodies()]) == []

    assert fleet.invoiced() == ["acme", "beta", "gamma"]
    heartbeat = fleet.services.jobs._heartbeats.get("issue-invoices")
    assert heartbeat is not None
    assert (heartbeat.done, heartbeat.failed, heartbeat.left) == (3, 0, 0)


def test_one_that_fails_stops_no_other(fleet: Fleet) -> None:
    """It is delivered again alone, and at last lies among the dead letters with its reason, named by the job."""
    fleet.damage("beta")
    fleet.start()
    bodies = sorted(fleet.bodies())

    assert fleet.deliver(bodies) == ["1"]
    assert fleet.deliver([bodies[1]], tries=TRIES_MAX - 1) == ["0"]
    assert fleet.queue.dead == []
    assert fleet.deliver([bodies[1]], tries=TRIES_MAX) == []

    ((body, reason),) = fleet.queue.dead
    assert body == bodies[1]
    assert reason == "UnknownFormatError: head of format 255"
    assert fleet.invoiced() == ["acme", "gamma"]
    heartbeat = fleet.services.jobs._heartbeats.get("issue-invoices")
    assert heartbeat is not None
    assert [(failure.subject, failure.reason) for failure in heartbeat.failures] == [("beta", reason)]


def test_what_is_no_work_is_buried_at_once(fleet: Fleet) -> None:
    """A message that cannot be read, or names no job, would fail for ever."""
    nonsense = ["{}", "no JSON", '{"job": "none", "subject": "acme", "at": 0}']

    assert fleet.deliver(nonsense) == []

    assert [body for body, _ in fleet.queue.dead] == nonsense


def test_no_dead_letter_is_lost(fleet: Fleet) -> None:
    """Where it cannot be buried, it is delivered again."""
    fleet.queue.is_down = True

    assert fleet.deliver(["{}"], tries=TRIES_MAX) == ["0"]


def test_a_run_by_hand_hands_over_too(fleet: Fleet) -> None:
    """A run over the API finds the accounts and leaves the work to the queue."""
    run = fleet.services.jobs.run("issue-invoices")

    assert (run.done, run.failed, run.left) == (0, 0, 3)


def test_a_run_as_of_an_earlier_time_is_no_last_run(fleet: Fleet) -> None:
    """It hands its work over and leaves the heartbeat of the later run as it is."""
    fleet.start()
    before = fleet.services.jobs._heartbeats.get("issue-invoices")

    run = fleet.services.jobs.run("issue-invoices", parse_instant("2026-12-01T01:00:00Z"))

    assert run.left == 3
    assert fleet.services.jobs._heartbeats.get("issue-invoices") == before


def test_every_job_is_scheduled(fleet: Fleet) -> None:
    """What `GET /v1/jobs` lists is what EventBridge starts."""
    scheduled = {name.replace("_", "-") for name in app.handler_map}
    assert {job.name for job in fleet.services.jobs.jobs} <= scheduled


def test_without_a_queue_failures_are_named_too() -> None:
    """A run that does all by itself names the accounts that failed."""
    store = MemoryStore()
    clock = FixedClock(parse_instant("2026-12-01T02:00:00Z"))
    services = build_services(Settings(), store, clock, clock=clock)
    assert services.jobs.run("issue-invoices").done == 0
    store.put(Table.STATE, Item("account#lost", "head", body=b"\xff", due_shard="00", due_at=1))

    run = services.jobs.run("issue-invoices")

    assert (run.done, run.failed) == (0, 1)
    assert [failure.subject for failure in run.failures] == ["lost"]
