"""A hot account's traffic: 20 products, ids that are UUIDs, three events to an interaction, milliseconds apart."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.instants import Instant, format_instant
from chalicelib.domain.products import DEFAULT_CATALOGUE, Display, Meter, Product
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import decode_cloud_event, read_usage_event
from chalicelib.services.container import Services
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import Status
from chalicelib.settings import Settings
from chalicelib.storage.items import ItemStore


ACCOUNT = "acme"
CARD = "standard"
CURRENCY = "USD"
MILLISECOND = 1_000

EXTRA_PRODUCTS = ("cobrowse", "fax", "knowledge", "routing", "whatsapp")
SUMMED = tuple(product.resource for product in DEFAULT_CATALOGUE.values() if product.meter is Meter.SUM)
RESOURCES = (*SUMMED, *EXTRA_PRODUCTS)
"""Twenty of them."""
WEIGHTS = [30 if resource == "call" else 20 if resource == "message" else 3 for resource in RESOURCES]


def _rows() -> list[dict[str, str]]:
    rows = []
    for resource in RESOURCES:
        product = DEFAULT_CATALOGUE.get(resource)
        unit = "unit" if product is None else product.unit
        rows.append(
            {"Resource": resource, "Price per increment": "0.0124", "Increment": "6" if unit == "second" else "1"}
        )
    rows.append({"Resource": "call", "Direction": "inbound", "Price per increment": "0.0015", "Increment": "6"})
    for country, prefixes, price in (("US", "", "0.0124416"), ("GB", "", "0.010368"), ("GB", "447", "0.02716416")):
        cells = {"Country code": country, "Prefixes": prefixes, "Price per increment": price, "Increment": "60"}
        rows.append({"Resource": "call", "Direction": "outbound", **cells})
    return [{**dict.fromkeys(COLUMNS, ""), **row, "Currency": CURRENCY} for row in rows]


class BenchClock:
    """Stands still until the traffic moves it, so that events are always a moment old."""

    def __init__(self, at: Instant) -> None:
        """Stand at *at*."""
        self.at = at

    def now(self) -> Instant:
        """Return where it stands."""
        return self.at


class Traffic:
    """Events of one account, in the order of their times, as the JSON a metering system posts."""

    def __init__(self, clock: BenchClock, seed: int) -> None:
        """Draw events by *seed* and move *clock* along."""
        self._clock = clock
        self._random = random.Random(seed)
        self._interaction = ""
        self._drawn = 0

    def batch(self, size: int) -> bytes:
        """Return the next *size* events as the body of a request."""
        return msgspec.json.encode([self._event() for _ in range(size)])

    def _event(self) -> dict[str, object]:
        draw = self._random
        self._clock.at += draw.randrange(1, 20) * MILLISECOND
        if self._drawn % 3 == 0:
            self._interaction = str(UUID(int=draw.getrandbits(128)))
        self._drawn += 1
        resource = draw.choices(RESOURCES, WEIGHTS)[0]
        product = DEFAULT_CATALOGUE.get(resource)
        in_seconds = product is not None and product.unit == "second"
        data = {"quantity": str(draw.randrange(1, 600) if in_seconds else 1), "interaction_id": self._interaction}
        if resource == "call":
            data |= self._call()
        return {
            "specversion": "1.0",
            "id": str(UUID(int=draw.getrandbits(128))),
            "source": "/voice/eu-west-1",
            "type": resource,
            "subject": ACCOUNT,
            "time": format_instant(self._clock.at),
            "data": data,
        }

    def _call(self) -> dict[str, str]:
        draw = self._random
        resolution = draw.choice(("answered", "missed"))
        if draw.random() < 0.5:
            return {"direction": "inbound", "resolution": resolution}
        country, start = draw.choice((("US", "+1206"), ("GB", "+447"), ("GB", "+4420")))
        number = f"{start}{draw.randrange(10**7):07d}"
        return {"direction": "outbound", "resolution": resolution, "country_code": country, "number": number}


def open_account(store: ItemStore, clock: BenchClock) -> Services:
    """Wire the engine over *store* and open the account: a card, free units, and credit that lasts."""
    services = build_services(Settings(), store, clock=clock)
    for resource in EXTRA_PRODUCTS:
        display = Display("unit", Decimal(1))
        product = Product(
            resource, resource, "unit", display, has_own_pool=False, commit_available=False, meter=Meter.SUM
        )
        services.catalogue.put_product(product)
    lines = [Line(f"/rows/{index}", f"row {index}", cells) for index, cells in enumerate(_rows())]
    services.catalogue.put_rate_card(CARD, date(2020, 1, 1), lines)
    services.accounts.put(
        Account(
            id=ACCOUNT,
            name="Acme Incorporated",
            currency=CURRENCY,
            timezone="Europe/Lisbon",
            payment_method=PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok"),
            rate_card=CARD,
            agents=10,
            free_units={
                "call": FreeUnits(Decimal(1000), Per.AGENT),
                "message": FreeUnits(Decimal(500), Per.ACCOUNT),
                "transcription": FreeUnits(Decimal(6000), Per.ACCOUNT),
            },
        )
    )
    request = GrantRequest("contact_center_services", Decimal(1000000), None, "credit for the measurement")
    services.granting.grant(ACCOUNT, request, "credit-1", "bench")
    return services


def take(services: Services, body: bytes) -> int:
    """Take a batch as the API does, and return how many events were accepted."""
    events = [read_usage_event(decode_cloud_event(raw)) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    return sum(verdict.status is Status.ACCEPTED for verdict in services.metering.take(events))
