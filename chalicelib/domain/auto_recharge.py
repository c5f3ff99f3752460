"""
Auto recharge: one payment when the balance falls below a threshold, sized to the gap, and never one too many.

One payment is in flight at a time; a month's payments stay within the limit; after a decline the next try waits an
hour; after three failures in a row it is off until a person switches it on again.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import HOUR, Instant
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.periods import Period


FAILURES_MAX: Final = 3
RETRY_AFTER: Final = HOUR


class AutoRechargeStatus(Enum):
    """Whether auto recharge works."""

    OFF = "off"
    ACTIVE = "active"
    DISABLED_AFTER_FAILURES = "disabled_after_failures"


class RechargeRule(Struct, frozen=True):
    """Below *threshold*, pay multiples of *amount*, in a calendar month at most *monthly_limit*."""

    threshold: Decimal
    amount: Decimal
    monthly_limit: Decimal | None = None


class InFlight(Struct, frozen=True):
    """The payment that was asked for and whose outcome is not known yet; it counts for *month*."""

    payment: str
    amount: Decimal
    month: Period


class AutoRecharge(Struct, frozen=True):
    """
    An account's auto recharge.

    *month_spent* is what payments asked for in *month* come to, pending ones included. *failures* are those in a row.
    No payment is made before *retry_at*.
    """

    is_enabled: bool = False
    rule: RechargeRule | None = None
    failures: int = 0
    retry_at: Instant | None = None
    in_flight: InFlight | None = None
    month: Period | None = None
    month_spent: Decimal = ZERO

    @property
    def status(self) -> AutoRechargeStatus:
        """Return whether it works, and whether failures have switched it off."""
        if self.is_enabled:
            return AutoRechargeStatus.ACTIVE
        return AutoRechargeStatus.DISABLED_AFTER_FAILURES if self.failures else AutoRechargeStatus.OFF

    @property
    def next_try_at(self) -> Instant | None:
        """Return when a declined payment is tried again, None where nothing waits."""
        return self.retry_at if self.is_enabled and self.in_flight is None else None

    def spent_in(self, month: Period) -> Decimal:
        """Return what payments asked for in *month* come to."""
        return self.month_spent if self.month == month else ZERO

    @exact
    def payment_due(self, balance: Decimal, month: Period, at: Instant) -> Decimal | None:
        """
        Return the payment to make for a *balance* in *month* at the instant *at*, None where there is none to make.

        It is the smallest multiple of the amount that lifts the balance to the threshold, or the largest that the
        monthly limit allows.
        """
        rule = self.rule
        if rule is None or not self.is_enabled or self.in_flight is not None or balance >= rule.threshold:
            return None
        if self.retry_at is not None and at < self.retry_at:
            return None
        multiples, rest = divmod(rule.threshold - balance, rule.amount)
        if rest:
            multiples += 1
        if rule.monthly_limit is not None:
            multiples = min(multiples, (rule.monthly_limit - self.spent_in(month)) // rule.amount)
        return multiples * rule.amount if multiples > 0 else None

    def waited(self, at: Instant) -> AutoRecharge:
        """Return it without a wait that is over at *at*."""
        return replace(self, retry_at=None) if self.retry_at is not None and self.retry_at <= at else self

    @exact
    def requested(self, payment: InFlight) -> AutoRecharge:
        """Return it with *payment* in flight."""
        spent = self.spent_in(payment.month) + payment.amount
        return replace(self, in_flight=payment, month=payment.month, month_spent=spent)

    def succeeded(self) -> AutoRecharge:
        """Return it once the payment in flight succeeded."""
        return replace(self, in_flight=None, failures=0, retry_at=None)

    @exact
    def declined(self, at: Instant) -> AutoRecharge:
        """Return it once the payment in flight was declined at *at*; one switched off meanwhile counts no failure."""
        waiting = replace(self, in_flight=None, retry_at=at + RETRY_AFTER)
        if self.in_flight is not None and self.in_flight.month == self.month:
            waiting = replace(waiting, month_spent=self.month_spent - self.in_flight.amount)
        if not self.is_enabled:
            return waiting
        failures = self.failures + 1
        return replace(waiting, failures=failures, is_enabled=failures < FAILURES_MAX)

    def switched_on(self, rule: RechargeRule) -> AutoRecharge:
        """Return it switched on by a person, or under another *rule*; a wait after a decline goes on."""
        failures = self.failures if self.is_enabled else 0
        return replace(self, is_enabled=True, rule=rule, failures=failures)

    def switched_off(self, rule: RechargeRule | None = None) -> AutoRecharge:
        """Return it switched off, with a *rule* to remember, None for that of before."""
        return replace(self, is_enabled=False, rule=rule or self.rule, failures=0)


NEVER_CONFIGURED: Final = AutoRecharge()
