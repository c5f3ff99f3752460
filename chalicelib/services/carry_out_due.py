"""Doing in time what falls due by itself; it counts for readers and writers whether or not this has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.charges import Charge
from chalicelib.domain.due import Rank, rank_of
from chalicelib.domain.storage_peak import peak_due_at
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce


if TYPE_CHECKING:
    from chalicelib.domain.due import Done
    from chalicelib.domain.instants import Instant


class CarryingOutDue:
    """
    Takes expired credit away, makes recharges and charges storage peaks, each once and with its own date.

    What falls due together has an order, so it is done together: by the job of what comes last in it.
    """

    def __init__(self, changes: Changes) -> None:
        """Carry out through *changes*, which do what is due before every decision."""
        self._changes = changes

    def expire(self, account: str, until: Instant) -> int:
        """
        Record the expiries of an account due at or before *until*, and count them.

        Raises:
            BusyError: where the account is too busy.
        """
        return self._carry_out(account, Rank.EXPIRY, until)

    def recharge(self, account: str, until: Instant) -> int:
        """
        Make the recharges of an account due at or before *until*, in the order of their days, and count them.

        Raises:
            BusyError: where the account is too busy.
        """
        return self._carry_out(account, Rank.RECHARGE, until)

    def charge_peaks(self, account: str, until: Instant) -> int:
        """
        Charge the storage peaks of an account due at or before *until*, and count them.

        Raises:
            BusyError: where the account is too busy.
        """
        return self._carry_out(account, Rank.STORAGE_PEAK, until)

    def _carry_out(self, account: str, rank: Rank, until: Instant) -> int:
        def decide(situation: Situation) -> Decision[int]:
            ranks = [rank_of(done) for done in situation.carried_out if _due_at(situation, done) <= until]
            due = ranks.count(rank) if max(ranks, default=rank) == rank else 0
            return Decision(due, situation.state if due else None)

        return self._changes.apply(account, new_nonce(), decide) or 0


def _due_at(situation: Situation, done: Done) -> Instant:
    if isinstance(done, Charge):
        return peak_due_at(situation.state.account.calendar, done.period)
    return done.at
