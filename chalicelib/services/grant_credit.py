"""Promotional credit, granted once however often the request is sent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from ulid import ULID

from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.ledger import EntryKind, LedgerEntry, Settled, book_grant, pool_balance, void_grant
from chalicelib.domain.money import ZERO
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.catalogue import Catalogue, write_product
from chalicelib.storage.records import FirstAnswer, Records, put_first_answer


if TYPE_CHECKING:
    from chalicelib.storage.items import Put


OPERATION: Final = "grants"
CREATED: Final = 201


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
        order = _Order(request, idempotency_key, actor, grant_id=str(ULID()))

        def decide(situation: Situation) -> Decision[GrantAnswer]:
            first = self._records.first_answer(account, OPERATION, idempotency_key)
            if first is not None:
                return Decision(order.repeat(first))
            return order.book(situation, self._check(request, situation))

        answer = self._changes.apply(account, new_nonce(), decide)
        if answer is None:
            raise unknown_account(account)
        return answer

    def void(self, account: str, grant_id: str, actor: str) -> GrantAnswer:
        """
        Take back what is left of a promotional grant; doing so again changes nothing.

        Raises:
            RefusedError: `not_found` for an unknown account or grant, `not_promotional`.
            BusyError: where the account is too busy.
        """

        def decide(situation: Situation) -> Decision[GrantAnswer]:
            booked = self._booked(account, grant_id)
            answer = _voided(booked, situation.state.account.currency)
            grant = next((grant for grant in situation.state.grants if grant.id == grant_id), None)
            if grant is None or not grant.is_in_force(situation.at):
                return Decision(answer)
            state, entry = void_grant(situation.state, grant, situation.at, actor)
            return Decision(answer, state, entries=(entry,))

        voided = self._changes.apply(account, new_nonce(), decide)
        if voided is None:
            raise unknown_account(account)
        return voided

    def _booked(self, account: str, grant_id: str) -> LedgerEntry:
        """Return the ledger entry that booked a promotional grant."""
        entries = (entry for _, entry in self._records.ledger(account))
        booked = next((entry for entry in entries if entry.grant == grant_id and entry.amount > 0), None)
        if booked is None:
            detail = f"there is no grant {grant_id!r}"
            raise RefusedError("not_found", detail)
        if booked.kind is not EntryKind.GRANT:
            raise RefusedError("not_promotional", "only promotional credit can be voided")
        return booked

    def _check(self, request: GrantRequest, situation: Situation) -> tuple[Put, ...]:
        """Return what has to be marked as used along with the grant: the product whose own pool it goes to."""
        entry = self._catalogue.products(fresh=True).get(request.pool)
        if request.pool != SHARED_POOL and (entry is None or not entry.product.has_own_pool):
            detail = f"there is no pool {request.pool!r}"
            raise RefusedError("unknown_pool", detail, (Fault("/pool", detail),))
        today = situation.state.account.calendar.date_of(situation.at)
        if request.expires_on is not None and request.expires_on < today:
            detail = f"must not be before today, {today}"
            raise RefusedError("invalid_request", f"expires_on {detail}", (Fault("/expires_on", detail),))
        return () if entry is None or entry.is_used else (write_product(replace(entry, is_used=True)),)


def _voided(booked: LedgerEntry, currency: str) -> GrantAnswer:
    return GrantAnswer(booked.grant or "", booked.pool, booked.amount, ZERO, booked.expires_on, currency)


class _Order(Struct, frozen=True):
    """A request to grant, under its idempotency key."""

    request: GrantRequest
    idempotency_key: str
    actor: str
    grant_id: str

    @property
    def body_hash(self) -> str:
        return sha256(msgspec.json.encode(self.request)).hexdigest()

    def repeat(self, first: FirstAnswer) -> GrantAnswer:
        if first.body_hash != self.body_hash:
            raise RefusedError("idempotency_key_reused", "the key was used with another body")
        return msgspec.json.decode(first.answer, type=GrantAnswer)

    def book(self, situation: Situation, marks: tuple[Put, ...]) -> Decision[GrantAnswer]:
        request, account = self.request, situation.state.account
        expires_at = None if request.expires_on is None else account.calendar.end_of_day(request.expires_on)
        grant = Grant(self.grant_id, request.pool, GrantKind.PROMOTIONAL, request.amount, situation.at, expires_at)
        state, settled = book_grant(situation.state, grant)
        answer = GrantAnswer(
            id=self.grant_id,
            pool=request.pool,
            amount=request.amount,
            remaining=next((left.remaining for left in state.grants if left.id == self.grant_id), ZERO),
            expires_on=request.expires_on,
            currency=account.currency,
        )
        first = FirstAnswer(self.body_hash, CREATED, msgspec.Raw(msgspec.json.encode(answer)))
        kept = put_first_answer(account.id, OPERATION, self.idempotency_key, first)
        return Decision(answer, state, entries=(self._entry(situation, settled),), puts=(kept, *marks))

    def _entry(self, situation: Situation, settled: tuple[Settled, ...]) -> LedgerEntry:
        period = situation.state.current_period(situation.at)
        return LedgerEntry(
            id=f"grant-{self.grant_id}",
            at=situation.at,
            recorded_at=situation.at,
            kind=EntryKind.GRANT,
            pool=self.request.pool,
            amount=self.request.amount,
            balance_before=pool_balance(situation.state, self.request.pool, period, situation.at),
            cause=self.request.reason,
            actor=self.actor,
            period=period,
            expires_on=self.request.expires_on,
            grant=self.grant_id,
            settled=settled,
        )
