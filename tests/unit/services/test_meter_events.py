"""Metering over a store whose answers get lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.instants import SECOND, parse_instant
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import AGE_MAX, UsageEvent
from chalicelib.services.meter_events import ACCEPTED, Arrived, Status
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import Action, Fault, MemoryStore, Step, Undisturbed
from tests.unit.services.world import World


if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = parse_instant("2026-11-22T12:00:00Z")
CELLS: Final = {"Resource": "call", "Price per increment": "1", "Increment": "1", "Currency": "EUR"}


class _LosesOneAnswer(Undisturbed):
    """Once armed, loses the answer to the next write of a head."""

    armed = False

    def before(self, step: Step) -> Fault | None:
        """Let reads and other writes pass."""
        if self.armed and step.action in {Action.PUT, Action.TRANSACT} and "head" in repr(step.places):
            self.armed = False
            return Fault.ANSWER_LOST
        return None


def test_an_event_that_grows_too_old_while_it_is_taken_is_accepted() -> None:
    """The age of an event is judged once: after a lost answer it is still found and reported as accepted."""
    controller, clock = _LosesOneAnswer(), FixedClock(NOW)
    lets_time_pass: Callable[[float], None] = lambda _seconds: clock.pass_by(SECOND)  # noqa: E731 - a pause
    services = build_services(Settings(), MemoryStore(controller), pause=lets_time_pass, clock=clock)
    line = Line("/rows/0", "line 2", {**dict.fromkeys(COLUMNS, ""), **CELLS})
    services.catalogue.put_rate_card("standard", date(2020, 1, 1), [line])
    by_invoice = PaymentMethod(PaymentType.INVOICE)
    services.accounts.put(Account("acme", "Acme", "EUR", "Etc/UTC", by_invoice, "standard", 0, {}))
    event = UsageEvent("acme", "/voice", "1", NOW - AGE_MAX, "call", Decimal(60))
    controller.armed = True

    verdicts = services.metering.take([event])

    assert not controller.armed
    assert verdicts == [ACCEPTED]
    assert services.usage.tab("acme").figures.products[0].quantity == 60


class TestEachByItself:
    """Events of which one may not hinder the others."""

    def test_one_that_nobody_has_foreseen(self) -> None:
        """It is found among the others of its account and rejected alone; they count once."""
        world = World()
        events = [world.event("1") for _ in range(9)]
        events[4] = world.event("NaN")

        verdicts = world.services.metering.take_each([Arrived(event) for event in events])

        assert [verdict.status for verdict in verdicts] == [Status.ACCEPTED] * 4 + [Status.REJECTED] + [
            Status.ACCEPTED
        ] * 4
        assert verdicts[4].code == "internal_error"
        assert world.balance() == "-8"

    def test_each_as_of_its_own_arrival(self) -> None:
        """Of two events of one age the one that came in time is taken."""
        world = World()
        event = world.event("1", time="2026-10-01T00:00:00Z")
        in_time, late = event.time + AGE_MAX, event.time + AGE_MAX + 1
        assert late < world.clock.now()

        verdicts = world.services.metering.take_each(
            [Arrived(event, in_time), Arrived(replace(event, id="other"), late)]
        )

        assert [verdict.code for verdict in verdicts] == [None, "too_old"]

    def test_a_trial(self) -> None:
        """A trial gives the verdicts, and leaves everything as it is."""
        world = World()
        events = [world.event("1"), world.event("1", resource="telex")]
        arrived = [Arrived(event) for event in [*events, events[0]]]
        before = world.store.tables.fingerprint

        trial = world.services.metering.take_each(arrived, is_trial=True)

        assert world.store.tables.fingerprint == before
        assert trial == world.services.metering.take_each(arrived)
        assert world.store.tables.fingerprint != before
        assert [verdict.code for verdict in trial] == [None, "unknown_resource", "duplicate"]
