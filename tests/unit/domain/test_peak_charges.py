"""
Charging the storage peak, in the middle of November 2026: its window runs from 28 October to 27 November.

A gigabyte costs 1 where nothing else is said, so that amounts are quantities.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest
from msgspec.structs import replace

from chalicelib.domain.accounts import Account
from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.due import Rank, carry_out_due, next_due_at, rank_of
from chalicelib.domain.figures import PeakFigures, ProductFigures, figures_of
from chalicelib.domain.invoice import Invoice, close_oldest_period
from chalicelib.domain.ledger import LedgerEntry, book_grant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL, Product
from chalicelib.domain.rate_card import Rate
from chalicelib.domain.waterfall import PricedEvent, charge_events, replay_charges
from tests.unit.domain.builders import a_grant, a_rate, a_state, an_account, an_event, at, left_of, paid_by


STORAGE = "screen_recording_storage"
NOVEMBER, DECEMBER = Period(2026, 11), Period(2026, 12)
ONE = a_rate("1")
THE_28TH = "2026-11-28T00:00:00Z"
IN_SHARED_POOL = {**DEFAULT_CATALOGUE, STORAGE: replace(DEFAULT_CATALOGUE[STORAGE], has_own_pool=False)}


class Life:
    """An account whose clock goes from one thing that happens to the next."""

    def __init__(
        self,
        account: Account | None = None,
        now: str = "2026-11-10T12:00:00Z",
        products: dict[str, Product] | None = None,
    ) -> None:
        self.products = products or dict(DEFAULT_CATALOGUE)
        self.state = a_state(account=account or an_account(), now=now)
        self.first = self.state
        self.now = at(now)
        self.charges: list[Charge] = []
        self.entries: list[LedgerEntry] = []
        self.samples = 0

    def wait(self, now: str) -> Life:
        """Let time pass, and carry out what is due."""
        self.now = at(now)
        self.state, done = carry_out_due(self.state, self.now, self.now)
        self.charges += [what for what in done if isinstance(what, Charge)]
        self.entries += [what for what in done if isinstance(what, LedgerEntry)]
        return self

    def take(self, quantity: str, time: str, rate: Rate = ONE, name: str | None = None) -> list[Charge]:
        """Take a sample now, and return what it brings with it."""
        self.samples += 1
        event = an_event(quantity, time, STORAGE, name or f"s-{self.samples}")
        return self.batch(PricedEvent(event, rate))

    def batch(self, *priced: PricedEvent) -> list[Charge]:
        """Take events in one request."""
        self.state, charges = charge_events(self.state, priced, self.products, self.now)
        self.charges += charges
        return charges

    def grant(self, name: str, amount: str, expires: str | None = None, pool: str = STORAGE) -> Life:
        """Book credit that takes effect now."""
        grant = replace(a_grant(name, amount, expires=expires, pool=pool), effective_at=self.now)
        self.state, _ = book_grant(self.state, grant)
        return self

    def row(self, period: Period = NOVEMBER) -> ProductFigures | None:
        """Return what the tab shows of the storage."""
        products = figures_of(self.state, period, self.products, self.now).products
        return next((product for product in products if product.resource == STORAGE), None)

    def money(self, period: Period = NOVEMBER) -> tuple[str, str, str]:
        """Return amount, credits and what is to be invoiced."""
        row = self.row(period)
        assert row is not None
        assert row.amount == row.credits + row.to_be_invoiced
        return format_decimal(row.amount), format_decimal(row.credits), format_decimal(row.to_be_invoiced)

    def left(self) -> dict[str, str]:
        """Return what is left of each grant."""
        return {name: format_decimal(amount) for name, amount in left_of(self.state.grants).items()}

    def close(self) -> Invoice:
        """Issue the invoice of the oldest month."""
        close = close_oldest_period(self.state, self.products, self.now)
        self.state = close.state
        return close.invoice


def roles(charges: list[Charge]) -> list[Role]:
    """Return what each charge is."""
    return [charge.role for charge in charges]


def test_nothing_is_charged_before_the_28th() -> None:
    """A sample costs nothing by itself, and the product has no row."""
    life = Life()

    (sample,) = life.take("512.5", "2026-11-10T11:00:00Z")
    life.wait("2026-11-27T23:59:59.999999Z")

    assert (sample.role, sample.period, sample.is_late) == (Role.SAMPLE, NOVEMBER, False)
    assert (sample.billed, sample.free, sample.amount, sample.payments) == (0, 0, 0, ())
    assert life.row() is None
    assert life.charges == [sample]
    assert next_due_at(life.state) == at(THE_28TH)


def test_on_the_28th_the_peak_is_charged() -> None:
    """From its first instant on there is a row, with the peak's day and quantity, once."""
    life = Life(an_account(per_account={STORAGE: "100"}))
    life.take("512.5", "2026-11-09T11:00:00Z", a_rate("0.25", "50"))
    life.take("80", "2026-11-10T11:00:00Z", a_rate("7"))

    life.wait(THE_28TH)
    life.wait(THE_28TH)

    row = life.row()
    assert row is not None
    # 512.5 are 11 increments of 50; 550 - 100 free = 450 at 0.25 for 50
    assert (row.quantity, row.billed, row.amount) == (Decimal("512.5"), 550, Decimal("2.25"))
    assert row.free_units is not None
    assert (row.free_units.used, row.free_units.remaining) == (100, 0)
    assert row.peak is not None
    assert (str(row.peak.on), row.peak.quantity) == ("2026-11-09", Decimal("512.5"))
    assert roles(life.charges) == [Role.SAMPLE, Role.SAMPLE, Role.PEAK]
    assert rank_of(life.charges[-1]) is Rank.STORAGE_PEAK
    assert life.state.usage_of(NOVEMBER).last_event_at == at("2026-11-10T11:00:00Z")


