"""Auto recharge through histories of balances, outcomes and people, beside a cashier who keeps a list of payments."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from typing import Final, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.auto_recharge import NEVER_CONFIGURED, AutoRecharge, InFlight, RechargeRule
from chalicelib.domain.instants import HOUR, MINUTE, Instant
from chalicelib.domain.periods import Period, calendar
from tests.unit.domain.builders import a_rule, at


START: Final = at("2026-11-29T12:00:00Z")


class Outcome(Enum):
    """What comes of a payment."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    UNKNOWN = "unknown"


class Switch(NamedTuple):
    """A person switches it on under a rule, or off."""

    rule: RechargeRule | None


class Step(NamedTuple):
    """Some minutes pass, somebody may do something, the balance is judged, and an outcome may come."""

    minutes: int
    switch: Switch | None
    balance: Decimal
    outcome: Outcome


cents = st.integers(-200_000, 20_000).map(lambda number: Decimal(number).scaleb(-2))
amounts = st.integers(1, 30_000).map(lambda number: Decimal(number).scaleb(-2))
rules = st.builds(RechargeRule, cents, amounts, st.none() | amounts)
switches = st.none() | st.none() | st.builds(Switch, st.none() | rules)
gaps = st.sampled_from([0, 1, 59, 60, 61]) | st.integers(0, 3_000)
histories = st.lists(st.builds(Step, gaps, switches, cents, st.sampled_from(Outcome)), max_size=40)


@dataclass
class Asked:
    """A payment on the list."""

    month: Period
    amount: Fraction
    outcome: Outcome = Outcome.UNKNOWN


@dataclass
class Cashier:
    """Does by a list of payments what SPEC says of auto recharge."""

    rule: RechargeRule | None = None
    is_on: bool = False
    failures: int = 0
    declined_at: Instant = -HOUR
    asked: list[Asked] = field(default_factory=list)

    def switch(self, rule: RechargeRule | None) -> None:
        """Do what a person decides."""
        if rule is None or not self.is_on:
            self.failures = 0
        self.is_on, self.rule = rule is not None, rule or self.rule

    @property
    def open(self) -> list[Asked]:
        """The payments whose outcome is not known."""
        return [one for one in self.asked if one.outcome is Outcome.UNKNOWN]

    def spent_in(self, month: Period) -> Fraction:
        """Add up what was not declined."""
        counting = (one for one in self.asked if one.month == month and one.outcome is not Outcome.DECLINED)
        return sum((one.amount for one in counting), Fraction(0))

    def payment(self, balance: Decimal, month: Period, now: Instant) -> Fraction:
        """Return what is to be paid, zero for nothing."""
        rule = self.rule
        if rule is None or not self.is_on or self.open or now < self.declined_at + HOUR:
            return Fraction(0)
        amount = Fraction(rule.amount)
        wanted = max(0, ceil((Fraction(rule.threshold) - Fraction(balance)) / amount))
        if rule.monthly_limit is not None:
            allowed = floor((Fraction(rule.monthly_limit) - self.spent_in(month)) / amount)
            wanted = min(wanted, max(0, allowed))
        return wanted * amount

    def learn(self, outcome: Outcome, now: Instant) -> None:
        """Note the outcome of the payment that is open."""
        self.open[0].outcome = outcome
        if outcome is Outcome.SUCCEEDED:
            self.failures = 0
            return
        self.declined_at = now
        if self.is_on:
            self.failures += 1
            self.is_on = self.failures < 3


def settled(auto: AutoRecharge, outcome: Outcome, now: Instant) -> AutoRecharge:
    """Return it once an outcome is known."""
    return auto.succeeded() if outcome is Outcome.SUCCEEDED else auto.declined(now)


def switched(auto: AutoRecharge, rule: RechargeRule | None) -> AutoRecharge:
    """Return it once a person has decided."""
    return auto.switched_off() if rule is None else auto.switched_on(rule)


@given(histories)
def test_it_pays_what_the_cashier_would(history: list[Step]) -> None:
    """Through any history it pays just what a list of payments says is due: never two at once, never too much."""
    auto, cashier, now = NEVER_CONFIGURED, Cashier(), START
    for number, step in enumerate(history):
        now += step.minutes * MINUTE
        month = calendar("UTC").period_of(now)
        if step.switch is not None:
            auto, _ = switched(auto, step.switch.rule), cashier.switch(step.switch.rule)
        auto = auto.waited(now)

        amount = auto.payment_due(step.balance, month, now)

        assert cashier.payment(step.balance, month, now) == Fraction(amount or 0)
        if amount is not None:
            assert amount > 0
            auto = auto.requested(InFlight(f"p-{number}", amount, month))
            cashier.asked.append(Asked(month, Fraction(amount)))
        if cashier.open and step.outcome is not Outcome.UNKNOWN:
            auto, _ = settled(auto, step.outcome, now), cashier.learn(step.outcome, now)
        assert (auto.is_enabled, auto.failures) == (cashier.is_on, cashier.failures)
        assert cashier.spent_in(month) == Fraction(auto.spent_in(month))
        assert len(cashier.open) == (auto.in_flight is not None)


@given(rules, histories)
def test_no_month_exceeds_its_limit(rule: RechargeRule, history: list[Step]) -> None:
    """Under one rule a month never exceeds its limit, and no payment is a multiple more than it need be."""
    limited = a_rule(str(rule.threshold), str(rule.amount), "250")
    auto, now = NEVER_CONFIGURED.switched_on(limited), START
    asked: dict[Period, Decimal] = {}
    for number, step in enumerate(history):
        now += step.minutes * MINUTE
        month = calendar("UTC").period_of(now)
        amount = auto.payment_due(step.balance, month, now)
        if amount is not None:
            assert Fraction(amount) % Fraction(limited.amount) == 0
            assert step.balance + amount - limited.amount < limited.threshold
            asked[month] = asked.get(month, Decimal(0)) + amount
            assert asked[month] <= 250
            auto = auto.requested(InFlight(f"p-{number}", amount, month))
        if auto.in_flight is not None and step.outcome is not Outcome.UNKNOWN:
            if step.outcome is Outcome.DECLINED:
                asked[auto.in_flight.month] -= auto.in_flight.amount
            auto = settled(auto, step.outcome, now)


@given(rules, st.lists(st.tuples(cents, st.integers(0, 100_000)), max_size=20))
def test_off_it_never_pays(rule: RechargeRule, moments: list[tuple[Decimal, int]]) -> None:
    """Switched off, it pays at no balance and no time."""
    auto = NEVER_CONFIGURED.switched_on(rule).switched_off()

    for balance, minutes in moments:
        now = START + minutes * MINUTE
        assert auto.payment_due(balance, calendar("UTC").period_of(now), now) is None
