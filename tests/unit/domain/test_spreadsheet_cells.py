"""Cells that a spreadsheet would run."""

from __future__ import annotations

import pytest

from chalicelib.domain.spreadsheet_cells import harmless


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1206",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        "\nx",
        " =1",
        '"=1+1"',
        "'=1",
        "  '\"@x",
        "\u00a0=1",
        "-5",
        "\uff1d1+1",
        "\u2028=1",
        "\x1b=1",
    ],
)
def test_what_begins_like_a_formula_is_text(text: str) -> None:
    """An apostrophe in front keeps a spreadsheet from running a cell, also behind quotes and space."""
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "shown"), [(";=1", ";'=1"), ("x; =1|+2", "x;' =1|'+2"), ("=1;2;-3", "'=1;2;'-3"), ("a;b|c", "a;b|c")]
)
def test_what_another_language_takes_for_a_cell(text: str, shown: str) -> None:
    """Where lists are separated by semicolons a cell may begin within a text."""
    assert harmless(text) == shown


@pytest.mark.parametrize("text", ["", "i-99", "1-2", "Calls to +44", " plain", '"quoted"', "a=b", "1206****"])
def test_other_texts_are_left_alone(text: str) -> None:
    """What no spreadsheet runs stays as it is."""
    assert harmless(text) == text