def test_free_units_cover_a_small_peak() -> None:
    """Where all is free the row is there and costs nothing, and what is left of the free units shows."""
    life = Life(an_account(agents=3, per_agent={STORAGE: "100"}))
    life.take("120.3", "2026-11-09T11:00:00Z")

    row = life.wait(THE_28TH).row()

    assert row is not None
    assert (row.billed, row.amount) == (121, 0)
    assert row.free_units is not None
    assert (row.free_units.included, row.free_units.used, row.free_units.remaining) == (300, 121, 179)


def test_no_sample_no_row() -> None:
    """Without a sample the 28th brings nothing."""
    life = Life().wait("2026-11-30T00:00:00Z")

    assert (life.row(), life.charges) == (None, [])


def test_a_peak_of_zero_is_a_row() -> None:
    """Nothing stored is usage, too."""
    life = Life()
    life.take("0", "2026-11-11T00:00:00Z")
    life.take("0", "2026-11-09T00:00:00Z")

    row = life.wait(THE_28TH).row()

    assert row is not None
    assert (row.quantity, row.billed, row.amount) == (0, 0, 0)
    assert row.peak is not None
    assert str(row.peak.on) == "2026-11-09"


def test_the_last_days_of_a_month_count_for_the_next() -> None:
    """Samples of the 28th to the 31st are of the next window, however high, and the window before is charged apart."""
    life = Life(now="2026-11-01T12:00:00Z")
    life.take("3", "2026-10-28T00:00:00Z")
    life.take("9", "2026-10-27T23:59:59.999999Z")  # October is over for this account: it charges nothing
    life.wait("2026-11-30T12:00:00Z")
    life.take("40", "2026-11-28T00:00:00Z")
    life.take("50", "2026-11-30T11:59:59Z")

    assert life.money() == ("3", "0", "3")
    assert life.row(DECEMBER) is None
    life.wait("2026-12-28T00:00:00Z")
    assert life.money(DECEMBER) == ("50", "0", "50")
    assert life.money() == ("3", "0", "3")


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_before_the_28th_order_never_matters(order: tuple[int, ...]) -> None:
    """Whatever comes first, the highest sample is the peak, and of equal ones the earliest."""
    samples = [
        ("7", "2026-11-09T10:00:00Z", a_rate("2"), "b"),
        ("7.0", "2026-11-09T10:00:00Z", a_rate("3"), "a"),
        ("7", "2026-11-09T11:00:00Z", a_rate("4"), "c"),
        ("6", "2026-11-08T10:00:00Z", a_rate("5"), "d"),
    ]
    life = Life()
    for place in order:
        life.take(*samples[place])

    assert life.wait(THE_28TH).money() == ("21", "0", "21")
    assert life.charges[-1].event.id == "a"


