"""An account with prices, free units and pools of its own, driven through all services over a store in memory."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.instants import Instant
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import Status
from chalicelib.services.write_reports import ReportKind
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore
from tests.unit.domain.builders import at


if TYPE_CHECKING:
    from chalicelib.files.report_files import ReportFiles
    from chalicelib.services.container import Services

ACCOUNT: Final = "acme"
SHARED: Final = "contact_center_services"
STORAGE: Final = "screen_recording_storage"


def _row(resource: str, description: str, price: str, increment: str, **cells: str) -> dict[str, str]:
    own = {
        "Resource": resource,
        "Description": description,
        "Price per increment": price,
        "Increment": increment,
        "Currency": "EUR",
    }
    return dict.fromkeys(COLUMNS, "") | own | cells


CARD: Final = (
    _row("call", "Calls", "0.01", "60"),
    _row("call", "Calls to Seattle", "0.0015", "6", Prefixes="1206"),
    _row("message", "=Messages", "1", "1"),
    _row("virtual_agent", "Virtual agent", "0.25", "0.4"),
    _row(STORAGE, "Storage", "0.1", "1"),
)


class Story:
    """The account `acme` in *timezone*, from the instant *start* on."""

    def __init__(
        self, timezone: str = "UTC", start: str = "2026-11-01T00:00:00Z", files: ReportFiles | None = None
    ) -> None:
        self.clock = FixedClock(at(start))
        self.store = MemoryStore()
        self.services: Services = build_services(
            Settings(), self.store, self.clock, lambda _: None, self.clock, report_files=files
        )
        lines = [Line(f"/rows/{index}", f"row {index}", cells) for index, cells in enumerate(CARD)]
        self.services.catalogue.put_rate_card("standard", date(2026, 1, 1), lines)
        self.put(timezone)
        self._granted = 0

    def put(self, timezone: str) -> None:
        """Put the account: 100 seconds, 2 gigabytes and half a message are free."""
        free = {"call": "100", "message": "0.5", STORAGE: "2"}
        units = {resource: FreeUnits(Decimal(quantity), Per.ACCOUNT) for resource, quantity in free.items()}
        method = PaymentMethod(PaymentType.INVOICE)
        self.services.accounts.put(Account(ACCOUNT, "Acme", "EUR", timezone, method, "standard", 1, units))

    def take(self, *events: UsageEvent) -> list[Status]:
        """Take events in one request."""
        return [verdict.status for verdict in self.services.metering.take(events)]

    def grant(self, amount: str, pool: str = SHARED) -> str:
        """Grant promotional credit, and name the grant."""
        self._granted += 1
        request = GrantRequest(pool, Decimal(amount), None, "")
        return self.services.granting.grant(ACCOUNT, request, f"key-{self._granted}", "test").id

    def go_to(self, instant: str | Instant, *, run_jobs: bool = True) -> None:
        """Let it be another time; the schedules run, or have not yet."""
        self.clock.set(at(instant) if isinstance(instant, str) else instant)
        if run_jobs:
            for job in self.services.jobs.jobs:
                self.services.jobs.run(job.name)

    def report(self, kind: ReportKind = ReportKind.COST, period: Period | None = None) -> list[dict[str, str]]:
        """Return the lines of a report that is an answer."""
        content = self.services.reports.report(ACCOUNT, kind, period).content
        assert content is not None
        return read(content)


def read(content: str) -> list[dict[str, str]]:
    """Read a report as a spreadsheet does."""
    assert content.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(content[1:], newline=""), strict=True))


def total(rows: list[dict[str, str]], column: str, **cells: str) -> dict[str, Decimal]:
    """Add a column up by product, of the rows that have these *cells* alone."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if all(row[name.replace("_", " ")] == value for name, value in cells.items()):
            sums[row["Usage type"]] += Decimal(row[column])
    return sums


def use(name: str, time: str | Instant, quantity: str = "1", resource: str = "call", **fields: str) -> UsageEvent:
    """Return a use of a product."""
    instant = at(time) if isinstance(time, str) else time
    return UsageEvent(ACCOUNT, "/voice", name, instant, resource, Decimal(quantity), **fields)
