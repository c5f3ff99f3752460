"""
The storage peak under random histories: samples in any order, credit that comes and expires, jobs early, late or twice.

What comes out is compared with the same history worked out independently, by fractions and local dates.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import GrantKind
from chalicelib.domain.due import carry_out_due, close_due_at
from chalicelib.domain.figures import Figures, figures_of, line_total
from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant, to_datetime
from chalicelib.domain.invoice import Invoice, close_oldest_period
from chalicelib.domain.ledger import LedgerEntry, book_grant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import calendar
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.rate_card import COLUMNS, RateTable, Revision
from chalicelib.domain.rate_card_upload import Line, read_rows
from chalicelib.domain.state import AccountState
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.domain.waterfall import PricedEvent, charge_events, replay_charges
from tests.oracle import billing
from tests.unit.domain.builders import an_account, at
from tests.unit.domain.histories import Credit, grant_of


START = at("2026-10-20T00:00:00Z")
STORAGE = "screen_recording_storage"
FREE_UNITS = {STORAGE: "1.5", "call": "1"}


def _row(resource: str, kind: str, price: str, increment: str) -> dict[str, str]:
    cells = {"Resource": resource, "Type": kind, "Price per increment": price, "Increment": increment}
    return dict.fromkeys(COLUMNS, "") | cells | {"Currency": "EUR"}


CARD = [
    _row(STORAGE, "", "0.9", "0.25"),
    _row(STORAGE, "cold", "0.1", "7"),
    _row(STORAGE, "free", "0", "1"),
    _row("call", "", "1", "1"),
]
TABLE = RateTable(
    "standard",
    Revision(date(2026, 1, 1), 1),
    read_rows([Line(f"/rows/{index}", f"line {index + 2}", row) for index, row in enumerate(CARD)], "EUR"),
)


class Use(NamedTuple):
    """A sample or a call some seconds before it is taken."""

    resource: str
    quantity: Decimal
    kind: str
    seconds_ago: int


class Happening(NamedTuple):
    """Some minutes pass, jobs run some times on the way or once it is over, and then something happens or nothing."""

    minutes: int
    job_runs: int
    is_timely: bool
    what: list[Use] | Credit | None


uses = st.builds(
    Use,
    st.sampled_from([STORAGE, STORAGE, STORAGE, "call"]),
    st.integers(0, 40).map(lambda quarters: Decimal(quarters) / 4),
    st.sampled_from(["", "", "cold", "free"]),
    st.integers(0, 30 * DAY // SECOND) | st.integers(0, 2 * HOUR // SECOND),
)
credits_ = st.builds(
    Credit,
    st.sampled_from([STORAGE, STORAGE, SHARED_POOL]),
    st.sampled_from(GrantKind),
    st.integers(1, 400).map(lambda tenths: Decimal(tenths) / 10),
    st.none() | st.integers(0, 3) | st.integers(0, 40),
)
histories = st.lists(
    st.builds(
        Happening,
        st.integers(0, 12 * DAY // MINUTE) | st.integers(0, 90),
        st.integers(0, 3),
        st.booleans(),
        st.lists(uses, min_size=1, max_size=5) | credits_ | st.none(),
    ),
    min_size=4,
    max_size=14,
)
zones = st.sampled_from(
    ["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/Havana"]
)


class Life:
    """An account that lives through a history; months close when they are due, or whenever something happens next."""

    def __init__(self, timezone: str, *, shared: bool) -> None:
        self.timezone = timezone
        self.now = START
        self.products = {
            **DEFAULT_CATALOGUE,
            STORAGE: replace(DEFAULT_CATALOGUE[STORAGE], has_own_pool=not shared),
        }
        account = an_account(timezone, per_account=FREE_UNITS)
        self.state = AccountState(account, START, calendar(timezone).period_of(START).previous)
        self.charges: list[Charge] = []
        self.entries: list[LedgerEntry] = []
        self.invoices: list[Invoice] = []
        self.granted = Decimal(0)

    def live(self, history: list[Happening]) -> Life:
        """Let everything happen."""
        for number, (minutes, job_runs, is_timely, what) in enumerate(history):
            before = self.now
            self.now += minutes * MINUTE
            for run in range(job_runs):
                self._carry_out(before + (self.now - before) * run // job_runs)
            self._close(is_timely=is_timely)
            self._carry_out(self.now)
            if isinstance(what, Credit):
                self._book(what, f"g{number}")
            elif what is not None:
                self._take(what, number)
        return self

    def _carry_out(self, until: Instant) -> None:
        until = min(until, close_due_at(self.state, self.state.oldest_open))
        self.state, done = carry_out_due(self.state, until, until)
        self._keep(done)

    def _keep(self, done: tuple[LedgerEntry | Charge, ...]) -> None:
        self.charges += [what for what in done if isinstance(what, Charge)]
        self.entries += [what for what in done if isinstance(what, LedgerEntry)]

    def _close(self, *, is_timely: bool) -> None:
        while (due := close_due_at(self.state, self.state.oldest_open)) <= self.now:
            when = due if is_timely else self.now
            self.state, done = carry_out_due(self.state, when, when)
            self._keep(done)
            close = close_oldest_period(self.state, self.products, when)
            self.state = close.state
            self.invoices.append(close.invoice)

    def _take(self, batch: list[Use], number: int) -> None:
        priced = []
        for index, use in enumerate(batch):
            time = self.now - use.seconds_ago * SECOND - index  # no two at one instant
            event = UsageEvent("acme", "s", f"e{number}-{index}", time, use.resource, use.quantity, type=use.kind)
            rate = TABLE.match(event)
            assert rate is not None
            priced.append(PricedEvent(event, rate))
        self.state, charges = charge_events(self.state, priced, self.products, self.now)
        self.charges += charges

    def _book(self, credit: Credit, name: str) -> None:
        self.state, _ = book_grant(self.state, grant_of(credit, name, self.timezone, self.now))
        self.granted += credit.amount

    def figures(self) -> list[Figures]:
        """Return the figures of all months with usage, those at issue where they are invoiced."""
        figures = [
            *(invoice.figures for invoice in self.invoices),
            *(figures_of(self.state, period, self.products, self.now) for period in sorted(self.state.periods)),
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


def reckon(timezone: str, history: list[Happening], *, shared: bool) -> billing.Account:
    """Work the same history out independently."""
    account = billing.Account(
        timezone,
        {date.min: CARD},
        FREE_UNITS,
        own_pools=[] if shared else [STORAGE],
        daily_peaks=[STORAGE],
        since=to_datetime(START),
    )
    now = START
    for number, (minutes, _, _, what) in enumerate(history):
        now += minutes * MINUTE
        moment = to_datetime(now)
        account.wait(moment)
        if isinstance(what, Credit):
            last_day = None if what.days is None else account.day_of(moment) + timedelta(days=what.days)
            account.grant(billing.Grant(f"g{number}", what.pool, what.kind.value, f"{what.amount:f}", moment, last_day))
        elif what is not None:
            account.take(
                [
                    billing.Event(
                        moment - timedelta(seconds=use.seconds_ago, microseconds=index),
                        use.resource,
                        f"{use.quantity:f}",
                        {"type": use.kind},
                    )
                    for index, use in enumerate(what)
                ],
                moment,
            )
    return account


RAISED_BACK_AND_PAID = [
    Happening(20 * 1440, 0, is_timely=False, what=Credit(STORAGE, GrantKind.PROMOTIONAL, Decimal(5), 20)),
    Happening(0, 0, is_timely=False, what=[Use(STORAGE, Decimal(5), "", 0)]),
    Happening(20 * 1440, 1, is_timely=False, what=[Use(STORAGE, Decimal(9), "cold", 2 * DAY // SECOND)]),
    Happening(60, 2, is_timely=True, what=Credit(STORAGE, GrantKind.PURCHASED, Decimal(1), None)),
    Happening(60, 0, is_timely=False, what=[Use(STORAGE, Decimal(8), "", 3 * DAY // SECOND)]),
    Happening(60, 0, is_timely=False, what=[Use(STORAGE, Decimal(10), "free", 4 * DAY // SECOND)]),
    Happening(20 * 1440, 0, is_timely=False, what=None),
]


@given(timezone=zones, history=histories, shared=st.booleans())
@example(timezone="UTC", history=RAISED_BACK_AND_PAID, shared=False)
@example(timezone="UTC", history=RAISED_BACK_AND_PAID, shared=True)
@settings(deadline=None)
def test_every_month_is_as_worked_out_independently(timezone: str, history: list[Happening], shared: bool) -> None:  # noqa: FBT001 - drawn
    """Whenever jobs and closes come, every month's lines and what is left of every grant are those of a clean run."""
    life = Life(timezone, shared=shared).live(history)
    reckoned = reckon(timezone, history, shared=shared)

    assert life.months() == reckoned.months()
    left = {grant.id: grant.left for grant in reckoned.grants}
    for grant in life.state.grants:
        assert left[grant.id] == grant.remaining