def test_credit_of_the_28th_pays() -> None:
    """What expires at that instant is gone, what takes effect at it is there, and the soonest to expire pays first."""
    life = Life(now="2026-11-20T00:00:00Z")
    life.grant("gone", "5", expires=THE_28TH).grant("lasting", "5").grant("ending", "2", expires="2026-11-28T00:00:01Z")
    life.grant("shared", "100", pool=SHARED_POOL)
    life.take("4", "2026-11-19T00:00:00Z")

    life.wait("2026-12-01T00:30:00Z")

    assert life.money() == ("4", "4", "0")
    (charged,) = (charge for charge in life.charges if charge.role is Role.PEAK)
    assert paid_by(charged) == [("ending", "2"), ("lasting", "2")]
    assert [entry.cause for entry in life.entries] == ["gone"]
    assert life.left() == {"lasting": "3", "shared": "100"}


def test_a_product_in_the_shared_pool() -> None:
    """Where storage is included in the shared pool, that pool pays, and shows what is to be invoiced."""
    life = Life(products=IN_SHARED_POOL).grant("shared", "5", pool=SHARED_POOL).grant("own", "5")
    life.take("8", "2026-11-10T11:00:00Z")

    life.wait(THE_28TH)

    assert life.money() == ("8", "5", "3")
    assert life.left() == {"own": "5"}
    shared = figures_of(life.state, NOVEMBER, life.products, life.now).pool(SHARED_POOL)
    assert (shared.credit, shared.to_be_invoiced, shared.balance) == (0, 3, -3)


def test_later_credit_pays_what_is_open() -> None:
    """Credit that arrives after the 28th pays what is to be invoiced, and is given back when the peak costs less."""
    life = Life().grant("first", "2")
    life.take("8", "2026-11-10T11:00:00Z")
    life.take("8", "2026-11-12T11:00:00Z", a_rate("0.5"))
    life.wait("2026-11-29T00:00:00Z").grant("second", "3").grant("third", "10")
    assert life.money() == ("8", "8", "0")
    assert life.left() == {"third": "7"}

    # as high and earlier, at half the price
    charges = life.take("8", "2026-11-10T10:00:00Z", a_rate("0.5"))

    assert roles(charges) == [Role.SAMPLE, Role.REVERSAL, Role.PEAK]
    assert charges[1].payments == life.charges[2].payments + charges[1].payments[1:]
    assert paid_by(charges[1]) == [("first", "2"), ("second", "3"), ("third", "3")]
    assert paid_by(charges[2]) == [("first", "2"), ("second", "2")]
    assert life.money() == ("4", "4", "0")
    assert life.left() == {"second": "1", "third": "10"}


