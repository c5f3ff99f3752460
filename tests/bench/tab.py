"""
What a view of the tab takes beside one bare GetItem of the same item, on DynamoDB Local, and its read units.

Views are measured of a tab that stays as it is, and after an event each time. Processor time is that of this process,
without the store's: it tells more than the clock where the machine has other things to do.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import botocore.config
import botocore.session

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.products import SHARED_POOL, Display, Meter, Product
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.local.counting_store import CountingStore
from chalicelib.local.signing_key import SigningKey
from chalicelib.local.units import item_bytes
from chalicelib.services.clocks import RealClock
from chalicelib.services.container import Services
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.settings import Settings
from chalicelib.storage import keys
from chalicelib.storage.accounts import TAIL_EVENTS_MAX
from chalicelib.storage.dynamo import DynamoItemStore
from chalicelib.storage.items import Table
from tests.stores import DynamoDBLocal


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PRODUCTS = (5, 20, 60)
VIEWS = 1_000
VIEWS_AFTER_EVENTS = 300
VIEWS_TO_WARM_UP = 100
CARD = "standard"
STATE_TABLE = "bench-state"


class Taken(NamedTuple):
    """What something took, in seconds: by the clock, and of the processor."""

    wall: float
    processor: float


class Viewed(NamedTuple):
    """What views of an account's tab took, the middle one of each kind, and a read in units."""

    products: int
    head_bytes: int
    read_units: float
    bare: Taken
    view: Taken
    view_after_event: Taken


def main() -> None:
    """Measure accounts of few and of many products and print a table."""
    with DynamoDBLocal() as local, tempfile.TemporaryDirectory() as home:
        tables = DynamoItemStore(local.endpoint, "eu-west-1", STATE_TABLE, "bench-pages")
        tables.create_tables()
        store = CountingStore(tables)
        services = build_services(Settings(), store)
        key = SigningKey.load_or_create(Path(home))
        app.use(services, TokenVerifier(KeySource.from_jwks(key.jwks())), Settings(requests_per_second=1_000_000))
        _put_catalogue(services)
        client = _bare_client(local.endpoint)
        viewed = [_measure(services, store, client, key, count) for count in PRODUCTS]
    out = sys.stdout
    out.write(f"{'':33}{'GetItem':>16}{'view':>24}{'after an event':>24}\n")
    out.write(f"{'products':>9}{'head bytes':>12}{'read units':>12}{'ms':>8}{'CPU us':>8}")
    out.write(f"{'ms':>8}{'CPU us':>8}{'times':>8}" * 2 + "\n")
    for one in viewed:
        out.write(f"{one.products:>9}{one.head_bytes:>12}{one.read_units:>12.2f}{_show(one.bare)}")
        for view in (one.view, one.view_after_event):
            out.write(f"{_show(view)}{view.wall / one.bare.wall:>8.2f}")
        out.write("\n")


def _show(taken: Taken) -> str:
    return f"{taken.wall * 1e3:>8.3f}{taken.processor * 1e6:>8.0f}"


def _measure(services: Services, store: CountingStore, client: Any, key: SigningKey, products: int) -> Viewed:
    account = f"account-{products}"
    events = _use(services, account, products)
    token = key.issue_token(["usage:read"], account_id=account)
    request = _request(account, token)
    wanted = {"pk": {"S": keys.head(account).pk}, "sk": {"S": keys.head(account).sk}}

    def view() -> None:
        assert app(request, None)["statusCode"] == 200

    def bare() -> None:
        assert client.get_item(TableName=STATE_TABLE, Key=wanted, ConsistentRead=True)["Item"]

    def view_after_event() -> Taken:
        services.metering.take([next(events)])
        return _taken(view)

    for _ in range(VIEWS_TO_WARM_UP):
        _taken(bare), _taken(view)
    before = store.units
    taken = [(_taken(bare), _taken(view)) for _ in range(VIEWS)]
    head = store.get(Table.STATE, keys.head(account))
    assert head is not None
    units = store.units.since(before).read_units / (VIEWS + 1)
    bares, views = zip(*taken, strict=True)
    after_events = [view_after_event() for _ in range(VIEWS_AFTER_EVENTS)]
    return Viewed(products, item_bytes(head), units, _middle(bares), _middle(views), _middle(after_events))


def _taken(act: Callable[[], None]) -> Taken:
    started, begun = time.perf_counter(), time.thread_time()
    act()
    return Taken(time.perf_counter() - started, time.thread_time() - begun)


def _middle(taken: Iterable[Taken]) -> Taken:
    return Taken(*map(statistics.median, zip(*taken, strict=True)))


def _bare_client(endpoint: str) -> Any:
    return botocore.session.get_session().create_client(
        "dynamodb",
        "eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(connect_timeout=1, read_timeout=10),
    )


def _request(account: str, token: str) -> dict[str, Any]:
    """Return the event in which API Gateway hands a request for the tab to the function."""
    path = f"/v1/accounts/{account}/usage"
    return {
        "resource": "/v1/accounts/{account}/usage",
        "path": path,
        "httpMethod": "GET",
        "headers": {"Authorization": f"Bearer {token}", "Accept": "application/json", "Host": "api.example"},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"account": account},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/v1/accounts/{account}/usage",
            "httpMethod": "GET",
            "path": f"/api{path}",
            "requestId": "request-1",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def _names(products: int) -> list[str]:
    """Return names, and always the same, in which compression finds as little as it can."""
    draw = random.Random(1)
    return ["".join(draw.choices(ascii_lowercase, k=draw.randrange(6, 20))) for _ in range(products)]


def _put_catalogue(services: Services) -> None:
    rows = []
    for name in _names(max(PRODUCTS)):
        display = Display("unit", Decimal(1))
        product = Product(name, name, "unit", display, has_own_pool=False, commit_available=False, meter=Meter.SUM)
        services.catalogue.put_product(product)
        cells = {"Resource": name, "Price per increment": "0.0124416", "Increment": "6", "Currency": "USD"}
        rows.append(dict.fromkeys(COLUMNS, "") | cells)
    lines = [Line(f"/rows/{index}", f"row {index}", cells) for index, cells in enumerate(rows)]
    services.catalogue.put_rate_card(CARD, date(2020, 1, 1), lines)


def _use(services: Services, account: str, products: int) -> Iterator[UsageEvent]:
    """
    Open an account that used so many products, the last events one by one, so that its head holds their tail.

    More events are returned, of one product after the other.
    """
    payment = PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok")
    services.accounts.put(Account(account, "Acme Incorporated", "USD", "Europe/Lisbon", payment, CARD, 10, {}))
    draw = random.Random(products)

    def event(resource: str) -> UsageEvent:
        event_id, interaction = (str(UUID(int=draw.getrandbits(128))) for _ in range(2))
        quantity = Decimal(draw.randrange(1, 10**7))
        now = RealClock().now()
        return UsageEvent(account, "/voice/eu-west-1", event_id, now, resource, quantity, interaction_id=interaction)

    services.granting.grant(account, GrantRequest(SHARED_POOL, Decimal(50_000), None, "credit"), "credit-1", "bench")
    services.metering.take([event(name) for name in _names(products)])
    for name in _names(products)[:TAIL_EVENTS_MAX]:
        services.metering.take([event(name)])
    return (event(name) for name in itertools.cycle(_names(products)))


if __name__ == "__main__":
    main()
