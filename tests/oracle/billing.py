"""
An account worked out once more, by other means than the product's: fractions, local dates, full scans.

Months and days are those that a clock on the wall of the account's zone shows; nothing is kept but plain numbers.
A month counts as invoiced from an hour after its end. Figures come out as texts, written as the API writes them.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.oracle.decimals import exact_or_12_decimals, half_up, read, write
from tests.oracle.rates import Row, in_force, narrowest, read_card


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SHARED_POOL = "contact_center_services"
KINDS = ("committed", "promotional", "purchased")
GRACE = timedelta(hours=1)

Month = tuple[int, int]


@dataclass(frozen=True)
class Event:
    """A use of a product; *fields* holds what rate rows match on."""

    time: datetime
    resource: str
    quantity: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Grant:
    """Credit; *last_day* is the last local day on which it counts."""

    id: str
    pool: str
    kind: str
    amount: str
    effective: datetime
    last_day: date | None = None
    left: Fraction = Fraction(0)


@dataclass
class Charge:
    """What became of an event: `None` as *row* where nothing on the card matches it, and all else is zero."""

    row: int | None
    month: str = ""
    is_late: bool = False
    billed: Fraction = Fraction(0)
    free: Fraction = Fraction(0)
    amount: Fraction = Fraction(0)
    payments: list[tuple[str, Fraction]] = field(default_factory=list)


@dataclass
class Usage:
    """The sums of a product in a month."""

    quantity: Fraction = Fraction(0)
    billed: Fraction = Fraction(0)
    free: Fraction = Fraction(0)
    amount: Fraction = Fraction(0)
    credit: Fraction = Fraction(0)

    @property
    def open(self) -> Fraction:
        """Return what is to be invoiced."""
        return self.amount - self.credit


class Account:
    """
    One customer. Feed it with `take` and `grant` in the order of their instants and ask for `months`.

    *versions* are the rows of the rate card by the dates they are effective from, *free_units* the units of each
    resource that a month includes, *own_pools* the resources with a pool of their own, *daily_peaks* those charged for
    their highest sample. Months before that of *since* count as invoiced.
    """

    def __init__(  # noqa: PLR0913 - all that an account is made of
        self,
        timezone: str,
        versions: Mapping[date, Sequence[Row]],
        free_units: Mapping[str, str] | None = None,
        *,
        own_pools: Iterable[str] = (),
        daily_peaks: Iterable[str] = (),
        since: datetime | None = None,
        minor_digits: int = 2,
    ) -> None:
        self.zone = ZoneInfo(timezone)
        self.versions = versions
        self.free_units = {resource: read(units) for resource, units in (free_units or {}).items()}
        self.own_pools = set(own_pools)
        self.daily_peaks = set(daily_peaks)
        self.highest: dict[tuple[Month, str], Event] = {}
        self.peaks: dict[tuple[Month, str], Charge] = {}
        self.since = None if since is None else self.month_of(since)
        self.minor_digits = minor_digits
        self.usage: dict[tuple[Month, str], Usage] = defaultdict(Usage)
        self.grants: list[Grant] = []

    def day_of(self, moment: datetime) -> date:
        """Return the local date."""
        return moment.astimezone(self.zone).date()

    def month_of(self, moment: datetime) -> Month:
        """Return the local month."""
        day = self.day_of(moment)
        return day.year, day.month

    def pool_of(self, resource: str) -> str:
        """Name the pool that pays for *resource*."""
        return resource if resource in self.own_pools else SHARED_POOL

    def take(self, events: Iterable[Event], at: datetime | None = None) -> list[Charge]:
        """Charge the events of one request, by time and then as given; *at* is None where each is taken at its time."""
        in_order = sorted(events, key=lambda event: event.time.astimezone(UTC))
        charges = []
        for event in in_order:
            self.wait(at or event.time)
            charge = self._sample if event.resource in self.daily_peaks else self._charge
            charges.append(charge(event, at or event.time))
        return charges

    def wait(self, until: datetime) -> None:
        """Charge the peaks of all windows that are over by an instant."""
        for month, resource in sorted(self.highest):
            if (month, resource) not in self.peaks and self._the_28th(month) <= until:
                self._charge_peak(month, resource, self._the_28th(month))

    def _the_28th(self, month: Month) -> datetime:
        return datetime(*month, 28, tzinfo=self.zone).astimezone(UTC)

    def grant(self, grant: Grant) -> list[tuple[str, Fraction]]:
        """Book credit as of its effect: it pays what is open in that month, and the rest is kept."""
        self.wait(grant.effective)
        grant.left = read(grant.amount)
        paid = []
        for month, resource in sorted(self.usage):
            usage = self.usage[month, resource]
            part = min(usage.open, grant.left)
            if month == self.month_of(grant.effective) and self.pool_of(resource) == grant.pool and part:
                usage.credit += part
                grant.left -= part
                paid.append((resource, part))
                if (month, resource) in self.peaks:
                    self.peaks[month, resource].payments.append((grant.id, part))
        self.grants.append(grant)
        return paid

    def _charge(self, event: Event, at: datetime) -> Charge:
        rows = in_force(self.versions, self.day_of(event.time)) or []
        matching = narrowest(rows, {"resource": event.resource, **event.fields})
        if not matching:
            return Charge(None)
        (index,) = matching
        own_month = self.month_of(event.time)
        month = max(own_month, self.month_of(at.astimezone(UTC) - GRACE), self.since or own_month)
        usage = self.usage[month, event.resource]
        price, increment = read(rows[index]["Price per increment"]), read(rows[index]["Increment"])
        quantity = read(event.quantity)
        billed = ceil(quantity / increment) * increment
        unused = max(self.free_units.get(event.resource, Fraction(0)) - usage.free, Fraction(0))
        free = min(billed, unused)
        amount = exact_or_12_decimals(price * (billed - free) / increment)
        payments = self._pay(amount, self.pool_of(event.resource), month, at)
        usage.quantity += quantity
        usage.billed += billed
        usage.free += free
        usage.amount += amount
        usage.credit += sum(part for _, part in payments)
        return Charge(index, written(month), month != own_month, billed, free, amount, payments)

    def _sample(self, event: Event, at: datetime) -> Charge:
        """Keep a sample, which costs nothing by itself; from the 28th on its month's peak is charged anew."""
        matching = narrowest(
            in_force(self.versions, self.day_of(event.time)) or [], {"resource": event.resource, **event.fields}
        )
        if not matching:
            return Charge(None)
        day = self.day_of(event.time)
        month = (day.year, day.month) if day.day <= 27 else self.month_of(event.time + timedelta(days=4))
        oldest_open = max(self.month_of(at.astimezone(UTC) - GRACE), self.since or month)
        if month < oldest_open:
            return Charge(matching[0], written(oldest_open), is_late=True)
        key = month, event.resource
        samples = [self.highest[key], event] if key in self.highest else [event]
        highest = max(read(sample.quantity) for sample in samples)
        self.highest[key] = min(
            (sample for sample in samples if read(sample.quantity) == highest), key=lambda sample: sample.time
        )
        if self.highest[key] is event and at >= self._the_28th(month):
            self._charge_peak(month, event.resource, at)
        return Charge(matching[0], written(month))

    def _charge_peak(self, month: Month, resource: str, at: datetime) -> None:
        """Charge the highest sample; of what was paid before stays what is still owed, the rest goes back."""
        event = self.highest[month, resource]
        rows = in_force(self.versions, self.day_of(event.time)) or []
        (index,) = narrowest(rows, {"resource": resource, **event.fields})
        price, increment = read(rows[index]["Price per increment"]), read(rows[index]["Increment"])
        quantity = read(event.quantity)
        billed = ceil(quantity / increment) * increment
        free = min(billed, self.free_units.get(resource, Fraction(0)))
        amount = exact_or_12_decimals(price * (billed - free) / increment)
        before = self.peaks.get((month, resource))
        owed = amount
        payments = []
        for name, part in before.payments if before else []:
            kept = min(part, owed)
            owed -= kept
            payments.append((name, kept))
            (paying,) = (grant for grant in self.grants if grant.id == name)
            paying.left += part - kept
        payments += self._pay(owed, self.pool_of(resource), month, at)
        credit = sum((part for _, part in payments), Fraction(0))
        self.peaks[month, resource] = Charge(index, written(month), False, billed, free, amount, payments)  # noqa: FBT003 - not late
        self.usage[month, resource] = Usage(quantity, billed, free, amount, credit)

    def _pay(self, amount: Fraction, pool: str, month: Month, at: datetime) -> list[tuple[str, Fraction]]:
        payments = []
        while amount and (grants := [grant for grant in self.grants if self._pays(grant, pool, month, at)]):
            first = min(
                grants,
                key=lambda grant: (
                    grant.last_day or date.max,
                    KINDS.index(grant.kind),
                    grant.effective,
                    self.grants.index(grant),
                ),
            )
            part = min(amount, first.left)
            first.left -= part
            amount -= part
            payments.append((first.id, part))
        return payments

    def _pays(self, grant: Grant, pool: str, month: Month, at: datetime) -> bool:
        return (
            grant.pool == pool
            and grant.left > 0
            and grant.effective <= at
            and self.month_of(grant.effective) <= month
            and (grant.last_day is None or self.day_of(at) <= grant.last_day)
        )

    def credit(self, pool: str, month: str, at: datetime) -> str:
        """Write what is left in a *pool* that counts for a *month* (`2026-11`) at an instant."""
        year_and_month = (int(month[:4]), int(month[5:]))
        left = (grant.left for grant in self.grants if self._pays(grant, pool, year_and_month, at))
        return write(sum(left, Fraction(0)), self.minor_digits)

    def months(self) -> dict[str, dict[str, object]]:
        """Return, by month, the total of its invoice and its lines by resource, members named as in the API."""
        months: dict[str, dict[str, object]] = {}
        for month in sorted({month for month, _ in self.usage}):
            usages = {resource: usage for (other, resource), usage in sorted(self.usage.items()) if other == month}
            rounded = {resource: half_up(usage.open, self.minor_digits) for resource, usage in usages.items()}
            months[written(month)] = {
                "total": write(sum(rounded.values(), Fraction(0)), self.minor_digits),
                "lines": {
                    resource: {
                        "quantity": write(usage.quantity),
                        "billed_quantity": write(usage.billed),
                        "free_units_used": write(usage.free),
                        "amount": write(usage.amount, self.minor_digits),
                        "credits_applied": write(usage.credit, self.minor_digits),
                        "to_be_invoiced": write(usage.open, self.minor_digits),
                        "total": write(rounded[resource], self.minor_digits),
                    }
                    for resource, usage in usages.items()
                },
            }
        return months