class TestALateSample:
    """A sample of the window that comes after the 28th and before the invoice."""

    def test_raises_the_peak(self) -> None:
        """A higher one takes the peak's place; what was paid stays paid, and more credit is used."""
        life = Life().grant("g", "6")
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-30T00:00:00Z")
        assert (life.money(), life.left()) == (("4", "4", "0"), {"g": "2"})

        sample, reversal, peak = life.take("9", "2026-11-26T11:00:00Z")

        assert roles([sample, reversal, peak]) == [Role.SAMPLE, Role.REVERSAL, Role.PEAK]
        assert (reversal.event.quantity, reversal.amount, paid_by(reversal)) == (4, 4, [("g", "4")])
        assert paid_by(peak) == [("g", "6")]
        assert [charge.sign for charge in (sample, reversal, peak)] == [0, -1, 1]
        assert (life.money(), life.left()) == (("9", "6", "3"), {})
        row = life.row()
        assert row is not None
        assert row.peak is not None
        assert (str(row.peak.on), row.peak.quantity, row.quantity) == ("2026-11-26", 9, 9)

    @pytest.mark.parametrize(
        ("quantity", "time"),
        [("3.99", "2026-11-01T11:00:00Z"), ("4", "2026-11-10T11:00:00.000001Z"), ("0", "2026-10-28T00:00:00Z")],
    )
    def test_that_is_not_higher(self, quantity: str, time: str) -> None:
        """A lower one, or one as high on a later day, is recorded and changes no figure."""
        life = Life().grant("g", "3")
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-28T00:00:00Z")
        before = life.row()

        (sample,) = life.take(quantity, time)

        assert (sample.role, sample.period, sample.is_late) == (Role.SAMPLE, NOVEMBER, False)
        assert life.row() == before

    def test_of_an_earlier_day(self) -> None:
        """One as high on an earlier day moves the peak there."""
        life = Life()
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-28T00:00:00Z")

        life.take("4.00", "2026-11-09T11:00:00Z")

        row = life.row()
        assert row is not None
        assert row.peak is not None
        assert str(row.peak.on) == "2026-11-09"
        assert life.money() == ("4", "0", "4")

    def test_is_the_first(self) -> None:
        """Where no sample came before the 28th, it is charged at once, with the credit there is then."""
        life = Life().wait("2026-11-29T00:00:00Z").grant("g", "1")

        charges = life.take("4", "2026-11-27T23:59:59.999999Z")

        assert roles(charges) == [Role.SAMPLE, Role.PEAK]
        assert (life.money(), life.left()) == (("4", "1", "3"), {})

    def test_several_in_one_request(self) -> None:
        """The highest of them counts, each step paid from what the last one gave back."""
        life = Life().grant("g", "10")
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-28T12:00:00Z")
        samples = [
            PricedEvent(an_event(quantity, f"2026-11-2{day}T11:00:00Z", STORAGE, f"late-{day}"), ONE)
            for day, quantity in enumerate(("5", "12", "7"))
        ]

        charges = life.batch(*samples)

        expected = [Role.SAMPLE, Role.REVERSAL, Role.PEAK] * 2 + [Role.SAMPLE]
        assert roles(charges) == expected
        assert (life.money(), life.left()) == (("12", "10", "2"), {})

    def test_costs_less_and_what_was_to_be_invoiced_falls_first(self) -> None:
        """Only once nothing is to be invoiced, credit goes back."""
        life = Life().grant("g", "6")
        life.take("10", "2026-11-10T11:00:00Z")
        life.wait("2026-11-28T12:00:00Z")
        assert life.money() == ("10", "6", "4")

        life.take("10", "2026-11-09T11:00:00Z", a_rate("0.7"))
        assert (life.money(), life.left()) == (("7", "6", "1"), {})
        life.take("10", "2026-11-08T11:00:00Z", a_rate("0.25"))

        assert (life.money(), life.left()) == (("2.5", "2.5", "0"), {"g": "3.5"})

    def test_costs_nothing_any_more(self) -> None:
        """All that was paid goes back, to grants that were used up, too, as they were."""
        life = Life().grant("a", "2", expires="2026-12-24T00:00:00Z").grant("b", "3")
        before = life.state.grants
        life.take("5", "2026-11-10T11:00:00Z")
        life.wait("2026-11-28T12:00:00Z")
        assert life.left() == {}

        life.take("5", "2026-11-09T11:00:00Z", a_rate("0"))

        assert life.money() == ("0", "0", "0")
        assert life.state.grants == tuple(replace(grant, revivals=1) for grant in before)
        # and they can pay again
        life.take("6", "2026-11-20T11:00:00Z", a_rate("0.5"))
        assert paid_by(life.charges[-1]) == [("a", "2"), ("b", "1")]

    def test_gives_back_to_a_grant_that_expired(self) -> None:
        """What goes back to a grant that is over expires with it, and pays nothing more."""
        life = Life().grant("over", "5", expires="2026-11-29T00:00:00Z").grant("lasting", "1")
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-30T00:00:00Z")
        assert [(entry.cause, entry.amount) for entry in life.entries] == [("over", -1)]

        life.take("4", "2026-11-09T11:00:00Z", a_rate("0.75"))
        assert life.money() == ("3", "3", "0")
        assert next_due_at(life.state) == at("2026-11-29T00:00:00Z")
        life.wait("2026-11-30T00:00:00Z")

        assert [(entry.cause, entry.amount) for entry in life.entries] == [("over", -1), ("over", -1)]
        assert life.left() == {"lasting": "1"}
        # more is needed again: the grant that is over has nothing left to pay it with
        life.take("5", "2026-11-20T11:00:00Z")
        assert paid_by(life.charges[-1]) == [("over", "3"), ("lasting", "1")]
        assert life.money() == ("5", "4", "1")

    def test_gives_back_to_a_grant_that_was_used_up_and_is_over(self) -> None:
        """A grant that was gone to the last comes back only to expire."""
        life = Life().grant("over", "5", expires="2026-11-29T00:00:00Z")
        life.take("5", "2026-11-10T11:00:00Z")
        life.wait("2026-11-30T00:00:00Z")
        assert (life.left(), life.entries) == ({}, [])

        life.take("5", "2026-11-09T11:00:00Z", a_rate("0.6"))

        assert life.left() == {"over": "2"}
        assert figures_of(life.state, NOVEMBER, life.products, life.now).pool(STORAGE).credit == 0
        life.wait("2026-11-30T00:00:00Z")
        assert [(entry.cause, entry.amount, entry.balance_before) for entry in life.entries] == [("over", -2, 2)]
        assert (life.money(), life.left()) == (("3", "3", "0"), {})

    def test_after_the_month_is_paid_by_credit_of_the_month(self) -> None:
        """While the month awaits its invoice, only credit that took effect within it pays for more."""
        life = Life()
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait("2026-11-30T23:59:59Z").grant("november", "5")
        life.wait("2026-12-01T00:30:00Z").grant("december", "100")
        assert (life.money(), life.left()) == (("4", "4", "0"), {"november": "1", "december": "100"})

        life.take("7", "2026-11-27T11:00:00Z")

        assert (life.money(), life.left()) == (("7", "5", "2"), {"december": "100"})

    def test_with_other_free_units(self) -> None:
        """A peak that is charged anew has the free units that are included then."""
        life = Life(an_account(per_account={STORAGE: "1"}))
        life.take("4", "2026-11-10T11:00:00Z")
        life.wait(THE_28TH)
        assert life.money() == ("3", "0", "3")
        changed = an_account(per_account={STORAGE: "5"})
        life.state = replace(life.state, account=changed)
        assert life.money() == ("3", "0", "3")

        life.take("8", "2026-11-11T11:00:00Z")

        assert life.money() == ("3", "0", "3")
        assert life.charges[-1].free == 5


