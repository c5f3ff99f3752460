"""Promotional grants and the ledger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from chalice.app import Blueprint, Response
from msgspec import Meta, Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.fields import Day, Money
from chalicelib.api.parameters import page_of, read_cursor, read_date, read_instant, read_limit
from chalicelib.api.problems import invalid
from chalicelib.domain.instants import Instant, format_instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry
from chalicelib.domain.money import NotADecimalError, format_money, parse_money
from chalicelib.services.errors import RefusedError
from chalicelib.services.grant_credit import GrantAnswer, GrantRequest


if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from chalicelib.domain.periods import Calendar


routes = Blueprint(__name__)

IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 255

_FILTERS: Final = ("pool", "kind", "from", "to")
_KINDS: Final = tuple(kind.value for kind in EntryKind)
_DATE: Final = re.compile(r"[0-9-]{10}")


class GrantBody(Struct, forbid_unknown_fields=True):
    """Promotional credit to grant."""

    pool: str
    amount: Money
    expires_on: Day | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


@routes.route("/v1/accounts/{account}/credits/grants", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_grant(call: Call, account: str) -> Response:
    """Grant promotional credit, once for each idempotency key."""
    caller = call.require_for_account("admin", account)
    key = idempotency_key(call)
    body = call.read(GrantBody)
    request = GrantRequest(
        pool=body.pool,
        amount=read_amount(body.amount),
        expires_on=None if body.expires_on is None else read_date("/expires_on", body.expires_on),
        reason=body.reason,
    )
    return ok(_show_grant(call.services.granting.grant(account, request, key, caller.subject)), status=201)


@routes.route("/v1/accounts/{account}/credits/grants/{grant}/void", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_void(call: Call, account: str, grant: str) -> Response:
    """Take back what is left of a promotional grant."""
    caller = call.require_for_account("admin", account)
    return ok(_show_grant(call.services.granting.void(account, grant, caller.subject)))


@routes.route("/v1/accounts/{account}/ledger", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def list_ledger(call: Call, account: str) -> Response:
    """List every movement of credit, newest first."""
    call.require_for_account("usage:read", account)
    settings = call.services.accounts.get(account)
    start, end = _span(call, settings.calendar)
    of_list = (account, *map(call.query.get, _FILTERS))
    limit, before = read_limit(call.query), read_cursor(call.query, "ledger#", *of_list)
    entries = _filtered(call, call.services.records.ledger(account, start, end, before))
    return ok(page_of(entries, limit, lambda entry: _show_entry(entry, settings.currency), *of_list))


def idempotency_key(call: Call) -> str:
    """
    Return the request's idempotency key.

    Raises:
        RefusedError: `idempotency_key_required`, `invalid_request` for one that is too long.
    """
    key = (call.header("Idempotency-Key") or "").strip()
    if not key:
        raise RefusedError("idempotency_key_required", "the header Idempotency-Key is required")
    if len(key) > IDEMPOTENCY_KEY_CHARACTERS_MAX:
        raise invalid("/Idempotency-Key", f"must have at most {IDEMPOTENCY_KEY_CHARACTERS_MAX} characters")
    return key


def read_amount(text: str) -> Decimal:
    """
    Read an amount of credit above zero.

    Raises:
        RefusedError: `invalid_request`.
    """
    try:
        amount = parse_money(text)
    except NotADecimalError as error:
        raise invalid("/amount", str(error)) from error
    if not amount:
        raise invalid("/amount", "must be above zero")
    return amount


def _span(call: Call, calendar: Calendar) -> tuple[Instant | None, Instant | None]:
    """Read `from` and `to`: instants, or days of the account's zone, both included."""
    texts = call.query.get("from"), call.query.get("to")
    start = end = None
    if texts[0] is not None:
        is_day = _DATE.fullmatch(texts[0])
        start = calendar.start_of_day(read_date("/from", texts[0])) if is_day else read_instant("/from", texts[0])
    if texts[1] is not None:
        is_day = _DATE.fullmatch(texts[1])
        end = calendar.end_of_day(read_date("/to", texts[1])) - 1 if is_day else read_instant("/to", texts[1])
    return start, end


def _filtered(call: Call, entries: Iterator[tuple[str, LedgerEntry]]) -> Iterator[tuple[str, LedgerEntry]]:
    pool, kind = call.query.get("pool"), call.query.get("kind")
    if kind is not None and kind not in _KINDS:
        raise invalid("/kind", f"must be one of {', '.join(_KINDS)}")
    return (
        (position, entry)
        for position, entry in entries
        if (pool is None or entry.pool == pool) and (kind is None or entry.kind.value == kind)
    )


def _show_grant(grant: GrantAnswer) -> dict[str, Any]:
    return {
        "id": grant.id,
        "pool": grant.pool,
        "amount": format_money(grant.amount, grant.currency),
        "remaining": format_money(grant.remaining, grant.currency),
        "expires_on": None if grant.expires_on is None else grant.expires_on.isoformat(),
    }


def _show_entry(entry: LedgerEntry, currency: str) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": format_instant(entry.at),
        "recorded_at": format_instant(entry.recorded_at),
        "kind": entry.kind.value,
        "pool": entry.pool,
        "amount": format_money(entry.amount, currency),
        "balance_before": format_money(entry.balance_before, currency),
        "balance_after": format_money(entry.balance_after, currency),
        "cause": entry.cause,
        "actor": entry.actor,
        "expires_on": None if entry.expires_on is None else entry.expires_on.isoformat(),
    }
