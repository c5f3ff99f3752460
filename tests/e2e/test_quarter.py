"""A customer's first quarter: calls imported month by month, two months invoiced, the third in the tab."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.importing import import_calls
from tests.e2e.samples import QUARTER, SETTINGS, start_of_next_month, written
from tests.oracle.billing import bill


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.client import Client
    from tests.e2e.samples import Sample
    from tests.e2e.server import Server

FREE_SECONDS = "50000"


@pytest.mark.parametrize(
    ("kind", "timezone"),
    [
        ("plain", "Europe/Lisbon"),
        ("plain", "America/New_York"),
        ("varied", "America/New_York"),
        ("varied", "Asia/Kolkata"),
    ],
)
def test_a_quarter_of_calls_is_billed_to_the_last_digit(
    kind: str, timezone: str, request: pytest.FixtureRequest, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """Two months are invoiced as the tab showed them last, the third is in the tab, all as worked out apart."""
    sample: Sample = request.getfixturevalue(kind)
    server = start_server("2021-01-01T00:00:00Z")
    client = server.client
    client.put_rate_card("quarter", "2020-01-01", sample.card.read_text(encoding="utf-8"))
    free_units = {"call": {"quantity": FREE_SECONDS, "per": "account"}}
    client.put_account("acme", {**SETTINGS, "timezone": timezone, "rate_card": "quarter", "free_units": free_units})
    months: dict[str, Any] = bill(sample.calls, sample.card, timezone, {"call": FREE_SECONDS})
    assert tuple(months) == QUARTER

    for month in QUARTER:
        end = start_of_next_month(month, timezone)
        client.move_clock(written(end - timedelta(seconds=1)))
        imported = import_calls(server, "acme", sample.write_month(tmp_path / f"{month}.csv", month, timezone))
        assert imported.returncode == 0, imported
        assert_tab(client, month, months[month])
        if month != QUARTER[-1]:
            client.move_clock(written(end + timedelta(hours=1)))
            assert_invoice(client.invoice("acme", month), months[month])
            assert client.product("acme", period=month) == {
                **client.product("acme", period=month),
                **shown(months[month]),
            }

    invoices = client.get("/v1/accounts/acme/invoices")["items"]
    usual = [invoice for invoice in invoices if invoice["lines"]]
    assert [invoice["period"] for invoice in usual] == ["2021-02", "2021-01"]
    assert_tab(client, "2021-03", months["2021-03"])
    asked = [entry["amount"] for entry in client.ledger("acme", kind="invoice")]
    assert asked == [months[month]["lines"]["call"]["to_be_invoiced"] for month in ("2021-02", "2021-01")]
    audit = server.audit("acme")
    assert audit.returncode == 0, audit


def shown(month: dict[str, Any]) -> dict[str, Any]:
    """Return the members of the tab's row that the calculation knows."""
    line = month["lines"]["call"]
    remaining = int(FREE_SECONDS) - int(line["free_units_used"])
    return {
        "quantity": line["quantity"],
        "billed_quantity": line["billed_quantity"],
        "free_units": {"included": FREE_SECONDS, "used": line["free_units_used"], "remaining": str(remaining)},
        "amount": line["amount"],
        "credits_applied": "0.00",
        "to_be_invoiced": line["to_be_invoiced"],
        "balance": f"-{line['to_be_invoiced']}",
        "included_in": "contact_center_services",
    }


def assert_tab(client: Client, month: str, expected: dict[str, Any]) -> None:
    """Check that the tab shows a running month, and balances and the upcoming invoice the same."""
    tab = client.usage("acme")
    (row,) = tab["products"]
    assert tab["period"]["id"] == month
    assert tab["period"]["status"] == "open"
    assert row == {**row, **shown(expected)}
    to_be_invoiced = expected["lines"]["call"]["to_be_invoiced"]
    pool = {
        "balance": f"-{to_be_invoiced}",
        "credits": {"committed": "0.00", "purchased": "0.00", "promotional": "0.00"},
        "to_be_invoiced": to_be_invoiced,
    }
    assert client.balances("acme") == {"contact_center_services": pool}
    assert tab["contact_center_services"] == {**tab["contact_center_services"], **pool}
    assert_invoice(client.get("/v1/accounts/acme/invoices/upcoming"), expected, status="upcoming")


def assert_invoice(invoice: dict[str, Any], expected: dict[str, Any], status: str = "issued") -> None:
    """Check an invoice's status, total and lines."""
    lines = [{"resource": "call", "name": "Calls", **expected["lines"]["call"]}]
    assert (invoice["status"], invoice["total"], invoice["lines"]) == (status, expected["total"], lines)