def test_after_the_invoice_nothing_is_charged() -> None:
    """A sample of a month that is invoiced is recorded in the oldest open one, late, and changes no figure."""
    life = Life().grant("g", "10")
    life.take("4", "2026-11-10T11:00:00Z")
    invoice = life.wait("2026-12-01T01:00:00Z").close()
    before = life.state

    (late,) = life.take("400", "2026-11-27T11:00:00Z")

    assert [line.amount for line in invoice.figures.products] == [4]
    assert invoice.figures.products[0].peak == PeakFigures(
        on=life.state.account.calendar.date_of(at("2026-11-10T11:00:00Z")), quantity=Decimal(4)
    )
    assert (late.role, late.period, late.is_late) == (Role.SAMPLE, DECEMBER, True)
    assert (late.billed, late.free, late.amount, late.payments) == (0, 0, 0, ())
    assert life.state == before
    life.wait("2026-12-28T00:00:00Z")
    assert life.row(DECEMBER) is None
    # what belongs to December's window counts, and is not outdone by it
    life.take("2", "2026-11-28T00:00:00Z")
    assert life.money(DECEMBER) == ("2", "2", "0")


def test_an_account_that_begins_in_the_window() -> None:
    """Samples from before the account's first month count as long as its first window holds them."""
    life = Life(now="2026-11-02T12:00:00Z")

    (before,) = life.take("90", "2026-10-27T23:00:00Z")
    (within,) = life.take("7", "2026-10-28T00:00:00Z")

    assert (before.is_late, within.is_late) == (True, False)
    assert life.wait(THE_28TH).money() == ("7", "0", "7")


