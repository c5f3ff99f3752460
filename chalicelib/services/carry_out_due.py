"""Recording recharges and expiries in time; what is due counts for readers and writers whether or not this has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.ledger import EntryKind
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant


class CarryingOutDue:
    """Makes the recharges and takes away the expired credit of accounts, each once and with its own date."""

    def __init__(self, changes: Changes) -> None:
        """Carry out through *changes*, which do what is due before every decision."""
        self._changes = changes

    def expire(self, account: str, until: Instant) -> int:
        """
        Record the expiries of an account due at or before *until*, and count them.

        Where a recharge is due, too, all is left to it: the two have an order.

        Raises:
            BusyError: where the account is too busy.
        """
        return self._carry_out(account, EntryKind.EXPIRY, until)

    def recharge(self, account: str, until: Instant) -> int:
        """
        Make the recharges of an account due at or before *until*, in the order of their days, and count them.

        Raises:
            BusyError: where the account is too busy.
        """
        return self._carry_out(account, EntryKind.RECHARGE, until)

    def _carry_out(self, account: str, kind: EntryKind, until: Instant) -> int:
        def decide(situation: Situation) -> Decision[int]:
            kinds = [entry.kind for entry in situation.carried_out if entry.at <= until]
            due = kinds.count(kind) if kind is EntryKind.RECHARGE or EntryKind.RECHARGE not in kinds else 0
            return Decision(due, situation.state if due else None)

        return self._changes.apply(account, new_nonce(), decide) or 0
