"""
The simulation: a fleet drawn from a seed lives through months of a test clock, and what must hold is checked.

Time passes in steps of a day to nine, and stops on every 1st and 28th. In each day of a step people do what they do
and usage is posted; at its end every job runs, in order. Now and then a job stays away for weeks or runs twice. Nothing
of it depends on the store: the same seed gives the same totals over any.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.bootstrap import build_services
from chalicelib.domain.instants import DAY, HOUR, Instant, to_datetime
from chalicelib.local.counting_store import CountingStore, Units
from chalicelib.local.simulation.checks import NO_FAILURE, ONE_RUN, Accepted, Books, Findings, Watch, check_payments
from chalicelib.local.simulation.deeds import Deeds
from chalicelib.local.simulation.fleet import Reset, Span, draw_fleet
from chalicelib.local.simulation.fleet_traffic import Feed
from chalicelib.local.simulation.posting import Posting
from chalicelib.payments.sandbox import SandboxGateway, SandboxPayment
from chalicelib.services.clocks import RealClock
from chalicelib.settings import Settings
from chalicelib.storage.operations import SandboxDrawer
from chalicelib.storage.pages import Pages


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.domain.notifications import Notification
    from chalicelib.domain.usage_events import UsageEvent
    from chalicelib.local.simulation.fleet import Deed, Member
    from chalicelib.services.container import Services
    from chalicelib.services.run_jobs import JobRun
    from chalicelib.storage.items import ItemStore

LOOKED_AT_IN_A_STEP: Final = 12
PAST_BALANCES_MAX: Final = 60
EVENTS: Final = "events"
PEOPLE: Final = "what people do"

_STEP_DAYS: Final = (1, 3, 5, 7, 9)
_STOPS: Final = frozenset({1, 28})
_NOON: Final = 12 * HOUR
_AWAY_DAYS: Final = (7, 45)
_AWAY_PERCENT: Final = 2
_TWICE_PERCENT: Final = 8
_AUDIT: Final = "audit"
"""Every account is audited by itself; the job runs once, at the end."""
_FINDS_WORK_AGAIN: Final = frozenset({"settle-payments", "sweep-outbox", _AUDIT})
_SETTLING_TRIES: Final = 3
_RETENTION: Final = 800 * DAY


class Plan(NamedTuple):
    """What to simulate: so many *accounts* with about so many *events* a month each, all drawn from *seed*."""

    seed: str
    accounts: int
    events: int
    span: Span


class Cost(NamedTuple):
    """What a part of the simulation cost the service."""

    runs: int = 0
    seconds: float = 0
    units: Units = Units()

    def plus(self, seconds: float, units: Units) -> Cost:
        """Return the cost with another run."""
        return Cost(self.runs + 1, self.seconds + seconds, self.units.plus(units))


class Outcome(NamedTuple):
    """What came of a simulation; *findings* and *costs* aside, it is the same over any store."""

    plan: Plan
    sent: int
    answers: Counter[str]
    refused: Counter[str]
    dismissed: int
    jobs_done: Counter[str]
    published: Counter[str]
    payments: Sequence[SandboxPayment]
    books: Sequence[Books]
    findings: Findings
    costs: dict[str, Cost]

    @property
    def accepted(self) -> int:
        """Return how many events were taken."""
        return self.answers["accepted"]


def simulate(plan: Plan, store: ItemStore, progress: Callable[[Instant], None]) -> Outcome:
    """Simulate *plan* over an empty *store*, and tell *progress* how far the clock has got."""
    failures = _FailureLog()
    log = logging.getLogger("chalicelib")
    log.addHandler(failures)
    try:
        simulation = _Simulation(plan, store)
        simulation.run(progress)
        for message in failures.messages:
            simulation.findings.check(NO_FAILURE, "log", holds=False, detail=message)
        return simulation.outcome()
    finally:
        log.removeHandler(failures)


class _Simulation:
    def __init__(self, plan: Plan, store: ItemStore) -> None:
        self._plan = plan
        self._clock = _SimulatedClock(plan.span.start)
        self._counting = CountingStore(store)
        self._drawer = _Drawer(store)
        self._bus = _Bus()
        self._services = self._wire(self._counting)
        watching = self._wire(store)
        self.findings = Findings()
        accepted = Accepted()
        pages = Pages(store, RealClock().now, _RETENTION)
        self._watch = Watch(watching, pages, self.findings, accepted)
        self._posting = Posting(self._services.metering, self._watch, self.findings, accepted, plan.seed)
        self._deeds = Deeds(self._services)
        self._fleet = draw_fleet(plan.seed, plan.accounts, plan.events, plan.span)
        self._later_cards = list(self._fleet.later_cards)
        self._lives = [_Life(member, plan.seed) for member in self._fleet.members]
        self._luck = Random(f"{plan.seed}/jobs")  # noqa: S311 - made up, to be drawn again
        self._away: dict[str, Instant] = {}
        self._jobs_done: Counter[str] = Counter()
        self._books: list[Books] = []
        self._costs: dict[str, Cost] = {EVENTS: Cost(), PEOPLE: Cost()}
        self._looks = 0

    def run(self, progress: Callable[[Instant], None]) -> None:
        for version in self._fleet.cards:
            self._services.catalogue.put_rate_card(version.card, version.effective_from, version.lines)
        instants = list(_stops(self._plan.seed, self._plan.span))
        for number, (start, end) in enumerate(pairwise(instants)):
            self._live(start, end)
            self._run_jobs(is_last=end == instants[-1])
            self._look(remember=number % max(len(instants) // PAST_BALANCES_MAX, 1) == 0)
            progress(end)
        self._close()

    def outcome(self) -> Outcome:
        return Outcome(
            plan=self._plan,
            sent=self._posting.sent,
            answers=self._posting.answers,
            refused=self._deeds.refused,
            dismissed=self._deeds.dismissed,
            jobs_done=self._jobs_done,
            published=Counter(self._bus.published.values()),
            payments=self._drawer.payments(),
            books=self._books,
            findings=self.findings,
            costs=self._costs,
        )

    def _wire(self, store: ItemStore) -> Services:
        gateway = SandboxGateway(self._drawer, _take_no_time)
        return build_services(Settings(), store, clock=self._clock, gateway=gateway, bus=self._bus)

    @property
    def _accounts(self) -> list[str]:
        return [life.member.account.id for life in self._lives if life.has_begun]

    def _live(self, start: Instant, end: Instant) -> None:
        """Let time pass from *start* to *end*, day by day."""
        for day in (*range(start + DAY, end, DAY), end):
            self._clock.reach(day)
            with self._counted(PEOPLE):
                self._put_cards(day)
                for life in self._lives:
                    self._do_deeds(life, day)
            for life in self._lives:
                if events := life.posted(day):
                    with self._counted(EVENTS):
                        self._posting.post(events, day)

    def _put_cards(self, now: Instant) -> None:
        while self._later_cards and self._later_cards[0][0] <= now:
            _, version = self._later_cards.pop(0)
            self._services.catalogue.put_rate_card(version.card, version.effective_from, version.lines)

    def _do_deeds(self, life: _Life, now: Instant) -> None:
        if life.begins(now):
            self._services.accounts.put(life.member.account)
        for deed in life.deeds_until(now):
            self._deeds.carry_out(life.member.account, deed)
            if isinstance(deed, Reset):
                self._watch.note_reset(life.member.account.id, now)

    def _run_jobs(self, *, is_last: bool) -> None:
        now = self._clock.now()
        for job in self._services.jobs.jobs:
            lot = self._luck.randrange(100)
            if not is_last and (job.name == _AUDIT or self._stays_away(job.name, lot, now)):
                continue
            if job.name == "issue-invoices":
                self._watch.before_invoices(self._accounts, now)
            self._run_job(job.name)
            if job.name == "issue-invoices":
                self._watch.after_invoices()
            if lot >= 100 - _TWICE_PERCENT:
                again = self._run_job(job.name)
                if job.name not in _FINDS_WORK_AGAIN:
                    self.findings.check_equal(ONE_RUN, job.name, 0, again.done)

    def _stays_away(self, job: str, lot: int, now: Instant) -> bool:
        if lot < _AWAY_PERCENT and self._away.get(job, 0) <= now:
            self._away[job] = now + self._luck.randint(*_AWAY_DAYS) * DAY
        return now < self._away.get(job, 0)

    def _run_job(self, name: str) -> JobRun:
        with self._counted(name):
            run = self._services.jobs.run(name)
        self._jobs_done[name] += run.done
        self.findings.check(NO_FAILURE, name, not run.failed, run)
        return run

    def _look(self, *, remember: bool) -> None:
        """Look at the tabs of some accounts, others each time, and at an invoice of before."""
        accounts = self._accounts
        for _ in range(min(len(accounts), LOOKED_AT_IN_A_STEP)):
            account = accounts[self._looks % len(accounts)]
            self._watch.look_at_tab(account, remember=remember and self._looks % LOOKED_AT_IN_A_STEP == 0)
            self._looks += 1
        seen = self._watch.invoices_seen
        if seen:
            self._watch.look_again([seen[self._looks % len(seen)]])

    def _close(self) -> None:
        """Let what is left be done, and check everything."""
        for _ in range(_SETTLING_TRIES):
            self._run_job("settle-payments")
        self._watch.look_again()
        self._watch.check_the_past()
        self._books += [self._watch.close(account, self._bus.published) for account in self._accounts]
        check_payments(self.findings, self._drawer.payments(), self._books)

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        """Count what is done to the store, and how long it takes, under *name*."""
        before, started = self._counting.units, time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self._costs[name] = self._costs.get(name, Cost()).plus(seconds, self._counting.units.since(before))


def _stops(seed: str, span: Span) -> Iterator[Instant]:
    """Yield the instants from which and to which time passes: days apart, and every 1st and 28th, at noon in UTC."""
    luck = Random(f"{seed}/time")  # noqa: S311 - made up, to be drawn again
    yield span.start
    next_day = luck.choice(_STEP_DAYS)
    for day in range(1, span.days):
        midnight = span.start + day * DAY
        is_stop = to_datetime(midnight).day in _STOPS
        if is_stop or day >= next_day:
            yield midnight + (_NOON if is_stop else luck.randrange(24) * HOUR)
            next_day = day + luck.choice(_STEP_DAYS)
    yield span.end


class _Life:
    """Where a member has got to."""

    def __init__(self, member: Member, seed: str) -> None:
        self.member = member
        self.has_begun = False
        self._feed: Feed | None = None
        self._seed = seed
        self._deeds = list(member.deeds)
        self._post_at = 0

    def begins(self, now: Instant) -> bool:
        """Tell whether the account begins now."""
        if self.has_begun or now < self.member.opens_at:
            return False
        self._feed = Feed(self.member._replace(opens_at=now), self._seed)
        self.has_begun = True
        return True

    def deeds_until(self, now: Instant) -> Iterator[Deed]:
        """Yield what is done to the account by now."""
        while self.has_begun and self._deeds and self._deeds[0].at <= now:
            yield self._deeds.pop(0)

    def posted(self, now: Instant) -> Sequence[UsageEvent]:
        """Return the usage that is posted now."""
        if self._feed is None or now < self._post_at:
            return ()
        self._post_at = now + self.member.posting_days * DAY
        return self._feed.until(now)


class _SimulatedClock:
    """Stands where the simulation has got to."""

    def __init__(self, start: Instant) -> None:
        self._at = start

    def now(self) -> Instant:
        return self._at

    def reach(self, at: Instant) -> None:
        self._at = max(self._at, at)


class _Drawer:
    """The sandbox's drawer, which remembers what is in it."""

    def __init__(self, store: ItemStore) -> None:
        self._drawer = SandboxDrawer(store)
        self._names: dict[str, None] = {}

    def read(self, name: str) -> bytes | None:
        return self._drawer.read(name)

    def keep(self, name: str, content: bytes) -> None:
        self._names[name] = None
        self._drawer.keep(name, content)

    def payments(self) -> list[SandboxPayment]:
        gateway = SandboxGateway(self._drawer, _take_no_time)
        return [gateway.payment(name) for name in self._names if "/" not in name]


class _Bus:
    """Keeps the names of what was published by its id; what comes twice counts once."""

    def __init__(self) -> None:
        self.published: dict[str, str] = {}

    def publish(self, notifications: Sequence[Notification]) -> None:
        self.published.update((notification.id, notification.name) for notification in notifications)


class _FailureLog(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.messages.append(f"{record.getMessage()}: {error!r}")


def _take_no_time(seconds: float) -> None:
    """Wait for nothing: the sandbox's latency is not simulated."""
