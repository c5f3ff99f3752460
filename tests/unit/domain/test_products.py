"""The catalogue every store starts with."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL, Display, Meter


@pytest.mark.parametrize(
    ("resource", "unit"),
    [
        ("call", "second"),
        ("transcription", "second"),
        ("message", "message"),
        ("number", "number"),
        ("virtual_agent", "session"),
        ("screen_recording_storage", "gigabyte"),
    ],
)
def test_units(resource: str, unit: str) -> None:
    """The usual products are there, in the unit they are metered in."""
    assert unit == DEFAULT_CATALOGUE[resource].unit


@pytest.mark.parametrize("resource", ["call", "transcription"])
def test_seconds_are_shown_in_minutes(resource: str) -> None:
    """What is metered in seconds is read in minutes."""
    assert Display("minute", Decimal(60)) == DEFAULT_CATALOGUE[resource].display


@pytest.mark.parametrize("resource", ["call", "transcription", "message", "number", "dialer"])
def test_included_in_the_shared_pool(resource: str) -> None:
    """Products that are not sold apart add up their events and draw on the shared pool."""
    product = DEFAULT_CATALOGUE[resource]

    assert (product.pool, product.meter) == (SHARED_POOL, Meter.SUM)


def test_sold_apart() -> None:
    """The virtual agent has a pool of its own, to which credit can be committed."""
    product = DEFAULT_CATALOGUE["virtual_agent"]

    assert (product.pool, product.commit_available, product.meter) == ("virtual_agent", True, Meter.SUM)


def test_storage() -> None:
    """Storage is charged by its daily peak, from a pool of its own without commitment."""
    product = DEFAULT_CATALOGUE["screen_recording_storage"]

    assert (product.resource, False, Meter.DAILY_PEAK) == (product.pool, product.commit_available, product.meter)


def test_resources_name_their_products() -> None:
    """Every product stands under its own resource code, none under that of the shared pool."""
    assert list(DEFAULT_CATALOGUE) == [product.resource for product in DEFAULT_CATALOGUE.values()]
    assert SHARED_POOL not in DEFAULT_CATALOGUE


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"name": "Telephony"}, True),
        ({"display": Display("hour", Decimal(3600))}, True),
        ({"commit_available": True}, True),
        ({"unit": "minute"}, False),
        ({"has_own_pool": True}, False),
        ({"meter": Meter.DAILY_PEAK}, False),
    ],
)
def test_what_usage_relies_on(change: dict[str, object], is_same: bool) -> None:  # noqa: FBT001 - a column of the table
    """Pool, meter and unit decide what usage means; name, display and commitments may change."""
    call = DEFAULT_CATALOGUE["call"]

    assert is_same == call.is_metered_like(replace(call, **change))
