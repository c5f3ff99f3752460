"""Recording the expiry of credit in time; an expired grant neither pays nor counts, whether or not this has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.services.changes import Changes, Decision, Situation, new_nonce


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant


class ExpiringCredit:
    """Takes away what is left of grants whose last day is over."""

    def __init__(self, changes: Changes) -> None:
        """Expire through *changes*, which carry out what is due before every decision."""
        self._changes = changes

    def expire_due(self, account: str, until: Instant) -> bool:
        """
        Record the expiries of an account that are due, and tell whether there were any.

        Raises:
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[bool]:
            before = situation.head.state.grants
            is_due = any(grant.expires_at is not None and grant.expires_at <= until for grant in before)
            if not is_due or situation.state.grants == before:
                return Decision(result=False)
            return Decision(result=True, state=situation.state)

        return self._changes.apply(account, new_nonce(), decide) or False
