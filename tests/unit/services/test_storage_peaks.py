"""
The storage peak in the service: samples in, the tab before and after the 28th, late samples, the invoice, repeats.

A gigabyte costs 1; of cold storage ten cost 0.25.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from chalicelib.domain.charges import Role
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.errors import RefusedError
from tests.unit.services.peak_world import STORAGE, PeakWorld


NOVEMBER = Period(2026, 11)


def test_the_tab_shows_the_peak_from_the_28th_on() -> None:
    """Before there is no row; from the first instant of the 28th there is, whether or not the job has run."""
    world = PeakWorld(free_units={STORAGE: "2"})
    world.sample("4.5", "2026-11-09T10:00:00Z")
    world.sample("9.5", "2026-11-10T11:00:00Z")

    assert world.at("2026-11-27T23:59:59.999999Z").row() is None
    world.at("2026-11-28T00:00:00Z")
    shown = world.row()
    # 10 billed, 2 free
    assert (world.money(), world.peak()) == (("8", "0", "8"), ("2026-11-10", "9.5"))
    assert world.run("compute-storage-peaks") == 1
    assert world.row() == shown
    assert world.run("compute-storage-peaks") == 0
    assert world.services.usage.upcoming_invoice("acme").total == 8


def test_the_job_runs_as_of_an_earlier_time() -> None:
    """Told to run as of the 27th, it charges nothing; as of the 28th it does, and only the peak is its own work."""
    world = PeakWorld()
    world.sample("5")
    world.at("2026-11-29T12:00:00Z")

    before, after = parse_instant("2026-11-27T23:59:59Z"), parse_instant("2026-11-28T00:00:00Z")
    assert world.services.jobs.run("compute-storage-peaks", before).done == 0
    assert world.services.jobs.run("expire-credit").done == 0
    assert world.services.jobs.run("compute-storage-peaks", after).done == 1
    assert world.services.jobs.run("compute-storage-peaks").done == 0


def test_the_invoice_says_what_the_tab_said_last() -> None:
    """The month closes with its peak, and the past tab shows it still; the next month begins without."""
    world = PeakWorld()
    world.grant("3", "k")
    world.sample("5")
    world.at("2026-12-01T00:59:59Z")
    last = world.row()

    world.at("2026-12-01T01:00:00Z")
    assert world.run_all()["issue-invoices"] == 1

    invoice = world.services.usage.invoice("acme", NOVEMBER)
    assert (invoice.total, invoice.figures.products) == (2, (last,))
    assert world.row("2026-11") == last
    assert world.row() is None
    assert world.balance() == "0"


def test_issuing_alone_catches_up() -> None:
    """A close that comes first, weeks late, charges the peak before it issues."""
    world = PeakWorld()
    world.sample("5")
    world.at("2026-12-27T12:00:00Z")

    assert world.run("issue-invoices") == 1

    assert world.services.usage.invoice("acme", NOVEMBER).total == 5
    assert [charge.role for charge in world.recorded("2026-11")] == [Role.SAMPLE, Role.PEAK]


def test_issuing_alone_catches_up_with_free_units() -> None:
    """That the peak uses the free units up is told once, also where the close is what charges it."""
    world = PeakWorld(free_units={STORAGE: "2"})
    world.sample("5")
    world.at("2026-12-27T12:00:00Z")

    assert world.run("issue-invoices") == 1

    assert world.services.usage.invoice("acme", NOVEMBER).total == 3
    assert [told.name for told in world.bus.published] == ["free_units.exhausted", "invoice.issued"]


def test_free_units_used_up_by_the_peak_are_told_once() -> None:
    """On the 28th, and not again when another sample takes its place."""
    world = PeakWorld(free_units={STORAGE: "2"})
    world.sample("5")
    world.at("2026-11-28T00:00:00Z").run_all()
    world.sample("6", "2026-11-27T00:00:00Z")
    world.sample("7", "2026-11-27T00:00:01Z")

    assert [told.name for told in world.bus.published] == ["free_units.exhausted"]
    assert world.money() == ("5", "0", "5")


class TestARate:
    """The peak sample's own fields and time choose the rate."""

    def test_by_its_fields(self) -> None:
        """Cold storage costs a quarter for every ten, and the sample of the other kind counts nothing."""
        world = PeakWorld()
        world.sample("30", "2026-11-09T12:00:00Z")
        world.sample("31", "2026-11-10T12:00:00Z", kind="cold")

        # 40 billed at 0.25 for ten
        assert world.at("2026-11-28T00:00:00Z").money() == ("1", "0", "1")
        world.sample("32", "2026-11-20T12:00:00Z")
        assert world.money() == ("32", "0", "32")

    @pytest.mark.parametrize(("day", "amount"), [("14", "10"), ("15", "20"), ("16", "20")])
    def test_by_its_time(self, day: str, amount: str) -> None:
        """The version of the card in force when the sample was measured, not that of the 28th or of the first."""
        world = PeakWorld()
        world.put_rates("2026-11-15", [(STORAGE, "", "2", "1")])
        world.put_rates("2026-11-28", [(STORAGE, "", "9", "1")])
        world.at("2026-11-27T12:00:00Z")
        world.sample("1", "2026-11-01T00:00:00Z")
        world.sample("10", f"2026-11-{day}T00:00:00Z")

        assert world.at("2026-11-28T12:00:00Z").money() == (amount, "0", amount)

    def test_stays_as_it_was_when_the_sample_was_taken(self) -> None:
        """A version put later changes what later samples cost and none that was taken."""
        world = PeakWorld()
        world.sample("10")
        world.put_rates("2026-11-01", [(STORAGE, "", "2", "1")])

        assert world.at("2026-11-28T12:00:00Z").money() == ("10", "0", "10")
        world.sample("11", "2026-11-20T00:00:00Z")
        assert world.money() == ("22", "0", "22")

    def test_is_needed(self) -> None:
        """A sample that no row matches is refused and is no peak."""
        world = PeakWorld(rows=[(STORAGE, "cold", "1", "1")])

        assert world.take(world.event("5"), world.event("4", kind="cold")) == ["no_rate", "accepted"]
        assert world.at("2026-11-28T00:00:00Z").peak() == ("2026-11-10", "4")