def test_an_account_that_begins_after_the_28th() -> None:
    """A sample of the window that is over is charged at once, one of today's belongs to the next month."""
    life = Life(now="2026-11-29T12:00:00Z")

    assert roles(life.take("5", "2026-11-26T12:00:00Z")) == [Role.SAMPLE, Role.PEAK]
    assert roles(life.take("6", "2026-11-28T12:00:00Z")) == [Role.SAMPLE]
    assert (life.money(), life.row(DECEMBER)) == (("5", "0", "5"), None)


def test_both_meters_in_one_request() -> None:
    """Uses and samples are taken in the order of their times, each by its product's meter."""
    life = Life(products=IN_SHARED_POOL)
    life.take("2", "2026-11-10T11:00:00Z")
    life.wait("2026-11-29T00:00:00Z").grant("g", "10", pool=SHARED_POOL)
    assert life.money() == ("2", "2", "0")

    charges = life.batch(
        PricedEvent(an_event("3", "2026-11-27T12:00:00Z", "call", "c-2"), ONE),
        PricedEvent(an_event("5", "2026-11-27T11:00:00Z", STORAGE, "s"), ONE),
        PricedEvent(an_event("4", "2026-11-27T10:00:00Z", "call", "c-1"), ONE),
        PricedEvent(an_event("9", "2026-11-28T11:00:00Z", STORAGE, "next"), ONE),
    )

    assert [(charge.event.id, charge.role) for charge in charges] == [
        ("c-1", Role.EVENT),
        ("s", Role.SAMPLE),
        ("s-1", Role.REVERSAL),
        ("s", Role.PEAK),
        ("c-2", Role.EVENT),
        ("next", Role.SAMPLE),
    ]
    # of 10: 2 for the peak, 4 for c-1, 3 more for the peak; 1 is left for c-2
    assert [paid_by(charge) for charge in charges if charge.sign] == [
        [("g", "4")],
        [("g", "2")],
        [("g", "5")],
        [("g", "1")],
    ]
    assert life.left() == {}
    figures = figures_of(life.state, NOVEMBER, life.products, life.now)
    assert figures.pool(SHARED_POOL).to_be_invoiced == 2
    assert [(product.resource, product.to_be_invoiced) for product in figures.products] == [("call", 2), (STORAGE, 0)]


def test_accounts_in_other_zones() -> None:
    """The 28th begins when the account's own does."""
    life = Life(an_account("Pacific/Kiritimati"))
    life.take("4", "2026-11-27T09:59:59.999999Z")
    life.take("9", "2026-11-27T10:00:00Z")

    assert life.wait("2026-11-27T09:59:59.999999Z").row() is None
    assert life.wait("2026-11-27T10:00:00Z").money() == ("4", "0", "4")


