"""A running service of a test's own: accounts, a clock that stands still, and as many processes as a test wants."""

from __future__ import annotations

import contextlib
import itertools
from datetime import date
from decimal import Decimal
from threading import Event
from typing import TYPE_CHECKING, Final, Self

import pytest

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import ACCEPTED
from chalicelib.settings import Settings
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FixedClock
from tests.fakes.dead_letters import FakeDeadEvents
from tests.fakes.gateway import FakeGateway
from tests.fakes.memory_store import FAULTS, Fault, MemoryStore, Step, Undisturbed
from tests.fakes.outside import CALL_FAULTS


if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.services.container import Services
    from tests.fakes.outside import Call
    from tests.fakes.tables import Place, Tables

NOW: Final = "2026-11-10T12:00:00Z"
PRICES: Final = {"call": "0.01", "message": "0.01", "virtual_agent": "0.01"}
"""Of a hundredth of a unit."""
BY_INVOICE: Final = PaymentMethod(PaymentType.INVOICE)

_STORE_FAULTS: Final = {action.value: faults for action, faults in FAULTS.items()}


class World:
    """
    A service over a store in memory, where a unit of anything costs 1 euro; the clock stands still until it is set.

    With *tables* it goes on from what they hold, else it begins with the account `acme`, which pays by invoice.
    """

    _numbers = itertools.count(1)

    def __init__(self, now: str = NOW, timezone: str = "UTC", tables: Tables | None = None) -> None:
        self.clock = FixedClock(parse_instant(now))
        self.store = MemoryStore(tables=tables)
        self.gateway = FakeGateway()
        self.bus = FakeBus()
        self.dead_events = FakeDeadEvents()
        self.services = self.another("")
        if tables is None:
            self.services.catalogue.put_rate_card("standard", date(2026, 1, 1), _lines())
            self.put_account("acme", timezone)

    def another(
        self, client: str, pause: Callable[[float], None] = lambda _seconds: None, *, has_stream: bool = False
    ) -> Services:
        """Return the service as another process runs it, which waits by *pause*."""
        return build_services(
            Settings(),
            self.store.client(client),
            self.clock,
            pause=pause,
            clock=self.clock,
            gateway=self.gateway.client(client),
            bus=self.bus.client(client),
            event_dead_letters=self.dead_events,
            has_stream=has_stream,
        )

    def disturb(self, controller: Interruption) -> None:
        """Let *controller* decide what happens between steps, in the store and outside."""
        self.store.controller = controller
        self.gateway.before_call = self.bus.before_call = self.dead_events.before_call = controller.before_call

    def at(self, now: str) -> Self:
        """Set the clock."""
        self.clock.set(parse_instant(now))
        return self

    def put_account(self, account: str, timezone: str = "UTC", payment: PaymentMethod = BY_INVOICE) -> None:
        """Create an account in euros, or change how it pays."""
        self.services.accounts.put(Account(account, account, "EUR", timezone, payment, "standard", 0, {}))

    def use(
        self, amount: str, resource: str = "call", time: str | None = None, services: Services | None = None
    ) -> None:
        """Take an event that costs *amount*."""
        event = self.event(amount, resource, time)
        assert (services or self.services).metering.take([event]) == [ACCEPTED]

    def event(self, amount: str, resource: str = "call", time: str | None = None) -> UsageEvent:
        """Return an event of `acme` that costs *amount*, unlike any other."""
        instant = self.clock.now() if time is None else parse_instant(time)
        return UsageEvent("acme", "/voice", f"e-{next(self._numbers)}", instant, resource, Decimal(amount))

    def give(self, amount: str, key: str = "gift", services: Services | None = None) -> None:
        """Grant promotional credit."""
        request = GrantRequest(SHARED_POOL, Decimal(amount), None, "gift")
        (services or self.services).granting.grant("acme", request, key, "admin-7")

    def balance(self) -> str:
        """Return the balance of the shared pool."""
        return format_decimal(self.services.usage.tab("acme").figures.pool(SHARED_POOL).balance)

    def entries(self) -> list[LedgerEntry]:
        """Return the ledger, oldest first."""
        return [entry for _, entry in reversed(list(self.services.records.ledger("acme")))]

    def differences(self) -> list[str]:
        """Audit the account."""
        return self.services.auditing.audit("acme")


class Interruption(Undisturbed):
    """
    Lets *act* happen once, before step *number* of the client *client*, or has that step fail, where it can so.

    Calls to the gateway and the bus are steps, too, but none of those named in *uncounted*; *taken* names all that
    count. Legs of transactions become visible in the order given, or *backwards*.
    """

    def __init__(  # noqa: PLR0913 - what can be chosen
        self,
        number: int,
        act: Callable[[], object] | None = None,
        fault: Fault | None = None,
        client: str = "a",
        *,
        uncounted: Container[str] = (),
        backwards: bool = False,
    ) -> None:
        self.number = number
        self.taken: list[str] = []
        self._act = act
        self._fault = fault
        self._client = client
        self._uncounted = uncounted
        self._backwards = backwards

    @property
    def is_over(self) -> bool:
        """Tell whether the client came as far as the step."""
        return len(self.taken) >= self.number

    def next_leg(self, places: Sequence[Place]) -> int:
        """Choose the first, or the last."""
        return len(places) - 1 if self._backwards else 0

    def before(self, step: Step) -> Fault | None:
        """Count a step of the store."""
        return self._take(step.client, step.action.value)

    def before_call(self, call: Call) -> Fault | None:
        """Count a call to the gateway or the bus."""
        return self._take(call.client, call.name)

    def _take(self, client: str, name: str) -> Fault | None:
        if client != self._client or name in self._uncounted:
            return None
        self.taken.append(name)
        if len(self.taken) != self.number:
            return None
        if self._act is not None:
            with contextlib.suppress(BusyError):
                self._act()
        return self._fault if self._fault in _faults_of(name) else None


def patiently(seconds: float) -> None:
    """Wait, for a test whose processes are threads that stand in each other's way."""
    Event().wait(seconds)


def interruptions(taken: Sequence[str]) -> list[tuple[int, Fault]]:
    """Return every way in which one of the steps *taken* can fail: its number, from 1, and the fault."""
    return [
        (number, fault) for number, name in enumerate(taken, start=1) for fault in Fault if fault in _faults_of(name)
    ]


def refusal(act: Callable[[], object]) -> str:
    """Return the code with which *act* is refused."""
    with pytest.raises(RefusedError) as refused:
        act()
    return refused.value.code


def _faults_of(name: str) -> frozenset[Fault]:
    return _STORE_FAULTS.get(name, CALL_FAULTS)


def _lines() -> list[Line]:
    return [
        Line(f"/rows/{place}", resource, {**dict.fromkeys(COLUMNS, ""), **_row(resource, price)})
        for place, (resource, price) in enumerate(PRICES.items())
    ]


def _row(resource: str, price: str) -> dict[str, str]:
    return {"Resource": resource, "Price per increment": price, "Increment": price, "Currency": "EUR"}
