"""
Committed credit: recharge days, terms, and what changing a commitment does.

Recharge days are counted from the start day, never from the last recharge, and clamped to the month's end. A term runs
from one recharge day to the next.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.money import ZERO, exact, round_quotient
from chalicelib.domain.periods import Period


ONE_DAY = timedelta(days=1)


class Frequency(Enum):
    """How often a commitment recharges."""

    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    SEMIANNUAL = "semiannual"
    ANNUAL = "annual"

    @property
    def months(self) -> int:
        """Return the months from one recharge to the next."""
        return {"monthly": 1, "quarterly": 3, "semiannual": 6, "annual": 12}[self.value]


class Terms(Struct, frozen=True):
    """What was agreed; *ends_on* is the last day; without *rollover* unused credit ends with the next recharge."""

    amount: Decimal
    frequency: Frequency
    starts_on: date
    ends_on: date | None = None
    rollover: bool = True

    def recharge_day(self, count: int) -> date:
        """Return the recharge day that comes *count* recharges after the start day."""
        first = Period(self.starts_on.year, self.starts_on.month)
        month = Period.from_ordinal(first.ordinal + count * self.frequency.months)
        return date(month.year, month.month, min(self.starts_on.day, monthrange(month.year, month.month)[1]))

    def first_day_from(self, day: date) -> date:
        """Return the first recharge day on or after *day*, whether or not the commitment ends before."""
        months = Period(day.year, day.month).ordinal - Period(self.starts_on.year, self.starts_on.month).ordinal
        count = max(0, months // self.frequency.months)
        while self.recharge_day(count) < day:
            count += 1
        return self.recharge_day(count)

    def last_day_until(self, day: date) -> date | None:
        """Return the last recharge day on or before *day*, None where there is none yet."""
        following = self.first_day_from(day + ONE_DAY)
        months = Period(following.year, following.month).ordinal
        count = (months - Period(self.starts_on.year, self.starts_on.month).ordinal) // self.frequency.months
        return self.recharge_day(count - 1) if count else None

    def has_schedule_of(self, other: Terms) -> bool:
        """Tell whether both recharge on the same days, their ends aside."""
        return (self.frequency, self.starts_on) == (other.frequency, other.starts_on)


class Commitment(Struct, frozen=True):
    """
    An account's commitment in a pool.

    *upcoming* are terms that apply from the next recharge. Days before *not_before* are not made up. *granted* is the
    amount that the running term stands at. A commitment that was deleted is kept, so that no day is recharged twice.
    """

    pool: str
    terms: Terms
    not_before: date
    upcoming: Terms | None = None
    last_recharge_on: date | None = None
    granted: Decimal = ZERO
    is_deleted: bool = False

    @property
    def term_ends_before(self) -> date | None:
        """Return the day on which the running term is over, None before the first recharge."""
        last = self.last_recharge_on
        return None if last is None else self.terms.first_day_from(last + ONE_DAY)

    @property
    def next_recharge_on(self) -> date | None:
        """Return the next recharge day, None where there is none."""
        if self.is_deleted:
            return None
        terms = self.upcoming or self.terms
        day = terms.first_day_from(self.term_ends_before or self.not_before)
        day = max(day, terms.first_day_from(self.not_before))
        return day if terms.ends_on is None or day <= terms.ends_on else None

    def recharge_days_around(self, day: date) -> tuple[date | None, date | None]:
        """
        Return the last and the next recharge day as they were on *day*.

        For a day that later recharges have followed, they are counted by the terms of the last of these.
        """
        last = self.last_recharge_on
        if last is None or last <= day:
            return last, self.next_recharge_on
        before = self.terms.last_day_until(day)
        following = self.terms.first_day_from(max(day + ONE_DAY, self.not_before))
        return before if before is not None and before >= self.not_before else None, following

    def is_active(self, today: date) -> bool:
        """Tell whether the commitment runs or is still to begin on *today*."""
        return not self.is_deleted and not self.is_over(today)

    def is_over(self, today: date) -> bool:
        """Tell whether the last day of the commitment is past on *today*."""
        ends_on = (self.upcoming or self.terms).ends_on
        return ends_on is not None and ends_on < today

    @property
    def credit_expires_before(self) -> date | None:
        """Return the day at whose first instant the credit recharged so far expires, None for never."""
        ends = [] if self.terms.ends_on in (None, date.max) else [self.terms.ends_on + ONE_DAY]
        if self.term_ends_before is not None and (self.is_deleted or not self.terms.rollover):
            ends.append((self.upcoming or self.terms).first_day_from(self.term_ends_before))
        return min(ends, default=None)

    def recharged(self) -> Commitment:
        """Return the commitment once its next recharge is made."""
        terms = self.upcoming or self.terms
        return replace(self, terms=terms, upcoming=None, last_recharge_on=self.next_recharge_on, granted=terms.amount)


def begin(pool: str, terms: Terms, today: date) -> Commitment:
    """Return a commitment put on *today*."""
    return Commitment(pool, terms, not_before=today)


@exact
def change(commitment: Commitment, terms: Terms, today: date, currency: str) -> tuple[Commitment, Decimal]:
    """
    Return the commitment under new *terms* put on *today*, and the credit a higher amount grants at once.

    A lower amount, another frequency or another start applies from the next recharge; the end and the rollover at once.
    """
    if not commitment.is_deleted and terms == (commitment.upcoming or commitment.terms):
        return commitment, ZERO
    last, term_end = commitment.last_recharge_on, commitment.term_ends_before
    if last is None or term_end is None or term_end <= today or commitment.is_over(today):
        return begin(commitment.pool, terms, today if last is None else max(today, last + ONE_DAY)), ZERO
    changed = replace(commitment, is_deleted=False, upcoming=None)
    if not terms.has_schedule_of(commitment.terms) or terms.amount < commitment.granted:
        kept = replace(commitment.terms, ends_on=terms.ends_on, rollover=terms.rollover)
        return replace(changed, terms=kept, upcoming=terms), ZERO
    raised = terms.amount - commitment.granted
    days_left, days = (term_end - today).days, (term_end - last).days
    prorated = round_quotient(raised * days_left, Decimal(days), currency)
    return replace(changed, terms=terms, granted=terms.amount), prorated


def delete(commitment: Commitment) -> Commitment:
    """Return the commitment without further recharges: what is left expires when the next would have come."""
    return replace(commitment, is_deleted=True)
