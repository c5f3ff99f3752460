"""Closing a month: the invoice, and what stays after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.figures import figures_of, line_total
from chalicelib.domain.instants import format_instant
from chalicelib.domain.invoice import Close, close_oldest_period, draft_invoice
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.state import AccountState
from tests.unit.domain.builders import a_grant, a_state, an_account, at, left_of, used


OCTOBER, NOVEMBER = Period(2026, 10), Period(2026, 11)
CLOSED = "2026-11-01T01:05:00Z"


def closed(state: AccountState, now: str = CLOSED) -> Close:
    """Close October at 1:05 on 1 November."""
    return close_oldest_period(state, DEFAULT_CATALOGUE, at(now))


def october(**usages: object) -> AccountState:
    """Return an account with this usage in October, which is over."""
    return a_state(periods={"2026-10": usages}, invoiced_through="2026-09", now="2026-10-31T12:00:00Z")


def test_an_invoice() -> None:
    """An invoice names its account and month, and says when it was due and when it was issued."""
    invoice = closed(october(call=used("9"))).invoice

    assert (
        invoice.account,
        invoice.account_name,
        invoice.currency,
        invoice.timezone,
        invoice.payment,
        invoice.period,
    ) == ("acme", "Acme", "EUR", "UTC", PaymentType.INVOICE, OCTOBER)
    assert "2026-11-01T01:00:00Z" == format_instant(invoice.issued_at)  # noqa: SIM300
    assert at(CLOSED) == invoice.recorded_at


@pytest.mark.parametrize(
    ("currency", "opens", "lines", "total"),
    [
        # exact sum 0.01, lines 0.01 + 0.01
        ("EUR", ["0.005", "0.005"], ["0.01", "0.01"], "0.02"),
        # exact sum 0.008, lines 0 + 0
        ("EUR", ["0.004", "0.004"], ["0.00", "0.00"], "0.00"),
        ("EUR", ["70.6795", "1.0049", "0.125"], ["70.68", "1.00", "0.13"], "71.81"),
        ("JPY", ["0.5", "1.5", "2.4"], ["1", "2", "2"], "5"),
        ("KWD", ["0.0005", "1"], ["0.001", "1.000"], "1.001"),
    ],
)
def test_the_total_is_the_sum_of_rounded_lines(currency: str, opens: list[str], lines: list[str], total: str) -> None:
    """Every line is rounded half-up to the minor unit; the total adds up lines, not exact amounts."""
    usages = dict(zip(("call", "message", "number"), map(used, opens), strict=False))
    state = a_state(account=an_account(currency=currency), periods={"2026-10": usages}, invoiced_through="2026-09")

    invoice = closed(state).invoice

    assert lines == [str(line_total(product, currency)) for product in invoice.figures.products]
    assert total == str(invoice.total)


def test_lines_beyond_28_figures() -> None:
    """A total loses no digit however large its lines are."""
    nines = "999999999999999999999999999999.99"

    invoice = closed(october(call=used(nines), message=used("0.01"))).invoice

    assert Decimal("1000000000000000000000000000000.00") == invoice.total


def test_a_line_for_every_product_with_usage() -> None:
    """What free units or credit covered is a line, too, and asks for nothing."""
    invoice = closed(october(call=used("0", free="60"), message=used("5", paid="5"), number=used("2"))).invoice

    assert [(product.resource, str(line_total(product, "EUR"))) for product in invoice.figures.products] == [
        ("call", "0.00"),
        ("message", "0.00"),
        ("number", "2.00"),
    ]
    assert Decimal("2.00") == invoice.total


def test_an_account_without_usage() -> None:
    """A month in which nothing was used gets an invoice of nothing, without lines, and moves no credit."""
    close = closed(a_state(a_grant("g", "5", effective="2026-10-01T00:00:00Z"), invoiced_through="2026-09"))

    assert (Decimal(0), (), ()) == (close.invoice.total, close.invoice.figures.products, close.entries)
    assert close.state.invoiced_through == OCTOBER
    assert {"g": Decimal(5)} == left_of(close.state.grants)


def test_usage_starts_from_zero_and_credit_stays() -> None:
    """The month is gone from the state; credit, later months and settings are as they were."""
    state = a_state(
        a_grant("g", "5"),
        periods={"2026-10": {"call": used("9")}, "2026-11": {"call": used("1")}},
        invoiced_through="2026-09",
    )

    after = closed(state).state

    assert (after.invoiced_through, after.oldest_open) == (OCTOBER, NOVEMBER)
    assert state.grants == after.grants
    assert state.account == after.account
    assert {NOVEMBER: state.periods[NOVEMBER]} == after.periods
    assert at(CLOSED) == after.at


def test_what_was_invoiced_is_added_back() -> None:
    """Every pool that owes gets an entry with the exact amount, after which its balance is its credit."""
    state = a_state(
        a_grant("g", "5", effective="2026-10-01T00:00:00Z", pool="virtual_agent"),
        periods={
            "2026-10": {
                "call": used("9.005", paid="1"),
                "message": used("0.25"),
                "virtual_agent": used("2", paid="2", pool="virtual_agent"),
                "screen_recording_storage": used("3", pool="screen_recording_storage"),
            }
        },
        invoiced_through="2026-09",
    )

    entries = closed(state).entries

    # 9.005 - 1 + 0.25; the virtual agent owes nothing
    assert [
        (SHARED_POOL, Decimal("8.255"), Decimal("-8.255"), Decimal(0)),
        ("screen_recording_storage", Decimal(3), Decimal(-3), Decimal(0)),
    ] == [(entry.pool, entry.amount, entry.balance_before, entry.balance_after) for entry in entries]
    assert {(EntryKind.INVOICE, OCTOBER, at("2026-11-01T01:00:00Z"), at(CLOSED))} == {
        (entry.kind, entry.period, entry.at, entry.recorded_at) for entry in entries
    }
    assert len({entry.id for entry in entries}) == 2


def test_credit_of_the_next_month_beside_what_is_owed() -> None:
    """Credit of November stays out of the balances of October's invoice."""
    state = a_state(
        a_grant("November", "100", effective="2026-11-01T00:00:00Z"),
        periods={"2026-10": {"call": used("9")}},
        invoiced_through="2026-09",
    )

    close = closed(state)

    assert Decimal(9) == close.invoice.total
    assert [(Decimal(-9), Decimal(0))] == [(entry.balance_before, entry.balance_after) for entry in close.entries]


