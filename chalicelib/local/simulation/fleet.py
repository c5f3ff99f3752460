"""
A fleet of made-up accounts, drawn from a seed: who they are, what they use, and what is done to them when.

What makes accounts differ is dealt out rather than drawn, so that a small fleet, too, has some of everything: zones on
both sides of the date line, currencies of every kind, cards that work and cards that do not, and commitments of every
frequency. The rest is drawn from a generator for each account, seeded with the seed and the account's number: an
account is the same however many others there are. All of it is drawn as whole numbers.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import DAY, HOUR, Instant, to_datetime
from chalicelib.domain.money import round_to_minor
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.local.simulation.fleet_prices import CURRENCIES, CardVersion, card_version
from chalicelib.local.traffic import Activity, Centre, RentedNumber


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

STORAGE: Final = "screen_recording_storage"
BOTS: Final = "virtual_agent"

TIMEZONES: Final = (
    "Europe/Lisbon",
    "Pacific/Kiritimati",
    "America/New_York",
    "Pacific/Pago_Pago",
    "Asia/Kolkata",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Asia/Tokyo",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "America/Havana",
    "Etc/UTC",
)
"""From 14 hours ahead to 11 behind, with half and quarter hours, and clocks that change at midnight."""

CARDS: Final = ("tok_ok", None, "tok_ok", "tok_declined", "tok_error", "tok_ok", None, "tok_ok")
"""The cards that accounts pay with; None pays by invoice."""

ANCHORS: Final = (31, 29, 1, 30, 28, 15)
"""Days of the month on which commitments start."""

FREQUENCIES: Final = (
    Frequency.MONTHLY,
    Frequency.QUARTERLY,
    Frequency.MONTHLY,
    Frequency.SEMIANNUAL,
    Frequency.MONTHLY,
    Frequency.ANNUAL,
)

PRICE_OF_EVENT: Final = Decimal("0.05")
"""About what an event comes to, in the demo's prices."""

PURCHASE_MIN: Final = Decimal(100)

_WEEKLY_PERCENT: Final = {
    Activity.CALLS: 24,
    Activity.CONVERSATIONS: 7,
    Activity.CHATS: 5,
    Activity.EMAILS: 4,
    Activity.BOT_SESSIONS: 12,
    Activity.CAMPAIGN_RUNS: 2,
}
"""How many of each begin in a week for every hundred events of the week."""

_WEEKS_IN_MONTH: Final = Decimal("4.35")
_CARD_LEAD: Final = timedelta(days=60)
_DEAREST_PERCENT: Final = 111


class Commit(NamedTuple):
    """Put a commitment."""

    at: Instant
    pool: str
    terms: Terms


class EndCommitment(NamedTuple):
    """Delete a commitment."""

    at: Instant
    pool: str


class Give(NamedTuple):
    """Grant promotional credit, which lasts so many *days*, None for ever; *name* is its idempotency key."""

    at: Instant
    name: str
    pool: str
    amount: Decimal
    days: int | None


class TakeBack(NamedTuple):
    """Void the grant *name*."""

    at: Instant
    name: str


class Buy(NamedTuple):
    """Buy credit once, under the idempotency key *name*."""

    at: Instant
    name: str
    amount: Decimal


class Recharge(NamedTuple):
    """Switch auto recharge on under *rule*, None for off."""

    at: Instant
    rule: RechargeRule | None


class Reset(NamedTuple):
    """Replace the account's settings."""

    at: Instant
    account: Account


class Dismiss(NamedTuple):
    """Dismiss all warnings that show."""

    at: Instant


Deed = Commit | EndCommitment | Give | TakeBack | Buy | Recharge | Reset | Dismiss
"""Something that people do to an account."""


class Storage(NamedTuple):
    """Storage that is sampled at every multiple of *every*: its size at first and growth per day, in thousandths."""

    every: Instant
    size: int
    growth_per_day: int


class Member(NamedTuple):
    """
    One account of the fleet.

    It begins at *opens_at*, its usage is posted every *posting_days*, and *deeds* are done to it in the order of time.
    """

    account: Account
    opens_at: Instant
    centre: Centre
    posting_days: int
    storage: Storage | None
    deeds: tuple[Deed, ...]


class Fleet(NamedTuple):
    """The members, the *cards* that are there from the start, and those put later, each at an instant."""

    members: tuple[Member, ...]
    cards: tuple[CardVersion, ...]
    later_cards: tuple[tuple[Instant, CardVersion], ...]


