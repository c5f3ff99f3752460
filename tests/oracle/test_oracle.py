"""The independent calculation, checked by hand, so that what agrees with it is right and not just alike."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.oracle.billing import SHARED_POOL, Account, Event, Grant, bill
from tests.oracle.decimals import exact_or_12_decimals, half_up, read, write
from tests.oracle.rates import Row, in_force, narrowest, tying_pairs


if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "Resource,Description,Direction,Type,Resolutions,Country code,Category,Prefixes,"
    "Price per increment,Increment,Unit of measure,Currency"
)


def a_row(**cells: str) -> Row:
    """Return a row for calls at 1 a unit; underscores stand for spaces."""
    row = dict.fromkeys(COLUMNS.split(","), "") | {"Resource": "call", "Price per increment": "1", "Increment": "1"}
    return row | {column.replace("_", " "): cell for column, cell in cells.items()}


def utc(text: str) -> datetime:
    """Return a time of 2026, written `11-22 14:03`."""
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


@pytest.mark.parametrize(
    ("value", "minimum_decimals", "text"),
    [
        (Fraction(0), 0, "0"),
        (Fraction(0), 2, "0.00"),
        (Fraction(5), 2, "5.00"),
        (Fraction(-5), 2, "-5.00"),
        (Fraction(1000), 0, "1000"),
        (Fraction(17, 4000), 2, "0.00425"),
        (Fraction(-1, 8), 2, "-0.125"),
        (Fraction(141359, 2000), 2, "70.6795"),
        (Fraction(1, 10**12), 0, "0.000000000001"),
    ],
)
def test_writing(value: Fraction, minimum_decimals: int, text: str) -> None:
    """A fraction is written plainly, with the minor digits at least and no other trailing zeros."""
    assert text == write(value, minimum_decimals)
    assert value == read(text)


def test_an_endless_fraction_cannot_be_written() -> None:
    """What has no last decimal is not written as if it had."""
    with pytest.raises(ValueError, match="never end"):
        write(Fraction(1, 3))


@pytest.mark.parametrize(
    ("value", "rounded"), [("0.005", "0.01"), ("0.0049", "0"), ("2.675", "2.68"), ("2.665", "2.67"), ("3", "3")]
)
def test_half_up(value: str, rounded: str) -> None:
    """Halves go up."""
    assert read(rounded) == half_up(read(value), 2)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (Fraction(2, 3), "0.666666666667"),
        (Fraction(1, 3), "0.333333333333"),
        (Fraction(1, 2**14), "0.00006103515625"),
    ],
)
def test_endless_division(value: Fraction, result: str) -> None:
    """Only what never ends is rounded."""
    assert read(result) == exact_or_12_decimals(value)


def test_the_narrowest_row() -> None:
    """A longer prefix beats a country, a country beats all that follows; a tie shows both."""
    card = [
        a_row(),
        a_row(Country_code="US"),
        a_row(Prefixes="1;351"),
        a_row(Prefixes="+1206"),
        a_row(Direction="outbound", Resolutions="answered;missed"),
        a_row(Direction="inbound"),
        a_row(Direction="inbound", Increment="6"),
    ]

    def found(**fields: str) -> list[int]:
        return narrowest(card, {"resource": "call", **fields})

    assert found() == [0]
    assert found(country_code="US", direction="outbound", resolution="missed") == [1]
    assert found(country_code="US", number="14255550100") == [2]
    assert found(number="+12065550100") == [3]
    assert found(direction="outbound", resolution="answered") == [4]
    assert found(direction="outbound", resolution="voicemail") == [0]
    assert found(direction="inbound") == [5, 6]
    assert narrowest(card, {"resource": "message"}) == []
    assert list(tying_pairs(card)) == [(5, 6)]


def test_versions() -> None:
    """The latest version that has begun is in force."""
    versions = {date(2026, 1, 1): [a_row()], date(2026, 7, 1): []}

    assert in_force(versions, date(2025, 12, 31)) is None
    assert [a_row()] == in_force(versions, date(2026, 6, 30))
    assert in_force(versions, date(2026, 7, 1)) == []


def test_free_units_then_credit_then_invoice() -> None:
    """A month of calls, worked out by hand."""
    card = [a_row(Increment="60", Price_per_increment="0.03")]
    account = Account("UTC", {date.min: card}, {"call": "150"})
    account.grant(Grant("g", SHARED_POOL, "committed", "0.04", utc("11-01 00:00")))

    charges = account.take([Event(utc(f"11-02 00:0{minute}"), "call", "59.5") for minute in (2, 3)])
    first = account.take([Event(utc("11-02 00:01"), "call", "95")], utc("11-02 00:05"))

    assert [(each.billed, each.free, each.amount) for each in (*charges, *first)] == [
        (60, 60, 0),
        (60, 60, 0),
        # 120 - 30 at 0.03 / 60
        (120, 30, Fraction(45, 1000)),
    ]
    assert account.months() == {
        "2026-11": {
            "total": "0.01",
            "lines": {
                "call": {
                    "quantity": "214",
                    "billed_quantity": "240",
                    "free_units_used": "150",
                    "amount": "0.045",
                    "credits_applied": "0.04",
                    # 0.045 - 0.04, a half cent
                    "to_be_invoiced": "0.005",
                    "total": "0.01",
                }
            },
        }
    }
    assert account.credit(SHARED_POOL, "2026-11", utc("11-03 00:00")) == "0.00"


def test_burn_order_and_force() -> None:
    """Soonest expiry, then kind, then age; not what expired, is to come, or came after the month."""
    account = Account("UTC", {date.min: [a_row()]})
    for name, kind, effective, last_day in (
        ("purchased", "purchased", "10-01 00:00", None),
        ("promotional", "promotional", "10-01 00:00", None),
        ("younger", "committed", "10-03 00:00", None),
        ("older", "committed", "10-02 00:00", None),
        ("expiring", "purchased", "10-01 00:00", date(2026, 11, 1)),
        ("expired", "committed", "10-01 00:00", date(2026, 10, 31)),
        ("November's", "committed", "11-01 00:00", date(2026, 11, 1)),
    ):
        account.grant(Grant(name, SHARED_POOL, kind, "1", utc(effective), last_day))

    october, november = account.take(
        [Event(utc("10-31 23:00"), "call", "4.5"), Event(utc("11-01 00:10"), "call", "3")], utc("11-01 00:30")
    )

    # 4.5 are billed as 5
    assert [name for name, _ in october.payments] == ["expiring", "older", "younger", "promotional", "purchased"]
    assert [name for name, _ in november.payments] == ["November's"]
    assert (october.is_late, november.is_late) == (False, False)


def test_late() -> None:
    """An hour after the month it is invoiced, and what comes then is charged in the next."""
    account = Account("America/New_York", {date.min: [a_row()]}, since=utc("10-20 00:00"))
    event = Event(utc("11-01 03:59"), "call", "1")  # 31 October 23:59

    in_time = account.take([event], utc("11-01 04:59"))
    late = account.take([event], utc("11-01 05:00"))
    before = account.take([Event(utc("09-30 00:00"), "call", "1")], utc("10-21 00:00"))

    assert [(each.month, each.is_late) for each in (*in_time, *late, *before)] == [
        ("2026-10", False),
        ("2026-11", True),
        ("2026-10", True),
    ]


def test_arriving_credit() -> None:
    """Credit pays what is open in its month and pool, by resource code, and keeps the rest."""
    account = Account(
        "UTC", {date.min: [a_row(), a_row(Resource="chat"), a_row(Resource="apart")]}, own_pools=["apart"]
    )
    account.take([Event(utc("10-31 10:00"), "call", "9")])
    account.take([Event(utc("11-02 10:00"), resource, "2") for resource in ("chat", "apart", "call")])

    assert account.grant(Grant("g", SHARED_POOL, "purchased", "3", utc("11-03 00:00"))) == [("call", 2), ("chat", 1)]
    assert account.grant(Grant("h", SHARED_POOL, "purchased", "3", utc("11-03 00:00"))) == [("chat", 1)]
    assert account.credit(SHARED_POOL, "2026-11", utc("11-03 00:00")) == "2.00"
    assert account.months()["2026-10"]["total"] == "9.00"


def test_a_bill_from_files(tmp_path: Path) -> None:
    """Files of events and rates make a bill by local months."""
    events, card = tmp_path / "events.csv", tmp_path / "card.csv"
    events.write_text(
        "id,time,quantity,direction,resolution\n"
        "1,2021-01-31T23:30:00Z,10,inbound,answered\n"
        "2,2021-02-01T10:00:00+01:00,7,inbound,missed\n"
        "3,2021-02-02T10:00:00Z,7,outbound,answered\n"
    )
    card.write_text(f"{COLUMNS}\ncall,,inbound,,answered,,,,0.25,6,second,EUR\ncall,,inbound,,missed,,,,0,6,,EUR\n")
    grant = Grant("g", SHARED_POOL, "purchased", "0.10", datetime(2021, 1, 1, tzinfo=UTC))

    def line(*figures: str) -> dict[str, dict[str, str]]:
        names = "quantity billed_quantity free_units_used amount credits_applied to_be_invoiced total"
        return {"call": dict(zip(names.split(), figures, strict=True))}

    # 12 billed, 3 free, 9 at 0.25 / 6; 12 billed, 3 free, the rest costs nothing; no row for an outbound call
    assert bill(events, card, "UTC", {"call": "3"}, [grant]) == {
        "2021-01": {"total": "0.28", "lines": line("10", "12", "3", "0.375", "0.10", "0.275", "0.28")},
        "2021-02": {"total": "0.00", "lines": line("7", "12", "3", "0.00", "0.00", "0.00", "0.00")},
    }
    # in Berlin both are in February: 12 + 12 billed, 3 free
    assert bill(events, card, "Europe/Berlin", {"call": "3"}) == {
        "2021-02": {"total": "0.38", "lines": line("17", "24", "3", "0.375", "0.00", "0.375", "0.38")},
    }


def test_a_daily_peak() -> None:
    """The highest sample of the 28th to the 27th is charged on the 28th, and anew where a later one outdoes it."""
    account = Account("UTC", {date.min: [a_row(Resource="disk")]}, {"disk": "1"}, daily_peaks=["disk"])
    account.grant(Grant("g", SHARED_POOL, "committed", "5", utc("10-01 00:00"), date(2026, 10, 28)))
    account.take([Event(utc(f"10-{day} 12:00"), "disk", quantity) for day, quantity in (("20", "3"), ("27", "4"))])
    assert account.months() == {}

    account.wait(utc("10-28 00:00"))
    assert [account.peaks[(2026, 10), "disk"].payments, account.credit(SHARED_POOL, "2026-10", utc("10-28 00:00"))] == [
        [("g", 3)],
        "2.00",
    ]
    # as high and earlier: nothing else changes; then 7 more, of which nothing is paid any more; then next month's
    for event, at in (
        (Event(utc("10-19 12:00"), "disk", "4"), utc("10-28 12:00")),
        (Event(utc("10-26 12:00"), "disk", "11"), utc("10-29 12:00")),
        (Event(utc("10-28 00:00"), "disk", "50"), utc("10-29 12:00")),
    ):
        account.take([event], at)
    line = account.months()["2026-10"]["lines"]["disk"]  # type: ignore[index]
    assert (line["quantity"], line["amount"], line["credits_applied"]) == ("11", "10.00", "3.00")

    account.grant(Grant("h", SHARED_POOL, "purchased", "9", utc("10-30 00:00")))
    account.take([Event(utc("10-02 12:00"), "disk", "12")], utc("11-01 01:00"))
    assert account.months()["2026-10"]["total"] == "0.00"
    assert account.credit(SHARED_POOL, "2026-10", utc("10-30 00:00")) == "2.00"
    assert list(account.months()) == ["2026-10"]
