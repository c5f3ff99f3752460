"""Putting and deleting commitments of credit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from chalicelib.domain.due import carry_out_due
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.recharge import delete_commitment, put_commitment
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.catalogue import Catalogue, write_product


if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.commitments import Commitment, Terms
    from chalicelib.storage.items import Put


class Committing:
    """What administrators agree with customers about committed credit."""

    def __init__(self, changes: Changes, catalogue: Catalogue) -> None:
        """Change commitments through *changes*."""
        self._changes = changes
        self._catalogue = catalogue

    def put(self, account: str, pool: str, terms: Terms, actor: str) -> tuple[Account, Commitment]:
        """
        Put a commitment, make the recharge that is due today, and grant at once what a raise grants.

        Raises:
            RefusedError: `not_found`, or `unknown_pool` for a pool in which credit cannot be committed.
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[tuple[Account, Commitment]]:
            at = situation.at
            marks = self._check_pool(pool)
            _check_end(situation, pool, terms)
            state, raised = put_commitment(situation.state, pool, terms, at, actor)
            state, done = carry_out_due(state, at, at)
            recharged = tuple(entry for entry in done if isinstance(entry, LedgerEntry))
            commitment = state.commitment(pool)
            assert commitment is not None  # noqa: S101 - it was put a moment ago
            used = replace(state, is_used=True)
            return Decision((state.account, commitment), used, entries=(*raised, *recharged), puts=marks)

        result = self._changes.apply(account, new_nonce(), decide)
        if result is None:
            raise unknown_account(account)
        return result

    def delete(self, account: str, pool: str) -> None:
        """
        Stop the recharges of a commitment.

        Raises:
            RefusedError: `not_found` for an unknown account or where there is no commitment.
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[bool]:
            if situation.state.commitment(pool) is None:
                detail = f"there is no commitment in {pool!r}"
                raise RefusedError("not_found", detail)
            return Decision(result=True, state=delete_commitment(situation.state, pool, situation.at))

        if self._changes.apply(account, new_nonce(), decide) is None:
            raise unknown_account(account)

    def _check_pool(self, pool: str) -> tuple[Put, ...]:
        """Return what has to be marked as used along with the commitment: the product whose own pool it is of."""
        if pool == SHARED_POOL:
            return ()
        entry = self._catalogue.products(fresh=True).get(pool)
        if entry is not None and entry.product.has_own_pool and entry.product.commit_available:
            return () if entry.is_used else (write_product(replace(entry, is_used=True)),)
        detail = f"credit cannot be committed in {pool!r}"
        raise RefusedError("unknown_pool", detail, (Fault("/pool", detail),))


def _check_end(situation: Situation, pool: str, terms: Terms) -> None:
    """Refuse an end that is over, unless it was agreed before."""
    today = situation.state.account.calendar.date_of(situation.at)
    commitment = situation.state.commitment(pool)
    agreed = None if commitment is None else (commitment.upcoming or commitment.terms)
    if terms.ends_on is not None and terms.ends_on < today and terms != agreed:
        detail = f"must not be before today, {today}"
        raise RefusedError("invalid_request", f"ends_on {detail}", (Fault("/ends_on", detail),))
