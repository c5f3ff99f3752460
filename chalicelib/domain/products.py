"""Products: what is metered, in which unit, and which pool of credit pays for it."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Mapping


SHARED_POOL: Final = "contact_center_services"
"""The pool of the products that are not sold apart."""


class Meter(Enum):
    """How the events of a product become its usage."""

    SUM = "sum"
    DAILY_PEAK = "daily_peak"


class Display(Struct, frozen=True):
    """The unit people read: a quantity divided by *divisor*, in *unit*."""

    unit: str
    divisor: Decimal


class Product(Struct, frozen=True):
    """Something metered. *resource* is its code, *has_own_pool* tells where its credit lives."""

    resource: str
    name: str
    unit: str
    display: Display
    has_own_pool: bool
    commit_available: bool
    meter: Meter

    @property
    def pool(self) -> str:
        """Name the pool of credit that pays for the product."""
        return self.resource if self.has_own_pool else SHARED_POOL

    def is_metered_like(self, other: Product) -> bool:
        """Tell whether usage of the one means the same for the other: pool, meter and unit."""
        return (self.has_own_pool, self.meter, self.unit) == (other.has_own_pool, other.meter, other.unit)


def _product(  # noqa: PLR0913 - a row of the catalogue
    resource: str,
    name: str,
    unit: str,
    shown_in: str = "",
    divisor: int = 1,
    *,
    own_pool: bool = False,
    commit: bool = False,
    meter: Meter = Meter.SUM,
) -> Product:
    display = Display(shown_in or unit, Decimal(divisor))
    return Product(resource, name, unit, display, own_pool, commit, meter)


DEFAULT_CATALOGUE: Final[Mapping[str, Product]] = {
    product.resource: product
    for product in (
        _product("call", "Calls", "second", "minute", 60),
        _product("call_recording", "Call recording", "second", "minute", 60),
        _product("chat", "Chat conversations", "conversation"),
        _product("dialer", "Dialer", "second", "minute", 60),
        _product("email", "Emails", "email"),
        _product("message", "Messages", "message"),
        _product("number", "Phone numbers", "number"),
        _product("quality_evaluation", "Automated quality evaluations", "evaluation"),
        _product(
            "screen_recording_storage",
            "Screen recording storage",
            "gigabyte",
            own_pool=True,
            meter=Meter.DAILY_PEAK,
        ),
        _product("speech_analytics", "Speech analytics", "second", "minute", 60),
        _product("text_to_speech", "Text to speech", "character", "thousand characters", 1000),
        _product("transcription", "Transcription", "second", "minute", 60),
        _product("translation", "Translation", "character", "thousand characters", 1000),
        _product("video", "Video calls", "second", "minute", 60),
        _product("virtual_agent", "Virtual agent", "session", own_pool=True, commit=True),
        _product("workflow", "Workflow runs", "run"),
    )
}
"""The products every store knows from the start; a stored product of the same resource takes its place."""
