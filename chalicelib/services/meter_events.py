"""
Metering: usage events in, balances moved, and for every event the answer whether it was taken.

Checks of an event, in this order: invalid_event, unknown_account, unknown_resource, too_old or in_future, duplicate or
conflict, no_rate.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.rate_card import RateTable, Revision, Versions
from chalicelib.domain.usage_events import AGE_MAX, AHEAD_MAX, Identity, UsageEvent, kept_number
from chalicelib.domain.waterfall import PricedEvent, charge_events
from chalicelib.observability import in_this_call
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import BusyError
from chalicelib.storage.catalogue import CardEntry, Catalogue, ProductEntry, write_card, write_product
from chalicelib.storage.items import StoreError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from chalicelib.domain.instants import Instant
    from chalicelib.storage.items import Put
    from chalicelib.storage.pages import Lookup, Pages, Recorded

    _Take = Callable[[str, Sequence["Arrived"]], list["Verdict"]]


EVENTS_MAX: Final = 1000
"""Events in one request."""

MARKS_AT_ONCE_MAX: Final = 30
"""First uses that are marked in the transaction of their charges; more than that are marked just before."""

_ACCOUNTS_SIDE_BY_SIDE: Final = 8

_log = logging.getLogger(__name__)


class Status(Enum):
    """What became of an event; *undecided*: its account was too busy, and sending it again is safe."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


class Verdict(Struct, frozen=True):
    """What became of one event and why."""

    status: Status
    code: str | None = None
    detail: str | None = None


ACCEPTED: Final = Verdict(Status.ACCEPTED)
DUPLICATE: Final = Verdict(Status.DUPLICATE, "duplicate", "this event was taken before and changes nothing")
UNDECIDED: Final = Verdict(Status.UNDECIDED)


def rejected(code: str, detail: str) -> Verdict:
    """Return the verdict on an event that is not taken."""
    return Verdict(Status.REJECTED, code, detail)


UNKNOWN_ACCOUNT: Final = rejected("unknown_account", "there is no such account")


class Arrived(NamedTuple):
    """An event, and when the service was handed it; None: when it is judged."""

    event: UsageEvent
    at: Instant | None = None


class Metering:
    """Takes usage events, exactly once each."""

    def __init__(self, changes: Changes, pages: Pages, catalogue: Catalogue) -> None:
        """Charge accounts by *catalogue*, and know events again by *pages*."""
        self._changes = changes
        self._pages = pages
        self._catalogue = catalogue

    def take(self, events: Sequence[UsageEvent]) -> list[Verdict]:
        """
        Charge *events*, by account and in the order of their times, and return a verdict on each.

        Raises:
            BusyError: where an account is too busy; sending all events again is safe.
        """
        return _side_by_side(self._take_for_account, [Arrived(event) for event in events])

    def take_each(self, arrived: Sequence[Arrived], *, is_trial: bool = False) -> list[Verdict]:
        """
        Charge events like `take`, each judged as of its arrival, so that no trouble with one is the others' trouble.

        Events of an account that is too busy stay undecided. One that cannot be taken for a reason that nobody has
        foreseen is rejected as `internal_error`, alone. A trial returns the verdicts and takes nothing.
        """
        take = self._judge_for_account if is_trial else self._take_for_account
        return _side_by_side(lambda account, events: _isolating(take, account, events), arrived)

    def _take_for_account(self, account: str, arrived: Sequence[Arrived]) -> list[Verdict]:
        attempt = self._attempt(arrived)
        verdicts = self._changes.apply(account, attempt.nonce, attempt.decide)
        return [UNKNOWN_ACCOUNT] * len(arrived) if verdicts is None else verdicts

    def _judge_for_account(self, account: str, arrived: Sequence[Arrived]) -> list[Verdict]:
        attempt = self._attempt(arrived)
        verdicts = self._changes.apply(account, attempt.nonce, attempt.judge)
        return [UNKNOWN_ACCOUNT] * len(arrived) if verdicts is None else verdicts

    def _attempt(self, arrived: Sequence[Arrived]) -> _Attempt:
        return _Attempt(self._pages, self._catalogue, arrived)


