"""Histories of an account: what happens to it in some months, lived through here and reckoned independently."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.due import carry_out_due, close_due_at
from chalicelib.domain.figures import figures_of, line_total
from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant, to_datetime
from chalicelib.domain.invoice import Invoice, close_oldest_period
from chalicelib.domain.ledger import book_grant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import calendar
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.rate_card import COLUMNS, RateTable, Revision
from chalicelib.domain.rate_card_upload import Line, read_rows
from chalicelib.domain.state import AccountState
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.domain.waterfall import Charge, PricedEvent, charge_events
from tests.oracle import billing
from tests.unit.domain.builders import an_account, at


if TYPE_CHECKING:
    from fractions import Fraction

    from chalicelib.domain.figures import Figures

START = at("2026-10-15T00:00:00Z")
FREE_UNITS = {"call": "500", "message": "2.5"}
POOLS = (SHARED_POOL, "virtual_agent")


def _row(resource: str, direction: str, price: str, increment: str) -> dict[str, str]:
    cells = {"Resource": resource, "Direction": direction, "Price per increment": price, "Increment": increment}
    return dict.fromkeys(COLUMNS, "") | cells | {"Currency": "EUR"}


CARD = [
    _row("call", "", "0.01", "60"),
    _row("call", "inbound", "0.0015", "7"),
    _row("call", "free", "0", "6"),
    _row("message", "", "1", "1"),
    _row("virtual_agent", "", "0.25", "0.4"),
]
TABLE = RateTable(
    "standard",
    Revision(date(2026, 1, 1), 1),
    read_rows([Line(f"/rows/{index}", f"line {index + 2}", row) for index, row in enumerate(CARD)], "EUR"),
)


class Use(NamedTuple):
    """A use of a product some seconds before its event is taken."""

    resource: str
    quantity: Decimal
    direction: str
    seconds_ago: int


class Credit(NamedTuple):
    """Credit that takes effect when it is booked; *days* is how many days after that day is its last."""

    pool: str
    kind: GrantKind
    amount: Decimal
    days: int | None


class Happening(NamedTuple):
    """Some minutes pass, and then a request comes or credit is booked."""

    minutes: int
    what: list[Use] | Credit


uses = st.builds(
    Use,
    st.sampled_from(["call", "message", "virtual_agent"]),
    st.integers(0, 400_000).map(lambda thousandths: Decimal(thousandths).scaleb(-3)),
    st.sampled_from(["inbound", "outbound", "free"]),
    st.integers(0, 30 * DAY // SECOND) | st.integers(0, 2 * HOUR // SECOND),
)
batches = st.lists(uses, min_size=1, max_size=6)
credits_ = st.builds(
    Credit,
    st.sampled_from(POOLS),
    st.sampled_from(GrantKind),
    st.integers(1, 5_000_000).map(lambda tenthousandths: Decimal(tenthousandths).scaleb(-4)),
    st.none() | st.integers(0, 3) | st.integers(0, 40),
)
histories = st.lists(
    st.builds(Happening, st.integers(0, 20 * DAY // MINUTE) | st.integers(0, 90), batches | credits_),
    min_size=2,
    max_size=10,
)
zones = st.sampled_from(
    ["UTC", "Europe/Lisbon", "America/New_York", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati", "Asia/Kolkata"]
)


def price_all(batch: list[Use], now: Instant) -> list[PricedEvent]:
    """Turn uses into events with their rates."""
    priced = []
    for index, use in enumerate(batch):
        time = now - use.seconds_ago * SECOND
        event = UsageEvent("acme", "s", f"e{index}", time, use.resource, use.quantity, direction=use.direction)
        rate = TABLE.match(event)
        assert rate is not None
        priced.append(PricedEvent(event, rate))
    return priced


def grant_of(credit: Credit, name: str, timezone: str, now: Instant) -> Grant:
    """Turn credit into a grant."""
    zone = calendar(timezone)
    last_day = None if credit.days is None else zone.date_of(now) + timedelta(days=credit.days)
    expires_at = None if last_day is None else zone.end_of_day(last_day)
    return Grant(name, credit.pool, credit.kind, credit.amount, now, expires_at)


class Life:
    """An account that lives through a history, its months closed as soon as they are due."""

    def __init__(self, timezone: str) -> None:
        self.timezone = timezone
        self.now = START
        account = an_account(timezone, per_account=FREE_UNITS)
        self.state = AccountState(account, START, calendar(timezone).period_of(START).previous)
        self.charges: list[Charge] = []
        self.settled: list[tuple[str, Decimal]] = []
        self.invoices: list[Invoice] = []
        self.granted = Decimal(0)
        self.expired = Decimal(0)

    def live(self, history: list[Happening]) -> Life:
        """Let everything happen."""
        for number, (minutes, what) in enumerate(history):
            self.wait(minutes)
            if isinstance(what, Credit):
                self._book(what, f"g{number}")
            else:
                self._take(what)
        return self

    def wait(self, minutes: int) -> None:
        """Let time pass, and what falls due be done when it is due."""
        self.now += minutes * MINUTE
        while (due := close_due_at(self.state, self.state.oldest_open)) <= self.now:
            self._carry_out(due)
            close = close_oldest_period(self.state, DEFAULT_CATALOGUE, due)
            self.state = close.state
            self.invoices.append(close.invoice)
        self._carry_out(self.now)

    def _carry_out(self, until: Instant) -> None:
        self.state, entries = carry_out_due(self.state, until, until)
        self.expired -= sum((entry.amount for entry in entries), Decimal(0))

    def _take(self, batch: list[Use]) -> None:
        self.state, charges = charge_events(self.state, price_all(batch, self.now), DEFAULT_CATALOGUE, self.now)
        self.charges += charges

    def _book(self, credit: Credit, name: str) -> None:
        self.state, settled = book_grant(self.state, grant_of(credit, name, self.timezone, self.now))
        self.settled += [(part.resource, part.amount) for part in settled]
        self.granted += credit.amount

    def figures(self) -> list[Figures]:
        """Return the figures of all months with usage, those at issue where they are invoiced."""
        open_periods = sorted(self.state.periods)
        figures = [
            *(invoice.figures for invoice in self.invoices),
            *(figures_of(self.state, period, DEFAULT_CATALOGUE, self.now) for period in open_periods),
        ]
        return [month for month in figures if month.products]

    def months(self) -> dict[str, dict[str, object]]:
        """Return all months with usage in the form of the independent calculation."""
        return {
            str(month.period): {
                "total": format_decimal(sum((line_total(line, "EUR") for line in month.products), Decimal(0)), 2),
                "lines": {
                    line.resource: {
                        "quantity": format_decimal(line.quantity),
                        "billed_quantity": format_decimal(line.billed),
                        "free_units_used": format_decimal(line.free_units.used if line.free_units else Decimal(0)),
                        "amount": format_decimal(line.amount, 2),
                        "credits_applied": format_decimal(line.credits, 2),
                        "to_be_invoiced": format_decimal(line.to_be_invoiced, 2),
                        "total": format_decimal(line_total(line, "EUR"), 2),
                    }
                    for line in month.products
                },
            }
            for month in self.figures()
        }


class Reckoning:
    """The same history, worked out independently."""

    def __init__(self, timezone: str) -> None:
        self.now = START
        self.account = billing.Account(
            timezone, {date.min: CARD}, FREE_UNITS, own_pools=["virtual_agent"], since=to_datetime(START)
        )
        self.charges: list[billing.Charge] = []
        self.settled: list[tuple[str, Fraction]] = []

    def live(self, history: list[Happening]) -> Reckoning:
        """Work everything out."""
        for number, (minutes, what) in enumerate(history):
            self.now += minutes * MINUTE
            now = to_datetime(self.now)
            if isinstance(what, Credit):
                last_day = None if what.days is None else self.account.day_of(now) + timedelta(days=what.days)
                grant = billing.Grant(f"g{number}", what.pool, what.kind.value, f"{what.amount:f}", now, last_day)
                self.settled += self.account.grant(grant)
            else:
                events = [
                    billing.Event(
                        now - timedelta(seconds=use.seconds_ago),
                        use.resource,
                        f"{use.quantity:f}",
                        {"direction": use.direction},
                    )
                    for use in what
                ]
                self.charges += self.account.take(events, now)
        return self
