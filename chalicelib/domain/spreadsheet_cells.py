"""Texts in the cells of a CSV that a spreadsheet must show and not run."""

from __future__ import annotations

from typing import Final


FORMULA_STARTS: Final = ("=", "+", "-", "@")
"""What makes a cell a formula where it comes first, or first behind what spreadsheets skip."""

_CONTROLS: Final = ("\t", "\r", "\n")
_SKIPPED: Final = " \t\r\n\v\f\0\u00a0\u200b\ufeff\"'`"
_SHOWN_AS_TEXT: Final = "'"


def harmless(text: str) -> str:
    """Return *text* so that no spreadsheet runs it: an apostrophe in front says that it is text."""
    runs = text.startswith(_CONTROLS) or text.lstrip(_SKIPPED).startswith(FORMULA_STARTS)
    return f"{_SHOWN_AS_TEXT}{text}" if runs else text
