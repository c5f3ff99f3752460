"""A CSV as spreadsheets take it: of which characters it is, and texts in its cells that must be shown and not run."""

from __future__ import annotations

import re
import unicodedata
from typing import Final


BYTE_ORDER_MARK: Final = "\ufeff"
"""In front of a file it tells a spreadsheet that the rest is UTF-8."""

FORMULA_STARTS: Final = ("=", "+", "-", "@")
"""What makes a cell a formula where it comes first, or first behind what spreadsheets skip; in its wide form, too."""

_CONTROLS: Final = ("\t", "\r", "\n")
_QUOTES: Final = "\"'`"
_SEPARATOR: Final = re.compile(r"([;|])")
_SHOWN_AS_TEXT: Final = "'"


def harmless(text: str) -> str:
    """
    Return *text* so that no spreadsheet runs it: an apostrophe in front says that it is text.

    So it does behind what a spreadsheet of another language may take for the end of a cell.
    """
    pieces = _SEPARATOR.split(text)
    shown = "".join(f"{_SHOWN_AS_TEXT}{piece}" if _is_run(piece) else piece for piece in pieces)
    return f"{_SHOWN_AS_TEXT}{shown}" if shown.startswith(_CONTROLS) else shown


def _is_run(piece: str) -> bool:
    """Tell whether the first character that a spreadsheet does not skip makes a formula."""
    seen = (character for character in piece if character not in _QUOTES and not _is_blank(character))
    first = unicodedata.normalize("NFKC", next(seen, ""))
    return first in FORMULA_STARTS and not piece.startswith(_CONTROLS)


def _is_blank(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZC"
