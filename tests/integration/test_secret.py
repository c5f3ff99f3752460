"""Settings that lie in a secret, read from an emulator of Secrets Manager."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from chalicelib.api.application import Application
from chalicelib.bootstrap import connect
from chalicelib.secret import MEMBERS, with_secret
from chalicelib.settings import Settings, SettingsError
from tests.aws_server import AwsServer


if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    """Give a Secrets Manager."""
    with AwsServer("secretsmanager") as server:
        yield server


@pytest.fixture(autouse=True)
def clients_find_it(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the program's own client there."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)


def environment(aws: AwsServer, name: str, value: str | None, **others: str) -> dict[str, str]:
    """Return the environment of a function whose secret holds *value*, None for one that nobody has filled."""
    content = {} if value is None else {"SecretString": value}
    secret = aws.client("secretsmanager").create_secret(Name=name, **content)["ARN"]
    return {"USAGE_TAB_SECRET": secret, "AWS_REGION": "eu-west-1", "USAGE_TAB_STAGE": "prod", **others}


def test_all_of_it(aws: AwsServer) -> None:
    """What the secret holds are settings like those of the environment, where it says nothing else."""
    members = {
        "USAGE_TAB_AUDIENCE": "nobody",
        "USAGE_TAB_ISSUER": "https://login.example",
        "USAGE_TAB_JWKS_URL": "https://login.example/keys",
        "USAGE_TAB_OIDC_CLIENT_ID": "console",
        "USAGE_TAB_OIDC_SCOPE": "openid usage:read",
        "USAGE_TAB_STRIPE_API_KEY": "key",
        "USAGE_TAB_STRIPE_WEBHOOK_SECRET": "hook",
    }
    assert members.keys() == set(MEMBERS)
    environ = environment(aws, "all", json.dumps(members), USAGE_TAB_PAYMENT_GATEWAY="stripe", USAGE_TAB_AUDIENCE="me")

    settings = Settings.from_environment(with_secret(environ))

    assert (settings.stage, settings.payment_gateway, settings.audience) == ("prod", "stripe", "me")
    assert (settings.issuer, settings.jwks_url) == ("https://login.example", "https://login.example/keys")
    assert (settings.stripe_api_key, settings.stripe_webhook_secret) == ("key", "hook")
    assert settings.oidc is not None
    assert (settings.oidc.client_id, settings.oidc.scope) == ("console", "openid usage:read")


def test_an_empty_one(aws: AwsServer) -> None:
    """A secret that nobody has filled yet holds nothing: what is missing is told by its name."""
    environ = environment(aws, "empty", None, USAGE_TAB_PAYMENT_GATEWAY="stripe")

    with pytest.raises(SettingsError, match="USAGE_TAB_STRIPE_API_KEY must be set"):
        Settings.from_environment(with_secret(environ))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("text", "hush-hush", "does not hold a JSON object of texts"),
        ("list", '["hush-hush"]', "does not hold a JSON object of texts"),
        ("number", '{"USAGE_TAB_ISSUER": 7}', "does not hold a JSON object of texts"),
        ("strange", '{"USAGE_TAB_TEST_CLOCK": "hush-hush"}', "holds USAGE_TAB_TEST_CLOCK; it may hold USAGE_TAB_AUD"),
    ],
)
def test_what_is_refused(aws: AwsServer, name: str, value: str, problem: str) -> None:
    """A secret that holds anything else is refused, and nothing of its values is told."""
    environ = environment(aws, name, value, USAGE_TAB_PAYMENT_GATEWAY="none")

    with pytest.raises(SettingsError, match=f"USAGE_TAB_SECRET {problem}") as caught:
        with_secret(environ)
    assert "hush-hush" not in str(caught.value)


def test_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Secrets Manager cannot be reached, that is what is told."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(SettingsError, match="USAGE_TAB_SECRET cannot be read: EndpointConnectionError"):
        with_secret({"USAGE_TAB_SECRET": "any"})


def test_none() -> None:
    """Without a secret the environment is all there is."""
    assert with_secret({"USAGE_TAB_ISSUER": "me"}) == {"USAGE_TAB_ISSUER": "me"}


def test_a_new_version(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running function goes by what was put into its secret, whatever else Lambda writes into its environment."""
    for name, value in environment(aws, "changed", None, USAGE_TAB_PAYMENT_GATEWAY="none").items():
        monkeypatch.setenv(name, value)
    seconds = 0
    function = Application("usage-tab", connect, monotonic=lambda: seconds)
    services = function.services

    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
    seconds += 300
    assert function.services is services

    members = json.dumps({"USAGE_TAB_JWKS_URL": "https://login.example/keys"})
    aws.client("secretsmanager").put_secret_value(SecretId=os.environ["USAGE_TAB_SECRET"], SecretString=members)
    seconds += 300
    assert function.verifier is not None
    assert function.services is not services
