"""
The gateway to Stripe, against two peers.

Localstripe, a real server with Stripe's protocol, shows that payments are made, and made once. It knows neither
idempotency keys nor off-session payments and never fails, so that what is sent, and all that Stripe may answer, is
tested against a stub.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest
import stripe

from chalicelib.payments.gateway import (
    DeclinedError,
    GatewayUnavailableError,
    Outcome,
    PaymentRequest,
    PaymentState,
)
from chalicelib.payments.stripe import StripeGateway
from tests.integration.localstripe_server import API_KEY, LocalStripe
from tests.integration.stripe_stub import (
    CONNECTION_CLOSED,
    NO_ANSWER,
    Answer,
    StripeStub,
    failure,
    intent,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.payments.gateway import Gateway

TOKEN: Final = "cus_1/pm_secret"

UNCONFIRMED: Final = Outcome(PaymentState.UNCONFIRMED)
PROCESSING: Final = Outcome(PaymentState.PROCESSING)
SUCCEEDED: Final = Outcome(PaymentState.SUCCEEDED)

CREATED: Final = ("POST", "/v1/payment_intents")
CONFIRMED: Final = ("POST", "/v1/payment_intents/pi_1/confirm")
CANCELED: Final = ("POST", "/v1/payment_intents/pi_1/cancel")
RETRIEVED: Final = ("GET", "/v1/payment_intents/pi_1")

UNEXPECTED_STATE: Final = failure(400, code="payment_intent_unexpected_state")
REPLAYED: Final = {"Idempotent-Replayed": "true", "Original-Request": "req_1", "Stripe-Should-Retry": "false"}


def declined(reason: str) -> Outcome:
    """Return a decline."""
    return Outcome(PaymentState.DECLINED, reason)


def payment(amount: str = "100", currency: str = "USD", token: str = TOKEN, name: str = "p-1") -> PaymentRequest:
    """Return a payment to be made."""
    return PaymentRequest(name, "acme", Decimal(amount), currency, token)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK try again at once."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)


@pytest.fixture(scope="module")
def localstripe() -> Iterator[LocalStripe]:
    """Run a localstripe."""
    with LocalStripe() as server:
        yield server


@pytest.fixture
def gateway(localstripe: LocalStripe) -> Gateway:
    """Give a gateway to localstripe."""
    return StripeGateway(API_KEY, api_base=localstripe.url, timeout=30, confirm_timeout=30)


@pytest.fixture
def stub() -> Iterator[StripeStub]:
    """Run a stub."""
    with StripeStub() as server:
        yield server


@pytest.fixture
def stubbed(stub: StripeStub) -> StripeGateway:
    """Give a gateway to the stub."""
    return StripeGateway("sk_test_secret", api_base=stub.url, timeout=30, confirm_timeout=30)


def test_created(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A payment that is announced has an id, and nothing is charged."""
    name = gateway.create(payment(amount="120.50", token="pm_card_visa"))

    assert gateway.retrieve(name) == UNCONFIRMED
    assert localstripe.charges(name) == []
    made = localstripe.get(f"/v1/payment_intents/{name}")
    assert (made["amount"], made["currency"], made["metadata"]) == (12050, "usd", {"account": "acme", "payment": "p-1"})