@pytest.mark.parametrize("cut", range(10))
def test_in_two_steps_as_in_one(cut: int) -> None:
    """Expiries, recharges and peaks of months, carried out at any instant between, end as if done together."""
    life = Life(now="2026-11-20T00:00:00Z").grant("a", "3", expires="2026-11-28T00:00:00Z").grant("b", "9")
    life.take("5", "2026-11-19T00:00:00Z")
    life.wait("2026-11-29T00:00:00Z")
    before = life.state
    life.take("4", "2026-11-28T00:00:00Z")
    state = life.state
    until = at("2027-01-05T00:00:00Z")
    half = at("2026-11-29T00:00:00Z") + (until - at("2026-11-29T00:00:00Z")) * cut // 10

    once, done = carry_out_due(state, until, until)
    first, some = carry_out_due(state, half, until)
    twice, rest = carry_out_due(first, until, until)

    assert before.usage_of(NOVEMBER).products[STORAGE].amount == 5
    assert (twice, some + rest) == (once, done)
    assert once.usage_of(DECEMBER).products[STORAGE].amount == 4


def test_what_was_charged_can_be_replayed() -> None:
    """Taken again as they were made, from any point on, the charges lead to the same state."""
    life = Life().grant("g", "6").grant("h", "2", expires="2026-12-24T00:00:00Z")
    start = life.state
    for quantity, day in (("4", 10), ("7", 12)):
        life.take(quantity, f"2026-11-{day}T11:00:00Z")
    life.wait("2026-11-29T00:00:00Z")
    for quantity, day, price in (("9", 13, "1"), ("9", 12, "0.1"), ("1", 20, "5"), ("30", 27, "1")):
        life.take(quantity, f"2026-11-{day}T11:00:00Z", a_rate(price))
        life.batch(PricedEvent(an_event("1", "2026-11-28T00:00:00Z", "call", f"c-{quantity}-{day}"), ONE))

    assert roles(life.charges).count(Role.REVERSAL) == 3
    for cut in range(len(life.charges) + 1):
        halfway = replay_charges(start, life.charges[:cut], life.products, life.now)
        assert replay_charges(halfway, life.charges[cut:], life.products, life.now) == life.state


def test_the_sum_of_all_charges_is_what_is_shown() -> None:
    """Samples count nothing, reversals count back: so all charges add up to the figures."""
    life = Life(an_account(per_account={STORAGE: "2"})).grant("g", "6")
    life.take("4", "2026-11-10T11:00:00Z")
    life.wait("2026-11-28T00:00:00Z")
    for quantity, day in (("9.5", 11), ("12", 12), ("3", 13)):
        life.take(quantity, f"2026-11-{day}T11:00:00Z")

    row = life.row()
    assert row is not None
    for figure, shown in (("billed", row.billed), ("free", 2), ("amount", row.amount), ("credits", row.credits)):
        assert sum(charge.sign * getattr(charge, figure) for charge in life.charges) == shown
    assert sum(charge.sign * charge.event.quantity for charge in life.charges) == row.quantity == 12


def test_credit_that_was_granted_together_keeps_its_order() -> None:
    """Where a peak is taken back the grants stand as before, also where nothing but their booking tells them apart."""
    life = Life().grant("a", "1").grant("b", "1").grant("c", "1")
    grants = life.state.grants
    life.take("2", "2026-11-10T11:00:00Z")
    life.wait(THE_28TH)
    assert life.left() == {"c": "1"}

    life.take("2", "2026-11-09T11:00:00Z", a_rate("0"))
    assert [replace(grant, revivals=0) for grant in life.state.grants] == list(grants)
    life.take("2.5", "2026-11-11T11:00:00Z", a_rate("0.5"))

    # three whole gigabytes at 0.5
    assert paid_by(life.charges[-1]) == [("a", "1"), ("b", "0.5")]
