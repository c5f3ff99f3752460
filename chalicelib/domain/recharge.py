"""Recharging committed credit: on its days, and at once where a commitment is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from chalicelib.domain.commitments import Commitment, Terms, begin, change, delete
from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.ledger import EntryKind, LedgerEntry, book_grant, pool_balance


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.state import AccountState

SCHEDULE = "schedule:recharge-commitments"


def next_recharge_at(state: AccountState, commitment: Commitment) -> Instant | None:
    """Return when a commitment recharges next: at the first instant of the day, None where it never does."""
    day = commitment.next_recharge_on
    return None if day is None else state.account.calendar.start_of_day(day)


def recharge(
    state: AccountState, commitment: Commitment, at: Instant, recorded_at: Instant
) -> tuple[AccountState, LedgerEntry]:
    """Make the next recharge of *commitment*, which is due at *at*."""
    recharged = commitment.recharged()
    day = state.account.calendar.date_of(at)
    state = state.with_commitment(recharged)
    booking = _Booking(f"recharge-{commitment.pool}-{day}", recharged.terms.amount, at, recorded_at, SCHEDULE)
    return booking.book(state, recharged)


def put_commitment(
    state: AccountState, pool: str, terms: Terms, at: Instant, actor: str
) -> tuple[AccountState, tuple[LedgerEntry, ...]]:
    """
    Put a commitment at the instant *at*; what is due today is left to the schedule.

    The same terms again change nothing. A raise grants at once for the rest of the term.
    """
    today = state.account.calendar.date_of(at)
    before = state.commitment(pool)
    if before is None:
        return state.with_commitment(begin(pool, terms, today)), ()
    commitment, raised = change(before, terms, today, state.account.currency)
    state = _with_expiries(state.with_commitment(commitment), commitment, at)
    if not raised:
        return state, ()
    name = f"raise-{pool}-{commitment.last_recharge_on}-{commitment.granted}"
    state, entry = _Booking(name, raised, at, at, actor).book(state, commitment)
    return state, (entry,)


def delete_commitment(state: AccountState, pool: str, at: Instant) -> AccountState:
    """Stop the recharges in *pool* at *at*: what is left expires when the next one would have come."""
    before = state.commitment(pool)
    if before is None or before.is_deleted:
        return state
    commitment = delete(before)
    return _with_expiries(state.with_commitment(commitment), commitment, at)


class _Booking(NamedTuple):
    """Committed credit on its way into the ledger."""

    name: str
    amount: Decimal
    at: Instant
    recorded_at: Instant
    actor: str

    def book(self, state: AccountState, commitment: Commitment) -> tuple[AccountState, LedgerEntry]:
        expires_at = _expires_at(state, commitment)
        period = state.current_period(self.at)
        # One made later in its day follows what happened before it: the account's own clock is ahead of the due time.
        before = pool_balance(state, commitment.pool, period, max(self.at, state.at))
        grant = Grant(self.name, commitment.pool, GrantKind.COMMITTED, self.amount, self.at, expires_at)
        state, settled = book_grant(state, grant)
        entry = LedgerEntry(
            id=self.name,
            at=self.at,
            recorded_at=self.recorded_at,
            kind=EntryKind.RECHARGE,
            pool=commitment.pool,
            amount=self.amount,
            balance_before=before,
            cause=f"commitment of {commitment.pool}",
            actor=self.actor,
            period=period,
            expires_on=None if expires_at is None else state.account.calendar.date_of(expires_at - 1),
            grant=self.name,
            settled=settled,
        )
        return state, entry


def _expires_at(state: AccountState, commitment: Commitment) -> Instant | None:
    day = commitment.credit_expires_before
    return None if day is None else state.account.calendar.start_of_day(day)


def _with_expiries(state: AccountState, commitment: Commitment, at: Instant) -> AccountState:
    """Return the state with the end of the commitment's credit as its terms say at *at*; what expired stays expired."""
    expires_at = _expires_at(state, commitment)

    def moved(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return tuple(
            replace(grant, expires_at=expires_at)
            if grant.pool == commitment.pool and grant.kind is GrantKind.COMMITTED and grant.is_in_force(at)
            else grant
            for grant in grants
        )

    periods = {
        period: replace(
            usage,
            peaks={name: replace(peak, paid_by=moved(peak.paid_by)) for name, peak in usage.peaks.items()},
        )
        for period, usage in state.periods.items()
    }
    return replace(state, grants=moved(state.grants), periods=periods)
