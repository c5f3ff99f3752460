"""What follows from the changes of an account through random histories."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.card_payments import CardPayment, fail, succeed
from chalicelib.domain.consequences import draw_consequences
from chalicelib.domain.instants import MINUTE, format_instant
from tests.unit.domain.builders import (
    a_commitment,
    a_grant,
    a_rate,
    a_state,
    an_account,
    an_auto_recharge,
    an_event,
    by_card,
    charge,
)


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.state import AccountState
    from chalicelib.domain.waterfall import Charge

LIMIT: Final = 200
INCLUDED: Final = (30, 60, 90)


class Outcome(Enum):
    """What comes of the payment in flight."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    UNKNOWN = "unknown"


class Step(NamedTuple):
    """Some minutes pass, free units may change, something is used, and an outcome may come."""

    minutes: int
    included: int | None
    quantity: int
    outcome: Outcome


histories = st.lists(
    st.builds(
        Step,
        st.integers(0, 5_000) | st.sampled_from([1, 59, 60]),
        st.none() | st.sampled_from(INCLUDED),
        st.integers(0, 120),
        st.sampled_from(Outcome),
    ),
    max_size=25,
)


class Life:
    """An account that pays by card, lived through change by change; every payment that was asked for is kept."""

    def __init__(self) -> None:
        account = by_card(an_account(per_account={"call": "30"}))
        state = a_state(a_grant("g", "100"), account=account).with_commitment(a_commitment())
        self.state = replace(state, auto_recharge=an_auto_recharge(limit=str(LIMIT)))
        self.now = self.state.at
        self.pending: CardPayment | None = None
        self.declined: set[str] = set()
        self.asked: list[CardPayment] = []
        self.told: list[str] = []

    def live(self, step: Step) -> None:
        """Take a step."""
        self.now += step.minutes * MINUTE + 1
        if step.included is not None:
            account = by_card(an_account(per_account={"call": str(step.included)}))
            self._commit(replace(self.state, account=account))
        time = format_instant(self.now)
        used, charges = charge(self.state, (an_event(str(step.quantity), time), a_rate("1")), now=time)
        self._commit(used, charges)
        if self.pending is not None and step.outcome is not Outcome.UNKNOWN:
            self._settle(self.pending, step.outcome)

    def _settle(self, payment: CardPayment, outcome: Outcome) -> None:
        self.pending = None
        self.now += 1
        if outcome is Outcome.SUCCEEDED:
            settlement = succeed(self.state, payment, self.now)
        else:
            self.declined.add(payment.id)
            settlement = fail(self.state, payment, "declined", self.now)
        self.told += [notification.id for notification in settlement.notifications]
        self._commit(settlement.state, entries=settlement.entries)

    def _commit(self, after: AccountState, charges: Sequence[Charge] = (), entries: Sequence[LedgerEntry] = ()) -> None:
        after = replace(after, at=self.now)
        follows = draw_consequences(self.state, after, charges, entries, f"p-{len(self.asked)}")
        self.state = follows.state
        self.told += [notification.id for notification in follows.notifications]
        if follows.payment is not None:
            assert self.pending is None
            self.pending = follows.payment
            self.asked.append(follows.payment)
        self._check_limit()

    def _check_limit(self) -> None:
        counting = [payment for payment in self.asked if payment.id not in self.declined]
        months = {format_instant(payment.requested_at)[:7] for payment in counting}
        for month in months:
            paid = [payment.amount for payment in counting if format_instant(payment.requested_at)[:7] == month]
            assert sum(paid, Decimal(0)) <= LIMIT


@given(histories)
def test_any_history(history: list[Step]) -> None:
    """There never are two payments in flight or more than the month's limit, and no notification's name comes twice."""
    life = Life()
    for step in history:
        life.live(step)

    assert len(life.told) == len(set(life.told))


def test_free_units_are_told_once_however_they_change() -> None:
    """Used up, raised, used up, lowered and raised again, free units are told of once for every quantity included."""
    life = Life()
    # used by then: 30, 60, 60 of 30, 60 of 60, 90
    for included, quantity in ((30, 30), (60, 30), (30, 5), (60, 5), (90, 30)):
        life.live(Step(0, included, quantity, Outcome.UNKNOWN))

    assert [name for name in life.told if "free-units" in name] == [
        "acme:free-units-2026-11-call-30",
        "acme:free-units-2026-11-call-60",
        "acme:free-units-2026-11-call-90",
    ]
