"""What falls due by itself, and in which order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.due import carry_out_due, close_due_at, next_due_at
from chalicelib.domain.instants import format_instant
from chalicelib.domain.periods import Period
from tests.unit.domain.builders import a_grant, a_state, an_account, at, left_of, used


@pytest.mark.parametrize(
    ("timezone", "period", "due"),
    [
        ("UTC", "2026-11", "2026-12-01T01:00:00Z"),
        ("America/New_York", "2026-11", "2026-12-01T06:00:00Z"),
        ("Pacific/Kiritimati", "2026-11", "2026-11-30T11:00:00Z"),
        # the hour before midnight comes twice, the grace begins after the second
        ("Africa/Cairo", "2024-10", "2024-10-31T23:00:00Z"),
        # the hour after midnight comes twice, the grace is the first
        ("America/Havana", "2026-10", "2026-11-01T05:00:00Z"),
    ],
)
def test_invoices_are_due_an_hour_after_the_month(timezone: str, period: str, due: str) -> None:
    """A month's invoice is due an hour after the first instant of the next, in the account's zone."""
    assert due == format_instant(close_due_at(a_state(account=an_account(timezone)), Period.parse(period)))


def test_next_due() -> None:
    """The next expiry or the next invoice comes first, whichever is earlier."""
    early, late = a_grant("a", "1", expires="2026-11-20T00:00:00Z"), a_grant("b", "1", expires="2026-12-31T00:00:00Z")

    assert format_instant(next_due_at(a_state(late, early, a_grant("c", "1")))) == "2026-11-20T00:00:00Z"
    assert format_instant(next_due_at(a_state(late))) == "2026-12-01T01:00:00Z"
    assert format_instant(next_due_at(a_state())) == "2026-12-01T01:00:00Z"


GRANTS = (
    a_grant("a", "1", expires="2026-11-05T00:00:00Z"),
    a_grant("b", "2", expires="2026-11-03T00:00:00Z"),
    a_grant("c", "4", expires="2026-12-01T01:00:00Z"),
    a_grant("d", "8", expires="2026-12-01T01:00:00.000001Z"),
    a_grant("e", "16"),
)


def test_expiries_in_order() -> None:
    """Expiries are carried out by their due times, each with its own and with the time of recording."""
    state = a_state(*GRANTS, periods={"2026-11": {"call": used("0.5")}})

    state, entries = carry_out_due(state, at("2026-11-10T00:00:00Z"), at("2026-11-10T12:00:00Z"))

    # 31 - 0.5 before, less 2, less 1
    assert [(entry.grant, format_instant(entry.at)) for entry in entries] == [
        ("b", "2026-11-03T00:00:00Z"),
        ("a", "2026-11-05T00:00:00Z"),
    ]
    assert [(str(entry.balance_before), str(entry.balance_after)) for entry in entries] == [
        ("30.5", "28.5"),
        ("28.5", "27.5"),
    ]
    assert {at("2026-11-10T12:00:00Z")} == {entry.recorded_at for entry in entries}
    assert {"c": Decimal(4), "d": Decimal(8), "e": Decimal(16)} == left_of(state.grants)


@pytest.mark.parametrize(
    ("until", "expired"),
    [
        ("2026-11-02T23:59:59.999999Z", []),
        ("2026-11-03T00:00:00Z", ["b"]),
        ("2026-11-05T00:00:00Z", ["b", "a"]),
        ("2026-12-01T00:59:59.999999Z", ["b", "a"]),
        # an expiry goes before the invoice that is due at the same instant
        ("2026-12-01T01:00:00Z", ["b", "a", "c"]),
        # what is due after it waits for the invoice, however late that is
        ("2027-06-01T00:00:00Z", ["b", "a", "c"]),
    ],
)
def test_what_is_due(until: str, expired: list[str]) -> None:
    """All that is due at an instant or before is carried out, up to the invoice not yet issued."""
    _, entries = carry_out_due(a_state(*GRANTS), at(until), at(until))

    assert expired == [entry.grant for entry in entries]


def test_once_the_month_is_invoiced() -> None:
    """What waited for an invoice is carried out after it."""
    _, entries = carry_out_due(
        a_state(*GRANTS, invoiced_through="2026-11"), at("2026-12-02T00:00:00Z"), at("2026-12-02T00:00:00Z")
    )

    assert [entry.grant for entry in entries] == ["b", "a", "c", "d"]


def test_two_expiries_at_one_instant() -> None:
    """Each expiry starts from the balance that the one before left."""
    grants = a_grant("a", "1", expires="2026-11-05T00:00:00Z"), a_grant("b", "2", expires="2026-11-05T00:00:00Z")

    _, entries = carry_out_due(a_state(*grants), at("2026-11-10T00:00:00Z"), at("2026-11-10T00:00:00Z"))

    assert [(str(entry.balance_before), str(entry.balance_after)) for entry in entries] == [("3", "2"), ("2", "0")]


def test_nothing_due() -> None:
    """Where nothing is due the state stays as it is."""
    state = a_state(a_grant("g", "1"))

    assert (state, ()) == carry_out_due(state, at("2026-11-10T00:00:00Z"), at("2026-11-10T00:00:00Z"))
