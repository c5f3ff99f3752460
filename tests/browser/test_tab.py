"""Every element of the tab, against numbers worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.browser.samples import NOW, commit, fill, put_catalogue
from tests.e2e.client import event
from tests.e2e.server import Server


def test_the_pool_shows_its_balance_and_where_its_credit_comes_from(page: Page) -> None:
    """30.00 of promotional credit less 23.30 of usage is 6.70, and nothing of the shared pool is to be invoiced."""
    pool = page.get_by_role("region", name="Contact center services")

    expect(page.get_by_role("heading", level=1, name="November 2026")).to_be_visible()
    expect(page.get_by_text("Open", exact=True)).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Numbers true up to Nov 22, 2026, 2:03:15 PM")).to_be_visible()
    expect(pool.get_by_role("heading", name="Current balance")).to_be_visible()
    expect(pool.locator(".headline")).to_have_text("$6.70credit left")
    expect(pool.locator("[data-field=to_be_invoiced]")).to_have_text("To be invoiced$0.00")
    expect(pool.locator("[data-field=credits] .term")).to_have_text(
        ["Committed$0.00", "Purchased$0.00", "Promotional$6.70"]
    )
    expect(pool.locator("[data-field=committed_credit]").get_by_role("img", name="Not purchased")).to_have_text("-")
    expect(pool.locator("[data-field=committed_credit_period]").get_by_role("img")).to_have_text("-")


def test_every_product_has_a_row(page: Page) -> None:
    """Quantities in display units, free units, charges and balances are those worked out by hand."""
    table = page.get_by_role("table", name="Usage per product")

    def cells(product: str) -> list[str]:
        row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=product))
        return [re.sub(r"\s+", " ", text) for text in row.get_by_role("cell").all_text_contents()]

    expect(table.get_by_role("columnheader")).to_have_text(
        ["Product", "Quantity", "Free units", "Total usage", "Balance", "Committed credit", "Committed credit period"]
    )
    assert cells("Calls") == ["75 min", "All of 20 min used", "$3.30$3.30 from credit", "$0.00", "N/A", "N/A"]
    assert cells("Messages") == ["40 messages", "-", "$20.00$20.00 from credit", "$0.00", "N/A", "N/A"]
    assert cells("Virtual agent") == ["3 sessions", "-", "$6.00", "-$6.00to be invoiced", "-", "-"]
    meter = table.get_by_role("meter", name="Free units of Calls")
    expect(meter).to_have_attribute("aria-valuetext", "All of 20 min used")


def test_the_upcoming_invoice_opens_with_its_lines(page: Page) -> None:
    """The sessions, which no credit covers, are what the next invoice will ask for."""
    row = page.get_by_role("table", name="Invoices").get_by_role("row").nth(1)
    expect(row).to_contain_text("Upcoming")
    expect(row.get_by_role("cell")).to_have_text(["Dec 1, 2026", "$6.00"])

    row.get_by_role("button", name="November 2026").click()

    sheet = page.get_by_role("dialog", name="Invoice of November 2026")
    expect(sheet.get_by_role("row").filter(has_text="Virtual agent").get_by_role("cell")).to_have_text(
        ["3 sessions", "0 sessions", "$6.00", "$0.00", "$6.00"]
    )
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(row.get_by_role("button", name="November 2026")).to_be_focused()


def test_usage_pricing_can_be_downloaded(page: Page, tmp_path: Path) -> None:
    """The rate card comes as a file."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download usage pricing").click()
    download.value.save_as(tmp_path / "pricing.csv")

    assert "call,Calls" in (tmp_path / "pricing.csv").read_text(encoding="utf-8")


def test_a_warning_stays_away_once_dismissed(server: Server, account: str, open_page: Callable[..., Page]) -> None:
    """6.70 and 100.00 committed, less 92.00, are 14.70: below 15 % of the expected monthly credit."""
    commit(server.client, account, "100", "2026-11-22")
    server.client.take(event(account, "m2", "2026-11-22T10:00:00Z", "184", "message"))
    page = open_page()
    warning = page.get_by_role("list", name="Warnings").get_by_role("listitem")
    expect(warning).to_contain_text("at or below 15 %")

    warning.get_by_role("button", name="Dismiss").click()

    expect(warning).to_have_count(0)
    expect(page.get_by_role("heading", name="Contact center services")).to_be_focused()
    assert server.client.usage(account)["contact_center_services"]["warnings"] == []


def test_a_month_closes_and_becomes_an_invoice(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """While the invoice is being issued the page says so; afterwards the month is among the past ones."""
    with Server(tmp_path, "--no-demo", "--test-clock", NOW) as server:
        put_catalogue(server.client)
        fill(server.client, "closing")
        server.client.move_clock("2026-12-01T00:30:00Z")
        page = open_page("closing", at=server)
        expect(page.get_by_text("Closing", exact=True)).to_be_visible()
        expect(page.get_by_text("The invoice of November 2026 is still being issued.")).to_be_visible()

        server.client.move_clock("2026-12-01T01:00:00Z")
        page.get_by_role("button", name="Refresh now").click()

        expect(page.get_by_role("heading", level=1)).to_have_text("December 2026")
        expect(page.get_by_text("No usage in December 2026")).to_be_visible()
        page.get_by_label("Period", exact=True).select_option(label="November 2026")
        expect(page.get_by_role("heading", level=1)).to_have_text("November 2026")
        expect(page.get_by_text("Balance at issue")).to_be_visible()
        chart = page.get_by_role("figure", name="Daily charges")
        expect(chart.get_by_role("term")).to_have_text(["Total"])
        expect(chart.get_by_role("definition")).to_have_text(["$29.30"])
        expect(chart.locator(".projected, .today")).to_have_count(0)
        expect(page.get_by_role("button", name="Manage credits")).to_have_count(0)


def test_a_report_that_is_prepared_as_a_file_is_waited_for(page: Page, tmp_path: Path) -> None:
    """While the service answers 202 the page asks again where it is told to, and then saves the file."""
    asked = []

    def prepare(route: Route) -> None:
        asked.append(route.request.url.partition("/reports/")[2])
        if len(asked) == 1:
            route.fulfill(status=202, json={"status": "preparing", "poll": "https://usage.example/files/cost-7.csv"})
        else:
            disposition = 'attachment; filename="cost-2026-11.csv"'
            headers = {"Content-Type": "text/csv", "Content-Disposition": disposition}
            route.fulfill(body="Interaction ID\n", headers=headers)

    page.route("**/reports/**", prepare)
    with page.expect_download() as download:
        page.get_by_role("button", name="Cost report").click()
    download.value.save_as(tmp_path / "cost.csv")

    assert asked == ["cost?period=2026-11", "files/cost-7.csv"]
    assert download.value.suggested_filename == "cost-2026-11.csv"
    assert (tmp_path / "cost.csv").read_text(encoding="utf-8") == "Interaction ID\n"


def test_a_download_that_fails_says_why(page: Page) -> None:
    """The numbers stay, with the service's words above them."""
    detail = "the usage of 2024-01 is not kept any more"
    page.route("**/reports/**", lambda route: route.fulfill(status=410, json={"code": "gone", "detail": detail}))
    page.get_by_role("button", name="Transactions report").click()

    notice = page.get_by_role("main").get_by_text(f"Transactions report: this did not work. {detail}")
    expect(notice).to_be_visible()
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