def written(month: Month) -> str:
    """Write a month as in the API."""
    return f"{month[0]:04d}-{month[1]:02d}"


def read_events(path: Path, resource: str) -> list[Event]:
    """Read events of one *resource* from a CSV file with the columns id, time, quantity and those of `data`."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Event(
                datetime.fromisoformat(line["time"]),
                resource,
                line["quantity"],
                {column: cell for column, cell in line.items() if column not in ("id", "time", "quantity") and cell},
            )
            for line in csv.DictReader(file)
        ]


def bill(  # noqa: PLR0913 - what a bill depends on
    events: Path,
    card: Path,
    timezone: str,
    free_units: Mapping[str, str] | None = None,
    grants: Iterable[Grant] = (),
    *,
    resource: str = "call",
    own_pools: Iterable[str] = (),
    minor_digits: int = 2,
) -> dict[str, dict[str, object]]:
    """
    Return the months of a customer whose *events* are taken one by one at their times, and *grants* at their effect.

    Of a grant and an event at one instant the grant comes first. The card is in force for ever.
    """
    account = Account(timezone, {date.min: read_card(card)}, free_units, own_pools=own_pools, minor_digits=minor_digits)
    waiting = sorted(grants, key=lambda grant: grant.effective)
    for event in sorted(read_events(events, resource), key=lambda event: event.time):
        while waiting and waiting[0].effective <= event.time:
            account.grant(waiting.pop(0))
        account.take([event])
    for grant in waiting:
        account.grant(grant)
    return account.months()
