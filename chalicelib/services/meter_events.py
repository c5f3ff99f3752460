"""
Metering: usage events in, balances moved, and for every event the answer whether it was taken.

Checks of an event, in this order: invalid_event, unknown_account, unknown_resource, too_old or in_future, duplicate or
conflict, no_rate.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.rate_card import RateTable, Revision, Versions
from chalicelib.domain.usage_events import AGE_MAX, AHEAD_MAX, Identity, UsageEvent, kept_number
from chalicelib.domain.waterfall import PricedEvent, charge_events
from chalicelib.observability import in_this_call
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.storage.catalogue import CardEntry, Catalogue, ProductEntry, write_card, write_product


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chalicelib.domain.instants import Instant
    from chalicelib.storage.items import Put
    from chalicelib.storage.pages import Lookup, Pages, Recorded


EVENTS_MAX: Final = 1000
"""Events in one request."""

MARKS_AT_ONCE_MAX: Final = 30
"""First uses that are marked in the transaction of their charges; more than that are marked just before."""

_ACCOUNTS_SIDE_BY_SIDE: Final = 8


class Status(Enum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Verdict(Struct, frozen=True):
    """What became of one event and why."""

    status: Status
    code: str | None = None
    detail: str | None = None


ACCEPTED: Final = Verdict(Status.ACCEPTED)
DUPLICATE: Final = Verdict(Status.DUPLICATE, "duplicate", "this event was taken before and changes nothing")


def rejected(code: str, detail: str) -> Verdict:
    """Return the verdict on an event that is not taken."""
    return Verdict(Status.REJECTED, code, detail)


UNKNOWN_ACCOUNT: Final = rejected("unknown_account", "there is no such account")


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
        positions: dict[str, list[int]] = defaultdict(list)
        for position, event in enumerate(events):
            positions[event.account].append(position)
        batches = {account: [events[position] for position in places] for account, places in positions.items()}
        verdicts_by_account = _side_by_side(self._take_for_account, batches)
        verdicts = [UNKNOWN_ACCOUNT] * len(events)
        for account, places in positions.items():
            for position, verdict in zip(places, verdicts_by_account[account], strict=True):
                verdicts[position] = verdict
        return verdicts

    def _take_for_account(self, account: str, events: Sequence[UsageEvent]) -> list[Verdict]:
        nonce = new_nonce()
        attempt = _Attempt(self._pages, self._catalogue, events, nonce)
        verdicts = self._changes.apply(account, nonce, attempt.decide)
        return [UNKNOWN_ACCOUNT] * len(events) if verdicts is None else verdicts


def _side_by_side(
    take: Callable[[str, Sequence[UsageEvent]], list[Verdict]], batches: Mapping[str, Sequence[UsageEvent]]
) -> dict[str, list[Verdict]]:
    if len(batches) <= 1:
        return {account: take(account, events) for account, events in batches.items()}
    with ThreadPoolExecutor(min(len(batches), _ACCOUNTS_SIDE_BY_SIDE)) as pool:
        return dict(zip(batches, pool.map(in_this_call(take), batches, batches.values()), strict=True))


class _Attempt:
    """
    One request's events for one account, judged anew after every lost race; what was read of pages is kept.

    Their age is judged as of the first try: a later one must not refuse what an earlier one may have taken.
    """

    def __init__(self, pages: Pages, catalogue: Catalogue, events: Sequence[UsageEvent], nonce: bytes) -> None:
        self._pages = pages
        self._catalogue = catalogue
        self._events = events
        self._nonce = nonce
        self._lookup: Lookup | None = None
        self._tries = 0
        self._arrived_at: Instant | None = None

    def decide(self, situation: Situation) -> Decision[list[Verdict]]:
        products = self._products()
        self._lookup = self._lookup or self._pages.lookup(situation.head)
        self._arrived_at = self._arrived_at or situation.at
        timely = [event for event in self._events if _judge_time(event, self._arrived_at) is None]
        recorded = self._lookup.find(situation.head, timely) if timely else {}
        card = self._catalogue.card(situation.state.account.rate_card)
        jury = _Jury(self._arrived_at, products, recorded, _Rates(self._catalogue, card, situation), self._nonce)
        verdicts = [jury.judge(event) for event in self._events]
        if not jury.fresh:
            return Decision(verdicts)
        known = {resource: entry.product for resource, entry in products.items()}
        state, charges = charge_events(situation.state, jury.fresh, known, situation.at)
        marks = _marks(jury.fresh, products, card)
        self._catalogue.write(marks[MARKS_AT_ONCE_MAX:])
        return Decision(verdicts, state, tuple(charges), puts=marks[:MARKS_AT_ONCE_MAX])

    def _products(self) -> Mapping[str, ProductEntry]:
        """Return the catalogue: as remembered, unless a product is missing or a try has failed."""
        self._tries += 1
        products = self._catalogue.products(fresh=self._tries > 1)
        if all(event.resource in products for event in self._events):
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
        arrived_at: Instant,
        products: Mapping[str, ProductEntry],
        recorded: Mapping[Identity, Recorded],
        rates: _Rates,
        nonce: bytes,
    ) -> None:
        self._arrived_at = arrived_at
        self._products = products
        self._rates = rates
        self._taken_before = {identity: found.event for identity, found in recorded.items()}
        self._own = {identity for identity, found in recorded.items() if found.nonce == nonce}
        self.fresh: list[PricedEvent] = []

    def judge(self, event: UsageEvent) -> Verdict:
        if event.resource not in self._products:
            return rejected("unknown_resource", f"there is no product {event.resource[:64]!r}")
        out_of_time = _judge_time(event, self._arrived_at)
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
