"""A month of calls through the packaged functions, beside the same month on one machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.deployed.conftest import START
from tests.e2e.client import batches
from tests.e2e.samples import SETTINGS, as_events
from tests.e2e.server import Server
from tests.oracle.billing import bill


if TYPE_CHECKING:
    from pathlib import Path

    from tests.deployed.stack import DeployedStack
    from tests.deployed.streams import Metering
    from tests.e2e.client import Client
    from tests.e2e.samples import Sample

JANUARY = "2021-01"
FREE_SECONDS = "50000"
INVOICED_AT = "2021-02-01T01:00:00Z"
AN_HOUR_MINUTES = 60
EVENTS_OF_A_RECORD = 20


def test_the_same_as_on_one_machine(stack: DeployedStack, metering: Metering, sample: Sample, tmp_path: Path) -> None:
    """Through the gateway and through the stream, January gives the tab and the invoice that `serve` gives."""
    rows = sample.rows_of(JANUARY)
    with Server(tmp_path, "--no-demo", "--test-clock", START) as server:
        for client in (server.client, stack.client):
            client.put_rate_card("january", "2020-01-01", sample.card.read_text(encoding="utf-8"))
            for account in ("by-gateway", "by-stream"):
                free_units = {"call": {"quantity": FREE_SECONDS, "per": "account"}}
                client.put_account(account, {**SETTINGS, "rate_card": "january", "free_units": free_units})
        for account in ("by-gateway", "by-stream"):
            post(server.client, as_events(rows, account))

        post(stack.client, as_events(rows, "by-gateway"))
        metering.deliver(records(as_events(rows, "by-stream")))

        for account in ("by-gateway", "by-stream"):
            assert tab(stack.client, account) == tab(server.client, account)
        for client in (server.client, stack.client):
            client.move_clock(INVOICED_AT)
        month = bill(sample.calls, sample.card, "UTC", {"call": FREE_SECONDS})[JANUARY]
        for account in ("by-gateway", "by-stream"):
            issued = invoice(stack.client, account)
            assert issued == invoice(server.client, account)
            assert (issued["status"], issued["total"]) == ("issued", month["total"])
            assert tab(stack.client, account) == tab(server.client, account)
            assert report(stack.client, account) == report(server.client, account)
        assert server.failures == []


def post(client: Client, events: list[dict[str, Any]]) -> None:
    """Post events that are all new."""
    for batch in batches(events, 1_000):
        client.take(*batch)


def records(events: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """Return events as the metering system writes them: alone, or some in a record."""
    alone = [(event["subject"], json.dumps(event).encode()) for event in events[:EVENTS_OF_A_RECORD]]
    together = [(batch[0]["subject"], json.dumps(batch).encode()) for batch in batches(events[EVENTS_OF_A_RECORD:], 20)]
    return alone + together


def tab(client: Client, account: str) -> Any:
    """Return the tab of the running month and that of January."""
    return [client.usage(account), client.usage(account, JANUARY)]


def invoice(client: Client, account: str) -> Any:
    """Return what an invoice says, but for the name it was given."""
    return {member: value for member, value in client.invoice(account, JANUARY).items() if member != "id"}


def report(client: Client, account: str) -> list[str]:
    """Return the lines of the cost report, those of one instant in no order."""
    answer = client.ask("GET", f"/v1/accounts/{account}/reports/cost", query={"period": JANUARY})
    return sorted(answer.text.splitlines())
