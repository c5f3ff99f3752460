"""Names that callers choose: of accounts, products and rate cards."""

from __future__ import annotations

import re
from typing import Final


_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_name(name: str) -> bool:
    """Tell whether *name* can name an account, a product or a rate card."""
    return bool(_NAME.fullmatch(name))