class TestRepeats:
    """A sample sent again changes nothing, before and after it is charged."""

    def test_before_and_after_the_28th(self) -> None:
        """The record of the charge is no event: it hides none and makes none a repeat."""
        world = PeakWorld()
        event = world.event("5", "2026-11-10T11:00:00Z", name="s")
        other = world.event("6", "2026-11-10T11:00:00Z", name="s")
        assert world.take(event) == ["accepted"]
        assert world.take(event, other) == ["duplicate", "conflict"]

        world.at("2026-11-28T00:00:00Z").run_all()
        assert world.take(event, other) == ["duplicate", "conflict"]
        assert world.money() == ("5", "0", "5")

    @pytest.mark.parametrize("others", [0, 20])
    def test_of_samples_that_were_replaced(self, others: int) -> None:
        """Each is known, whether it is in the head's tail or in a page, and is recorded as one event."""
        world = PeakWorld()
        first = world.event("5", "2026-11-10T11:00:00Z")
        second = world.event("6", "2026-11-26T11:00:00Z")
        late = world.event("60", "2026-11-26T12:00:00Z")
        world.take(first)
        world.at("2026-11-29T00:00:00Z")
        world.take(second)
        world.take(*[world.event("1", "2026-11-28T11:00:00Z", "call") for _ in range(others)], second)
        assert world.take(first, second, second) == ["duplicate"] * 3
        world.at("2026-12-01T01:00:00Z").run_all()

        assert world.take(late, first) == ["accepted", "duplicate"]
        assert world.take(late, second) == ["duplicate"] * 2

        assert world.services.usage.invoice("acme", NOVEMBER).figures.products[-1].quantity == 6
        roles = [charge.role for charge in world.recorded("2026-11") if charge.event.resource == STORAGE]
        assert roles == [Role.SAMPLE, Role.PEAK, Role.SAMPLE, Role.REVERSAL, Role.PEAK]
        assert [(charge.role, charge.is_late) for charge in world.recorded("2026-12")] == [(Role.SAMPLE, True)]
        assert world.row("2026-12") is None

    def test_of_a_request_whose_answer_was_lost(self) -> None:
        """A batch that replaces the peak and comes again is a repeat as a whole."""
        world = PeakWorld()
        world.sample("5")
        world.at("2026-11-29T00:00:00Z").grant("20", "k")
        batch = [world.event(str(quantity), f"2026-11-2{quantity}T00:00:00Z") for quantity in (6, 7)]

        assert world.take(*batch) == ["accepted"] * 2
        assert world.another("later").metering.take(batch)[0].code == "duplicate"

        assert world.money() == ("7", "7", "0")
        assert world.balance() == "13"


def test_samples_and_uses_in_one_batch() -> None:
    """Of both meters, from both sides of the 28th, in one request."""
    world = PeakWorld("2026-11-29T12:00:00Z")

    told = world.take(
        world.event("3", "2026-11-27T10:00:00Z", "call"),
        world.event("8", "2026-11-27T23:59:59.999999Z"),
        world.event("9", "2026-11-28T00:00:00Z"),
        world.event("5", "2026-11-27T10:00:00Z"),
        world.event("2", "2026-11-29T10:00:00Z", "call"),
    )

    assert told == ["accepted"] * 5
    assert (world.money(), world.peak()) == (("8", "0", "8"), ("2026-11-27", "8"))
    assert world.quantity("2026-11") == "5"
    assert world.at("2026-12-28T00:00:00Z").peak("2026-12") == ("2026-11-28", "9")


