"""Random histories of an account: everything that may happen to one, on time, late, or twice."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.errors import RefusedError
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import ACCEPTED, DUPLICATE
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.domain.figures import PoolFigures
    from chalicelib.domain.instants import Instant
    from chalicelib.services.container import Services
    from chalicelib.storage.items import ItemStore

ACCOUNT: Final = "acme"
START: Final = parse_instant("2026-10-20T09:00:00Z")
ROWS: Final = (
    {"Resource": "call", "Price per increment": "0.07", "Increment": "60"},
    {"Resource": "call", "Price per increment": "0.31", "Increment": "60", "Prefixes": "351;3519"},
    {"Resource": "message", "Price per increment": "0.0075", "Increment": "1"},
    {"Resource": "virtual_agent", "Price per increment": "0.5", "Increment": "7"},
)
FREE_UNITS: Final = {"call": FreeUnits(Decimal(600), Per.AGENT), "message": FreeUnits(Decimal("40.5"), Per.ACCOUNT)}
POOLS: Final = (SHARED_POOL, "virtual_agent")
CALENDAR_JOBS: Final = ("expire-credit", "recharge-commitments", "issue-invoices", "settle-payments", "sweep-outbox")
DEFAULT_SETTINGS: Final = Settings()
CARD: Final = "tok_ok"
CARDS: Final = ("tok_ok", "tok_ok", "tok_declined", "tok_error")


class History:
    """Accounts in Lisbon that pay by card, in a store of its own or another; nothing happens until it is told."""

    def __init__(
        self,
        seed: int = 0,
        store: ItemStore | None = None,
        accounts: Sequence[str] = (ACCOUNT,),
        settings: Settings = DEFAULT_SETTINGS,
    ) -> None:
        self.settings = settings
        self.random = Random(seed)
        self.clock = FixedClock(START)
        self.store = store or MemoryStore()
        self.services = self.over(self.store)
        self.answers: dict[Instant, tuple[PoolFigures, ...]] = {}
        self._sent: list[UsageEvent] = []
        self._number = 0
        self._grants: list[str] = []
        lines = [
            Line(f"/rows/{place}", row["Resource"], {**dict.fromkeys(COLUMNS, ""), "Currency": "EUR", **row})
            for place, row in enumerate(ROWS)
        ]
        self.services.catalogue.put_rate_card("standard", date(2026, 1, 1), lines)
        for account in accounts:
            self.put_account(account=account)

    def over(self, store: ItemStore) -> Services:
        """Return the service over a store, as another process runs it."""
        return build_services(self.settings, store, self.clock, pause=lambda _seconds: None, clock=self.clock)

    def at(self, now: str) -> None:
        """Set the clock."""
        self.clock.set(parse_instant(now))

    def put_account(self, token: str | None = CARD, agents: int = 1, account: str = ACCOUNT) -> None:
        """Create or change an account; without a *token* it pays by invoice."""
        kind = PaymentType.INVOICE if token is None else PaymentType.CREDIT_CARD
        method = PaymentMethod(kind, token)
        settings = Account(account, account, "EUR", "Europe/Lisbon", method, "standard", agents, FREE_UNITS)
        self.services.accounts.put(settings)

    def take(self, *events: UsageEvent) -> None:
        """Take events, each for the first time or again."""
        verdicts = self.services.metering.take(events)
        assert set(verdicts) <= {ACCEPTED, DUPLICATE}
        self._sent += events

    @property
    def taken(self) -> int:
        """Count the events sent."""
        return len(self._sent)

    def event(self, time: Instant, resource: str, quantity: Decimal, account: str = ACCOUNT) -> UsageEvent:
        """Return an event unlike any other."""
        self._number += 1
        number = self.random.choice([None, "351912345678", "3512", "12065550100"]) if resource == "call" else None
        return UsageEvent(account, "/voice", f"e-{self._number}", time, resource, quantity, number=number)

    def events(self, count: int, before: Instant = 2 * HOUR, account: str = ACCOUNT) -> list[UsageEvent]:
        """Draw events of the time *before* now."""
        now = self.clock.now()
        return [
            self.event(
                now - self.random.randrange(before),
                self.random.choice(("call", "message", "virtual_agent")),
                Decimal(self.random.randrange(9_000)).scaleb(-2),
                account,
            )
            for _ in range(count)
        ]

    def grant(self, amount: str, days: int | None = None, pool: str = SHARED_POOL, account: str = ACCOUNT) -> str:
        """Grant promotional credit that expires after some days, and return its id."""
        self._number += 1
        expires_on = None if days is None else self._today() + timedelta(days=days)
        request = GrantRequest(pool, Decimal(amount), expires_on, "a gift")
        grant = self.services.granting.grant(account, request, f"key-{self._number}", "admin").id
        self._grants.append(grant)
        return grant

    def commit(  # noqa: PLR0913 - the parts of a commitment
        self,
        amount: str = "100",
        frequency: Frequency = Frequency.MONTHLY,
        starts: int = 0,
        ends: int | None = None,
        pool: str = SHARED_POOL,
        account: str = ACCOUNT,
        *,
        rollover: bool = True,
    ) -> None:
        """Put a commitment that starts and ends so many days from today."""
        today = self._today()
        ends_on = None if ends is None else today + timedelta(days=ends)
        terms = Terms(Decimal(amount), frequency, today + timedelta(days=starts), ends_on, rollover)
        self.services.committing.put(account, pool, terms, "admin")

    def buy(self, amount: str = "100", account: str = ACCOUNT) -> None:
        """Buy credit."""
        self._number += 1
        self.services.buying.purchase(account, amount, f"key-{self._number}", "admin")

    def recharge_below(self, threshold: str, amount: str, limit: str | None = None, account: str = ACCOUNT) -> None:
        """Switch auto recharge on."""
        rule = RechargeRule(Decimal(threshold), Decimal(amount), None if limit is None else Decimal(limit))
        self.services.auto_recharge.put(account, rule, is_enabled=True)

    def run_jobs(self) -> None:
        """Run every job once."""
        for job in CALENDAR_JOBS:
            assert self.services.jobs.run(job).failed == 0

    def play_two_months(self, batch: int = 60, account: str = ACCOUNT) -> None:
        """Let two months pass in which everything happens that changes credit, and each is closed in its way."""
        self.at("2026-10-20T09:00:00Z")
        self.grant("5", 12, account=account)
        self.grant("20", None, "virtual_agent", account=account)
        voided = self.grant("3", account=account)
        self.services.granting.void(account, voided, "admin")
        self.take(*self.events(batch, account=account))
        self.commit("60", account=account)
        self.buy("100", account=account)
        self.commit("90", account=account)
        self.recharge_below("20", "50", "400", account=account)
        for day in range(21, 32):
            self.at(f"2026-10-{day}T18:00:00Z")
            self.take(*self.events(batch, account=account))
        # Half an hour before the close: credit that came too late for October, and an event of October.
        self.at("2026-11-01T00:30:00Z")
        self.buy("150", account=account)
        self.grant("30", None, "virtual_agent", account)
        self.take(self.event(self.clock.now() - HOUR, "virtual_agent", Decimal(7), account))
        self.at("2026-11-01T01:05:00Z")
        self.run_jobs()
        self.take(*self.events(3, 20 * DAY, account))
        self.put_account("tok_declined", agents=2, account=account)
        for day in range(2, 31):
            self.at(f"2026-11-{day:02d}T12:00:00Z")
            self.take(*self.events(batch, account=account))
            self.run_jobs()
            if self.services.auto_recharge.get(account).auto.failures:
                self.put_account("tok_ok", account=account)
        # The close sleeps: credit that expires meanwhile stays, but pays no more.
        self.at("2026-12-01T00:20:00Z")
        self.grant("500", 0, "virtual_agent", account=account)
        self.at("2026-12-02T10:00:00Z")
        self.take(self.event(self.clock.now(), "virtual_agent", Decimal(7), account))
        self.run_jobs()
        self.at("2026-12-03T10:00:00Z")
        self.grant("400", 30, account=account)
        self.buy("100", account=account)
        self.take(*self.events(batch, account=account))
        self.take(*self.events(2, account=account))

    def play(self, steps: int) -> None:
        """Let so many random things happen, and note after each, and now and then between them, what is answered."""
        deeds: list[tuple[Callable[[], object], int]] = [
            (self._let_time_pass, 8),
            (self._use, 8),
            (self._repeat, 1),
            (self.run_jobs, 3),
            (self._grant, 3),
            (self._void, 2),
            (self._commit, 2),
            (self._end_commitment, 1),
            (self._buy, 2),
            (self._set_auto_recharge, 4),
            (self._change_account, 1),
        ]
        acts, weights = zip(*deeds, strict=True)
        self.note_answer()
        for act in self.random.choices(acts, weights, k=steps):
            with contextlib.suppress(RefusedError):
                act()
            self.note_answer()

    def note_answer(self) -> None:
        """Note what the service says of all pools at this time."""
        self.answers[self.clock.now()] = self.services.usage.tab(ACCOUNT).figures.pools

    def pass_by(self, duration: Instant) -> None:
        """Let time pass without anything happening, and note on the way what is answered."""
        until = self.clock.now() + duration
        for _ in range(self.random.randrange(3)):
            self.clock.pass_by(self.random.randrange(until - self.clock.now() + 1))
            self.note_answer()
        self.clock.set(until)

    def _today(self) -> date:
        head = self.services.heads.load(ACCOUNT)
        assert head is not None
        return head.state.account.calendar.date_of(self.clock.now())

    def _let_time_pass(self) -> None:
        unit = self.random.choice([1, SECOND, MINUTE, HOUR, DAY])
        self.pass_by(self.random.randrange(1, 7) * unit)
        if not self.random.randrange(6):
            self._go_to_month_end()

    def _go_to_month_end(self) -> None:
        head = self.services.heads.load(ACCOUNT)
        assert head is not None
        calendar = head.state.account.calendar
        end = calendar.end_of(calendar.period_of(self.clock.now()))
        near = end + self.random.choice([-3 * MINUTE, -1, 0, 30 * MINUTE, HOUR, HOUR + 1])
        self.pass_by(max(near - self.clock.now(), 0))

    def _use(self) -> None:
        count = self.random.choice([1, 1, 2, 7, 60])
        before = self.random.choice([HOUR, HOUR, 2 * DAY, 34 * DAY])
        events = self.events(count, before)
        if not self.random.randrange(3):
            events.append(self.event(self.clock.now() + 4 * MINUTE, "call", Decimal(600)))
        self.take(*events)

    def _repeat(self) -> None:
        recent = [event for event in self._sent if event.time > self.clock.now() - 34 * DAY]
        self.take(*self.random.sample(recent, min(5, len(recent))))

    def _grant(self) -> None:
        days = self.random.choice([None, 0, 1, 12, 40])
        self.grant(str(self.random.randrange(1, 4000) / Decimal(100)), days, self.random.choice(POOLS))

    def _void(self) -> None:
        if self._grants:
            self.services.granting.void(ACCOUNT, self.random.choice(self._grants[-2:]), "admin")

    def _commit(self) -> None:
        self.commit(
            str(self.random.choice([30, 60, 90])),
            self.random.choice([Frequency.MONTHLY, Frequency.MONTHLY, Frequency.QUARTERLY]),
            self.random.choice([-25, -3, 0, 0, 2, 12]),
            self.random.choice([None, None, None, 0, 5, 45]),
            self.random.choice(POOLS),
            rollover=bool(self.random.randrange(2)),
        )

    def _end_commitment(self) -> None:
        self.services.committing.delete(ACCOUNT, self.random.choice(POOLS))

    def _buy(self) -> None:
        self.buy(self.random.choice(["100", "150.5"]))

    def _set_auto_recharge(self) -> None:
        balance = self.services.usage.tab(ACCOUNT).figures.pool(SHARED_POOL).balance
        threshold = int(balance) - self.random.randrange(1, 8)
        self.recharge_below(str(max(threshold, 1)), self.random.choice(["5", "40"]), self.random.choice([None, "90"]))

    def _change_account(self) -> None:
        self.put_account(self.random.choice([*CARDS, None]), self.random.randrange(4))