def test_confirmed(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A payment that is confirmed is charged, in full."""
    name = gateway.create(payment(amount="120.50", token="pm_card_visa"))

    assert gateway.confirm(name) == SUCCEEDED
    assert gateway.retrieve(name) == SUCCEEDED
    assert localstripe.charges(name) == [("succeeded", 12050)]


def test_confirmed_twice(gateway: Gateway, localstripe: LocalStripe) -> None:
    """Whoever confirms again learns that it has succeeded, and nothing more is charged."""
    name = gateway.create(payment(token="pm_card_visa"))
    gateway.confirm(name)

    assert gateway.confirm(name) == SUCCEEDED
    assert localstripe.charges(name) == [("succeeded", 10000)]


def test_customer(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A token may name the customer whose payment method it is."""
    customer = localstripe.post("/v1/customers")["id"]
    name = gateway.create(payment(token=f"{customer}/pm_card_visa"))

    assert gateway.confirm(name) == SUCCEEDED
    assert localstripe.get(f"/v1/payment_intents/{name}")["customer"] == customer


def test_declined_card(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A declined card is told with its reason, as often as one asks, and is tried once."""
    name = gateway.create(payment(token="pm_card_chargeCustomerFail"))

    assert gateway.confirm(name) == declined("card_declined")
    assert gateway.retrieve(name) == declined("card_declined")
    assert gateway.confirm(name) == declined("card_declined")
    assert localstripe.charges(name) == [("failed", 10000)]


def test_card_that_asks_its_owner(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A card that wants its owner to act is declined, since nobody is there."""
    card = {"card[number]": "4000002500003155", "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    method = localstripe.post("/v1/payment_methods", type="card", **card)["id"]
    name = gateway.create(payment(token=method))

    assert gateway.confirm(name) == declined("authentication_required")
    assert gateway.retrieve(name) == declined("authentication_required")
    assert localstripe.charges(name) == []


def test_canceled(gateway: Gateway, localstripe: LocalStripe) -> None:
    """A payment that somebody canceled at Stripe is declined."""
    name = gateway.create(payment(token="pm_card_visa"))
    localstripe.post(f"/v1/payment_intents/{name}/cancel")

    assert gateway.retrieve(name) == declined("canceled")
    assert gateway.confirm(name) == declined("canceled")


def test_unknown_name(gateway: Gateway) -> None:
    """A payment that Stripe does not know, as under another account's key, is nothing one could judge."""
    with pytest.raises(GatewayUnavailableError):
        gateway.retrieve("pi_elsewhere")
    with pytest.raises(GatewayUnavailableError):
        gateway.confirm("pi_elsewhere")


def test_foreign_key(localstripe: LocalStripe) -> None:
    """A key that Stripe does not take is our mistake, not the card's."""
    with pytest.raises(GatewayUnavailableError):
        StripeGateway("wrong", api_base=localstripe.url).create(payment(token="pm_card_visa"))


CALLS: Final[dict[str, Callable[[Gateway], object]]] = {
    "create": lambda gateway: gateway.create(payment()),
    "confirm": lambda gateway: gateway.confirm("pi_1"),
    "retrieve": lambda gateway: gateway.retrieve("pi_1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_nobody_there(call: str) -> None:
    """Where nobody listens, the gateway is unavailable."""
    with StripeStub() as stub:
        url = stub.url

    with pytest.raises(GatewayUnavailableError):
        CALLS[call](StripeGateway("sk_test_secret", api_base=url))


@pytest.mark.parametrize(("call", "tries"), [("create", 2), ("confirm", 1), ("retrieve", 2)])
def test_too_slow(stub: StripeStub, call: str, tries: int) -> None:
    """An answer is waited for, but not for ever; a confirmation, which waits longest, is sent once."""
    stub.will_answer(NO_ANSWER)
    gateway = StripeGateway("sk_test_secret", api_base=stub.url, timeout=0.1, confirm_timeout=0.1)

    with pytest.raises(GatewayUnavailableError):
        CALLS[call](gateway)
    assert len(stub.requests) == tries


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        CONNECTION_CLOSED,
        failure(400, type="idempotency_error"),
        failure(400, code="rate_limit"),
        failure(401, code="api_key_expired"),
        failure(403),
        failure(409, code="idempotency_key_in_use"),
        failure(429, code="lock_timeout"),
        failure(429, code="rate_limit"),
        failure(500, type="api_error"),
        failure(503),
        Answer(502, b"<html>"),
        Answer(502, b'{"error": "bad gateway"}'),
        Answer(400, b'{"error": []}'),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, b'{"id": "pi_1"}'),
    ],
    ids=lambda answer: f"{answer.status}-{answer.body.decode()}",
)
def test_unavailable(stub: StripeStub, stubbed: StripeGateway, call: str, answer: Answer) -> None:
    """Whatever else comes than Stripe's word on the payment, what was asked may or may not have happened."""
    stub.will_answer(answer)

    with pytest.raises(GatewayUnavailableError) as caught:
        CALLS[call](stubbed)

    told = "".join(traceback.format_exception(caught.value))
    assert "pm_secret" not in told
    assert "sk_test_secret" not in told


@pytest.mark.parametrize("hiccup", [CONNECTION_CLOSED, failure(409), failure(503)], ids=["closed", "409", "503"])
def test_tried_again(stub: StripeStub, stubbed: StripeGateway, hiccup: Answer) -> None:
    """What fails once is asked again, under the same idempotency key."""
    stub.will_answer(hiccup, intent("requires_confirmation"))

    assert stubbed.create(payment()) == "pi_1"
    assert len(stub.keys) == 2
    assert len(set(stub.keys)) == 1


def test_what_create_sends(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A PaymentIntent is made for a card, unconfirmed, and says whose payment it is."""
    stub.will_answer(intent("requires_confirmation"))
    stubbed.create(payment())

    (request,) = stub.requests
    assert request.headers["Authorization"] == "Bearer sk_test_secret"
    assert request.form == {
        "amount": "10000",
        "currency": "usd",
        "customer": "cus_1",
        "payment_method": "pm_secret",
        "payment_method_types[0]": "card",
        "metadata[account]": "acme",
        "metadata[payment]": "p-1",
    }


def test_what_confirm_sends(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A confirmation says that nobody is there to act, under a key of the payment's own, on a fresh connection."""
    stub.will_answer(intent("succeeded"))
    stubbed.confirm("pi_1")
    stubbed.confirm("pi_1")

    assert stub.asked == [CONFIRMED, CONFIRMED]
    assert stub.requests[0].form == {"off_session": "true", "error_on_requires_action": "true"}
    assert stub.requests[0].headers["Connection"] == "close"
    assert stub.keys == ["confirm-pi_1", "confirm-pi_1"]


def test_keys_of_create(stub: StripeStub, stubbed: StripeGateway) -> None:
    """The same payment has the same key; another payment, or the same one with another card, has another."""
    stub.will_answer(intent("requires_confirmation"))
    for request in (payment(), payment(), payment(name="p-2"), payment(token="cus_1/pm_other")):
        stubbed.create(request)

    same, again, other_payment, other_card = stub.keys
    assert same == again
    assert len({same, other_payment, other_card}) == 3
    assert max(map(len, stub.keys)) <= 255
    assert "pm_" not in "".join(stub.keys)


def test_failure_that_is_remembered(stub: StripeStub, stubbed: StripeGateway) -> None:
    """Where Stripe only repeats how an earlier request failed, the payment is made under another key."""
    stub.will_answer(failure(500, headers=REPLAYED), intent("requires_confirmation"))

    assert stubbed.create(payment()) == "pi_1"
    first, second = stub.keys
    assert second == f"{first}-req_1"


def test_failed_confirmation_that_is_remembered(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A confirmation is never sent under another key."""
    stub.will_answer(failure(500, headers=REPLAYED))

    with pytest.raises(GatewayUnavailableError):
        stubbed.confirm("pi_1")
    assert stub.keys == ["confirm-pi_1"]


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("100", "USD", "10000"),
        ("100.01", "USD", "10001"),
        ("12500", "JPY", "12500"),
        ("12500.00", "JPY", "12500"),
        ("100.01", "HUF", "10001"),
        ("31.25", "KWD", "31250"),
        ("31.250", "TND", "31250"),
        ("14000", "ISK", "1400000"),
        ("370000", "UGX", "37000000"),
        ("460000", "MGA", "460000"),
        ("999999999999.99", "USD", "99999999999999"),
    ],
)
def test_amounts(stub: StripeStub, stubbed: StripeGateway, amount: str, currency: str, units: str) -> None:
    """An amount is told in the units Stripe counts its currency in, to the last digit."""
    stub.will_answer(intent("requires_confirmation"))
    stubbed.create(payment(amount, currency))

    (request,) = stub.requests
    assert (request.form["amount"], request.form["currency"]) == (units, currency.lower())


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        ("100.005", "USD", "invalid_amount"),
        ("100.5", "JPY", "invalid_amount"),
        ("100.5", "ISK", "invalid_amount"),
        ("100.5", "UGX", "invalid_amount"),
        ("100.2", "MGA", "invalid_amount"),
        *(("31.255", currency, "invalid_amount") for currency in ("BHD", "JOD", "KWD", "OMR", "TND")),
        ("0", "USD", "invalid_amount"),
        ("-100", "USD", "invalid_amount"),
        ("100", "XXX", "invalid_currency"),
        ("100", "ABC", "invalid_currency"),
    ],
)
def test_amounts_that_stripe_cannot_count(
    stub: StripeStub, stubbed: StripeGateway, amount: str, currency: str, reason: str
) -> None:
    """An amount that is no whole number of such units is declined, and Stripe is not asked."""
    with pytest.raises(DeclinedError) as caught:
        stubbed.create(payment(amount, currency))

    assert caught.value.reason == reason
    assert stub.requests == []


@pytest.mark.parametrize("token", ["", "tok_ok", "cus_1", "cus_1/", "pm_1/cus_1", "cus_1/pm_1/", "pm_1\n", "pm_é"])
def test_tokens_of_others(stub: StripeStub, stubbed: StripeGateway, token: str) -> None:
    """A token that is none of Stripe's is declined, and Stripe is not asked."""
    with pytest.raises(DeclinedError) as caught:
        stubbed.create(payment(token=token))

    assert caught.value.reason == "invalid_payment_method"
    assert stub.requests == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failure(400, code="amount_too_small", param="amount"), "amount_too_small"),
        (failure(400, param="currency"), "invalid_request"),
        (failure(400, code="resource_missing", param="payment_method"), "resource_missing"),
        (failure(404, code="resource_missing", param="customer"), "resource_missing"),
        (failure(400), "invalid_request"),
        (failure(402, code="card_declined", decline_code="stolen_card"), "stolen_card"),
    ],
)
def test_refused_by_create(stub: StripeStub, stubbed: StripeGateway, answer: Answer, reason: str) -> None:
    """A payment that Stripe will never take is declined with Stripe's code, without its words."""
    stub.will_answer(answer)

    with pytest.raises(DeclinedError) as caught:
        stubbed.create(payment())

    assert caught.value.reason == reason
    assert "pm_secret" not in "".join(traceback.format_exception(caught.value))


OUR_MISTAKES: Final = [
    failure(400, code="parameter_unknown", param="payment_method_types"),
    failure(400, code="testmode_charges_only"),
    failure(404),
]


@pytest.mark.parametrize("answer", OUR_MISTAKES)
def test_our_mistake_at_create(stub: StripeStub, stubbed: StripeGateway, answer: Answer) -> None:
    """A request that Stripe refuses for our mistakes is no decline: they are mended, and it is made again."""
    stub.will_answer(answer)

    with pytest.raises(GatewayUnavailableError):
        stubbed.create(payment())


@pytest.mark.parametrize("answer", OUR_MISTAKES)
def test_our_mistake_at_confirm(stub: StripeStub, stubbed: StripeGateway, answer: Answer) -> None:
    """So it is with a confirmation: the payment stays as it is."""
    stub.will_answer(answer, intent("requires_confirmation"))

    with pytest.raises(GatewayUnavailableError):
        stubbed.confirm("pi_1")
    assert stub.asked == [CONFIRMED, RETRIEVED]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (intent("succeeded"), SUCCEEDED),
        (intent("processing"), PROCESSING),
        (intent("requires_action"), declined("authentication_required")),
        (failure(402, code="card_declined", decline_code="insufficient_funds"), declined("insufficient_funds")),
        (failure(402, code="expired_card"), declined("expired_card")),
        (failure(402, code="authentication_required"), declined("authentication_required")),
    ],
)
def test_confirmations(stub: StripeStub, stubbed: StripeGateway, answer: Answer, outcome: Outcome) -> None:
    """What Stripe says of a confirmation is its outcome, and it is not asked twice."""
    stub.will_answer(answer)

    assert stubbed.confirm("pi_1") == outcome
    assert stub.asked == [CONFIRMED]