def _isolating(take: _Take, account: str, arrived: Sequence[Arrived]) -> list[Verdict]:
    """Let *take* judge the events of an *account*; where it fails, halve them until only that event is left."""
    try:
        return take(account, arrived)
    except (BusyError, StoreError):
        return [UNDECIDED] * len(arrived)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other events are not to suffer from it
        if len(arrived) == 1:
            _log.exception("an event of account %s cannot be taken", account)
            return [rejected("internal_error", type(error).__name__)]
    middle = len(arrived) // 2
    return [*_isolating(take, account, arrived[:middle]), *_isolating(take, account, arrived[middle:])]


def _side_by_side(take: _Take, arrived: Sequence[Arrived]) -> list[Verdict]:
    """Take the events of each account together, several accounts at a time, and return the verdicts in order."""
    places_by_account: dict[str, list[int]] = defaultdict(list)
    for place, (event, _) in enumerate(arrived):
        places_by_account[event.account].append(place)
    batches = {account: [arrived[place] for place in places] for account, places in places_by_account.items()}
    if len(batches) <= 1:
        return [verdict for account, batch in batches.items() for verdict in take(account, batch)]
    verdicts = [UNDECIDED] * len(arrived)
    with ThreadPoolExecutor(min(len(batches), _ACCOUNTS_SIDE_BY_SIDE)) as pool:
        taken = pool.map(in_this_call(take), batches, batches.values())
        for places, of_account in zip(places_by_account.values(), taken, strict=True):
            for place, verdict in zip(places, of_account, strict=True):
                verdicts[place] = verdict
    return verdicts


class _Attempt:
    """
    One request's events for one account, judged anew after every lost race; what was read of pages is kept.

    Their age is judged as of their arrival, without one as of the first try: a later one must not refuse what an
    earlier one may have taken.
    """

    def __init__(self, pages: Pages, catalogue: Catalogue, arrived: Sequence[Arrived]) -> None:
        self._pages = pages
        self._catalogue = catalogue
        self.nonce = new_nonce()
        self._arrived = arrived
        self._lookup: Lookup | None = None
        self._tries = 0
        self._first_tried_at: Instant | None = None

    def decide(self, situation: Situation) -> Decision[list[Verdict]]:
        products = self._products()
        card = self._catalogue.card(situation.state.account.rate_card)
        jury = self._jury(situation, products, card)
        verdicts = [jury.judge(event, at) for event, at in self._dated()]
        if not jury.fresh:
            return Decision(verdicts)
        known = {resource: entry.product for resource, entry in products.items()}
        state, charges = charge_events(situation.state, jury.fresh, known, situation.at)
        marks = _marks(jury.fresh, products, card)
        self._catalogue.write(marks[MARKS_AT_ONCE_MAX:])
        return Decision(verdicts, state, tuple(charges), puts=marks[:MARKS_AT_ONCE_MAX])

    def judge(self, situation: Situation) -> Decision[list[Verdict]]:
        card = self._catalogue.card(situation.state.account.rate_card)
        jury = self._jury(situation, self._products(), card)
        return Decision([jury.judge(event, at) for event, at in self._dated()])

    def _jury(self, situation: Situation, products: Mapping[str, ProductEntry], card: CardEntry | None) -> _Jury:
        self._lookup = self._lookup or self._pages.lookup(situation.head)
        self._first_tried_at = self._first_tried_at or situation.at
        timely = [event for event, at in self._dated() if _judge_time(event, at) is None]
        recorded = self._lookup.find(situation.head, timely) if timely else {}
        return _Jury(products, recorded, _Rates(self._catalogue, card, situation), self.nonce)

    def _dated(self) -> Iterator[tuple[UsageEvent, Instant]]:
        """Yield each event and the instant its age is judged as of: nothing arrives after it is tried."""
        now = self._first_tried_at or 0
        return ((event, now if at is None else min(at, now)) for event, at in self._arrived)

    def _products(self) -> Mapping[str, ProductEntry]:
        """Return the catalogue: as remembered, unless a product is missing or a try has failed."""
        self._tries += 1
        products = self._catalogue.products(fresh=self._tries > 1)
        if all(event.resource in products for event, _ in self._arrived):
            return products
        return self._catalogue.products(fresh=True)


