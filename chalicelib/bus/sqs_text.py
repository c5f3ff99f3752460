"""Which text a message of Amazon SQS can carry, in its body and in its attributes."""

from __future__ import annotations

import re
from typing import Final


_NOT_CARRIED: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def can_carry(text: str) -> bool:
    """Tell whether a message can carry *text* as it is."""
    return _NOT_CARRIED.search(text) is None


def attribute(text: str) -> dict[str, str]:
    """Return *text* as an attribute of a message, without what no message can carry."""
    return {"DataType": "String", "StringValue": _NOT_CARRIED.sub("?", text) or "unknown"}