@given(timezone=zones, history=histories, shared=st.booleans())
@example(timezone="UTC", history=RAISED_BACK_AND_PAID, shared=False)
@settings(deadline=None)
def test_no_credit_is_created_or_lost(timezone: str, history: list[Happening], shared: bool) -> None:  # noqa: FBT001 - drawn
    """What was granted is left, has expired or has paid; every amount is what was paid and what is to be invoiced."""
    life = Life(timezone, shared=shared).live(history)

    lines = [line for month in life.figures() for line in month.products]
    assert all(line.amount == line.credits + line.to_be_invoiced and line.to_be_invoiced >= 0 for line in lines)
    assert all(line.billed >= (line.free_units.used if line.free_units else 0) for line in lines)
    paid = sum((line.credits for line in lines), Decimal(0))
    expired = -sum((entry.amount for entry in life.entries), Decimal(0))
    left = sum((grant.remaining for grant in life.state.grants), Decimal(0))
    assert life.granted == left + expired + paid
    assert all(grant.remaining > 0 for grant in life.state.grants)


@given(history=histories, batch=st.permutations(range(6)))
@settings(deadline=None)
def test_the_order_of_samples_before_the_28th_never_matters(history: list[Happening], batch: list[int]) -> None:
    """Samples of one window, taken before it is over, lead to the same peak in any order, ties and all."""
    samples = [
        PricedEvent(UsageEvent("acme", "s", f"e{n}", START - n // 3, STORAGE, Decimal(n % 3), type=kind), rate)
        for n, (kind, rate) in enumerate(_rates() * 3)
        if n < len(batch)
    ]
    life, other = Life("UTC", shared=False), Life("UTC", shared=False)
    for place in range(len(batch)):
        life.state, _ = charge_events(life.state, [samples[place]], life.products, START)
    for place in batch:
        other.state, _ = charge_events(other.state, [samples[place]], other.products, START)

    assert other.live(history).months() == life.live(history).months()


def _rates() -> list[tuple[str, object]]:
    events = {kind: UsageEvent("acme", "s", "e", START, STORAGE, Decimal(1), type=kind) for kind in ("", "cold")}
    return [(kind, TABLE.match(event)) for kind, event in events.items()]


@given(amounts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8), data=st.data())
@settings(deadline=None)
def test_the_last_invoice_depends_on_what_came_not_when(amounts: list[tuple[int, int]], data: st.DataObject) -> None:
    """
    Credit that never expires and samples of one window, in any order over the month: the invoice is the same.

    It is the highest sample at 1 less all credit of the month; what is left of the credit is the rest.
    """
    life = Life("UTC", shared=False)
    life.state = replace(life.state, account=an_account(), at=at("2026-11-01T01:00:00Z"))
    rate = TABLE.match(UsageEvent("acme", "s", "e", START, "call", Decimal(1)))
    assert rate is not None
    days = data.draw(st.lists(st.integers(1, 29), min_size=len(amounts), max_size=len(amounts)).map(sorted))
    life.invoices = []
    for number, (day, (quantity, granted)) in enumerate(zip(days, amounts, strict=True)):
        life.now = at(f"2026-11-{day:02d}T12:00:00Z") + number
        life._close(is_timely=True)
        life._carry_out(life.now)
        if granted:
            life._book(Credit(STORAGE, GrantKind.PURCHASED, Decimal(granted), None), f"g{number}")
        time = min(life.now, at("2026-11-27T00:00:00Z")) - number
        event = UsageEvent("acme", "s", f"e{number}", time, STORAGE, Decimal(quantity))
        life.state, _ = charge_events(life.state, [PricedEvent(event, rate)], life.products, life.now)
    life.now = at("2026-12-01T01:00:00Z")
    life._close(is_timely=True)

    (line,) = life.invoices[-1].figures.products
    highest, granted = max(quantity for quantity, _ in amounts), sum(granted for _, granted in amounts)
    assert (line.amount, line.credits) == (highest, min(highest, granted))
    assert sum(grant.remaining for grant in life.state.grants) == granted - min(highest, granted)


@given(timezone=zones, history=histories, cut=st.integers(0, 60))
@example(timezone="UTC", history=RAISED_BACK_AND_PAID, cut=9)
@settings(deadline=None)
def test_charges_taken_again_lead_to_the_same_figures(timezone: str, history: list[Happening], cut: int) -> None:
    """Between two movements of credit the charges say all: taken again from there, they lead to the same state."""
    life = Life(timezone, shared=False)
    for happening in history:
        before, charges, entries, invoices = life.state, len(life.charges), len(life.entries), len(life.invoices)
        life.live([happening])
        moved = len(life.entries) > entries or len(life.invoices) > invoices or isinstance(happening.what, Credit)
        if not moved:
            taken = life.charges[charges:]
            middle = min(cut, len(taken))
            halfway = replay_charges(before, taken[:middle], life.products, life.state.at)
            again = replay_charges(halfway, taken[middle:], life.products, life.state.at)
            assert replace(again, is_used=True, periods=_used(again)) == replace(
                life.state, is_used=True, periods=_used(life.state)
            )
    assert all(charge.sign == 0 for charge in life.charges if charge.role is Role.SAMPLE)


def _used(state: AccountState) -> dict[object, object]:
    return {period: usage for period, usage in state.periods.items() if usage.products or usage.peaks}