class Span(NamedTuple):
    """The time that a simulation covers."""

    start: Instant
    end: Instant

    @property
    def days(self) -> int:
        """Count its days."""
        return (self.end - self.start) // DAY


def draw_fleet(seed: str, accounts: int, events: int, span: Span) -> Fleet:
    """Return a fleet of so many *accounts*, each with about so many *events* a month."""
    members = tuple(_Drawing(seed, number, events, span).member() for number in range(accounts))
    first = to_datetime(span.start).date() - _CARD_LEAD
    middle = to_datetime(span.start + span.days // 2 * DAY).date()
    used = [currency for currency in CURRENCIES if any(m.account.currency == currency.code for m in members)]
    dearer = [card_version(currency, middle, 107) for currency in used]
    # Announced too dear, and corrected when it has been in force for a while: what was charged keeps its rate.
    announced = [card_version(currency, middle, _DEAREST_PERCENT) for currency in used]
    corrected_at = span.start + (span.days // 2 + 12) * DAY
    return Fleet(
        members=members,
        cards=(*(card_version(currency, first) for currency in used), *announced),
        later_cards=tuple((corrected_at, version) for version in dearer),
    )


def _dealt(choices: Sequence[T], number: int) -> T:
    return choices[number % len(choices)]


class _Drawing:
    """Draws one member."""

    def __init__(self, seed: str, number: int, events: int, span: Span) -> None:
        self._number = number
        self._span = span
        self._luck = Random(f"{seed}/member/{number}")  # noqa: S311 - made up, to be drawn again
        self._currency = _dealt(CURRENCIES, number)
        self._events = events * self._luck.randint(40, 160) // 100
        self._spending = max(self._events * PRICE_OF_EVENT, Decimal(1))
        self._opens_at = span.start if number % 3 else span.start + self._luck.randint(0, span.days // 6) * DAY

    def member(self) -> Member:
        token = _dealt(CARDS, self._number)
        account = self._account(token)
        storage = self._storage() if self._number % 4 != 1 else None
        posting_days = self._luck.choice((1, 2, 3, 3, 5, 7))
        centre = self._centre(account)
        deeds = [*self._commitments(), *self._gifts(), *self._resets(account), *self._dismissals()]
        if token is not None:
            deeds += self._purchases(account)
        in_time = sorted((deed for deed in deeds if deed.at < self._span.end), key=lambda deed: deed.at)
        return Member(account, self._opens_at, centre, posting_days, storage, tuple(in_time))

    def _account(self, token: str | None) -> Account:
        luck, events = self._luck, self._events
        free = {
            "call": FreeUnits(Decimal(luck.randint(0, 6) * events), Per.AGENT),
            "message": FreeUnits(Decimal(luck.randint(0, events // 3 + 1)), Per.ACCOUNT),
            BOTS: FreeUnits(Decimal(luck.randint(1, 10)), Per.ACCOUNT),
            STORAGE: FreeUnits(Decimal(luck.randint(5, 60)), Per.ACCOUNT),
        }
        return Account(
            id=f"fleet-{self._number + 1:05d}",
            name=f"Fleet account {self._number + 1}",
            currency=self._currency.code,
            timezone=_dealt(TIMEZONES, self._number),
            payment_method=_paid_with(token),
            rate_card=self._currency.card,
            agents=luck.randint(0, 12),
            free_units={resource: units for resource, units in free.items() if luck.randrange(3)},
        )

    def _centre(self, account: Account) -> Centre:
        weekly = self._events / _WEEKS_IN_MONTH
        return Centre(
            account=account.id,
            timezone=account.timezone,
            weekly={
                activity: int(weekly * percent * self._luck.randint(50, 150) / 10_000)
                for activity, percent in _WEEKLY_PERCENT.items()
            },
            countries=tuple(self._luck.choices(("GB", "FR", "DE", "US", "PT"), k=4)),
            numbers=tuple(
                RentedNumber(country, kind)
                for country, kind in (("PT", "local"), ("GB", "mobile"), ("US", "toll_free"))
                if self._luck.randrange(2)
            ),
        )

    def _storage(self) -> Storage:
        every = HOUR if self._number % 8 == 2 else DAY  # noqa: PLR2004 - one in eight
        return Storage(every, self._luck.randint(1_000, 80_000), self._luck.randint(0, 400))

    def _day(self, first_percent: int, last_percent: int) -> Instant:
        """Draw a moment between two parts of the span, after the account is there."""
        days = self._span.days
        day = self._luck.randint(days * first_percent // 100, days * last_percent // 100)
        moment = self._span.start + day * DAY + self._luck.randrange(24) * HOUR
        return max(moment, self._opens_at + 2 * HOUR)

    def _happens(self, percent: int) -> bool:
        return self._luck.randrange(100) < percent

    def _amount(self, low_percent: int, high_percent: int) -> Decimal:
        """Draw an amount, in per cent of what the account spends in a month."""
        low, high = (self._spending * percent / 100 for percent in (low_percent, high_percent))
        return self._currency.amount(self._luck, low, high)

    def _commitments(self) -> Iterator[Deed]:
        if self._number % 5 != 3:  # noqa: PLR2004 - four in five
            yield from self._commitment(SHARED_POOL)
        if self._number % 3 == 0:
            yield from self._commitment(BOTS)

    def _commitment(self, pool: str) -> Iterator[Deed]:
        frequency = _dealt(FREQUENCIES, self._number)
        terms = Terms(
            self._amount(30, 120) * frequency.months,
            frequency,
            starts_on=self._start_day(_dealt(ANCHORS, self._number + (pool == BOTS))),
            ends_on=to_datetime(self._day(40, 90)).date() if self._happens(25) else None,
            rollover=self._happens(50),
        )
        yield Commit(self._opens_at, pool, terms)
        if self._happens(45):
            percent = self._luck.choice((50, 120, 150, 200))
            amount = round_to_minor(terms.amount * percent / 100, self._currency.code)
            yield Commit(self._day(20, 60), pool, replace(terms, amount=amount))
        if self._happens(15):
            yield Commit(self._day(30, 70), pool, replace(terms, frequency=Frequency.MONTHLY))
        if self._happens(25):
            yield EndCommitment(self._day(50, 90), pool)

    def _start_day(self, anchor: int) -> date:
        """Return the last day like *anchor* before the account begins, or the first after it."""
        opening = to_datetime(self._opens_at).date()
        month = Period(opening.year, opening.month)
        if self._happens(50):
            month = month.previous
        while monthrange(*month)[1] < anchor:
            month = month.previous
        return date(*month, anchor)

    def _gifts(self) -> Iterator[Deed]:
        for gift in range(self._luck.randint(0, 3)):
            at, name = self._day(0, 80), f"gift-{gift}"
            pool = self._luck.choice((SHARED_POOL, SHARED_POOL, BOTS, STORAGE))
            days = self._luck.choice((0, 10, 30, 75, 150, None))
            yield Give(at, name, pool, self._amount(10, 200), days)
            if self._happens(35):
                yield TakeBack(at + self._luck.randint(0, 60) * DAY + HOUR, name)

    def _purchases(self, account: Account) -> Iterator[Deed]:
        for purchase in range(self._luck.randint(0, 3)):
            yield Buy(self._day(0, 95), f"purchase-{purchase}", self._price())
        if self._happens(75):
            # Credit first: it can be switched on only while the balance is above the threshold.
            at = self._day(1, 25)
            yield Give(at, "welcome", SHARED_POOL, self._amount(100, 200), None)
            yield Recharge(at + HOUR, self._rule(account))
            yield Recharge(self._day(40, 70), self._rule(account))
        if self._happens(20):
            yield Recharge(self._day(70, 90), None)

    def _price(self) -> Decimal:
        return max(self._amount(50, 300), round_to_minor(PURCHASE_MIN, self._currency.code))

    def _rule(self, account: Account) -> RechargeRule:
        amount = self._amount(20, 120)
        limit = round_to_minor(amount * self._luck.randint(10, 40) / 10, account.currency)
        return RechargeRule(self._amount(10, 60), amount, limit if self._happens(50) else None)

    def _resets(self, account: Account) -> Iterator[Deed]:
        if self._happens(50):
            account = replace(account, agents=self._luck.randint(0, 15))
            yield Reset(self._day(10, 50), account)
        if account.payment_method.type is PaymentType.CREDIT_CARD and self._happens(30):
            token = self._luck.choice(("tok_ok", "tok_ok", "tok_declined", None))
            yield Reset(self._day(51, 90), replace(account, payment_method=_paid_with(token)))

    def _dismissals(self) -> Iterator[Deed]:
        for _ in range(6):
            yield Dismiss(self._day(5, 100))


def _paid_with(token: str | None) -> PaymentMethod:
    return PaymentMethod(PaymentType.INVOICE if token is None else PaymentType.CREDIT_CARD, token)