def test_in_the_shared_pool() -> None:
    """An administrator may include storage in the shared pool; then that pool pays for the peak."""
    world = PeakWorld()
    world.share_storage()
    world.grant("6", "k", pool=SHARED_POOL)
    world.sample("4")
    world.use("3")

    assert world.at("2026-11-28T00:00:00Z").money() == ("4", "3", "1")
    assert world.balance(SHARED_POOL) == "-1"
    world.grant("5", "l", pool=SHARED_POOL)
    assert (world.money(), world.balance(SHARED_POOL)) == (("4", "4", "0"), "4")
    world.sample("40", "2026-11-11T12:00:00Z", kind="cold")
    assert (world.money(), world.balance(SHARED_POOL)) == (("1", "1", "0"), "7")
    world.at("2026-12-01T01:00:00Z").run_all()
    assert world.services.usage.invoice("acme", NOVEMBER).total == 0


def test_a_meter_in_use_is_fixed() -> None:
    """A product whose samples were taken cannot be metered another way, charged or not."""
    world = PeakWorld()
    world.sample("4")

    with pytest.raises(RefusedError) as refused:
        world.share_storage()

    assert refused.value.code == "product_in_use"


class TestPastBalances:
    """Balances as of a time over the 28th and a sample that came late."""

    def test_over_the_28th_and_a_late_sample(self) -> None:
        """Each time shows what the service would have answered then."""
        world = PeakWorld()
        world.grant("10", "k")
        world.sample("4")
        world.at("2026-11-28T06:00:00Z").run_all()
        world.at("2026-11-29T12:00:00Z").sample("12", "2026-11-20T00:00:00Z")
        world.at("2026-11-30T12:00:00Z").grant("1", "l")
        world.at("2026-11-30T18:00:00Z").sample("12", "2026-11-19T00:00:00Z", kind="cold")
        expected = {
            "2026-11-10T12:00:00Z": "10",
            "2026-11-27T23:59:59.999999Z": "10",
            # due, and shown before the job has run
            "2026-11-28T00:00:00Z": "6",
            "2026-11-28T06:00:00Z": "6",
            "2026-11-29T11:59:59.999999Z": "6",
            "2026-11-29T12:00:00Z": "-2",
            "2026-11-30T12:00:00Z": "-1",
            # 20 billed at 0.25 for ten: 11 of credit less 0.5
            "2026-11-30T18:00:00Z": "10.5",
        }

        assert {at: world.past_balance(at) for at in expected} == expected
        assert world.balance() == "10.5"
        world.at("2026-12-02T12:00:00Z").run_all()
        assert {at: world.past_balance(at) for at in expected} == expected
        assert world.past_balance("2026-12-02T12:00:00Z") == world.balance() == "10.5"

    def test_with_charges_in_pages(self) -> None:
        """Also where samples, peaks and their reversals lie in several pages."""
        world = PeakWorld()
        world.grant("10", "k")
        world.sample("2")
        world.take(*[world.event("1", None, "call") for _ in range(12)])
        world.at("2026-11-29T12:00:00Z")
        for quantity in range(3, 9):
            world.at(f"2026-11-29T1{quantity}:00:00Z")
            batch = [world.event("1", None, "call") for _ in range(9)]
            world.take(world.event(str(quantity), f"2026-11-1{quantity}T00:00:00Z"), *batch)

        told = {hour: world.past_balance(f"2026-11-29T1{hour}:30:00Z") for hour in range(2, 8)}

        assert told == {hour: str(10 - hour) for hour in range(2, 8)}

    def test_where_pages_of_two_months_interleave(self) -> None:
        """While October awaits its invoice, one request may touch both it and November's peak; order stays order."""
        world = PeakWorld("2026-10-29T12:00:00Z")
        world.grant("10", "k")
        world.sample("2")
        # October's invoice is never issued in time
        world.at("2026-11-28T12:00:00Z")
        world.take(*[world.event("1", None, "call") for _ in range(20)])
        world.at("2026-11-29T12:00:00Z")
        october = [world.event("1", "2026-10-31T12:00:00Z", "call") for _ in range(20)]
        world.take(world.event("5", "2026-11-20T00:00:00Z"), *october)

        shown = world.services.usage.tab("acme", NOVEMBER).figures.pool(STORAGE)
        assert (shown.credit, shown.to_be_invoiced) == (5, 0)
        # October's figures, with the credit there is
        assert world.past_balance("2026-11-29T12:00:00Z") == world.balance() == "5"


