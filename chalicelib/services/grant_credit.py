"""Promotional credit, granted once however often the request is sent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from ulid import ULID

from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.ledger import EntryKind, LedgerEntry, book_grant, pool_balance
from chalicelib.domain.money import ZERO
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.records import FirstAnswer, Records, put_entry, put_first_answer


if TYPE_CHECKING:
    from chalicelib.storage.catalogue import Catalogue


OPERATION: Final = "grants"


class GrantRequest(Struct, frozen=True):
    """Credit to grant in a pool; *expires_on* is its last day in the account's zone, None for never."""

    pool: str
    amount: Decimal
    expires_on: date | None
    reason: str


class GrantAnswer(Struct, frozen=True):
    """The grant as it was booked: *remaining* is what is left once it paid what was to be invoiced."""

    id: str
    pool: str
    amount: Decimal
    remaining: Decimal
    expires_on: date | None
    currency: str


class GrantingCredit:
    """Books promotional grants."""

    def __init__(self, changes: Changes, records: Records, catalogue: Catalogue) -> None:
        """Book grants through *changes*."""
        self._changes = changes
        self._records = records
        self._catalogue = catalogue

    def grant(self, account: str, request: GrantRequest, idempotency_key: str, actor: str) -> GrantAnswer:
        """
        Grant credit as of now, or return the first answer where *idempotency_key* was used before.

        Raises:
            RefusedError: `not_found`, `unknown_pool`, `invalid_request` for a last day that is over, or
                `idempotency_key_reused` for another request under the same key.
            BusyError: where the account is too busy.
        """
        body_hash = sha256(msgspec.json.encode(request)).hexdigest()
        grant_id = str(ULID())

        def decide(situation: Situation) -> Decision[GrantAnswer]:
            first = self._records.first_answer(account, OPERATION, idempotency_key)
            if first is not None:
                return Decision(_repeat(first, body_hash))
            self._check(request, situation)
            return _book(request, grant_id, situation, actor, idempotency_key, body_hash)

        answer = self._changes.apply(account, new_nonce(), decide)
        if answer is None:
            raise unknown_account(account)
        return answer

    def _check(self, request: GrantRequest, situation: Situation) -> None:
        product = self._catalogue.products(fresh=True).get(request.pool)
        if request.pool != SHARED_POOL and (product is None or not product.product.has_own_pool):
            detail = f"there is no pool {request.pool!r}"
            raise RefusedError("unknown_pool", detail, (Fault("/pool", detail),))
        today = situation.state.account.calendar.date_of(situation.at)
        if request.expires_on is not None and request.expires_on < today:
            detail = f"must not be before today, {today}"
            raise RefusedError("invalid_request", f"expires_on {detail}", (Fault("/expires_on", detail),))


def _repeat(first: FirstAnswer, body_hash: str) -> GrantAnswer:
    if first.body_hash != body_hash:
        raise RefusedError("idempotency_key_reused", "the key was used with another body")
    return msgspec.json.decode(first.answer, type=GrantAnswer)


def _book(  # noqa: PLR0913 - all that a grant is made of
    request: GrantRequest,
    grant_id: str,
    situation: Situation,
    actor: str,
    idempotency_key: str,
    body_hash: str,
) -> Decision[GrantAnswer]:
    state, at = situation.state, situation.at
    account = state.account
    period = state.current_period(at)
    expires_at = None if request.expires_on is None else account.calendar.end_of_day(request.expires_on)
    grant = Grant(grant_id, request.pool, GrantKind.PROMOTIONAL, request.amount, at, expires_at)
    booked, settled = book_grant(state, grant)
    entry = LedgerEntry(
        id=f"grant-{grant_id}",
        at=at,
        recorded_at=at,
        kind=EntryKind.GRANT,
        pool=request.pool,
        amount=request.amount,
        balance_before=pool_balance(state, request.pool, period, at),
        cause=request.reason,
        actor=actor,
        period=period,
        expires_on=request.expires_on,
        grant=grant_id,
        settled=settled,
    )
    remaining = next((left.remaining for left in booked.grants if left.id == grant_id), ZERO)
    answer = GrantAnswer(grant_id, request.pool, request.amount, remaining, request.expires_on, account.currency)
    first = FirstAnswer(body_hash, 201, msgspec.Raw(msgspec.json.encode(answer)))
    puts = (put_entry(account.id, entry), put_first_answer(account.id, OPERATION, idempotency_key, first))
    return Decision(answer, msgspec.structs.replace(booked, at=at), puts=puts)
