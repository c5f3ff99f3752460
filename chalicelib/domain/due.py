"""What falls due for an account by itself, and carrying it out in the order of its due times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.credit import Grant
from chalicelib.domain.instants import HOUR, Instant
from chalicelib.domain.ledger import LedgerEntry, expire_grant
from chalicelib.domain.recharge import next_recharge_at, recharge


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.commitments import Commitment
    from chalicelib.domain.periods import Period
    from chalicelib.domain.state import AccountState

CLOSE_GRACE: Final = HOUR
"""How long after midnight of the 1st events of the month before still land in it."""


def close_due_at(state: AccountState, period: Period) -> Instant:
    """Return when the invoice of *period* is due."""
    return state.account.calendar.end_of(period) + CLOSE_GRACE


def next_due_at(state: AccountState) -> Instant:
    """Return the earliest instant at which anything falls due: there always is a next invoice."""
    instants = [close_due_at(state, state.oldest_open), *(due.at for due in _all_due(state))]
    if state.auto_recharge.next_try_at is not None:
        instants.append(state.auto_recharge.next_try_at)
    return min(instants)


def carry_out_due(
    state: AccountState, until: Instant, recorded_at: Instant, entries_max: int | None = None
) -> tuple[AccountState, tuple[LedgerEntry, ...]]:
    """
    Carry out all that is due at or before *until*, except invoices, in the order of due times; at most *entries_max*.

    An expiry that is due after an invoice not yet issued waits for it, so that a late close finds the credit a timely
    one would have found; no grant pays or counts once it expired, recorded or not. Doing it in two steps, at any
    instant between, equals doing it in one.
    """
    entries: list[LedgerEntry] = []
    while len(entries) != entries_max and (due := _next_due(state, until)) is not None:
        state, entry = due.carry_out(state, recorded_at)
        entries.append(entry)
    return state, tuple(entries)


def _next_due(state: AccountState, until: Instant) -> _Due | None:
    expiries_until = close_due_at(state, state.oldest_open)
    due = (due for due in _all_due(state) if due.at <= until and (due.rank == _RECHARGE or due.at <= expiries_until))
    return min(due, key=lambda due: (due.at, due.rank), default=None)


class _Due(NamedTuple):
    """Something that falls due at *at*; of what falls due together the lower *rank* comes first."""

    at: Instant
    rank: int
    subject: Grant | Commitment

    def carry_out(self, state: AccountState, recorded_at: Instant) -> tuple[AccountState, LedgerEntry]:
        if isinstance(self.subject, Grant):
            return expire_grant(state, self.subject, recorded_at)
        return recharge(state, self.subject, self.at, recorded_at)


_EXPIRY, _RECHARGE = range(2)


def _all_due(state: AccountState) -> Iterator[_Due]:
    for grant in state.grants:
        if grant.expires_at is not None:
            yield _Due(grant.expires_at, _EXPIRY, grant)
    for commitment in state.commitments:
        at = next_recharge_at(state, commitment)
        if at is not None:
            yield _Due(at, _RECHARGE, commitment)
