"""The lines of reports, worked out by hand."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import Payment
from chalicelib.domain.ledger import EntryKind, LedgerEntry, Settled
from chalicelib.domain.periods import Period
from chalicelib.domain.report_lines import (
    COST_COLUMNS,
    TRANSACTION_COLUMNS,
    CostLine,
    Transaction,
    TransactionType,
    cost_line,
    has_line,
    masked_number,
    settlement_line,
    settlement_transactions,
    transactions_of,
)
from tests.unit.domain.builders import a_grant, a_rate, a_state, an_account, an_event, at, charge


FREE, CREDIT, DEBIT = TransactionType
NOVEMBER = Period(2026, 11)


def parts(one: Charge) -> list[tuple[TransactionType, str]]:
    """Return types and amounts of a charge's transactions."""
    return [(part.type, f"{part.amount:f}") for part in transactions_of(one)]


def a_peak(role: Role) -> Charge:
    """Return 10 units at 0.5 each: 2 were free, one grant paid 3 and 1 is to be invoiced."""
    event = an_event("10", resource="screen_recording_storage")
    rate = a_rate("0.5")
    payments = (Payment("g", Decimal(3)),)
    return Charge(event, NOVEMBER, False, rate, Decimal(10), Decimal(2), Decimal(4), payments, role)  # noqa: FBT003


class TestColumns:
    """What the header says."""

    def test_the_columns_are_those_of_cost_reports(self) -> None:
        """The columns have the names of the field, in order."""
        assert ",".join(COST_COLUMNS) == (
            "Interaction ID,Charge time,Occurred at,Usage type,Rate description,Subtype,Direction,Resolution,"
            "Contact number,Contact number country,Quantity,Unit of measure,Charged amount,Currency"
        )
        assert (*COST_COLUMNS, "Transaction type", "Transaction amount") == TRANSACTION_COLUMNS


class TestCharges:
    """Charges as lines."""

    def test_a_call_that_free_units_and_credit_cover_in_part(self) -> None:
        """95 s are billed as 96: 58 are free, 38 cost 0.0095; 0.004 of credit is left, 0.0055 is a debit."""
        state = a_state(a_grant("g", "0.004"), account=an_account(per_account={"call": "58"}))
        event = an_event("95", direction="outbound", country_code="US", number="1206", type="byoc", interaction_id="i")
        _, (charged,) = charge(state, (event, a_rate("0.0015", "6")))

        assert cost_line(charged, at("2026-11-10T12:00:00Z"), "Calls out", "second") == CostLine(
            interaction_id="i",
            charged_at=at("2026-11-10T12:00:00Z"),
            occurred_at=at("2026-11-10T11:00:00Z"),
            usage_type="call",
            rate_description="Calls out",
            subtype="byoc",
            direction="outbound",
            resolution="",
            contact_number="1206****",
            contact_number_country="US",
            quantity=Decimal(95),
            unit_of_measure="second",
            amount=Decimal("0.0095"),
        )
        assert parts(charged) == [
            (FREE, "0"),
            (CREDIT, "0.004"),
            (DEBIT, "0.0055"),
        ]

    def test_each_grant_that_paid_has_a_line(self) -> None:
        """Credit of two grants is two credits, and nothing is left for a debit."""
        state = a_state(a_grant("a", "1", expires="2026-12-01T00:00:00Z"), a_grant("b", "5"))
        _, (charged,) = charge(state, (an_event("3"), a_rate("1")))

        assert parts(charged) == [(CREDIT, "1"), (CREDIT, "2")]

    def test_free_units_alone_cost_nothing(self) -> None:
        """A charge that is free as a whole is one line of free units."""
        state = a_state(account=an_account(per_account={"call": "10"}))
        _, (charged,) = charge(state, (an_event("3"), a_rate("1")))

        assert parts(charged) == [(FREE, "0")]

    def test_a_charge_of_nothing_is_a_debit_of_zero(self) -> None:
        """Usage that costs nothing is still in the report."""
        _, (charged,) = charge(a_state(), (an_event("0"), a_rate("1")))

        assert parts(charged) == [(DEBIT, "0")]

    def test_numbers_are_masked(self) -> None:
        """Kept digits show, the others never; a number of which nothing was kept is seen to have been there."""
        assert [masked_number(kept) for kept in ("4420", "", None)] == ["4420****", "****", None]


class TestPeaks:
    """Storage peaks as lines."""

    def test_a_peak_counts(self) -> None:
        """A peak has a line as an event has."""
        peak = a_peak(Role.PEAK)

        line = cost_line(peak, 0, "", "gigabyte")
        assert (line.quantity, line.amount) == (Decimal(10), Decimal(4))
        assert parts(peak) == [(FREE, "0"), (CREDIT, "3"), (DEBIT, "1")]

    def test_a_reversal_takes_it_back(self) -> None:
        """A reversal is the same line below zero."""
        reversal = a_peak(Role.REVERSAL)

        line = cost_line(reversal, 0, "", "gigabyte")
        assert (line.quantity, line.amount) == (Decimal(-10), Decimal(-4))
        assert parts(reversal) == [(FREE, "0"), (CREDIT, "-3"), (DEBIT, "-1")]

    def test_a_sample_has_no_line(self) -> None:
        """Samples cost nothing by themselves."""
        assert [has_line(replace(a_peak(Role.PEAK), role=role)) for role in Role] == [True, False, True, True]


def test_later_credit_names_its_ledger_entry() -> None:
    """Credit that pays what was a debit is a credit and a debit taken back, and charges nothing."""
    entry = LedgerEntry(
        id="purchase-1",
        at=at("2026-11-12T00:00:00Z"),
        recorded_at=at("2026-11-12T00:00:01Z"),
        kind=EntryKind.PURCHASE,
        pool="contact_center_services",
        amount=Decimal(100),
        balance_before=Decimal("-2.5"),
        cause="p",
        actor="me",
        period=NOVEMBER,
        settled=(Settled("call", Decimal("2.5")),),
    )

    line = settlement_line(entry, "call", "second")
    assert (line.rate_description, line.subtype, line.usage_type) == ("purchase-1", "purchase", "call")
    assert (line.quantity, line.amount) == (Decimal(0), Decimal(0))
    assert (line.charged_at, line.occurred_at) == (entry.recorded_at, entry.at)
    assert settlement_transactions(Decimal("2.5")) == (
        Transaction(CREDIT, Decimal("2.5")),
        Transaction(DEBIT, Decimal("-2.5")),
    )
