"""A service over a store in memory with the account `acme`, which is charged for storage; its clock is set by hand."""

from __future__ import annotations

from copy import copy
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.charges import Charge
from chalicelib.domain.figures import ProductFigures
from chalicelib.domain.instants import Instant, parse_instant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.notifications import Notification
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import Verdict
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import Controller, MemoryStore


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.services.container import Services

STORAGE: Final = "screen_recording_storage"
CALENDAR_JOBS: Final = ("expire-credit", "recharge-commitments", "compute-storage-peaks", "issue-invoices")
JOBS: Final = (*CALENDAR_JOBS, "settle-payments", "sweep-outbox")
CARD: Final = (
    (STORAGE, "", "1", "1"),
    (STORAGE, "cold", "0.25", "10"),
    ("call", "", "1", "1"),
    ("message", "", "1", "1"),
)


class BusInMemory:
    """Keeps what was published; *is_down* makes it fail."""

    def __init__(self) -> None:
        self.published: list[Notification] = []
        self.is_down = False

    def publish(self, notifications: Sequence[Notification]) -> None:
        """Keep *notifications*."""
        if self.is_down:
            raise ConnectionError
        self.published += notifications

    def ids(self) -> list[str]:
        """Return the different ids that were published, sorted."""
        return sorted({notification.id for notification in self.published})


