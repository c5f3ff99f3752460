"""`/v1/accounts/{account}/commitments/{pool}`: committed credit."""

from __future__ import annotations

from typing import Any, Literal

from chalice.app import Blueprint, Response
from msgspec import Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.credit import read_amount
from chalicelib.api.fields import Day, Money
from chalicelib.api.parameters import read_date
from chalicelib.api.problems import invalid
from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.money import format_money


routes = Blueprint(__name__)


class CommitmentBody(Struct, forbid_unknown_fields=True):
    """What is committed; without `ends_on` until it is deleted."""

    amount: Money
    frequency: Literal["monthly", "quarterly", "semiannual", "annual"]
    starts_on: Day
    ends_on: Day | None = None
    rollover: bool = True


@routes.route("/v1/accounts/{account}/commitments/{pool}", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_commitment(call: Call, account: str, pool: str) -> Response:
    """Put a commitment; a recharge that is due today is made before this answers."""
    caller = call.require_for_account("admin", account)
    terms = _terms(call.read(CommitmentBody))
    settings, commitment = call.services.committing.put(account, pool, terms, caller.subject)
    return ok(_show(commitment, settings.currency))


@routes.route("/v1/accounts/{account}/commitments/{pool}", methods=["DELETE"], content_types=ANY_CONTENT)
@answering(routes)
def delete_commitment(call: Call, account: str, pool: str) -> Response:
    """Stop the recharges; what is left stays until the next one would have come."""
    call.require_for_account("admin", account)
    call.services.committing.delete(account, pool)
    return Response(body="", status_code=204)


def _terms(body: CommitmentBody) -> Terms:
    starts_on = read_date("/starts_on", body.starts_on)
    ends_on = None if body.ends_on is None else read_date("/ends_on", body.ends_on)
    if ends_on is not None and ends_on < starts_on:
        raise invalid("/ends_on", "must not be before starts_on")
    return Terms(read_amount(body.amount), Frequency(body.frequency), starts_on, ends_on, body.rollover)


def _show(commitment: Commitment, currency: str) -> dict[str, Any]:
    terms = commitment.upcoming or commitment.terms
    last, following = commitment.last_recharge_on, commitment.next_recharge_on
    return {
        "pool": commitment.pool,
        "amount": format_money(terms.amount, currency),
        "frequency": terms.frequency.value,
        "starts_on": terms.starts_on.isoformat(),
        "ends_on": None if terms.ends_on is None else terms.ends_on.isoformat(),
        "rollover": terms.rollover,
        "last_recharge_on": None if last is None else last.isoformat(),
        "next_recharge_on": None if following is None else following.isoformat(),
    }
