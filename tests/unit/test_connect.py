"""What a deployed function makes of its environment."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.api.application import Application
from chalicelib.bootstrap import connect, open_gateway
from chalicelib.payments.gateway import GatewayUnavailableError, PaymentRequest
from chalicelib.secret import read_settings
from chalicelib.settings import Settings, SettingsError
from tests.fakes.memory_store import MemoryStore


FUNCTION = {
    "AWS_REGION": "eu-west-1",
    "USAGE_TAB_STAGE": "prod",
    "USAGE_TAB_STATE_TABLE": "state",
    "USAGE_TAB_PAGES_TABLE": "pages",
    "USAGE_TAB_PAYMENT_GATEWAY": "none",
    "USAGE_TAB_WORK_QUEUE": "https://sqs.eu-west-1.amazonaws.com/1/work",
}


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the environment of a function that neither pays nor sees tokens."""
    for name, value in FUNCTION.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("function")
def test_most_functions_see_no_tokens() -> None:
    """They do without a key set; who needs one is told what to set."""
    app = Application("usage-tab", connect)

    assert app.services.test_clock is None
    with pytest.raises(SettingsError, match="USAGE_TAB_JWKS_URL or USAGE_TAB_JWKS_FILE must be set"):
        _ = app.verifier


def test_the_api_does(function: pytest.MonkeyPatch) -> None:
    """Where a key set is named, tokens are judged by it."""
    function.setenv("USAGE_TAB_JWKS_URL", "https://login.example/jwks.json")

    assert Application("usage-tab", connect).verifier is not None


@pytest.mark.parametrize(
    ("name", "value"), [("USAGE_TAB_PAYMENT_GATEWAY", "sandbox"), ("USAGE_TAB_TEST_CLOCK", "true")]
)
def test_production_does_not_start_with_toys(function: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A function of production that would play with money or time answers nothing at all."""
    function.setenv(name, value)

    with pytest.raises(SettingsError, match=f"{name} must not be .* in the stage prod"):
        read_settings()


def test_a_closed_gateway() -> None:
    """A function without a gateway leaves payments to those that have one: what became of them is not known to it."""
    gateway = open_gateway(Settings(payment_gateway="none"), MemoryStore(), lambda _: None)
    request = PaymentRequest("1", "acme", Decimal(1), "EUR", "tok_ok")

    for call in (lambda: gateway.create(request), lambda: gateway.confirm("1"), lambda: gateway.retrieve("1")):
        with pytest.raises(GatewayUnavailableError):
            call()
