"""What closing the month costs per account, from a hundred accounts to ten thousand, on DynamoDB Local."""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from typing import NamedTuple

from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.local.counting_store import CountingStore
from chalicelib.services.container import Services
from chalicelib.storage.dynamo import DynamoItemStore
from tests.bench.workload import CARD, RESOURCES, BenchClock, open_account
from tests.stores import DynamoDBLocal


FLEETS = (100, 1_000, 10_000)
PRODUCTS_USED = 5
DURING_THE_MONTH = parse_instant("2026-11-22T12:00:00Z")
ONCE_IT_IS_OVER = parse_instant("2026-12-01T02:00:00Z")


class Closed(NamedTuple):
    """What it took to close the month of a fleet."""

    accounts: int
    seconds: float
    write_units: int
    read_units: float


def main(fleets: tuple[int, ...] = FLEETS) -> None:
    """Measure every fleet on a store of its own and print a table."""
    out = sys.stdout
    heads = f"{'accounts':>9}{'seconds':>9}{'ms':>8}{'write units':>13}{'read units':>12}"
    out.write(f"{heads}   (the last three per account)\n")
    for accounts in fleets:
        with DynamoDBLocal() as local:
            store = DynamoItemStore(local.endpoint, "eu-west-1", "bench-state", "bench-pages")
            store.create_tables()
            closed = close_months(store, accounts)
        out.write(
            f"{accounts:>9}{closed.seconds:>9.1f}{closed.seconds * 1000 / accounts:>8.2f}"
            f"{closed.write_units / accounts:>13.2f}{closed.read_units / accounts:>12.2f}\n"
        )
        out.flush()


def close_months(store: DynamoItemStore, accounts: int) -> Closed:
    """Open *accounts* that use some products, and close their month."""
    counting = CountingStore(store)
    clock = BenchClock(DURING_THE_MONTH)
    services = open_account(counting, clock)
    for number in range(accounts - 1):
        _open(services, f"account-{number}")
    clock.at = ONCE_IT_IS_OVER
    before = counting.units
    started = time.perf_counter()
    run = services.jobs.run("issue-invoices")
    seconds = time.perf_counter() - started
    if run.done != accounts:
        message = f"{run.done} of {accounts} invoices were issued"
        raise AssertionError(message)
    units = counting.units.since(before)
    return Closed(accounts, seconds, units.write_units, units.read_units)


def _open(services: Services, account: str) -> None:
    """Create an account that has used some products."""
    method = PaymentMethod(PaymentType.INVOICE)
    services.accounts.put(Account(account, "Acme Incorporated", "USD", "Europe/Lisbon", method, CARD, 10, {}))
    events = [
        UsageEvent(account, "/voice/eu-west-1", f"{account}-{resource}", DURING_THE_MONTH, resource, Decimal(60))
        for resource in RESOURCES[:PRODUCTS_USED]
    ]
    services.metering.take(events)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or FLEETS)
