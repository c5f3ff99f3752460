"""The narrowest row of a rate card, found by comparing all of them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

Row = dict[str, str]
"""A line of a card's CSV: its cells by their columns."""

Fields = dict[str, str]
"""What an event says of itself: `resource`, and those of `number`, `direction`, ... that it gives."""

Score = tuple[int, bool, bool, bool, bool, bool]
"""How narrowly a row matches: prefix length, then which of the other cells are filled."""


def read_card(path: Path) -> list[Row]:
    """Read the rows of a card from a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def values_of(cell: str) -> list[str]:
    """Take the values of a cell apart."""
    return [value.strip() for value in cell.split(";") if value.strip()]


def score(row: Row, fields: Fields) -> Score | None:
    """Tell how narrowly *row* matches an event, None if it does not."""
    if row["Resource"] != fields["resource"]:
        return None
    for column, field in (
        ("Direction", "direction"),
        ("Type", "type"),
        ("Country code", "country_code"),
        ("Category", "category"),
    ):
        if row[column] and row[column] != fields.get(field):
            return None
    resolutions = values_of(row["Resolutions"])
    if resolutions and fields.get("resolution") not in resolutions:
        return None
    prefixes = [prefix.lstrip("+") for prefix in values_of(row["Prefixes"])]
    number = (fields.get("number") or "").lstrip("+")
    matching = [prefix for prefix in prefixes if number.startswith(prefix)]
    if prefixes and not matching:
        return None
    return (
        max((len(prefix) for prefix in matching), default=0),
        bool(row["Country code"]),
        bool(row["Category"]),
        bool(resolutions),
        bool(row["Type"]),
        bool(row["Direction"]),
    )


def narrowest(rows: Sequence[Row], fields: Fields) -> list[int]:
    """Return the indexes of the rows that match most narrowly: none, one, or several where the card has a tie."""
    scores = {index: found for index, row in enumerate(rows) if (found := score(row, fields)) is not None}
    return [index for index, found in scores.items() if found == max(scores.values())]


def tying_pairs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield every pair of rows that could tie: the same cells filled, values and a prefix in common."""
    for later, row in enumerate(rows):
        for earlier in range(later):
            if _could_tie(rows[earlier], row):
                yield earlier, later


def _could_tie(one: Row, other: Row) -> bool:
    plain = ("Resource", "Direction", "Type", "Country code", "Category")
    if any(one[column] != other[column] for column in plain):
        return False
    for column in ("Resolutions", "Prefixes"):
        ones, others = ({value.lstrip("+") for value in values_of(row[column])} for row in (one, other))
        if (ones or others) and not ones & others:
            return False
    return True


def in_force(versions: Mapping[date, Sequence[Row]], day: date) -> Sequence[Row] | None:
    """Return the rows of the latest version effective on or before *day*, None before the first."""
    effective = [effective_from for effective_from in versions if effective_from <= day]
    return versions[max(effective)] if effective else None
