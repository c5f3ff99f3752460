"""The metering and credit back end behind the Usage tab."""

from __future__ import annotations

from typing import Final


__version__: Final = "0.1.0"