def test_confirmed_before(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A payment that cannot be confirmed any more is looked up."""
    stub.will_answer(UNEXPECTED_STATE, intent("processing"))

    assert stubbed.confirm("pi_1") == PROCESSING
    assert stub.asked == [CONFIRMED, RETRIEVED]


def test_confirmed_before_and_unreachable_now(stub: StripeStub, stubbed: StripeGateway) -> None:
    """Where looking up fails, nothing is known."""
    stub.will_answer(UNEXPECTED_STATE, failure(503))

    with pytest.raises(GatewayUnavailableError):
        stubbed.confirm("pi_1")


def test_state_that_changes(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A payment that could not be confirmed in its state, and could be now, is left for another try."""
    stub.will_answer(UNEXPECTED_STATE, intent("requires_confirmation"))

    with pytest.raises(GatewayUnavailableError):
        stubbed.confirm("pi_1")
    assert CANCELED not in stub.asked


def test_never_confirmable(stub: StripeStub, stubbed: StripeGateway) -> None:
    """A payment that Stripe refuses to confirm is canceled before it is declined: nobody shall confirm it later."""
    stub.will_answer(
        failure(400, code="payment_method_customer_mismatch"), intent("requires_confirmation"), intent("canceled")
    )

    assert stubbed.confirm("pi_1") == declined("payment_method_customer_mismatch")
    assert stub.asked == [CONFIRMED, RETRIEVED, CANCELED]


def test_confirmed_while_it_was_canceled(stub: StripeStub, stubbed: StripeGateway) -> None:
    """One that somebody else could confirm meanwhile has succeeded."""
    stub.will_answer(failure(400), intent("requires_confirmation"), UNEXPECTED_STATE, intent("succeeded"))

    assert stubbed.confirm("pi_1") == SUCCEEDED
    assert stub.asked == [CONFIRMED, RETRIEVED, CANCELED, RETRIEVED]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (intent("requires_confirmation"), UNCONFIRMED),
        (intent("requires_confirmation", last_payment_error=None), UNCONFIRMED),
        (intent("processing"), PROCESSING),
        (intent("succeeded"), SUCCEEDED),
        (
            intent("requires_payment_method", last_payment_error={"code": "card_declined", "decline_code": "fraud"}),
            declined("fraud"),
        ),
        (intent("requires_payment_method", last_payment_error={"code": "expired_card"}), declined("expired_card")),
        (intent("requires_payment_method"), declined("payment_method_missing")),
        (intent("requires_action"), declined("authentication_required")),
        (intent("canceled"), declined("canceled")),
        (intent("canceled", last_payment_error={"code": "expired_card"}), declined("expired_card")),
    ],
)
def test_states(stub: StripeStub, stubbed: StripeGateway, answer: Answer, outcome: Outcome) -> None:
    """Each state of a PaymentIntent is one of a payment."""
    stub.will_answer(answer)

    assert stubbed.retrieve("pi_1") == outcome
    assert stub.asked == [RETRIEVED]


