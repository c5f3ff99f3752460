"""What falls due for an account by itself, and carrying it out in the order of its due times."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.charges import Charge
from chalicelib.domain.credit import Grant
from chalicelib.domain.instants import HOUR, Instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry, expire_grant
from chalicelib.domain.peak_charges import charge_peak
from chalicelib.domain.recharge import next_recharge_at, recharge
from chalicelib.domain.storage_peak import peak_due_at


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.commitments import Commitment
    from chalicelib.domain.periods import Period
    from chalicelib.domain.state import AccountState


class Rank(IntEnum):
    """The order of what falls due at one instant."""

    EXPIRY = 0
    RECHARGE = 1
    STORAGE_PEAK = 2


Done = LedgerEntry | Charge
"""What was carried out: a movement of credit, or the charge of a storage peak."""

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
    state: AccountState, until: Instant, recorded_at: Instant, done_max: int | None = None
) -> tuple[AccountState, tuple[Done, ...]]:
    """
    Carry out all that is due at or before *until*, except invoices, in the order of due times; at most *done_max*.

    An expiry that is due after an invoice not yet issued waits for it, so that a late close finds the credit a timely
    one would have found; no grant pays or counts once it expired, recorded or not. Doing it in two steps, at any
    instant between, equals doing it in one.
    """
    done: list[Done] = []
    while len(done) != done_max and (due := _next_due(state, until)) is not None:
        state, what = due.carry_out(state, recorded_at)
        done.append(what)
    return state, tuple(done)


def _next_due(state: AccountState, until: Instant) -> _Due | None:
    untils = {Rank.EXPIRY: min(until, close_due_at(state, state.oldest_open))}
    due = (due for due in _all_due(state) if due.at <= untils.get(due.rank, until))
    return min(due, key=lambda due: (due.at, due.rank), default=None)


def rank_of(done: Done) -> Rank:
    """Return the rank of something that was carried out."""
    if isinstance(done, Charge):
        return Rank.STORAGE_PEAK
    return Rank.EXPIRY if done.kind is EntryKind.EXPIRY else Rank.RECHARGE


class _Due(NamedTuple):
    """Something that falls due at *at*; of what falls due together the lower *rank* comes first."""

    at: Instant
    rank: Rank
    subject: Grant | Commitment | Charge

    def carry_out(self, state: AccountState, recorded_at: Instant) -> tuple[AccountState, Done]:
        if isinstance(self.subject, Grant):
            return expire_grant(state, self.subject, recorded_at)
        if isinstance(self.subject, Charge):
            return charge_peak(state, self.subject.period, self.subject.event.resource, self.at)
        return recharge(state, self.subject, self.at, recorded_at)


def _all_due(state: AccountState) -> Iterator[_Due]:
    for grant in state.grants:
        if grant.expires_at is not None:
            yield _Due(grant.expires_at, Rank.EXPIRY, grant)
    for commitment in state.commitments:
        at = next_recharge_at(state, commitment)
        if at is not None:
            yield _Due(at, Rank.RECHARGE, commitment)
    for period, usage in state.periods.items():
        for peak in usage.peaks.values():
            if not peak.is_charged:
                yield _Due(peak_due_at(state.account.calendar, period), Rank.STORAGE_PEAK, peak.charge)
