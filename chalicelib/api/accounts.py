"""`/v1/accounts/{account}`: creating, replacing and reading accounts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from chalice.app import Blueprint, Response
from msgspec import Meta, Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.fields import NAME_PATTERN, Quantity
from chalicelib.api.parameters import check_name
from chalicelib.api.problems import invalid
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.money import NotADecimalError, format_decimal, parse_quantity


routes = Blueprint(__name__)

_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Token = Annotated[str, Meta(min_length=1, max_length=200)]
_Agents = Annotated[int, Meta(ge=0, le=1_000_000)]
_Currency = Annotated[str, Meta(description="A code of ISO 4217.", extra_json_schema={"pattern": "^[A-Z]{3}$"})]
_Timezone = Annotated[str, Meta(description="A zone of the IANA database.")]


class PaymentMethodBody(Struct, forbid_unknown_fields=True):
    """How an account pays; a credit card is named by its token at the gateway."""

    type: Literal["credit_card", "invoice"]
    token: _Token | None = None


class FreeUnitsBody(Struct, forbid_unknown_fields=True):
    """Units of a product that every month includes."""

    quantity: Quantity
    per: Literal["agent", "account"]


class AccountBody(Struct, forbid_unknown_fields=True):
    """An account as a whole."""

    name: _Name
    currency: _Currency
    timezone: _Timezone
    payment_method: PaymentMethodBody
    rate_card: Annotated[str, Meta(pattern=NAME_PATTERN)]
    agents: _Agents = 0
    free_units: Annotated[dict[str, FreeUnitsBody], Meta(max_length=200)] = {}


@routes.route("/v1/accounts/{account}", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_account(call: Call, account: str) -> Response:
    """Create or replace an account."""
    call.require_for_account("admin", account, is_new=True)
    check_name("/account", account)
    return ok(_show(call.services.accounts.put(_account(account, call.read(AccountBody)))))


@routes.route("/v1/accounts/{account}", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_account(call: Call, account: str) -> Response:
    """Show an account's settings, without its card."""
    call.require_for_account("admin", account)
    return ok(_show(call.services.accounts.get(account)))


def _account(account: str, body: AccountBody) -> Account:
    payment = body.payment_method
    if (payment.token is None) != (payment.type == "invoice"):
        raise invalid("/payment_method/token", "is required for a credit card, and for nothing else")
    return Account(
        id=account,
        name=body.name,
        currency=body.currency,
        timezone=body.timezone,
        payment_method=PaymentMethod(PaymentType(payment.type), payment.token),
        rate_card=body.rate_card,
        agents=body.agents,
        free_units={resource: _free_units(resource, free) for resource, free in body.free_units.items()},
    )


def _free_units(resource: str, body: FreeUnitsBody) -> FreeUnits:
    try:
        return FreeUnits(parse_quantity(body.quantity), Per(body.per))
    except NotADecimalError as error:
        raise invalid(f"/free_units/{resource}/quantity", str(error)) from error


def _show(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "currency": account.currency,
        "timezone": account.timezone,
        "payment_method": {"type": account.payment_method.type.value},
        "rate_card": account.rate_card,
        "agents": account.agents,
        "free_units": {
            resource: {"quantity": format_decimal(free.quantity), "per": free.per.value}
            for resource, free in account.free_units.items()
        },
    }
