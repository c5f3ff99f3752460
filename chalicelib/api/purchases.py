"""Buying credit: one-time purchases and auto recharge."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Response
from msgspec import Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.credit import idempotency_key
from chalicelib.api.fields import OptionalPayment, Payment
from chalicelib.api.problems import invalid
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.card_payments import CardPayment, PaymentStatus
from chalicelib.domain.money import format_money
from chalicelib.services.buy_credit import read_payment
from chalicelib.services.errors import Fault, RefusedError


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.services.set_auto_recharge import AutoRechargeView


routes = Blueprint(__name__)


class PurchaseBody(Struct, forbid_unknown_fields=True):
    """Credit to buy: a decimal in a string."""

    amount: Payment


class AutoRechargeBody(Struct, forbid_unknown_fields=True):
    """Auto recharge as it shall be; decimals in strings. Switched off, threshold and amount may be left out."""

    enabled: bool
    threshold: OptionalPayment = None
    amount: OptionalPayment = None
    monthly_limit: OptionalPayment = None


_STATUS_BY_OUTCOME = {
    PaymentStatus.SUCCEEDED: HTTPStatus.CREATED,
    PaymentStatus.PENDING: HTTPStatus.ACCEPTED,
}


@routes.route("/v1/accounts/{account}/credits/purchases", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_purchase(call: Call, account: str) -> Response:
    """Buy credit, once for each idempotency key."""
    caller = call.require_for_account("credits:write", account)
    key = idempotency_key(call)
    body = call.read(PurchaseBody)
    payment = call.services.buying.purchase(account, body.amount, key, caller.subject)
    if payment.status is PaymentStatus.FAILED:
        raise RefusedError("card_declined", f"the payment was declined: {payment.reason}")
    return ok(_show_payment(payment), status=_STATUS_BY_OUTCOME[payment.status])


@routes.route("/v1/accounts/{account}/credits/purchases/{purchase}", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_purchase(call: Call, account: str, purchase: str) -> Response:
    """Show what became of a purchase."""
    call.require_for_account("credits:write", account)
    return ok(_show_payment(call.services.buying.get(account, purchase)))


@routes.route("/v1/accounts/{account}/auto-recharge", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_auto_recharge(call: Call, account: str) -> Response:
    """Show auto recharge and what it spent this month."""
    call.require_for_account("credits:write", account)
    return ok(_show_auto_recharge(call.services.auto_recharge.get(account)))


@routes.route("/v1/accounts/{account}/auto-recharge", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_auto_recharge(call: Call, account: str) -> Response:
    """Switch auto recharge on or off."""
    call.require_for_account("credits:write", account)
    body = call.read(AutoRechargeBody)
    currency = call.services.accounts.get(account).currency
    rule = _read_rule(body, currency)
    return ok(_show_auto_recharge(call.services.auto_recharge.put(account, rule, is_enabled=body.enabled)))


def _read_rule(body: AutoRechargeBody, currency: str) -> RechargeRule | None:
    given = {"threshold": body.threshold, "amount": body.amount}
    missing = [name for name, value in given.items() if value is None]
    if missing and body.enabled:
        faults = tuple(Fault(f"/{name}", "is required") for name in missing)
        raise RefusedError("invalid_request", f"{' and '.join(missing)} must be given", faults)
    amount = _read_optional("/amount", body.amount, currency)
    if amount is not None and not amount:
        raise RefusedError("invalid_amount", "amount must be above zero", (Fault("/amount", "must be above zero"),))
    limit = _read_optional("/monthly_limit", body.monthly_limit, currency)
    if limit is not None and amount is not None and limit < amount:
        raise invalid("/monthly_limit", "must not be below the amount")
    threshold = _read_optional("/threshold", body.threshold, currency)
    return None if threshold is None or amount is None else RechargeRule(threshold, amount, limit)


def _read_optional(pointer: str, text: object, currency: str) -> Decimal | None:
    return None if text is None else read_payment(pointer, text, currency)


def _show_payment(payment: CardPayment) -> dict[str, Any]:
    shown = {
        "id": payment.id,
        "amount": format_money(payment.amount, payment.currency),
        "status": payment.status.value,
        "balance": _show_money(payment.balance, payment.currency),
    }
    return shown if payment.reason is None else {**shown, "reason": payment.reason}


def _show_auto_recharge(view: AutoRechargeView) -> dict[str, Any]:
    auto, rule = view.auto, view.auto.rule
    return {
        "enabled": auto.is_enabled,
        "threshold": None if rule is None else format_money(rule.threshold, view.currency),
        "amount": None if rule is None else format_money(rule.amount, view.currency),
        "monthly_limit": None if rule is None else _show_money(rule.monthly_limit, view.currency),
        "status": auto.status.value,
        "failures": auto.failures,
        "spent_this_month": format_money(view.spent_this_month, view.currency),
    }


def _show_money(value: Decimal | None, currency: str) -> str | None:
    return None if value is None else format_money(value, currency)
