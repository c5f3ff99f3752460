"""The daily charges and what they come to by the month's end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.samples import SETTINGS
from tests.e2e.client import event
from tests.e2e.server import Server


def test_the_charges_so_far_and_their_projection_are_told(page: Page) -> None:
    """3.30, 20.00 and 6.00 are 29.30 in 22 days; 29.30 / 22 x 30 is 39.9545."""
    chart = page.get_by_role("figure", name="Daily charges")

    expect(chart.get_by_role("term")).to_have_text(["So far", "Projected by Nov 30"])
    expect(chart.get_by_role("definition")).to_have_text(["$29.30", "$39.95"])
    rule = "Projection: $29.30 so far ÷ days begun (22) \N{MULTIPLICATION SIGN} days of the month (30)."
    expect(chart.get_by_text(rule)).to_be_visible()
    expect(chart.get_by_role("img")).to_have_accessible_name("Daily charges So far $29.30 Projected by Nov 30 $39.95")
    expect(chart.get_by_role("listitem")).to_have_text(
        ["Messages $20.00", "Virtual agent $6.00", "Calls $3.30", "Projected by Nov 30"]
    )


def test_a_projection_is_exact_and_knows_the_calendar(page: Page) -> None:
    """0.1 in 3 of 31 days is 1.0333...; a leap February has 29; a month that is over comes to what it has cost."""
    results = page.evaluate(
        """async () => {
            const { daysOf, project } = await import("./console/projection.js");
            const total = (amount, period, today) => project(amount, daysOf(period), today).total;
            return [
                total("0.1", "2026-12", "2026-12-03"),
                daysOf("2028-02").length,
                total("12345678901234567.89", "2026-11", "2026-12-01"),
                project("3", daysOf("2026-11"), "2026-11-01"),
            ];
        }"""
    )

    assert results == ["1.033333333333", 29, "12345678901234567.89", {"begun": 1, "perDay": "3", "total": "90"}]


def test_bars_are_as_high_as_their_amounts(page: Page) -> None:
    """The scale ends at 20.00, which is 180 high: 6.00 is 54, 3.30 is 29.7 and a day's average of 1.3318 is 11.986."""
    chart = page.get_by_role("img", name="Daily charges")

    def heights(bars: str) -> list[float]:
        return [float(bar.get_attribute("height") or "") for bar in chart.locator(bars).all()]

    expect(chart.locator("text.end:not(.today)")).to_have_text(["$0", "$10", "$20"])
    expect(chart.locator("text.middle")).to_have_text(["Nov 1", "Nov 8", "Nov 15", "Nov 29", "Today"])
    assert heights("[fill='url(#fill-0)']") == [pytest.approx(180)]
    assert heights("[fill='url(#fill-1)']") == [pytest.approx(54)]
    assert heights("[fill='url(#fill-2)']") == [pytest.approx(29.7)]
    assert heights(".projected") == [pytest.approx(11.986, abs=0.001)] * 8
    looks = chart.locator("pattern path").evaluate_all("paths => paths.map((path) => path.getAttribute('d'))")
    assert len(set(looks)) == len(looks)


def test_the_same_numbers_are_there_as_a_table(page: Page) -> None:
    """The keyboard opens it; a day without charges has no row, and a refresh leaves it open."""
    summary = page.get_by_text("Show as a table")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("region", name="Show as a table").get_by_role("table")

    expect(table.get_by_role("columnheader")).to_have_text(["Period", "Messages", "Virtual agent", "Calls", "Total"])
    expect(table.get_by_role("row")).to_have_text(
        [
            "PeriodMessagesVirtual agentCallsTotal",
            "Nov 20$0.00$0.00$3.30$3.30",
            "Nov 21$20.00$0.00$0.00$20.00",
            "Nov 22$0.00$6.00$0.00$6.00",
            "Total$20.00$6.00$3.30$29.30",
        ]
    )


def test_usage_moves_the_chart_and_leaves_its_table_open(server: Server, account: str, page: Page) -> None:
    """Two sessions more are 4.00 more, and the focus stays where it was."""
    page.get_by_text("Show as a table").click()
    server.client.take(event(account, "v2", "2026-11-22T09:30:00Z", "2", "virtual_agent"))
    page.evaluate("dispatchEvent(new Event('online'))")

    total = page.get_by_role("region", name="Show as a table").get_by_role("row").last
    expect(total).to_have_text("Total$20.00$10.00$3.30$33.30")
    expect(page.get_by_text("Show as a table")).to_be_focused()


def test_small_products_are_drawn_as_one(open_page: Callable[..., Page]) -> None:
    """Of seven products the five largest keep their own pattern; the table has them all."""
    amounts = ["0.50", "2.00", "3.00", "4.00", "5.00", "6.00", "7.00"]
    products = [
        {"name": amount, "buckets": [{"bucket": "2026-11-02", "quantity": "1", "amount": amount}]} for amount in amounts
    ]
    page = open_page(routes={"**/usage/series?*": lambda route: route.fulfill(json={"products": products})})
    chart = page.get_by_role("figure", name="Daily charges")

    expect(chart.get_by_role("listitem")).to_have_text(
        [*(f"{amount} ${amount}" for amount in amounts[:1:-1]), "Other products $2.50", "Projected by Nov 30"]
    )
    page.get_by_text("Show as a table").click()
    expect(chart.get_by_role("columnheader")).to_have_text(["Period", *reversed(amounts), "Total"])


def test_a_month_without_charges_says_so(server: Server, account: str, open_page: Callable[..., Page]) -> None:
    """A minute within the free ones costs nothing."""
    free = f"{account}-free"
    server.client.put_account(free, SETTINGS)
    server.client.take(event(free, "c1", "2026-11-20T09:00:00Z", "60"))
    page = open_page(free)

    expect(page.get_by_role("region", name="Daily charges")).to_contain_text("No charges in November 2026")


def test_a_chart_that_cannot_be_read_says_why_and_is_read_again(open_page: Callable[..., Page]) -> None:
    """The rest of the page is there all the same."""
    answers = [{"status": 503, "code": "busy", "detail": "the service is busy"}]

    def refuse_once(route: Route) -> None:
        if answers:
            route.fulfill(status=503, json=answers.pop())
        else:
            route.continue_()

    page = open_page(routes={"**/usage/series?*": refuse_once})
    chart = page.get_by_role("region", name="Daily charges")
    expect(chart.get_by_role("alert")).to_contain_text("the service is busy")
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
    chart.get_by_role("button", name="Try again").click()

    expect(chart.get_by_role("definition")).to_have_text(["$29.30", "$39.95"])