class TestMoney:
    """Credit that paid for a peak which costs less in the end."""

    def test_goes_back_in_the_ledger_s_sum(self) -> None:
        """What was granted is what is left and what paid; the invoice asks for the rest."""
        world = PeakWorld()
        world.grant("3", "a", expires_on="2026-12-31")
        world.sample("10", "2026-11-10T00:00:00Z")
        world.at("2026-11-28T12:00:00Z").grant("5", "b")
        assert (world.money(), world.balance()) == (("10", "8", "2"), "-2")

        world.sample("10", "2026-11-09T00:00:00Z", kind="cold")

        assert (world.money(), world.balance()) == (("0.25", "0.25", "0"), "7.75")
        world.at("2026-12-01T01:00:00Z").run_all()
        assert world.services.usage.invoice("acme", NOVEMBER).total == 0
        assert world.balance() == "7.75"
        world.at("2027-01-01T01:00:00Z").run_all()
        # 2.75 of a expired
        assert world.balance() == "5"

    def test_goes_back_to_a_grant_that_expired(self) -> None:
        """It expires again at once, as an entry of its own, and the account goes on."""
        world = PeakWorld()
        world.grant("8", "a", expires_on="2026-11-28")
        world.sample("5", "2026-11-10T00:00:00Z")
        world.at("2026-11-29T12:00:00Z").run_all()
        assert (world.money(), world.balance()) == (("5", "5", "0"), "0")

        world.sample("5", "2026-11-09T00:00:00Z", kind="cold")
        assert (world.money(), world.balance()) == (("0.25", "0.25", "0"), "0")
        assert world.run_all()["expire-credit"] == 1
        assert world.run_all() == dict.fromkeys(world.run_all(), 0)

        expiries = [entry for _, entry in world.services.records.ledger("acme") if entry.kind.value == "expiry"]
        assert sorted(str(entry.amount) for entry in expiries) == ["-3", "-4.75"]
        assert len({entry.id for entry in expiries}) == 2

    def test_goes_back_to_a_recharge_whose_commitment_was_deleted(self) -> None:
        """What comes back expires when the rest of it would have: a day before the next recharge would have come."""
        world = PeakWorld()
        world.share_storage()
        monthly = Terms(Decimal(5), Frequency.MONTHLY, date(2026, 11, 10))
        world.services.committing.put("acme", SHARED_POOL, monthly, "me")
        world.sample("5", "2026-11-10T00:00:00Z")
        world.at("2026-11-28T12:00:00Z").run_all()
        assert (world.money(), world.balance(SHARED_POOL)) == (("5", "5", "0"), "0")
        world.at("2026-11-29T12:00:00Z").services.committing.delete("acme", SHARED_POOL)

        world.sample("5", "2026-11-09T00:00:00Z", kind="cold")

        assert world.balance(SHARED_POOL) == "4.75"
        world.at("2026-12-09T23:59:59Z").run_all()
        assert world.balance(SHARED_POOL) == "4.75"
        world.at("2026-12-10T00:00:00Z").run_all()
        assert world.balance(SHARED_POOL) == "0"


def test_what_is_due_together_is_done_in_its_order() -> None:
    """On a 28th that ends a grant and brings a recharge, the peak is charged last, and paid by what is there then."""
    world = PeakWorld()
    world.share_storage()
    world.grant("100", "a", expires_on="2026-11-27", pool=SHARED_POOL)
    monthly = Terms(Decimal(3), Frequency.MONTHLY, date(2026, 11, 28))
    world.services.committing.put("acme", SHARED_POOL, monthly, "me")
    world.sample("5")
    world.at("2026-11-28T12:00:00Z")
    shown = world.row()

    assert world.run_all() == {
        "expire-credit": 0,
        "recharge-commitments": 0,
        "compute-storage-peaks": 1,
        "issue-invoices": 0,
    }

    assert world.row() == shown
    assert world.money() == ("5", "3", "2")
    (charged,) = (charge for charge in world.recorded("2026-11") if charge.role is Role.PEAK)
    assert [payment.grant for payment in charged.payments] == ["recharge-contact_center_services-2026-11-28"]
    moved = [(entry.kind.value, str(entry.amount)) for _, entry in world.services.records.ledger("acme")]
    assert moved == [("recharge", "3"), ("expiry", "-100"), ("grant", "100")]
    # neither had anything to pay when it came: the peak was not charged yet
    balances = [str(entry.balance_after) for _, entry in world.services.records.ledger("acme")]
    assert balances == ["3", "0", "100"]


def test_credit_that_comes_on_the_28th_itself() -> None:
    """It was booked after the day's first instant: it pays what is open, not the charge itself."""
    world = PeakWorld()
    world.sample("5")
    world.at("2026-11-28T00:00:00.000001Z").grant("4", "b")

    assert (world.money(), world.balance()) == (("5", "4", "1"), "-1")
    assert [charge.payments for charge in world.recorded("2026-11")] == [(), ()]
