"""Many clients at one account at once: each event, grant and month counts once."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.client import batches, event, expect
from tests.e2e.samples import SETTINGS


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.e2e.client import Answer, Client
    from tests.e2e.server import Server

SIMPLE: Final = {**SETTINGS, "rate_card": "simple"}
THREADS: Final = 8
EVENTS: Final = 160
SECONDS_MAX: Final = 60
"""What the busiest of these tests may take: on an idle machine it takes a tenth."""


def made_up_events(account: str) -> list[dict[str, Any]]:
    """Make up minutes of calls over one day."""
    return [
        event(account, f"e{number}", f"2021-01-20T{number % 24:02d}:{number % 60:02d}:00Z") for number in range(EVENTS)
    ]


def post_all(client: Client, events: Sequence[Any], seed: int) -> int:
    """Post *events* in an order and in batches that the *seed* decides, and return how many were accepted."""
    dice = random.Random(seed)
    order = list(events)
    dice.shuffle(order)
    size = (1, 5, 16, 40)[seed % 4]
    if size == 1:
        order = order[: EVENTS // 4]
    return sum(client.post(batch)["accepted"] for batch in batches(order, size))


def test_overlapping_batches_and_single_events_count_once(server: Server, client: Client, name: str) -> None:
    """Eight posters of the same events, in batches and one by one, take each once between them, in good time."""
    client.put_account(name, {**SIMPLE, "free_units": {"call": {"quantity": "600", "per": "account"}}})
    client.grant(name, "5", "k")
    events = made_up_events(name)
    started = time.monotonic()

    with ThreadPoolExecutor(THREADS) as pool:
        accepted = sum(pool.map(lambda seed: post_all(client, events, seed), range(THREADS)))
        repeated = sum(pool.map(lambda seed: post_all(client, events, seed), range(THREADS)))
    assert (accepted, repeated) == (EVENTS, 0)
    assert time.monotonic() - started < SECONDS_MAX
    # 160 minutes of which 10 are free, at 0.06 each: 9.00, of which 5.00 is credit.
    row = client.product(name)
    assert (row["quantity"], row["amount"], row["credits_applied"]) == ("9600", "9.00", "5.00")
    assert client.balance(name) == "-4.00"
    audit = server.audit(name)
    assert audit.returncode == 0, audit


def test_one_key_grants_once_however_many_ask_at_once(server: Server, client: Client, account: str) -> None:
    """Twenty equal requests with one key get twenty equal answers and one grant."""
    path, body = f"/v1/accounts/{account}/credits/grants", {"pool": "contact_center_services", "amount": "10"}

    def ask(_: int) -> Answer:
        return expect(201, client.ask("POST", path, body, headers={"Idempotency-Key": "k"}))

    with ThreadPoolExecutor(20) as pool:
        answers = [answer.json for answer in pool.map(ask, range(20))]
    assert all(answer == answers[0] for answer in answers)
    assert client.balance(account) == "10.00"
    assert len(client.ledger(account)) == 1
    assert server.audit(account).returncode == 0


def test_grants_and_events_at_once_lose_no_cent(server: Server, client: Client, name: str) -> None:
    """Credit that arrives while usage burns it down is all there in the end."""
    client.put_account(name, SIMPLE)
    events = made_up_events(name)[:60]

    with ThreadPoolExecutor(THREADS) as pool:
        posted = [pool.submit(client.post, batch) for batch in batches(events, 6)]
        granted = [pool.submit(client.grant, name, "0.1", str(number)) for number in range(10)]
        for future in (*posted, *granted):
            future.result()
    # 60 minutes at 0.06 and ten grants of 0.10.
    assert client.balance(name) == "-2.60"
    assert client.product(name)["credits_applied"] == "1.00"
    assert len(client.ledger(name)) == 10
    assert server.audit(name).returncode == 0


def test_an_account_put_by_many_at_once_is_one_account(client: Client, name: str) -> None:
    """Whoever is last, the settings are one of those that were put, and usage is kept."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda agents: client.put_account(name, {**SIMPLE, "agents": agents}), range(THREADS)))

    assert client.get(f"/v1/accounts/{name}")["agents"] in range(THREADS)
    client.take(event(name, "1", "2021-01-20T11:00:00Z"))


def test_products_and_cards_put_by_many_at_once_are_whole(client: Client, name: str) -> None:
    """Every put is answered with success and one of them stands."""
    card = (
        "Resource,Description,Direction,Type,Resolutions,Country code,Category,Prefixes,Price per increment,Increment,"
    )
    card += "Unit of measure,Currency\ncall,Calls,,,,,,,{price},60,second,EUR\n"

    def put(number: int) -> None:
        client.put_rate_card(name, "2020-01-01", card.format(price=number))
        expect(200, client.ask("PUT", f"/v1/products/{name}", {"name": f"P{number}", "unit": "piece"}))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, range(1, THREADS + 1)))
    client.put_account(name, {**SIMPLE, "rate_card": name})
    client.take(event(name, "1", "2021-01-20T11:00:00Z"))
    assert client.product(name)["amount"] in {f"{number}.00" for number in range(1, THREADS + 1)}


def test_a_month_is_closed_once_while_usage_comes_in(start_server: Callable[..., Server]) -> None:
    """Events that race with the close land in the invoice or after it, never in both and never nowhere."""
    server = start_server("2021-02-01T00:59:00Z")
    client = server.client
    client.put_account("acme", SIMPLE)
    client.take(event("acme", "first", "2021-02-01T00:30:00Z"))
    events = [event("acme", f"e{number}", "2021-01-31T23:59:00Z") for number in range(EVENTS)]

    with ThreadPoolExecutor(THREADS) as pool:
        posted = [pool.submit(client.post, batch) for batch in batches(events, 4)]
        moved = pool.submit(client.move_clock, "2021-02-01T01:00:00Z")
        runs = [pool.submit(client.ask, "POST", "/v1/jobs/issue-invoices/runs") for _ in range(4)]
        accepted = sum(future.result()["accepted"] for future in posted)
        moved.result()
        assert {future.result().status for future in runs} == {200}
    assert accepted == EVENTS
    february = client.get("/v1/accounts/acme/invoices")["items"]
    assert february == []
    assert client.product("acme", period="2021-02")["quantity"] == str(60 * (EVENTS + 1))
    assert server.audit("acme").returncode == 0
