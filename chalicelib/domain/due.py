"""What falls due for an account by itself, and carrying it out in the order of its due times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.domain.instants import HOUR
from chalicelib.domain.ledger import LedgerEntry, expire_grant


if TYPE_CHECKING:
    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period
    from chalicelib.domain.state import AccountState

CLOSE_GRACE: Final = HOUR
"""How long after midnight of the 1st events of the month before still land in it."""


def close_due_at(state: AccountState, period: Period) -> Instant:
    """Return when the invoice of *period* is due."""
    return state.account.calendar.end_of(period) + CLOSE_GRACE


def next_due_at(state: AccountState) -> Instant:
    """Return the earliest instant at which anything falls due: there always is a next invoice."""
    expiries = (grant.expires_at for grant in state.grants if grant.expires_at is not None)
    return min((close_due_at(state, state.oldest_open), *expiries))


def carry_out_due(
    state: AccountState, until: Instant, recorded_at: Instant, entries_max: int | None = None
) -> tuple[AccountState, tuple[LedgerEntry, ...]]:
    """
    Carry out all that is due at or before *until*, except invoices, in the order of due times; at most *entries_max*.

    An expiry that is due after an invoice not yet issued waits for it, so that a late close finds the credit a timely
    one would have found; no grant pays or counts once it expired, recorded or not. Doing it in two steps, at any
    instant between, equals doing it in one.
    """
    entries = []
    limit = min(until, close_due_at(state, state.oldest_open))
    expiring = [grant for grant in state.grants if grant.expires_at is not None and grant.expires_at <= limit]
    for grant in sorted(expiring, key=lambda grant: grant.expires_at or limit)[:entries_max]:
        state, entry = expire_grant(state, grant, recorded_at)
        entries.append(entry)
    return state, tuple(entries)
