"""Reading an uploaded rate card: what is refused and how it is named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.rate_card import COLUMNS, RateRow
from chalicelib.domain.rate_card_upload import InvalidRateCardError, Line, read_rows


def lines(*changes: dict[str, str]) -> list[Line]:
    """Return the lines of a card: an outbound call for 0.01 EUR a minute, with these cells in place of its own."""
    blank = dict.fromkeys(COLUMNS, "")
    plain = {"Resource": "call", "Price per increment": "0.01", "Increment": "60", "Currency": "EUR"}
    rows = [{**blank, **plain, **change} for change in changes]
    return [Line(f"/rows/{index}", f"line {index + 2}", row) for index, row in enumerate(rows)]


def faults(*changes: dict[str, str], currency: str | None = "EUR") -> list[tuple[str, str]]:
    """Return what is wrong with a card, as pairs of pointer and detail."""
    with pytest.raises(InvalidRateCardError) as refusal:
        read_rows(lines(*changes), currency)
    return [tuple(fault) for fault in refusal.value.faults]


def test_a_whole_row() -> None:
    """Every cell is read, several values and prefixes apart, blanks around them cut off."""
    row = {
        "Description": "  U.K., mobile ",
        "Direction": "outbound",
        "Type": "byoc",
        "Resolutions": "answered; missed ;answered",
        "Country code": "GB",
        "Category": "mobile",
        "Prefixes": "+447;448; 447",
        "Price per increment": "0.02716416",
        "Increment": "0.5",
        "Unit of measure": "second",
    }

    assert read_rows(lines(row), "EUR") == (
        RateRow(
            resource="call",
            description="U.K., mobile",
            direction="outbound",
            type="byoc",
            resolutions=("answered", "missed"),
            country_code="GB",
            category="mobile",
            prefixes=("447", "448"),
            price_per_increment=Decimal("0.02716416"),
            increment=Decimal("0.5"),
            unit_of_measure="second",
            currency="EUR",
        ),
    )


def test_blank_cells_match_anything() -> None:
    """A blank cell, also one of spaces, asks for nothing."""
    (row,) = read_rows(lines({"Direction": "  ", "Resolutions": " ; ", "Prefixes": ";"}), "EUR")

    assert (
        row.direction,
        row.type,
        row.country_code,
        row.category,
        row.resolutions,
        row.prefixes,
    ) == (None, None, None, None, (), ())


@pytest.mark.parametrize("price", ["0", "0.00", "0.000000000001", "999999999999.999999999999"])
def test_prices(price: str) -> None:
    """A price has up to 12 decimals and may be nothing."""
    (row,) = read_rows(lines({"Price per increment": price}), "EUR")

    assert Decimal(price) == row.price_per_increment


@pytest.mark.parametrize("increment", ["1", "60", "0.000000001", "999999999999"])
def test_increments(increment: str) -> None:
    """An increment is a quantity above zero."""
    (row,) = read_rows(lines({"Increment": increment}), "EUR")

    assert Decimal(increment) == row.increment


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("Resource", ""),
        ("Resource", "phone call"),
        ("Resource", "x" * 65),
        ("Price per increment", ""),
        ("Price per increment", "-0.01"),
        ("Price per increment", "free"),
        ("Price per increment", "1e-3"),
        ("Price per increment", "0,01"),
        ("Price per increment", "NaN"),
        ("Price per increment", "0.0000000000001"),
        ("Price per increment", "9" * 400),
        ("Increment", ""),
        ("Increment", "0"),
        ("Increment", "0.00"),
        ("Increment", "-60"),
        ("Increment", "a minute"),
        ("Increment", "0.0000000001"),
        ("Currency", ""),
        ("Currency", "USD"),
        ("Currency", "eur"),
        ("Prefixes", "44;mobile"),
        ("Prefixes", "44,45"),
        ("Prefixes", "1234567890123456"),
    ],
)
def test_a_faulty_cell(column: str, cell: str) -> None:
    """A cell that cannot be read is named with its line, once."""
    ((pointer, detail),) = faults({"Direction": "inbound"}, {"Direction": "outbound", column: cell})

    assert pointer == f"/rows/1/{column.lower().replace(' ', '_')}"
    assert detail.startswith(f"line 3: {column} ")


def test_every_faulty_line_is_named() -> None:
    """One pass finds all that is wrong, so that one correction is enough."""
    found = faults(
        {"Direction": "a", "Increment": "0"},
        {"Direction": "b"},
        {"Direction": "c", "Price per increment": "-1", "Currency": "USD", "Prefixes": "x"},
        {"Direction": "b"},
        {"Direction": "d", "Resource": ""},
    )

    assert {pointer for pointer, _ in found} == {
        "/rows/0/increment",
        "/rows/2/price_per_increment",
        "/rows/2/currency",
        "/rows/2/prefixes",
        "/rows/3",
        "/rows/4/resource",
    }


def test_ties_name_both_lines() -> None:
    """Of two rows that could tie both are named."""
    ((pointer, detail),) = faults({"Country code": "US"}, {}, {"Country code": "US", "Price per increment": "9"})

    assert pointer == "/rows/2"
    assert "line 4" in detail
    assert "line 2" in detail


def test_a_plus_makes_no_other_prefix() -> None:
    """Prefixes with and without a plus are the same, and tie."""
    ((pointer, _),) = faults({"Prefixes": "+44"}, {"Prefixes": "44"})

    assert pointer == "/rows/1"


def test_no_rows() -> None:
    """A card without rows is refused."""
    assert [pointer for pointer, _ in faults()] == ["/rows"]


def test_the_currency_of_a_new_card() -> None:
    """A new card is in the currency of its first line, and all others have to be."""
    (row,) = read_rows(lines({"Currency": "USD"}), None)
    found = faults({"Direction": "a", "Currency": "USD"}, {"Direction": "b"}, currency=None)

    assert row.currency == "USD"
    assert [pointer for pointer, _ in found] == ["/rows/1/currency"]


def test_a_new_card_whose_first_line_names_no_currency() -> None:
    """Only the line without a currency is faulty, not those that have one."""
    found = faults({"Direction": "a", "Currency": ""}, {"Direction": "b"}, {"Direction": "c"}, currency=None)

    assert [pointer for pointer, _ in found] == ["/rows/0/currency"]
