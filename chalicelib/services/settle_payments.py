"""Settling payments: those whose outcome is not known yet, and those that auto recharge tries again after a decline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.instants import SECOND
from chalicelib.observability import Metric, measure
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.run_jobs import WorkLeftError


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.instants import Instant
    from chalicelib.services.take_payments import TakingPayments
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.payments import Payments


class SettlingPayments:
    """
    The work of the job `settle-payments`.

    Its subjects are accounts, whose auto recharge may have to try again, and payments, written `account/payment`.
    """

    def __init__(self, accounts: Accounts, payments: Payments, changes: Changes, taking: TakingPayments) -> None:
        """Settle *payments* through *taking*."""
        self._accounts = accounts
        self._payments = payments
        self._changes = changes
        self._taking = taking

    def subjects(self, until: Instant) -> Iterator[str]:
        """
        Yield what may be due at or before *until*.

        How old the oldest payment is whose outcome is not known then, is measured at the end.
        """
        yield from self._accounts.due(until)
        for account, payment in self._payments.due(until):
            yield f"{account}/{payment}"
        oldest = self._payments.open_since()
        measure(Metric.PAYMENT_AGE, 0 if oldest is None else max(until - oldest, 0) // SECOND)

    def settle(self, subject: str, until: Instant) -> int:
        """
        Do what is due of *subject*, and count it.

        Raises:
            WorkLeftError: where the gateway has not told yet.
            BusyError: where the account is too busy.
        """
        account, _, payment = subject.partition("/")
        return self._carry_on(account, payment) if payment else self._try_again(account, until)

    def _carry_on(self, account: str, payment: str) -> int:
        if not self._taking.carry_on(account, payment).is_settled:
            raise WorkLeftError
        return 1

    def _try_again(self, account: str, until: Instant) -> int:
        def decide(situation: Situation) -> Decision[int]:
            retry_at = situation.state.auto_recharge.next_try_at
            if retry_at is None or retry_at > until:
                return Decision(0)
            return Decision(1, situation.state)

        return self._changes.apply(account, new_nonce(), decide) or 0
