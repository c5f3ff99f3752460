"""What a view of the tab takes beside one bare GetItem of the same item, on DynamoDB Local, and its read units."""

from __future__ import annotations

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
    from collections.abc import Callable

PRODUCTS = (5, 20, 60)
VIEWS = 1_000
VIEWS_TO_WARM_UP = 100
CARD = "standard"
STATE_TABLE = "bench-state"


class Viewed(NamedTuple):
    """What views of an account's tab took: the middle one of each kind, in seconds, and a read in units."""

    products: int
    head_bytes: int
    read_units: float
    bare_seconds: float
    view_seconds: float


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
    out.write(f"{'products':>9}{'head bytes':>12}{'read units':>12}{'GetItem ms':>12}{'view ms':>9}{'times':>7}\n")
    for one in viewed:
        bare, view = one.bare_seconds * 1000, one.view_seconds * 1000
        out.write(f"{one.products:>9}{one.head_bytes:>12}{one.read_units:>12.2f}")
        out.write(f"{bare:>12.3f}{view:>9.3f}{view / bare:>7.2f}\n")


def _measure(services: Services, store: CountingStore, client: Any, key: SigningKey, products: int) -> Viewed:
    account = f"account-{products}"
    _use(services, account, products)
    token = key.issue_token(["usage:read"], account_id=account)
    request = _request(account, token)
    wanted = {"pk": {"S": keys.head(account).pk}, "sk": {"S": keys.head(account).sk}}

    def view() -> None:
        assert app(request, None)["statusCode"] == 200

    def bare() -> None:
        assert client.get_item(TableName=STATE_TABLE, Key=wanted, ConsistentRead=True)["Item"]

    for _ in range(VIEWS_TO_WARM_UP):
        _seconds(bare), _seconds(view)
    before = store.units
    taken = [(_seconds(bare), _seconds(view)) for _ in range(VIEWS)]
    head = store.get(Table.STATE, keys.head(account))
    assert head is not None
    units = store.units.since(before).read_units / (VIEWS + 1)
    bare_seconds, view_seconds = (statistics.median(seconds) for seconds in zip(*taken, strict=True))
    return Viewed(products, item_bytes(head), units, bare_seconds, view_seconds)


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


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


def _use(services: Services, account: str, products: int) -> None:
    """Open an account that used so many products, the last events one by one, so that its head holds their tail."""
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


if __name__ == "__main__":
    main()
