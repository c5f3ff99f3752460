"""Switching auto recharge on and off. Payments follow from changes of the balance by themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.auto_recharge import AutoRecharge, RechargeRule
from chalicelib.domain.ledger import pool_balance
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account


if TYPE_CHECKING:
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts


class AutoRechargeView(Struct, frozen=True):
    """Auto recharge as people see it: with what this calendar month's payments come to."""

    auto: AutoRecharge
    spent_this_month: Decimal
    currency: str


class SettingAutoRecharge:
    """What people decide about auto recharge."""

    def __init__(self, accounts: Accounts, changes: Changes, clock: Clock) -> None:
        """Set it through *changes*."""
        self._accounts = accounts
        self._changes = changes
        self._clock = clock

    def get(self, account: str) -> AutoRechargeView:
        """
        Return an account's auto recharge.

        Raises:
            RefusedError: `not_found`.
        """
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        state = head.state
        month = state.current_period(max(state.at, self._clock.now()))
        return AutoRechargeView(state.auto_recharge, state.auto_recharge.spent_in(month), state.account.currency)

    def put(self, account: str, rule: RechargeRule | None, *, is_enabled: bool) -> AutoRechargeView:
        """
        Switch auto recharge on under *rule*, or off; the same again changes nothing.

        Raises:
            RefusedError: `not_found`, `payment_method_not_card`, or `threshold_not_below_balance` where it is not on
                with this threshold already and the balance is not above it.
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[AutoRechargeView]:
            state = situation.state
            before = state.auto_recharge
            after = _switched_on(situation, rule) if is_enabled and rule is not None else before.switched_off(rule)
            month = state.current_period(situation.at)
            view = AutoRechargeView(after, after.spent_in(month), state.account.currency)
            return Decision(view, None if after == before else replace(state, auto_recharge=after))

        view = self._changes.apply(account, new_nonce(), decide)
        if view is None:
            raise unknown_account(account)
        return view


def _switched_on(situation: Situation, rule: RechargeRule) -> AutoRecharge:
    state, at = situation.state, situation.at
    if state.account.payment_method.type is not PaymentType.CREDIT_CARD:
        raise RefusedError("payment_method_not_card", "only accounts that pay by card can have auto recharge")
    before = state.auto_recharge
    is_threshold_new = not before.is_enabled or before.rule is None or before.rule.threshold != rule.threshold
    if is_threshold_new and pool_balance(state, SHARED_POOL, state.current_period(at), at) <= rule.threshold:
        detail = "must be below the present balance"
        raise RefusedError("threshold_not_below_balance", f"threshold {detail}", (Fault("/threshold", detail),))
    return before.switched_on(rule)
