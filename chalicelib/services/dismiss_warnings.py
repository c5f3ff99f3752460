"""Dismissing low-credit warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import RefusedError
from chalicelib.services.manage_accounts import unknown_account


if TYPE_CHECKING:
    from chalicelib.domain.low_credit import Warnings


class DismissingWarnings:
    """Takes warnings off the tab."""

    def __init__(self, changes: Changes) -> None:
        """Dismiss through *changes*."""
        self._changes = changes

    def dismiss(self, account: str, warning: str) -> None:
        """
        Dismiss a warning; doing so again changes nothing.

        Raises:
            RefusedError: `not_found` for an unknown account or warning.
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[Warnings]:
            before = situation.state.warnings
            after = before.dismissed(warning)
            if after is None:
                detail = f"there is no warning {warning!r}"
                raise RefusedError("not_found", detail)
            return Decision(after, None if after == before else replace(situation.state, warnings=after))

        if self._changes.apply(account, new_nonce(), decide) is None:
            raise unknown_account(account)
