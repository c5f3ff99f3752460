"""Rate cards: the narrowest match, versions and ties."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from chalicelib.domain.periods import calendar
from chalicelib.domain.rate_card import Rate, RateRow, RateTable, Revision, Versions, find_ties
from tests.unit.domain.builders import REVISION, an_event, at


def a_row(  # noqa: PLR0913 - the cells that match
    resource: str = "call",
    direction: str | None = None,
    type: str | None = None,  # noqa: A002 - the name of the column
    resolutions: tuple[str, ...] = (),
    country: str | None = None,
    category: str | None = None,
    prefixes: tuple[str, ...] = (),
    price: str = "1",
) -> RateRow:
    """Return a row of a card in which all but the cells given are blank."""
    return RateRow(
        resource, "", direction, type, resolutions, country, category, prefixes, Decimal(price), Decimal(60), "", "EUR"
    )


def matched(rows: list[RateRow], **fields: str) -> int | None:
    """Return the index of the row that prices a call with these fields."""
    rate = RateTable("standard", REVISION, rows).match(an_event(**fields))
    return None if rate is None else rate.row


CARD = [
    a_row(direction="inbound"),  # 0
    a_row(direction="inbound", country="US"),  # 1
    a_row(direction="inbound", country="US", category="tollfree"),  # 2
    a_row(direction="outbound"),  # 3
    a_row(direction="outbound", country="US"),  # 4
    a_row(direction="outbound", prefixes=("1206", "1425")),  # 5
    a_row(direction="outbound", prefixes=("12065",)),  # 6
    a_row(direction="inbound", resolutions=("missed", "voicemail")),  # 7
    a_row(type="monitor"),  # 8
    a_row(resource="message"),  # 9
    a_row(),  # 10
]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        # an inbound call falls back from country and category to country to the default
        ({"direction": "inbound", "country_code": "US", "category": "tollfree"}, 2),
        ({"direction": "inbound", "country_code": "US", "category": "local"}, 1),
        ({"direction": "inbound", "country_code": "US"}, 1),
        ({"direction": "inbound", "country_code": "PT", "category": "tollfree"}, 0),
        ({"direction": "inbound", "category": "tollfree"}, 0),
        ({"direction": "inbound"}, 0),
        # an outbound one from the longest prefix to the country to the default
        ({"direction": "outbound", "country_code": "US", "number": "12065550100"}, 6),
        ({"direction": "outbound", "country_code": "US", "number": "12064440100"}, 5),
        ({"direction": "outbound", "country_code": "US", "number": "14254440100"}, 5),
        ({"direction": "outbound", "country_code": "US", "number": "13334440100"}, 4),
        ({"direction": "outbound", "country_code": "US"}, 4),
        ({"direction": "outbound", "country_code": "PT", "number": "351912345678"}, 3),
        ({"direction": "outbound"}, 3),
        # a prefix matches leading digits alone, and only as a whole
        ({"direction": "outbound", "number": "9112065550100"}, 3),
        ({"direction": "outbound", "number": "120"}, 3),
        ({"direction": "outbound", "number": "1206"}, 5),
        # any of several resolutions
        ({"direction": "inbound", "resolution": "missed"}, 7),
        ({"direction": "inbound", "resolution": "voicemail"}, 7),
        ({"direction": "inbound", "resolution": "answered"}, 0),
        # country is narrower than resolution, type than direction
        ({"direction": "inbound", "resolution": "missed", "country_code": "US"}, 1),
        ({"direction": "inbound", "type": "monitor"}, 8),
        # equal means equal, also in case
        ({"direction": "Inbound"}, 10),
        ({"direction": "inbound", "country_code": "us"}, 0),
        ({}, 10),
        ({"resource": "message", "direction": "inbound"}, 9),
        ({"resource": "chat"}, None),
    ],
)
def test_narrowest_match(fields: dict[str, str], row: int | None) -> None:
    """The row that matches most narrowly prices the event."""
    assert row == matched(CARD, **fields)


EVERYTHING = {
    "number": "12065550100",
    "country_code": "US",
    "category": "mobile",
    "resolution": "answered",
    "type": "byoc",
    "direction": "outbound",
}

NARROWER = [
    (
        a_row(prefixes=("1",)),
        a_row(country="US", category="mobile", resolutions=("answered",), type="byoc", direction="outbound"),
    ),
    (a_row(country="US"), a_row(category="mobile", resolutions=("answered",), type="byoc", direction="outbound")),
    (a_row(category="mobile"), a_row(resolutions=("answered",), type="byoc", direction="outbound")),
    (a_row(resolutions=("answered",)), a_row(type="byoc", direction="outbound")),
    (a_row(type="byoc"), a_row(direction="outbound")),
    (a_row(direction="outbound"), a_row()),
    (a_row(prefixes=("120",)), a_row(prefixes=("12",), country="US")),
    (a_row(prefixes=("12",), country="US"), a_row(prefixes=("12",), category="mobile", type="byoc")),
]


@pytest.mark.parametrize(("narrower", "wider"), NARROWER)
def test_order_of_narrowness(narrower: RateRow, wider: RateRow) -> None:
    """Longest prefix, then country, category, resolution, type, direction; one outweighs all that follow."""
    assert matched([narrower, wider], **EVERYTHING) == 0
    assert matched([wider, narrower], **EVERYTHING) == 1


@pytest.mark.parametrize(
    "row",
    [
        a_row(direction="outbound"),
        a_row(type="byoc"),
        a_row(resolutions=("answered",)),
        a_row(country="US"),
        a_row(category="mobile"),
        a_row(prefixes=("1",)),
    ],
)
def test_a_filled_cell_needs_a_value(row: RateRow) -> None:
    """An event that does not say what a filled cell asks for is not matched."""
    assert matched([row]) is None
    assert matched([row], **EVERYTHING) == 0


def test_two_filled_cells_need_both() -> None:
    """All filled cells of a row have to agree."""
    rows = [a_row(direction="inbound", country="US")]

    assert matched(rows, direction="inbound", country_code="PT") is None
    assert matched(rows, direction="outbound", country_code="US") is None


def test_what_a_rate_remembers() -> None:
    """A rate names its card, revision and row, and holds the price."""
    table = RateTable("standard", Revision(date(2026, 3, 1), 2), [a_row(), a_row(country="US", price="0.0125")])

    assert Rate("standard", Revision(date(2026, 3, 1), 2), 1, Decimal("0.0125"), Decimal(60)) == table.match(
        an_event(country_code="US")
    )


def test_one_table_answers_differently_for_different_events() -> None:
    """What was found for one event is not taken for another."""
    table = RateTable("standard", REVISION, CARD)
    numbers = ["12065550100", "12064440100", None, "12065550100", "12065550199", "3", None]

    rates = [table.match(an_event(direction="outbound", number=number)) for number in numbers]

    assert [rate and rate.row for rate in rates] == [6, 5, 3, 6, 6, 3, 3]


@pytest.mark.parametrize(("resource", "digits"), [("call", 5), ("message", 0), ("chat", 0)])
def test_rated_digits(resource: str, digits: int) -> None:
    """As many digits of a number may decide as the longest prefix of the resource has."""
    assert digits == RateTable("standard", REVISION, CARD).rated_digits(resource)


@pytest.mark.parametrize(
    ("instant", "effective_from"),
    [
        ("2025-12-31T22:59:59Z", None),
        ("2025-12-31T23:00:00Z", date(2026, 1, 1)),
        # 00:00 of 1 July, summer time, in Berlin
        ("2026-06-30T21:59:59.999999Z", date(2026, 1, 1)),
        ("2026-06-30T22:00:00Z", date(2026, 7, 1)),
        ("2030-01-01T00:00:00Z", date(2026, 7, 1)),
    ],
)
def test_versions(instant: str, effective_from: date | None) -> None:
    """A version is in force from 00:00 of its date in the account's zone until that of the next."""
    versions = Versions([Revision(date(2026, 7, 1), 3), Revision(date(2026, 1, 1), 1)], calendar("Europe/Berlin"))

    in_force = versions.in_force(at(instant))

    assert effective_from == (in_force and in_force.effective_from)


