"""A service whose account pays by card, and what must be true of its money at any time."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.bootstrap import JOB_INTERVAL
from chalicelib.bus.event_bus import EventBusUnavailableError
from chalicelib.domain.accounts import FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import SECOND
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.errors import BusyError
from chalicelib.storage.items import StoreError
from chalicelib.storage.payments import Payments
from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.unit.services.world import Interruption, World


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.auto_recharge import AutoRecharge
    from chalicelib.domain.card_payments import CardPayment
    from chalicelib.services.container import Services
    from chalicelib.services.run_jobs import JobRun
    from tests.fakes.tables import Tables

    Prepare = Callable[["CardWorld"], object]

REPAIRING: Final = ("sweep-outbox", "settle-payments")
LOST_ANSWERS_MAX: Final = 3
"""Two interruptions of a test, and a card whose answer is lost."""
UNCOUNTED: Final = frozenset({"query due"})
"""Looks into the index of due work: how many of them come before one finds something depends on the draw of an id."""
PAID: Final = {EntryKind.PURCHASE, EntryKind.AUTO_RECHARGE}


class CardWorld(World):
    """A service whose account `acme` pays with the card *token*."""

    def __init__(self, token: str = "tok_ok", tables: Tables | None = None) -> None:  # noqa: S107 - no password
        super().__init__(tables=tables)
        if tables is None:
            self.pay_with(token)

    def pay_with(self, token: str) -> None:
        """Give the account another card."""
        self.put_account("acme", payment=PaymentMethod(PaymentType.CREDIT_CARD, token))

    def buy(self, amount: str = "100", key: str = "key", services: Services | None = None) -> CardPayment:
        """Buy credit."""
        return (services or self.services).buying.purchase("acme", amount, key, "admin-7")

    def recharge_below(
        self, threshold: str = "10", amount: str = "50", limit: str | None = None, *, is_enabled: bool = True
    ) -> None:
        """Switch auto recharge on, or off."""
        rule = RechargeRule(Decimal(threshold), Decimal(amount), None if limit is None else Decimal(limit))
        self.services.auto_recharge.put("acme", rule, is_enabled=is_enabled)

    def commit(self, amount: str) -> None:
        """Commit credit for every month from today on."""
        today = self.services.accounts.get("acme").calendar.date_of(self.clock.now())
        terms = Terms(Decimal(amount), Frequency.MONTHLY, today)
        self.services.committing.put("acme", SHARED_POOL, terms, "admin-7")

    def free(self, resource: str, quantity: str) -> None:
        """Include units of a product in every month."""
        free = {resource: FreeUnits(Decimal(quantity), Per.ACCOUNT)}
        self.services.accounts.put(replace(self.services.accounts.get("acme"), free_units=free))

    @property
    def auto(self) -> AutoRecharge:
        """Return the account's auto recharge."""
        return self.services.auto_recharge.get("acme").auto

    def payments(self) -> list[CardPayment]:
        """Return all payments, the oldest first."""
        return sorted(Payments(self.store).all("acme"), key=lambda payment: payment.requested_at)

    def run(self, job: str, services: Services | None = None) -> JobRun:
        """Run a job."""
        return (services or self.services).jobs.run(job)

    def repair(self, client: str = "repair") -> None:
        """Let another process run the schedules a quarter of an hour later, and while answers get lost, later still."""
        self.store.settle()
        jobs = self.another(client).jobs
        for _ in range(LOST_ANSWERS_MAX + 1):
            self.clock.pass_by(JOB_INTERVAL)
            runs = [jobs.run(job) for job in REPAIRING]
            assert [run.failed for run in runs] == [0, 0]
            if not any(run.left for run in runs) and not self._pending():
                break
        assert not self._pending()
        assert [(run.done, run.failed, run.left) for run in map(jobs.run, REPAIRING)] == [(0, 0, 0)] * 2

    def _pending(self) -> bool:
        return any(not payment.is_settled for payment in self.payments())

    def charged(self) -> list[tuple[str, Decimal]]:
        """Return what the gateway really charged, by payment."""
        return sorted((payment, amount) for payment, amounts in self.gateway.charges.items() for amount in amounts)

    def booked(self) -> list[tuple[str, Decimal]]:
        """Return what the ledger says was paid for, by payment."""
        return sorted((entry.cause, entry.amount) for entry in self.entries() if entry.kind in PAID)

    def check(self) -> None:
        """Assert that every charge is one payment, has its credit once, and that no credit is without a charge."""
        charged = self.charged()
        assert len({payment for payment, _ in charged}) == len(charged)
        assert charged == self.booked()
        settled = sorted((one.id, one.amount) for one in self.payments() if one.balance is not None)
        assert charged == settled
        assert self.differences() == []


def copied(token: str = "tok_ok", prepare: Prepare | None = None) -> CardWorld:  # noqa: S107 - no password
    """Return a world that is quickly made, since it begins with the tables of another, which *prepare* has prepared."""
    return CardWorld(tables=_tables(token, prepare).copy())


@cache
def _tables(token: str, prepare: Prepare | None) -> Tables:
    world = CardWorld(token)
    if prepare is not None:
        prepare(world)
    return world.store.tables


def impatient(world: CardWorld, client: str) -> Services:
    """Return a process that waits by letting the clock pass."""
    return world.another(client, pause=lambda seconds: world.clock.pass_by(round(seconds * SECOND)))


def run_three_times(services: Services, job: str) -> None:
    """Run a schedule, three times."""
    for _ in range(3):
        with contextlib.suppress(StoreError):
            services.jobs.run(job)


def cut_off(world: World, number: int, fault: Fault, act: Callable[[], object], client: str = "a") -> Interruption:
    """Let step *number* of *act*, as *client* does it, end in *fault*; return what was interrupted."""
    interruption = Interruption(number, fault=fault, client=client, uncounted=UNCOUNTED)
    world.disturb(interruption)
    with contextlib.suppress(ClientCrashedError, BusyError, StoreError, EventBusUnavailableError):
        act()
    world.disturb(Interruption(0))
    assert interruption.is_over
    return interruption


def steps(world: World, act: Callable[[], object], client: str = "a") -> list[str]:
    """Return the names of the steps of *act* as *client* does it, undisturbed."""
    counting = Interruption(0, client=client, uncounted=UNCOUNTED)
    world.disturb(counting)
    act()
    world.disturb(Interruption(0))
    return counting.taken
