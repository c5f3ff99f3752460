"""What a simulated fleet is made of, and how its usage is delivered."""

from __future__ import annotations

from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.instants import DAY, HOUR, parse_instant, to_datetime
from chalicelib.domain.money import minor_digits, round_to_minor
from chalicelib.domain.rate_card import RateTable, Revision
from chalicelib.domain.rate_card_upload import read_rows
from chalicelib.domain.usage_events import AGE_MAX, UsageEvent
from chalicelib.local.simulation.fleet import (
    STORAGE,
    Buy,
    Commit,
    Fleet,
    Give,
    Member,
    Recharge,
    Span,
    TakeBack,
    draw_fleet,
)
from chalicelib.local.simulation.fleet_prices import CURRENCIES
from chalicelib.local.simulation.fleet_traffic import Feed


SPAN = Span(parse_instant("2026-01-01T00:00:00Z"), parse_instant("2027-01-01T00:00:00Z"))


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Give a fleet of 40."""
    return draw_fleet("a seed", 40, 100, SPAN)


def test_same_seed_same_fleet(fleet: Fleet) -> None:
    """A seed says all about a fleet, and another seed something else."""
    assert draw_fleet("a seed", 40, 100, SPAN) == fleet
    assert draw_fleet("another seed", 40, 100, SPAN) != fleet


def test_an_account_is_the_same_in_a_smaller_fleet(fleet: Fleet) -> None:
    """How many others there are changes nothing about an account."""
    assert draw_fleet("a seed", 7, 100, SPAN).members == fleet.members[:7]


def test_some_of_everything(fleet: Fleet) -> None:
    """A small fleet has currencies of every kind, zones far apart, cards that work and that do not, and invoices."""
    accounts = [member.account for member in fleet.members[:13]]
    january = to_datetime(SPAN.start)
    offsets = {ZoneInfo(account.timezone).utcoffset(january).total_seconds() / 3600 for account in accounts}
    tokens = {account.payment_method.token for account in accounts}
    terms = [deed.terms for member in fleet.members for deed in member.deeds if isinstance(deed, Commit)]

    assert {minor_digits(account.currency) for account in accounts} == {0, 2, 3}
    assert offsets >= {14, -11, 5.5, 5.75, 0}
    assert tokens == {"tok_ok", "tok_declined", "tok_error", None}
    assert {account.payment_method.type for account in accounts} == set(PaymentType)
    assert len({one.frequency for one in terms}) == 4
    assert {one.starts_on.day for one in terms} >= {28, 29, 30, 31}
    assert {one.rollover for one in terms} == {True, False}
    assert {one.ends_on is None for one in terms} == {True, False}
    assert {type(deed).__name__ for member in fleet.members for deed in member.deeds} == {
        *("Buy", "Commit", "Dismiss", "EndCommitment", "Give", "Recharge", "Reset", "TakeBack")
    }


def test_deeds_are_in_order(fleet: Fleet) -> None:
    """Deeds come in the order of time, after the account is there and before the end; a gift before it is voided."""
    for member in fleet.members:
        instants = [deed.at for deed in member.deeds]
        gifts = {deed.name: deed.at for deed in member.deeds if isinstance(deed, Give)}

        assert instants == sorted(instants)
        assert all(member.opens_at <= at < SPAN.end for at in instants)
        assert all(gifts[deed.name] < deed.at for deed in member.deeds if isinstance(deed, TakeBack))


def test_amounts_are_of_whole_minor_units(fleet: Fleet) -> None:
    """What is paid is of whole minor units, and a purchase of at least 100."""
    for member in fleet.members:
        currency = member.account.currency
        prices = [deed.amount for deed in member.deeds if isinstance(deed, Buy)]
        rules = [deed.rule for deed in member.deeds if isinstance(deed, Recharge) and deed.rule is not None]
        amounts = prices + [rule.amount for rule in rules] + [rule.threshold for rule in rules]

        assert all(amount == round_to_minor(amount, currency) > 0 for amount in amounts)
        assert all(price >= 100 for price in prices)


def test_rate_cards(fleet: Fleet) -> None:
    """Every currency has a card from before the start and a dearer one from the middle of the year, put twice."""
    versions = [*fleet.cards, *(version for _, version in fleet.later_cards)]
    dates = Counter((version.card, version.effective_from) for version in versions)
    rows = {(version.card, version.effective_from): read_rows(version.lines, None) for version in versions}

    assert {card for card, _ in dates} == {currency.card for currency in CURRENCIES}
    assert {effective_from: count for (_, effective_from), count in dates.items()} == {
        date(2025, 11, 2): 1,
        date(2026, 7, 2): 2,
    }
    assert {row.currency for row in rows["fleet-jpy", date(2025, 11, 2)]} == {"JPY"}


def _delivered(member: Member, *days: int) -> list[UsageEvent]:
    feed = Feed(member, "a seed")
    return [event for day in days for event in feed.until(SPAN.start + day * DAY)]


def test_delivery_does_not_depend_on_steps(fleet: Fleet) -> None:
    """Whatever steps time passes in, the same is delivered by the end, nothing twice."""
    member = fleet.members[2]
    at_once = _delivered(member, 60)
    in_steps = _delivered(member, *range(1, 61))

    assert len({event.identity for event in at_once}) == len(at_once) > 100
    assert {event.identity: event for event in in_steps} == {event.identity: event for event in at_once}


def test_some_usage_is_late(fleet: Fleet) -> None:
    """Some events come days late, none so late that it would be refused when it is posted once a week."""
    feed = Feed(fleet.members[2], "a seed")
    delays = [
        SPAN.start + day * DAY - event.time for day in range(1, 120) for event in feed.until(SPAN.start + day * DAY)
    ]
    late = [delay for delay in delays if delay > DAY]

    assert 0.005 < len(late) / len(delays) < 0.05
    assert 20 * DAY < max(late) < AGE_MAX - 7 * DAY


def test_storage(fleet: Fleet) -> None:
    """Storage is sampled daily or hourly, and in most months a high sample from before the 28th comes after it."""
    by_the_hour, by_the_day = fleet.members[2], fleet.members[3]
    hours = [event for event in _delivered(by_the_hour, 30) if event.resource == STORAGE]
    feed = Feed(by_the_day, "a seed")
    surges = [
        (to_datetime(event.time), SPAN.start + day * DAY)
        for day in range(1, 365)
        for event in feed.until(SPAN.start + day * DAY)
        if event.source == "/storage/surge"
    ]

    assert by_the_hour.storage is not None
    assert by_the_hour.storage.every == HOUR
    assert 24 * 29 <= len(hours) <= 24 * 30 + 1
    assert 6 <= len(surges) <= 12
    assert all(20 <= time.day <= 27 for time, _ in surges)
    assert all(to_datetime(delivered).day >= 28 or to_datetime(delivered).day <= 4 for _, delivered in surges)


def test_all_usage_has_a_price(fleet: Fleet) -> None:
    """Whatever the fleet uses, its cards price."""
    rows = read_rows(fleet.cards[0].lines, None)
    table = RateTable("fleet", Revision(date(2026, 1, 1), 1), rows)
    events = [event for member in fleet.members[:4] for event in _delivered(member, 40)]

    assert len(events) > 200
    assert all(table.match(event) is not None for event in events)