@pytest.mark.parametrize("status", ["requires_capture", "unheard_of"])
def test_states_of_others(stub: StripeStub, stubbed: StripeGateway, status: str) -> None:
    """A state that our payments never have is no outcome."""
    stub.will_answer(intent(status))

    with pytest.raises(GatewayUnavailableError):
        stubbed.retrieve("pi_1")


def test_secrets_stay_secret(stub: StripeStub, stubbed: StripeGateway, caplog: pytest.LogCaptureFixture) -> None:
    """Neither key nor token is logged or shown, however much is logged."""
    caplog.set_level(logging.DEBUG)
    stub.will_answer(intent("requires_confirmation"))
    stubbed.create(payment())

    assert "secret" not in caplog.text
    assert "secret" not in repr(stubbed)


def test_nothing_told_about_this_machine(stub: StripeStub, stubbed: StripeGateway) -> None:
    """The SDK sends no measurements."""
    stub.will_answer(Answer(200, intent("succeeded").body, {"Request-Id": "req_1"}))
    stubbed.retrieve("pi_1")
    stubbed.retrieve("pi_1")

    for request in stub.requests:
        assert "X-Stripe-Client-Telemetry" not in request.headers
        assert "platform" not in request.headers["X-Stripe-Client-User-Agent"]


def test_sdk_loads_when_needed() -> None:
    """A process that makes no payment never loads the SDK."""
    program = (
        "import sys; from chalicelib.payments.stripe import StripeGateway; "
        "import chalicelib.payments.stripe_webhooks; StripeGateway('sk_test_secret'); print('stripe' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
