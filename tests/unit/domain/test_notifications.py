"""Whom movements of credit, warnings and invoices are told to, and in which words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from chalicelib.domain.consequences import draw_consequences
from chalicelib.domain.due import carry_out_due
from chalicelib.domain.invoice import close_oldest_period
from chalicelib.domain.ledger import EntryKind, LedgerEntry
from chalicelib.domain.notifications import Notification, credit_arrived, invoice_issued
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from tests.unit.domain.builders import (
    a_commitment,
    a_grant,
    a_rate,
    a_state,
    an_account,
    an_event,
    at,
    by_card,
    charge,
    used,
)


RECORDED = at("2026-11-10T12:00:05.5Z")


def an_entry(kind: EntryKind, amount: str = "100", expires_on: date | None = None) -> LedgerEntry:
    """Return a movement that was due at midnight and done half a day later, with 20 to be invoiced before."""
    return LedgerEntry(
        id=f"{kind.value}-7",
        at=at("2026-11-10T00:00:00Z"),
        recorded_at=RECORDED,
        kind=kind,
        pool=SHARED_POOL,
        amount=Decimal(amount),
        balance_before=Decimal(-20),
        cause="c",
        actor="anna",
        period=Period(2026, 11),
        expires_on=expires_on,
        grant="g",
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EntryKind.RECHARGE, "credit.recharged"),
        (EntryKind.AUTO_RECHARGE, "credit.recharged"),
        (EntryKind.PURCHASE, "credit.purchased"),
        (EntryKind.GRANT, None),
        (EntryKind.VOID, None),
        (EntryKind.EXPIRY, None),
        (EntryKind.INVOICE, None),
    ],
)
def test_movements_of_credit(kind: EntryKind, name: str | None) -> None:
    """Credit that was committed or bought is told of; promotions, voids, expiries and invoices are no arrivals."""
    told = credit_arrived(an_account(), an_entry(kind))

    assert name == (None if told is None else told.name)


def test_every_kind_of_movement_is_considered() -> None:
    """The table above lists all kinds there are."""
    assert {kind.value for kind in EntryKind} == {
        "recharge",
        "purchase",
        "auto_recharge",
        "grant",
        "void",
        "expiry",
        "invoice",
    }


def test_the_words_of_an_arrival() -> None:
    """An arrival names its entry, the amount, the balance after it, and when the credit took effect and ends."""
    told = credit_arrived(an_account(), an_entry(EntryKind.RECHARGE, "100.5", date(2026, 12, 9)))

    assert told == Notification(
        "acme:recharge-7",
        "credit.recharged",
        RECORDED,
        {
            "account": "acme",
            "ledger_entry": "recharge-7",
            "kind": "recharge",
            "pool": SHARED_POOL,
            "amount": "100.50",
            # -20 + 100.5
            "balance": "80.50",
            "currency": "EUR",
            "effective_at": "2026-11-10T00:00:00Z",
            "expires_on": "2026-12-09",
        },
    )


def test_credit_without_end() -> None:
    """Credit that never expires says so."""
    told = credit_arrived(an_account(), an_entry(EntryKind.PURCHASE))

    assert told is not None
    assert told.data["expires_on"] is None


@pytest.mark.parametrize(
    ("currency", "amount", "written"), [("JPY", "100", "100"), ("KWD", "0.5", "0.500"), ("EUR", "0.0001", "0.0001")]
)
def test_money_is_written_as_in_the_api(currency: str, amount: str, written: str) -> None:
    """Money is exact, with at least the minor unit's decimals."""
    told = credit_arrived(an_account(currency=currency), an_entry(EntryKind.PURCHASE, amount))

    assert told is not None
    assert told.data["amount"] == written


def test_arrivals_follow_from_a_commit() -> None:
    """All arrivals of a commit are told of, in the order of their entries, before anything else."""
    kinds = (EntryKind.EXPIRY, EntryKind.RECHARGE, EntryKind.GRANT, EntryKind.PURCHASE)
    state = a_state(account=by_card()).with_commitment(a_commitment())
    after, charges = charge(state, (an_event("5"), a_rate("1")))

    follows = draw_consequences(state, after, charges, [an_entry(kind) for kind in kinds], "p-1")

    assert [told.name for told in follows.notifications] == ["credit.recharged", "credit.purchased", "credit.low"]


def test_a_recharge_is_told_of_once() -> None:
    """A recharge made by two runs at once has one name, the next recharge another."""
    state = a_state(now="2026-11-30T12:00:00Z").with_commitment(a_commitment())
    first, late = at("2026-12-01T00:00:00Z"), at("2026-12-03T00:00:00Z")

    _, (once,) = carry_out_due(state, first, first)
    after, (again,) = carry_out_due(state, late, late)
    _, (january,) = carry_out_due(after, at("2027-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))

    told = [credit_arrived(state.account, entry) for entry in (once, again, january)]
    names = [None if one is None else one.id for one in told]
    assert names[0] == names[1]
    assert names[0] != names[2]


def test_the_words_of_a_warning() -> None:
    """A warning names its level, the balance and the commitment that it is measured by."""
    state = a_state(a_grant("g", "60.5"), account=by_card()).with_commitment(a_commitment("1000.5", "quarterly"))
    after, charges = charge(state, (an_event("40"), a_rate("1")))

    (told,) = draw_consequences(state, after, charges, (), "p-1").notifications

    # 20.5 are more than 5 % of 333.5 and at most 10 %
    assert told == Notification(
        "acme:credit-low-2026-11-10-0",
        "credit.low",
        at("2026-11-10T12:00:00Z"),
        {
            "account": "acme",
            "warning": "credit-low-2026-11-10-0",
            "level": 10,
            "payment_method": "credit_card",
            "period": "2026-11",
            "balance": "20.50",
            "commitment": "1000.50",
            "commitment_months": 3,
            "currency": "EUR",
        },
    )


def test_the_words_of_an_invoice() -> None:
    """An invoice is told of with its total, when it was due and, as the time of telling, when it was issued."""
    state = a_state(periods={"2026-11": {"call": used("10.005"), "message": used("1.004", paid="1")}})
    issued = at("2026-12-02T08:00:00Z")

    told = invoice_issued(state.account, close_oldest_period(state, DEFAULT_CATALOGUE, issued).invoice)

    assert told == Notification(
        "acme:invoice-2026-11",
        "invoice.issued",
        issued,
        {
            "account": "acme",
            "invoice": "acme-2026-11",
            "period": "2026-11",
            "issued_at": "2026-12-01T01:00:00Z",
            # 10.005 is rounded to 10.01, 0.004 to nothing
            "total": "10.01",
            "currency": "EUR",
        },
    )


def test_names_are_of_one_account() -> None:
    """The same movement of two accounts has two names."""
    other = replace(an_account(), id="other")
    told = [credit_arrived(account, an_entry(EntryKind.PURCHASE)) for account in (an_account(), other)]

    assert [None if one is None else one.id for one in told] == ["acme:purchase-7", "other:purchase-7"]
