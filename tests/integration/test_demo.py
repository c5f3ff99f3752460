"""The account `demo`, filled over the embedded store."""

from __future__ import annotations

import json
import urllib.request
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.bootstrap import build_services, open_store
from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.instants import DAY, parse_instant
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.rate_card_upload import Line
from chalicelib.local.demo import DEMO_ACCOUNT, fill_demo
from chalicelib.local.server import LocalServer
from chalicelib.local.signing_key import SigningKey
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chalicelib.domain.instants import Instant
    from chalicelib.services.container import Services
    from chalicelib.storage.dynamo import DynamoItemStore

NOW = "2026-11-22T15:00:00Z"

_numbers = count()


class Shop:
    """A store of its own, and the services over it."""

    def __init__(self, endpoint: str) -> None:
        """Make the tables."""
        number = next(_numbers)
        self.settings = Settings(store=endpoint, state_table=f"demo-state-{number}", pages_table=f"demo-pages-{number}")
        self.store: DynamoItemStore = open_store(self.settings)
        self.store.create_tables()
        self.taken = 0

    def fill(self, now: Instant) -> int:
        """Fill the demo account."""
        return fill_demo(self.store, self.settings, now)

    def services(self, now: Instant) -> Services:
        """Return services for which it is *now*."""
        return build_services(self.settings, self.store, clock=FixedClock(now))


@pytest.fixture(scope="module")
def filled_at(embedded_store: str) -> Callable[[str], Shop]:
    """Give what returns a store that was filled at a time, once for each time."""

    @cache
    def fill(now: str) -> Shop:
        shop = Shop(embedded_store)
        shop.taken = shop.fill(parse_instant(now))
        return shop

    return fill


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("now", "shown", "status", "invoiced"),
    [
        (NOW, "2026-11", "open", ["2026-10", "2026-09"]),
        ("2026-11-01T01:00:00Z", "2026-11", "open", ["2026-10", "2026-09"]),
        ("2026-11-01T00:30:00Z", "2026-10", "closing", ["2026-09", "2026-08"]),
        ("2021-03-31T22:59:59Z", "2021-03", "open", ["2021-02", "2021-01"]),
    ],
)
def test_story(filled_at: Callable[[str], Shop], now: str, shown: str, status: str, invoiced: list[str]) -> None:
    """On any day there are two invoices, free units half and wholly used, balances of both signs, and warnings."""
    at = parse_instant(now)
    shop = filled_at(now)
    services = shop.services(at)
    tab = services.usage.tab(DEMO_ACCOUNT)
    products = {product.resource: product for product in tab.figures.products}
    invoices = [invoice for _, invoice in services.records.invoices(DEMO_ACCOUNT)]
    head = services.heads.load(DEMO_ACCOUNT)

    assert 5_000 < shop.taken < 10_000
    assert (str(tab.figures.period), tab.status.value) == (shown, status)
    assert [str(invoice.period) for invoice in invoices] == invoiced
    assert all(invoice.total > 0 for invoice in invoices)
    assert len(products) >= 8
    assert products["call"].free_units.remaining == 0
    assert Decimal("0.35") < products["message"].free_units.used / 900 < Decimal("0.65")
    assert tab.figures.pool(SHARED_POOL).balance < 0
    assert tab.figures.pool("virtual_agent").balance > 0
    assert products["transcription"].to_be_invoiced > 0
    assert products["transcription"].credits > 0
    # a month that awaits its invoice is shown, but warnings are of the new one, which has no usage yet
    assert [warning.level for warning in tab.warnings][-1:] == ([5] if status == "open" else [])
    assert not services.auto_recharge.get(DEMO_ACCOUNT).auto.is_enabled
    assert head.state.at <= at
    assert services.auditing.audit(DEMO_ACCOUNT) == []


def test_filled_once(filled_at: Callable[[str], Shop]) -> None:
    """A store that has the account is left as it is."""
    shop, now = filled_at(NOW), parse_instant(NOW)
    before = shop.services(now).heads.load(DEMO_ACCOUNT)

    assert shop.fill(now + DAY) == 0
    assert shop.services(now).heads.load(DEMO_ACCOUNT) == before


def test_store_in_use(embedded_store: str) -> None:
    """
    What a store holds already is left alone.

    A rate card of the name that the demo's would have, another account with its open months, however late its invoices
    are, the heartbeats of the jobs, and a catalogue that has no pool for the virtual agent.
    """
    shop, now = Shop(embedded_store), parse_instant(NOW)
    services = shop.services(now - 90 * DAY)
    cells = {"Resource": "call", "Price per increment": "1", "Increment": "1", "Currency": "EUR"}
    services.catalogue.put_rate_card("standard", date(2026, 1, 1), [Line("/rows/0", "row 1", cells)])
    services.catalogue.put_product(replace(DEFAULT_CATALOGUE["virtual_agent"], has_own_pool=False))
    by_invoice = PaymentMethod(PaymentType.INVOICE)
    services.accounts.put(Account("acme", "Acme", "EUR", "Europe/Lisbon", by_invoice, "standard", 0, {}))
    before = services.heads.load("acme")
    shop.fill(now)
    figures = shop.services(now).usage.tab(DEMO_ACCOUNT).figures

    assert services.accounts.get(DEMO_ACCOUNT).rate_card == "demo"
    assert len(services.catalogue.rate_card_on("standard", date(2026, 11, 22))[1]) == 1
    assert services.heads.load("acme") == before
    assert all(state.last_run is None for state in services.jobs.states())
    assert [pool.pool for pool in figures.pools] == [SHARED_POOL]


def test_when_time_began(embedded_store: str) -> None:
    """A clock that has hardly begun has a shorter story, or none."""
    shop, now = Shop(embedded_store), parse_instant("1970-03-10T00:00:00Z")

    assert shop.fill(parse_instant("1970-01-01T00:00:00Z")) == 0
    assert shop.fill(now) > 2_000
    assert [str(invoice.period) for _, invoice in shop.services(now).records.invoices(DEMO_ACCOUNT)] == ["1970-02"]


def test_as_the_page_gets_it(filled_at: Callable[[str], Shop], tmp_path: Path) -> None:
    """Over HTTP the tab has a product that could have a commitment and products that cannot."""
    shop = filled_at(NOW)
    key = SigningKey.load_or_create(tmp_path)
    app.use(shop.services(parse_instant(NOW)), TokenVerifier(KeySource.from_jwks(key.jwks())))
    with LocalServer(app) as server:
        request = urllib.request.Request(
            f"{server.url}/v1/accounts/demo/usage",
            headers={"Authorization": f"Bearer {key.issue_token(['usage:read'], account_id='demo')}"},
        )
        with urllib.request.urlopen(request) as response:
            tab = json.load(response)
    statuses = {row["resource"]: row["committed_credit"]["status"] for row in tab["products"]}

    assert tab["account"]["name"] == "Harbour & Pine"
    assert tab["last_event_at"] <= tab["as_of"] == NOW
    assert statuses.pop("virtual_agent") == "not_purchased"
    assert set(statuses.values()) == {"not_available"}
