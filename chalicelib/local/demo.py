"""
The account `demo`: an invented customer with two invoices behind it and a month under way.

It is filled by the services themselves, which go by a clock that starts two months back and ends at the present. The
month under way is made as busy as it must be for its figures to tell the same story on whatever day somebody looks:
free units of one product half used and of another used up, credit spent in the shared pool and left in another.
"""

from __future__ import annotations

import csv
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.due import CLOSE_GRACE, close_due_at
from chalicelib.domain.instants import DAY
from chalicelib.domain.periods import calendar
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card_upload import Line
from chalicelib.local.traffic import Activity, Centre, RentedNumber, concentrate, traffic
from chalicelib.services.errors import RefusedError
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import EVENTS_MAX, Status


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.notifications import Notification
    from chalicelib.domain.periods import Period
    from chalicelib.domain.usage_events import UsageEvent
    from chalicelib.services.container import Services
    from chalicelib.settings import Settings
    from chalicelib.storage.items import ItemStore

DEMO_ACCOUNT: Final = "demo"
RATE_CARD: Final = "demo"
RATE_CARD_FILE: Final = Path(__file__).with_name("demo_rate_card.csv")
EPOCH: Final = 0
"""No clock of the service stands before it."""
SEED: Final = "Harbour & Pine"
MONTH_UNDER_WAY: Final = Fraction(13, 5)
"""How many ordinary weeks' traffic the month under way has had, be it young or old."""

CENTRE: Final = Centre(
    account=DEMO_ACCOUNT,
    timezone="Europe/Lisbon",
    weekly={
        Activity.CALLS: 120,
        Activity.CONVERSATIONS: 36,
        Activity.CHATS: 25,
        Activity.EMAILS: 20,
        Activity.BOT_SESSIONS: 60,
        Activity.CAMPAIGN_RUNS: 12,
    },
    countries=("GB", "GB", "GB", "FR", "FR", "DE", "US", "PT"),
    numbers=(
        RentedNumber("PT", "local"),
        RentedNumber("PT", "toll_free"),
        RentedNumber("GB", "local"),
        RentedNumber("GB", "mobile"),
        RentedNumber("FR", "local"),
        RentedNumber("DE", "local"),
    ),
)


class _Gift(NamedTuple):
    """Promotional credit granted at the start of a month, so many before the one under way, and how long it lasts."""

    months_ago: int
    pool: str
    amount: str
    reason: str
    days: int | None = None


_GIFTS: Final = (
    _Gift(2, SHARED_POOL, "50", "Welcome credit"),
    _Gift(1, "virtual_agent", "60", "Trial of the virtual agent", days=150),
    _Gift(0, SHARED_POOL, "10", "Goodwill for an outage"),
)
_MONTHLY_JOBS: Final = frozenset({"expire-credit", "recharge-commitments", "issue-invoices"})

COMMITTED: Final = Decimal(15)
"""What the shared pool is recharged with every month."""
RULE: Final = RechargeRule(threshold=Decimal(5), amount=Decimal(20), monthly_limit=Decimal(100))
"""How auto recharge is set up; it is switched off, so that the month under way has something to be invoiced."""


class _DemoClock:
    """Stands where the story has got to, which is never after its *end*."""

    def __init__(self, start: Instant, end: Instant) -> None:
        self._at = start
        self._end = end

    def now(self) -> Instant:
        return self._at

    def reach(self, at: Instant) -> None:
        self._at = max(self._at, min(at, self._end))


class _NobodyListens:
    """Takes the notifications of a past that is invented."""

    def publish(self, notifications: Sequence[Notification]) -> None:
        pass


def fill_demo(store: ItemStore, settings: Settings, now: Instant) -> int:
    """
    Fill the account `demo` as of *now* where there is none, and return how many events it took.

    Raises:
        BusyError: where the store cannot be reached.
    """
    months = calendar(CENTRE.timezone)
    shown = months.period_of(now - CLOSE_GRACE)
    story = [period for period in (shown.previous.previous, shown.previous, shown) if months.start_of(period) >= EPOCH]
    if not story:
        return 0
    clock = _DemoClock(months.start_of(story[0]), now)
    services = build_services(replace(settings, test_clock=False), store, clock=clock, bus=_NobodyListens())
    if services.heads.load(DEMO_ACCOUNT) is not None:
        return 0
    _put_rate_card(services, story[0].first_day)
    services.accounts.put(_account())
    terms = Terms(COMMITTED, Frequency.MONTHLY, starts_on=story[0].first_day)
    services.committing.put(DEMO_ACCOUNT, SHARED_POOL, terms, actor="demo")
    services.auto_recharge.put(DEMO_ACCOUNT, RULE, is_enabled=False)
    taken = 0
    for period in story:
        _grant(services, shown.ordinal - period.ordinal)
        start, end = months.start_of(period), min(months.end_of(period), now)
        centre = concentrate(CENTRE, start, end, MONTH_UNDER_WAY) if period == shown else CENTRE
        for batch in _batches(traffic(centre, SEED, start, end)):
            clock.reach(batch[-1].time)
            taken += sum(verdict.status is Status.ACCEPTED for verdict in services.metering.take(batch))
        if period != shown:
            _close(services, clock, period)
    return taken


def _account() -> Account:
    return Account(
        id=DEMO_ACCOUNT,
        name="Harbour & Pine",
        currency="USD",
        timezone=CENTRE.timezone,
        payment_method=PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok"),
        rate_card=RATE_CARD,
        agents=8,
        free_units={
            "call": FreeUnits(Decimal(3600), Per.AGENT),
            "message": FreeUnits(Decimal(900), Per.ACCOUNT),
        },
    )


def _put_rate_card(services: Services, effective_from: date) -> None:
    with RATE_CARD_FILE.open(encoding="utf-8", newline="") as file:
        lines = [Line(f"/rows/{index}", f"row {index + 1}", row) for index, row in enumerate(csv.DictReader(file))]
    services.catalogue.put_rate_card(RATE_CARD, effective_from, lines)


def _grant(services: Services, months_ago: int) -> None:
    today = calendar(CENTRE.timezone).date_of(services.clock.now())
    for gift in _GIFTS:
        if gift.months_ago == months_ago:
            expires_on = None if gift.days is None else today + timedelta(days=gift.days)
            request = GrantRequest(gift.pool, Decimal(gift.amount), expires_on, gift.reason)
            # A store whose catalogue was changed may have no such pool.
            with suppress(RefusedError):
                services.granting.grant(DEMO_ACCOUNT, request, gift.reason, actor="demo")


def _batches(events: Iterable[UsageEvent]) -> Iterator[list[UsageEvent]]:
    """Cut *events* into what was metered on a day (UTC) and fits one request."""
    for _, day in groupby(events, lambda event: event.time // DAY):
        while batch := list(islice(day, EVENTS_MAX)):
            yield batch


def _close(services: Services, clock: _DemoClock, period: Period) -> None:
    """Let time pass until the invoice of *period* is due, and issue it."""
    head = services.heads.load(DEMO_ACCOUNT)
    if head is not None:
        clock.reach(close_due_at(head.state, period))
    for job in services.jobs.jobs:
        if job.name in _MONTHLY_JOBS:
            job.run(DEMO_ACCOUNT, clock.now())
