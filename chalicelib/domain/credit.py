"""Credit: grants, the order in which they burn down, and when each is in force."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import Instant
from chalicelib.domain.money import EXACT, ZERO


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class GrantKind(Enum):
    """Where a grant's credit comes from; of grants that expire together, the earlier kind burns first."""

    COMMITTED = "committed"
    PROMOTIONAL = "promotional"
    PURCHASED = "purchased"


_KIND_RANK: Final = {kind: rank for rank, kind in enumerate(GrantKind)}
_NEVER: Final = 1 << 62


class Grant(Struct, frozen=True):
    """
    An amount of credit in a pool, and what is left of it; in force from *effective_at* until *expires_at*.

    *revivals* counts how often it was there again, used up or expired though it was, because a charge was taken back.
    """

    id: str
    pool: str
    kind: GrantKind
    remaining: Decimal
    effective_at: Instant
    expires_at: Instant | None = None
    revivals: int = 0

    def is_in_force(self, at: Instant) -> bool:
        """Tell whether the grant can pay at the instant *at*."""
        return self.effective_at <= at and (self.expires_at is None or at < self.expires_at)


def burn_order(grants: Iterable[Grant]) -> list[Grant]:
    """Sort by soonest expiry, then committed, promotional, purchased, then oldest; the order given breaks ties."""
    return sorted(
        grants,
        key=lambda grant: (
            _NEVER if grant.expires_at is None else grant.expires_at,
            _KIND_RANK[grant.kind],
            grant.effective_at,
        ),
    )


def paying_grants(grants: Iterable[Grant], pool: str, at: Instant, period_end: Instant) -> list[Grant]:
    """
    Return the grants of *pool* that pay at *at* for usage of the period ending at *period_end*, in burn order.

    Credit that took effect after the period never pays for it.
    """
    return burn_order(
        grant for grant in grants if grant.pool == pool and grant.effective_at < period_end and grant.is_in_force(at)
    )


class Payment(Struct, frozen=True):
    """What one grant paid."""

    grant: str
    amount: Decimal


def pay(amount: Decimal, remaining: Iterable[tuple[str, Decimal]]) -> tuple[Payment, ...]:
    """Return who pays what of *amount*, one grant after the other as far as what is *remaining* of each goes."""
    payments = []
    for grant, left in remaining:
        if not amount:
            break
        if left:
            paid = min(amount, left)
            payments.append(Payment(grant, paid))
            amount = EXACT.subtract(amount, paid)
    return tuple(payments)


def total_credit(grants: Iterable[Grant], kind: GrantKind | None = None) -> Decimal:
    """Add up what is left of the grants, of one *kind* or of all."""
    total = ZERO
    for grant in grants:
        if kind is None or grant.kind is kind:
            total = EXACT.add(total, grant.remaining)
    return total


def replace_remaining(grants: Sequence[Grant], remaining_by_id: dict[str, Decimal]) -> tuple[Grant, ...]:
    """Return *grants* with what is left of some of them; a grant with nothing left is dropped."""
    return tuple(
        replace(grant, remaining=remaining)
        for grant in grants
        if (remaining := remaining_by_id.get(grant.id, grant.remaining))
    )
