"""Reading the environment."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from chalicelib.settings import OidcClient, Settings, SettingsError


def test_defaults() -> None:
    """Nothing has to be set."""
    assert Settings.from_environment({}) == Settings(
        stage=None,
        store=None,
        state_table="usage-tab-state",
        pages_table="usage-tab-pages",
        region="eu-west-1",
        jwks_url=None,
        jwks_file=None,
        issuer=None,
        audience=None,
        test_clock=False,
        retention_months=25,
        requests_per_second=1000,
        console_origins=(),
        log_level="INFO",
    )


def test_everything_set() -> None:
    """Every setting has its variable."""
    environ = {
        "USAGE_TAB_STORE": "http://127.0.0.1:8000",
        "USAGE_TAB_STATE_TABLE": "state",
        "USAGE_TAB_PAGES_TABLE": "pages",
        "USAGE_TAB_REGION": "us-east-2",
        "USAGE_TAB_JWKS_URL": "https://login.example/jwks.json",
        "USAGE_TAB_ISSUER": "https://login.example",
        "USAGE_TAB_AUDIENCE": "usage",
        "USAGE_TAB_TEST_CLOCK": "true",
        "USAGE_TAB_RETENTION_MONTHS": "13",
        "USAGE_TAB_REQUESTS_PER_SECOND": "20",
        "USAGE_TAB_CONSOLE_ORIGIN": "https://console.example, https://xn--bcher-kva.example:8443,http://localhost:5173",
        "USAGE_TAB_LOG_LEVEL": "debug",
    }

    assert Settings.from_environment(environ) == Settings(
        store="http://127.0.0.1:8000",
        state_table="state",
        pages_table="pages",
        region="us-east-2",
        jwks_url="https://login.example/jwks.json",
        issuer="https://login.example",
        audience="usage",
        test_clock=True,
        retention_months=13,
        requests_per_second=20,
        console_origins=("https://console.example", "https://xn--bcher-kva.example:8443", "http://localhost:5173"),
        log_level="DEBUG",
    )


def test_signing_in_needs_a_client_and_its_issuer() -> None:
    """An issuer alone only judges tokens; with a client the page signs in there."""
    issuer = {"USAGE_TAB_ISSUER": "https://login.example/t1"}
    client = {"USAGE_TAB_OIDC_CLIENT_ID": "page"}

    assert Settings.from_environment(issuer).oidc is None
    assert Settings.from_environment(issuer | client).oidc == OidcClient("https://login.example/t1", "page", "openid")
    scope = {"USAGE_TAB_OIDC_SCOPE": "openid usage"}
    assert Settings.from_environment(issuer | client | scope).oidc == OidcClient(
        "https://login.example/t1", "page", "openid usage"
    )
    for wrong in ({}, {"USAGE_TAB_ISSUER": "http://login.example"}, {"USAGE_TAB_ISSUER": "login"}):
        with pytest.raises(SettingsError, match="USAGE_TAB_ISSUER"):
            Settings.from_environment(client | wrong)


def test_jwks_file() -> None:
    """The key set may be a file."""
    assert Settings.from_environment({"USAGE_TAB_JWKS_FILE": "/keys.json"}).jwks_file == Path("/keys.json")


def test_empty_is_unset() -> None:
    """A variable without a value counts as unset."""
    assert Settings.from_environment({"USAGE_TAB_RETENTION_MONTHS": " "}).retention_months == 25


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_DEFAULT_REGION": "a"}, "a"),
        ({"AWS_DEFAULT_REGION": "a", "AWS_REGION": "b"}, "b"),
        ({"AWS_REGION": "b", "USAGE_TAB_REGION": "c"}, "c"),
    ],
)
def test_region(environ: dict[str, str], region: str) -> None:
    """Without a setting of its own, the region is the one that AWS tells its functions."""
    assert Settings.from_environment(environ).region == region


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("STORE", "localhost:8000", "http or https URL"),
        ("STORE", "http://", "http or https URL"),
        ("STORE", "http://[::1", "is not a URL"),
        ("STORE", "http://x:99999999", "is not a URL"),
        ("STORE", "http://user:word@x", "must not hold credentials"),
        ("JWKS_URL", "http://login.example/jwks.json", "must be an https URL"),
        ("TEST_CLOCK", "maybe", "must be one of 1, true"),
        ("RETENTION_MONTHS", "2", "whole number from 3 to 1200"),
        ("RETENTION_MONTHS", "1201", "whole number from 3 to 1200"),
        ("RETENTION_MONTHS", "9" * 5_000, "whole number from 3 to 1200"),
        ("REQUESTS_PER_SECOND", "0", "whole number from 1 to 1000000"),
        ("CONSOLE_ORIGIN", "*", "must list origins"),
        ("CONSOLE_ORIGIN", "https://*.example", "must list origins"),
        ("CONSOLE_ORIGIN", "https://console.example/", "must list origins"),
        ("CONSOLE_ORIGIN", "https://Console.example", "must list origins"),
        ("CONSOLE_ORIGIN", "https://a@console.example", "must list origins"),
        ("CONSOLE_ORIGIN", "https://console.example, null", "must list origins"),
        ("CONSOLE_ORIGIN", "https://console.example:99999", "lists what is not an origin"),
        ("CONSOLE_ORIGIN", "https://console.example:443", "must leave out the port 443"),
        ("CONSOLE_ORIGIN", "http://console.example", "must list https origins"),
        ("LOG_LEVEL", "LOUD", "must be one of DEBUG"),
    ],
)
def test_refused(name: str, value: str, problem: str) -> None:
    """A value that cannot be used is refused with the name of its variable and without the value."""
    with pytest.raises(SettingsError, match=f"USAGE_TAB_{name} .*{problem}") as caught:
        Settings.from_environment({f"USAGE_TAB_{name}": value})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"USAGE_TAB_PAYMENT_GATEWAY": "sandbox"}, "USAGE_TAB_PAYMENT_GATEWAY must not be sandbox in the stage prod"),
        ({}, "USAGE_TAB_PAYMENT_GATEWAY must not be sandbox in the stage prod"),
        (
            {"USAGE_TAB_PAYMENT_GATEWAY": "none", "USAGE_TAB_TEST_CLOCK": "1"},
            "USAGE_TAB_TEST_CLOCK must not be switched on in the stage prod",
        ),
    ],
)
def test_production_is_real(environ: dict[str, str], problem: str) -> None:
    """In production money and time are, whatever else is set."""
    with pytest.raises(SettingsError, match=problem):
        Settings.from_environment({"USAGE_TAB_STAGE": "prod", **environ})


def test_other_stages_may_play() -> None:
    """Elsewhere the sandbox and the test clock are welcome."""
    settings = Settings.from_environment({"USAGE_TAB_STAGE": "staging", "USAGE_TAB_TEST_CLOCK": "1"})

    assert (settings.stage, settings.payment_gateway, settings.test_clock) == ("staging", "sandbox", True)


def test_two_key_sets() -> None:
    """There is one key set, at a URL or in a file."""
    environ = {"USAGE_TAB_JWKS_FILE": "/keys.json", "USAGE_TAB_JWKS_URL": "http://localhost/keys"}

    with pytest.raises(SettingsError, match="USAGE_TAB_JWKS_FILE cannot be set beside USAGE_TAB_JWKS_URL"):
        Settings.from_environment(environ)


def test_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, it is that of the process."""
    monkeypatch.setenv("USAGE_TAB_ISSUER", "me")

    assert Settings.from_environment().issuer == "me"


def test_frozen() -> None:
    """Settings do not change."""
    settings: Any = Settings()

    with pytest.raises(FrozenInstanceError):
        settings.region = "elsewhere"
