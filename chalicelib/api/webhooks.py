"""What the payment gateway posts by itself. Webhooks carry no token: their signature says who sent them."""

from __future__ import annotations

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.services.errors import RefusedError


routes = Blueprint(__name__)


@routes.route("/v1/webhooks/stripe", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_stripe_webhook(call: Call) -> Response:
    """Take a webhook of Stripe."""
    webhooks = call.services.webhooks
    if webhooks is None:
        raise RefusedError("not_found", "payments do not go through Stripe here")
    webhooks.receive(call.body, call.header("Stripe-Signature") or "")
    return ok({"received": True})
