"""The month close: one immutable invoice per account and period, issued when it is due or whenever a late run comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.due import close_due_at
from chalicelib.domain.invoice import close_oldest_period
from chalicelib.domain.notifications import invoice_issued
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.storage.records import put_invoice


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant
    from chalicelib.storage.catalogue import Catalogue


class IssuingInvoices:
    """Closes months."""

    def __init__(self, changes: Changes, catalogue: Catalogue) -> None:
        """Close months through *changes*."""
        self._changes = changes
        self._catalogue = catalogue

    def issue_due(self, account: str, until: Instant) -> int:
        """
        Issue every invoice of an account that is due at or before *until*, oldest first, and count them.

        Raises:
            BusyError: where the account is too busy.
        """
        nonce = new_nonce()
        issued = 0
        while self._changes.apply(account, nonce, lambda situation: self._close(situation, until)):
            issued += 1
        return issued

    def _close(self, situation: Situation, until: Instant) -> Decision[bool]:
        state = situation.state
        if close_due_at(state, state.oldest_open) > until:
            return Decision(result=False)
        products = {resource: entry.product for resource, entry in self._catalogue.products(fresh=True).items()}
        close = close_oldest_period(state, products, situation.at)
        return Decision(
            result=True,
            state=close.state,
            entries=close.entries,
            notifications=(invoice_issued(state.account, close.invoice),),
            puts=(put_invoice(close.invoice),),
        )