def test_the_invoice_shows_what_the_tab_showed() -> None:
    """The figures of the invoice are those that the tab shows right before."""
    state = october(call=used("9", paid="2"), message=used("1"))

    assert closed(state).invoice.figures == figures_of(state, OCTOBER, DEFAULT_CATALOGUE, at(CLOSED))


def test_a_late_close_issues_the_same_invoice() -> None:
    """A close that comes ten days late differs in nothing but when it was recorded."""
    state = a_state(
        a_grant("expires on 5 November", "7", effective="2026-10-01T00:00:00Z", expires="2026-11-06T00:00:00Z"),
        a_grant("November", "100", effective="2026-11-01T00:00:00Z"),
        periods={"2026-10": {"call": used("9")}},
        invoiced_through="2026-09",
    )

    timely, late = closed(state, "2026-11-01T01:00:00Z"), closed(state, "2026-11-11T01:00:00Z")

    assert timely.invoice.figures == late.invoice.figures
    assert timely.invoice.id == late.invoice.id
    assert timely.invoice.issued_at == late.invoice.issued_at
    assert [(entry.id, entry.at, entry.balance_before) for entry in timely.entries] == [
        (entry.id, entry.at, entry.balance_before) for entry in late.entries
    ]


def test_months_are_closed_one_after_the_other() -> None:
    """The oldest open month is closed first."""
    state = a_state(periods={"2026-11": {"call": used("2")}}, invoiced_through="2026-09")

    first = closed(state, "2026-12-10T00:00:00Z")
    second = closed(first.state, "2026-12-10T00:00:00Z")

    assert [(OCTOBER, Decimal(0)), (NOVEMBER, Decimal(2))] == [
        (close.invoice.period, close.invoice.total) for close in (first, second)
    ]
    assert second.state.periods == {}
    assert first.invoice.id != second.invoice.id


def test_a_draft() -> None:
    """The upcoming invoice is what the month would get now, due in its own time."""
    state = a_state(periods={"2026-11": {"call": used("2.345")}})

    draft = draft_invoice(state, NOVEMBER, DEFAULT_CATALOGUE, at("2026-11-10T12:00:00Z"))

    assert (draft.period, format_instant(draft.issued_at)) == (NOVEMBER, "2026-12-01T01:00:00Z")
    # 2.345 half-up
    assert Decimal("2.35") == draft.total
