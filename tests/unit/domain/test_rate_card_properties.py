"""What holds for every rate card and every event."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.instants import to_datetime
from chalicelib.domain.periods import calendar
from chalicelib.domain.rate_card import RateTable, Revision, Versions, find_ties
from chalicelib.domain.rate_card_upload import InvalidRateCardError, Line, read_rows
from chalicelib.domain.usage_events import UsageEvent, kept_number
from tests.oracle import billing, rates
from tests.unit.domain.builders import at
from tests.unit.domain.histories import zones


modest = settings(deadline=None, max_examples=60)
thorough = settings(deadline=None, max_examples=150)

recent_instants = st.integers(at("2012-01-01T00:00:00Z"), at("2037-12-31T00:00:00Z"))

_DIRECTIONS, _TYPES, _COUNTRIES, _CATEGORIES = ("inbound", "outbound"), ("byoc",), ("US", "PT"), ("mobile", "tollfree")
_RESOLUTIONS, _PREFIXES = ("answered", "missed"), ("1", "12", "120", "35", "351")


def _cell(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(("", "", *values))


def _cells(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=3).map(";".join)
    return st.just("") | some


rows = st.fixed_dictionaries(
    {
        "Resource": st.sampled_from(["call", "call", "call", "message"]),
        "Description": st.just(""),
        "Direction": _cell(_DIRECTIONS),
        "Type": _cell(_TYPES),
        "Resolutions": _cells(_RESOLUTIONS),
        "Country code": _cell(_COUNTRIES),
        "Category": _cell(_CATEGORIES),
        "Prefixes": _cells((*_PREFIXES, "+351")),
        "Price per increment": st.sampled_from(["0", "0.01", "0.0125", "1"]),
        "Increment": st.sampled_from(["1", "6", "7", "60"]),
        "Unit of measure": st.just(""),
        "Currency": st.just("EUR"),
    }
)
cards = st.lists(rows, min_size=1, max_size=12)


def _field(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from((*values, "other"))


fields = st.fixed_dictionaries(
    {},
    optional={
        "direction": _field(_DIRECTIONS),
        "type": _field(_TYPES),
        "resolution": _field(_RESOLUTIONS),
        "country_code": _field(_COUNTRIES),
        "category": _field(_CATEGORIES),
        "number": st.sampled_from(["1", "12", "1206", "12065550100", "351", "35191234", "4479", "13"]),
    },
)
resources = st.sampled_from(["call", "call", "message", "chat"])


def _lines(card: list[dict[str, str]]) -> list[Line]:
    return [Line(f"/rows/{index}", f"line {index + 2}", row) for index, row in enumerate(card)]


def _without_ties(card: list[dict[str, str]]) -> list[dict[str, str]]:
    tying = {later for _, later in rates.tying_pairs(card)}
    return [row for index, row in enumerate(card) if index not in tying]


@thorough
@given(cards)
def test_a_card_with_ties_is_refused(card: list[dict[str, str]]) -> None:
    """A card is refused where comparing all rows with all others finds a tie, and the later line of each is named."""
    tying = sorted({later for _, later in rates.tying_pairs(card)})

    try:
        read_rows(_lines(card), "EUR")
    except InvalidRateCardError as refusal:
        named = {fault.pointer for fault in refusal.faults}
    else:
        named = set()

    assert {f"/rows/{index}" for index in tying} == named


@thorough
@given(cards)
def test_ties_are_real(card: list[dict[str, str]]) -> None:
    """For every two rows reported there is an event that both match, equally narrowly."""
    read = [read_rows(_lines([row]), "EUR")[0] for row in card]

    for earlier, later in find_ties(read):
        one, other = read[earlier], read[later]
        shared_prefixes = set(one.prefixes) & set(other.prefixes)
        shared_resolutions = set(one.resolutions) & set(other.resolutions)
        event = {
            "resource": one.resource,
            "direction": one.direction,
            "type": one.type,
            "country_code": one.country_code,
            "category": one.category,
            "resolution": min(shared_resolutions, default=""),
            "number": min(shared_prefixes, default=""),
        }
        scores = {rates.score(card[index], event) for index in (earlier, later)}
        assert len(scores) == 1
        assert None not in scores


@thorough
@given(cards, st.lists(st.tuples(resources, fields), min_size=1, max_size=8))
def test_the_narrowest_match(card: list[dict[str, str]], events: list[tuple[str, dict[str, str]]]) -> None:
    """The row found is the one that a scan of the whole card finds, and there is never a second."""
    card = _without_ties(card)
    table = RateTable("standard", Revision(date(2026, 1, 1), 1), read_rows(_lines(card), "EUR"))

    for resource, given_fields in events:
        rate = table.match(UsageEvent("acme", "s", "e", 0, resource, Decimal(1), **given_fields))

        assert ([] if rate is None else [rate.row]) == rates.narrowest(card, {"resource": resource, **given_fields})


@modest
@given(cards, resources, fields)
def test_rated_digits_are_enough(card: list[dict[str, str]], resource: str, given_fields: dict[str, str]) -> None:
    """Digits beyond those that rate never change the rate."""
    table = RateTable("standard", Revision(date(2026, 1, 1), 1), read_rows(_lines(_without_ties(card)), "EUR"))
    event = UsageEvent("acme", "s", "e", 0, resource, Decimal(1), **given_fields)
    number = (event.number or "")[: table.rated_digits(resource)]
    cut = UsageEvent("acme", "s", "e", 0, resource, Decimal(1), **given_fields | {"number": number})

    assert table.match(event) == table.match(cut)


@modest
@given(zones, st.sets(st.dates(date(2020, 1, 1), date(2030, 1, 1)), max_size=5), recent_instants)
def test_the_version_in_force(timezone: str, dates: set[date], instant: int) -> None:
    """The version in force is the latest whose date a calendar on the wall has reached."""
    in_force = Versions([Revision(day, 1) for day in dates], calendar(timezone)).in_force(instant)

    today = billing.Account(timezone, {}).day_of(to_datetime(instant))
    expected = rates.in_force({day: [{"Resource": day.isoformat()}] for day in dates}, today)

    assert (expected and expected[0]["Resource"]) == (in_force and in_force.effective_from.isoformat())


@modest
@given(st.from_regex(r"[0-9]{1,15}", fullmatch=True), st.integers(0, 15))
def test_numbers_are_kept_short(number: str, rated_digits: int) -> None:
    """What is kept is the beginning of a number without its last four digits, and all that rating needs of those."""
    kept = kept_number(number, rated_digits)

    assert number.startswith(kept)
    assert len(kept) <= max(len(number) - 4, 0)
    assert len(kept) >= min(rated_digits, max(len(number) - 4, 0))
