"""What the demo account is made of."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal

import pytest

from chalicelib.domain.instants import parse_instant
from chalicelib.domain.products import DEFAULT_CATALOGUE
from chalicelib.domain.rate_card import COLUMNS, RateTable, Revision
from chalicelib.domain.rate_card_upload import Line, read_rows
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.local.demo import CENTRE, RATE_CARD_FILE, SEED
from chalicelib.local.traffic import traffic


@pytest.fixture(scope="module")
def prices() -> RateTable:
    """Give the demo's rate card."""
    with RATE_CARD_FILE.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lines = [Line("", f"line {reader.line_num}", row) for row in reader]
    assert reader.fieldnames == list(COLUMNS)
    return RateTable("demo", Revision(date(2026, 1, 1), 1), read_rows(lines, "USD"))


@pytest.mark.parametrize("resource", sorted(DEFAULT_CATALOGUE))
def test_every_product_has_a_price(prices: RateTable, resource: str) -> None:
    """An event of any product of the default catalogue is priced, whatever it leaves out."""
    event = UsageEvent("demo", "/mine", "1", 0, resource, Decimal(1))

    assert prices.match(event) is not None


def test_units_of_measure(prices: RateTable) -> None:
    """The card's units are those of the catalogue."""
    assert {(row.resource, row.unit_of_measure) for row in prices.rows} == {
        (product.resource, product.unit) for product in DEFAULT_CATALOGUE.values()
    }


def test_traffic_has_prices(prices: RateTable) -> None:
    """All of the demo's traffic is priced, and most rows that a contact number decides are met."""
    start, end = parse_instant("2026-09-30T23:00:00Z"), parse_instant("2026-11-01T00:00:00Z")
    rates = [prices.match(event) for event in traffic(CENTRE, SEED, start, end)]
    met = {prices.rows[rate.row].description for rate in rates if rate is not None}

    assert None not in rates
    assert met >= {
        "Inbound, answered",
        "United Kingdom, mobile",
        "France, mobile",
        "United States",
        "Text message, sent",
        "Virtual agent, by voice",
        "Toll-free number",
    }
