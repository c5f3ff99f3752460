"""From a product's row to its interactions, and how each was charged."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.client import event
from tests.e2e.server import Server


COLUMNS = ["Interaction", "Rate", "Quantity", "Free units", "Charge", "Paid by credit", "To be invoiced"]


def explained(page: Page, product: str) -> Locator:
    """Open the interactions of a product."""
    page.get_by_role("table", name="Usage per product").get_by_role("button", name=product).click()
    dialog = page.get_by_role("dialog", name=f"{product}, November 2026")
    expect(dialog.get_by_role("table")).to_be_visible()
    return dialog


def cells(row: Locator) -> list[str]:
    """Return what a row says, its heading first."""
    texts = row.get_by_role("rowheader").or_(row.get_by_role("cell")).all_text_contents()
    return [re.sub(r"\s+", " ", text) for text in texts]


def test_an_interaction_tells_how_it_was_charged(page: Page) -> None:
    """4,500 s are 75 x 60 s; less 1,200 free they are 55 minutes at 0.06, paid by the promotional grant."""
    dialog = explained(page, "Calls")

    expect(dialog.get_by_role("columnheader")).to_have_text(COLUMNS)
    assert cells(dialog.get_by_role("row").last) == [
        "Nov 20, 2026, 9:00:00 AM GMT+0",
        "CallsRow 1: $0.06 per 60 seconds",
        "75 min75 min billed75 \N{MULTIPLICATION SIGN} 60 seconds",
        "20 min",
        "$3.30",
        "$3.30Promotional, Nov 22, 2026",
        "$0.00",
    ]


def test_what_no_credit_pays_is_to_be_invoiced(page: Page) -> None:
    """Three sessions at 2.00, whose own pool is empty."""
    dialog = explained(page, "Virtual agent")

    assert cells(dialog.get_by_role("row").last)[2:] == [
        "3 sessions3 sessions billed3 \N{MULTIPLICATION SIGN} 1 session",
        "-",
        "$6.00",
        "-",
        "$6.00",
    ]


def test_the_keyboard_opens_the_interactions_and_comes_back(page: Page) -> None:
    """Enter opens, Escape closes, and the focus is on the product again, even if its row was shown anew meanwhile."""
    button = page.get_by_role("button", name="Messages")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("row")).to_have_count(2)
    page.get_by_role("table", name="Usage per product").evaluate("table => table.replaceWith(table.cloneNode(true))")
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_older_interactions_come_page_by_page(server: Server, account: str, open_page: Callable[..., Page]) -> None:
    """Of 51 messages 50 are shown; then the focus is on the one that is added, and there are no more."""
    server.client.take(
        *(event(account, f"more{minute}", f"2026-11-22T10:{minute:02}:00Z", "1", "message") for minute in range(50))
    )
    page = open_page()
    dialog = explained(page, "Messages")
    rows = dialog.get_by_role("row")
    expect(rows).to_have_count(51)
    expect(rows.nth(1)).to_contain_text("10:49:00 AM")
    dialog.get_by_role("button", name="Show more").click()

    expect(rows).to_have_count(52)
    expect(rows.last).to_be_focused()
    expect(rows.last).to_contain_text("40 messages")
    expect(dialog.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_page_of_a_long_list_may_be_empty(page: Page) -> None:
    """The service may look through so many charges of other products that it finds none; there can still be more."""
    asked: list[bool] = []

    def answer(route: Route) -> None:
        asked.append("cursor=" in route.request.url)
        if asked[-1]:
            route.continue_(url=route.request.url.partition("&cursor=")[0])
        else:
            route.fulfill(json={"items": [], "cursor": "further"})

    page.route("**/usage/call/events?*", answer)
    dialog = explained(page, "Calls")
    dialog.get_by_role("button", name="Show more").dblclick()

    expect(dialog.get_by_role("row")).to_have_count(2)
    expect(dialog.get_by_role("row").last).to_be_focused()
    assert asked == [False, True]


def test_peaks_what_was_taken_back_and_late_usage_are_named(page: Page) -> None:
    """A masked number and negative amounts are shown as the service gives them; an unknown grant by its id."""
    rate = {
        "row": 7,
        "description": "Storage",
        "price_per_increment": "0.5",
        "increment": "1",
        "unit_of_measure": "message",
    }
    item = {
        "id": "p1",
        "time": "2026-11-14T10:00:00Z",
        "late": False,
        "interaction_id": None,
        "number": "3519****",
        "country_code": "PT",
        "direction": "outbound",
        "resolution": None,
        "category": None,
        "type": None,
        "quantity": "2",
        "billed_quantity": "2",
        "increments": "2",
        "free_units": "0",
        "rate": rate,
        "amount": "0.0005",
        "credits": [{"grant": "G1", "amount": "0.0004"}],
        "to_be_invoiced": "0.0001",
    }
    items = [
        {**item, "kind": "reversal", "amount": "-0.0005", "credits": [], "to_be_invoiced": "-0.0005"},
        {**item, "kind": "peak"},
        {**item, "kind": "sample", "late": True},
    ]
    page.route("**/usage/message/events?*", lambda route: route.fulfill(json={"items": items, "cursor": None}))
    rows = explained(page, "Messages").get_by_role("row")

    expect(rows.nth(1).get_by_role("rowheader")).to_contain_text("Taken back3519**** · PT · outbound")
    assert cells(rows.nth(1))[4:] == ["-$0.0005", "-", "-$0.0005"]
    expect(rows.nth(2).get_by_role("rowheader")).to_contain_text("Peak of the month")
    assert cells(rows.nth(2))[4:] == ["$0.0005", "$0.0004G1", "$0.0001"]
    expect(rows.nth(3).get_by_role("rowheader")).to_contain_text("Daily sampleLate")


def test_interactions_that_cannot_be_read_say_why_and_are_read_again(page: Page) -> None:
    """Another try shows them."""
    answers = [{"code": "busy", "detail": "the service is busy"}]

    def refuse_once(route: Route) -> None:
        if answers:
            route.fulfill(status=503, json=answers.pop())
        else:
            route.continue_()

    page.route("**/usage/call/events?*", refuse_once)
    page.get_by_role("button", name="Calls").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("the service is busy")
    dialog.get_by_role("button", name="Try again").click()

    expect(dialog.get_by_role("row")).to_have_count(2)