class PeakWorld:
    """
    The service and what a test does with it; *rows* are resource, type, price and increment of rate rows.

    Nothing runs by itself: neither a job nor, where the *bus* is down, what a commit causes.
    """

    def __init__(
        self,
        now: str = "2026-11-10T12:00:00Z",
        timezone: str = "UTC",
        free_units: Mapping[str, str] | None = None,
        card_token: str | None = None,
        rows: Sequence[tuple[str, str, str, str]] = CARD,
    ) -> None:
        self.clock = FixedClock(parse_instant(now))
        self.store = MemoryStore()
        self.bus = BusInMemory()
        self.services = self.another("")
        self._timezone = timezone
        self._events = 0
        self.put_rates("2010-01-01", rows)
        self.put_account(free_units, card_token)

    def copy(self, controller: Controller | None = None) -> PeakWorld:
        """Return a world that begins as this one is now and goes its own way, disturbed by *controller*."""
        twin = copy(self)
        twin.clock = FixedClock(self.clock.now())
        twin.store = MemoryStore(controller, self.store.tables.copy())
        twin.bus = BusInMemory()
        twin.bus.published = list(self.bus.published)
        twin.services = twin.another("")
        return twin

    def another(self, client: str) -> Services:
        """Return the service as the process *client* runs it."""
        return build_services(
            Settings(),
            self.store.client(client),
            self.clock,
            pause=lambda seconds: None,  # noqa: ARG005 - nobody waits
            clock=self.clock,
            bus=self.bus,
        )

    def put_rates(self, effective_from: str, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """Put a version of the rate card."""
        lines = [
            Line(f"/rows/{place}", f"line {place}", {**dict.fromkeys(COLUMNS, ""), **_cells(*row)})
            for place, row in enumerate(rows)
        ]
        self.services.catalogue.put_rate_card("standard", date.fromisoformat(effective_from), lines)

    def put_account(self, free_units: Mapping[str, str] | None = None, card_token: str | None = None) -> None:
        """Create or replace the account, which pays by invoice where it has no card."""
        kind = PaymentType.INVOICE if card_token is None else PaymentType.CREDIT_CARD
        units = {resource: FreeUnits(Decimal(free), Per.ACCOUNT) for resource, free in (free_units or {}).items()}
        method = PaymentMethod(kind, card_token)
        self.services.accounts.put(Account("acme", "Acme", "EUR", self._timezone, method, "standard", 0, units))

    def share_storage(self) -> None:
        """Include storage in the shared pool."""
        product = DEFAULT_CATALOGUE[STORAGE]
        shared = {name: getattr(product, name) for name in product.__struct_fields__} | {"has_own_pool": False}
        self.services.catalogue.put_product(type(product)(**shared))

    def at(self, now: str | Instant) -> PeakWorld:
        """Set the clock."""
        self.clock.set(parse_instant(now) if isinstance(now, str) else now)
        return self

    def event(
        self,
        quantity: str,
        time: str | None = None,
        resource: str = STORAGE,
        kind: str | None = None,
        name: str | None = None,
    ) -> UsageEvent:
        """Return an event, of now where no *time* is given."""
        self._events += 1
        instant = self.clock.now() if time is None else parse_instant(time)
        return UsageEvent(
            "acme", "/storage", name or f"e-{self._events}", instant, resource, Decimal(quantity), type=kind
        )

    def take(self, *events: UsageEvent) -> list[str]:
        """Take events in one request and return what became of each."""
        return [told(verdict) for verdict in self.services.metering.take(events)]

    def sample(self, quantity: str, time: str | None = None, kind: str | None = None) -> None:
        """Take a sample."""
        assert self.take(self.event(quantity, time, kind=kind)) == ["accepted"]

    def use(self, amount: str, time: str | None = None, resource: str = "call") -> None:
        """Take an event that costs *amount*."""
        assert self.take(self.event(amount, time, resource)) == ["accepted"]

    def grant(self, amount: str, key: str, expires_on: str | None = None, pool: str = STORAGE) -> str:
        """Grant credit and return its id."""
        last = None if expires_on is None else date.fromisoformat(expires_on)
        return self.services.granting.grant("acme", GrantRequest(pool, Decimal(amount), last, "test"), key, "me").id

    def run(self, job: str) -> int:
        """Run a job and return how many subjects it did something for."""
        run = self.services.jobs.run(job)
        assert run.failed == 0
        return run.done

    def run_all(self) -> dict[str, int]:
        """Run the calendar's jobs in their order."""
        return {job: self.run(job) for job in CALENDAR_JOBS}

    def row(self, period: str | None = None, resource: str = STORAGE) -> ProductFigures | None:
        """Return the row of a product in the tab."""
        tab = self.services.usage.tab("acme", None if period is None else Period.parse(period))
        return next((product for product in tab.figures.products if product.resource == resource), None)

    def money(self, period: str | None = None) -> tuple[str, str, str]:
        """Return amount, credits and what is to be invoiced of storage."""
        row = self.row(period)
        assert row is not None
        return format_decimal(row.amount), format_decimal(row.credits), format_decimal(row.to_be_invoiced)

    def peak(self, period: str | None = None) -> tuple[str, str]:
        """Return the peak's day and quantity."""
        row = self.row(period)
        assert row is not None
        assert row.peak is not None
        return str(row.peak.on), format_decimal(row.peak.quantity)

    def balance(self, pool: str = STORAGE) -> str:
        """Return the balance of a pool now, "0" where it does not show."""
        pools = self.services.usage.tab("acme").figures.pools
        return next((format_decimal(figures.balance) for figures in pools if figures.pool == pool), "0")

    def past_balance(self, at: str, pool: str = STORAGE) -> str | None:
        """Return the balance of a pool as of *at*, None where it did not show."""
        pools, _ = self.services.past_balances.balances("acme", parse_instant(at))
        return next((format_decimal(figures.balance) for figures in pools if figures.pool == pool), None)

    def quantity(self, period: str, resource: str = "call") -> str:
        """Return the quantity of a product in a month, "0" where there is none."""
        row = self.row(period, resource)
        return "0" if row is None else format_decimal(row.quantity)

    def recorded(self, period: str) -> list[Charge]:
        """Return every charge that is recorded in a month, in the order of charging."""
        head = self.services.heads.load("acme")
        assert head is not None
        month = Period.parse(period)
        takings = self.services.auditing._pages.in_order_of_charge(head, month)
        return [charge for taking in takings for charge in taking.charges if charge.period == month]


def told(verdict: Verdict) -> str:
    """Return the code of a verdict, or that the event was accepted."""
    return verdict.code or verdict.status.value


def _cells(resource: str, kind: str, price: str, increment: str) -> dict[str, str]:
    return {
        "Resource": resource,
        "Type": kind,
        "Price per increment": price,
        "Increment": increment,
        "Currency": "EUR",
    }