def test_the_zone_decides_when_a_version_begins() -> None:
    """At one instant, one account has the new version and another the old one."""
    revisions = [Revision(date(2026, 1, 1), 1), Revision(date(2026, 2, 1), 1)]
    instant = at("2026-01-31T12:00:00Z")

    assert Versions(revisions, calendar("Pacific/Kiritimati")).in_force(instant) == revisions[1]
    assert Versions(revisions, calendar("America/New_York")).in_force(instant) == revisions[0]


def test_no_versions() -> None:
    """A card without versions has none in force."""
    assert Versions([], calendar("UTC")).in_force(0) is None


@pytest.mark.parametrize("effective_from", [date.min, date(1, 1, 2), date(1970, 1, 1), date.max])
@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_versions_of_any_date(effective_from: date, timezone: str) -> None:
    """A version may have any date that can be written."""
    versions = Versions([Revision(effective_from, 1)], calendar(timezone))

    assert (effective_from < date(2026, 1, 1)) == bool(versions.in_force(at("2026-01-01T12:00:00Z")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (a_row(), a_row()),
        (a_row(country="US"), a_row(country="US", price="2")),
        (a_row(resolutions=("answered", "missed")), a_row(resolutions=("missed", "voicemail"))),
        (a_row(prefixes=("44", "351")), a_row(prefixes=("351", "33"))),
        (a_row(prefixes=("44", "447")), a_row(prefixes=("447", "4479"))),
        (
            a_row(resolutions=("missed", "answered"), prefixes=("1", "2")),
            a_row(resolutions=("answered",), prefixes=("2",)),
        ),
    ],
)
def test_rows_that_tie(one: RateRow, other: RateRow) -> None:
    """Rows tie where the same cells are filled with a value, and a prefix, in common."""
    assert find_ties([one, other]) == [(0, 1)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (a_row(), a_row(resource="message")),
        (a_row(), a_row(direction="inbound")),
        (a_row(country="US"), a_row(country="PT")),
        (a_row(country="US"), a_row(category="US")),
        (a_row(country="US"), a_row(country="US", type="byoc")),
        (a_row(country="US", type="byoc"), a_row(country="US", direction="inbound")),
        (a_row(resolutions=("answered",)), a_row(resolutions=("missed",))),
        (a_row(resolutions=("answered",)), a_row()),
        (a_row(prefixes=("44",)), a_row(prefixes=("447",))),
        (a_row(prefixes=("44",)), a_row(prefixes=("45",))),
        (a_row(prefixes=("44",), resolutions=("answered",)), a_row(prefixes=("44",), resolutions=("missed",))),
    ],
)
def test_rows_that_do_not_tie(one: RateRow, other: RateRow) -> None:
    """Rows that no event matches equally narrowly may stand on one card."""
    assert find_ties([one, other]) == []


def test_many_ties() -> None:
    """Every row that repeats an earlier one is found."""
    rows = [a_row(), a_row(country="US"), a_row(), a_row(country="US"), a_row()]

    assert sorted(find_ties(rows)) == [(0, 2), (0, 4), (1, 3)]