def _judge_time(event: UsageEvent, at: Instant) -> Verdict | None:
    if event.time < at - AGE_MAX:
        return rejected("too_old", "the event is older than 35 days")
    if event.time > at + AHEAD_MAX:
        return rejected("in_future", "the event is more than 5 minutes in the future")
    return None


class _Jury:
    """Judges events in the order of the request; *fresh* holds those that are to be charged."""

    def __init__(
        self,
        products: Mapping[str, ProductEntry],
        recorded: Mapping[Identity, Recorded],
        rates: _Rates,
        nonce: bytes,
    ) -> None:
        self._products = products
        self._rates = rates
        self._taken_before = {identity: found.event for identity, found in recorded.items()}
        self._own = {identity for identity, found in recorded.items() if found.nonce == nonce}
        self.fresh: list[PricedEvent] = []

    def judge(self, event: UsageEvent, arrived_at: Instant) -> Verdict:
        if event.resource not in self._products:
            return rejected("unknown_resource", f"there is no product {event.resource[:64]!r}")
        out_of_time = _judge_time(event, arrived_at)
        if out_of_time is not None:
            return out_of_time
        identity = event.identity
        before = self._taken_before.get(identity)
        if before is None:
            return self._judge_rate(event)
        if not event.agrees_with(before):
            return rejected("conflict", "another event with the same source, id and time was taken before")
        if identity in self._own:
            self._own.remove(identity)
            return ACCEPTED
        return DUPLICATE

    def _judge_rate(self, event: UsageEvent) -> Verdict:
        table = self._rates.table(event.time)
        rate = None if table is None else table.match(event)
        if table is None or rate is None:
            return rejected("no_rate", "no row of the rate card in force at the event's time matches it")
        if event.number is not None:
            event = replace(event, number=kept_number(event.number, table.rated_digits(event.resource)))
        self._taken_before[event.identity] = event
        self.fresh.append(PricedEvent(event, rate))
        return ACCEPTED


class _Rates:
    """The rate card of an account at the moment its events are taken."""

    def __init__(self, catalogue: Catalogue, card: CardEntry | None, situation: Situation) -> None:
        self._catalogue = catalogue
        self._card = card
        latest = [] if card is None else card.latest()
        self._versions = Versions(latest, situation.state.account.calendar)
        self._tables: dict[Revision | None, RateTable | None] = {None: None}

    def table(self, instant: Instant) -> RateTable | None:
        revision = self._versions.in_force(instant)
        if revision not in self._tables:
            self._tables[revision] = self._read(revision)
        return self._tables[revision]

    def _read(self, revision: Revision | None) -> RateTable | None:
        if self._card is None or revision is None:
            return None
        return self._catalogue.table(self._card.card, revision)


def _marks(
    fresh: Iterable[PricedEvent], products: Mapping[str, ProductEntry], card: CardEntry | None
) -> tuple[Put, ...]:
    """Return the legs by which a first use fixes what the charges rely on."""
    used = {priced.event.resource for priced in fresh}
    marks = [
        write_product(replace(products[resource], is_used=True))
        for resource in sorted(used)
        if not products[resource].is_used
    ]
    if card is not None and not card.is_used:
        marks.append(write_card(replace(card, is_used=True)))
    return tuple(marks)
