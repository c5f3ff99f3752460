"""What can be set from outside: environment variables that begin with `USAGE_TAB_`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit


if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "USAGE_TAB_"
PRODUCTION: Final = "prod"
"""The stage in which money and time are real, and nothing else is accepted."""

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})

SANDBOX: Final = "sandbox"
STRIPE: Final = "stripe"
NO_GATEWAY: Final = "none"
GATEWAYS: Final = (SANDBOX, STRIPE, NO_GATEWAY)
SANDBOX_LATENCY_MS_MAX: Final = 60_000

REQUESTS_PER_SECOND_MAX: Final = 1_000_000

RETENTION_MONTHS_MIN: Final = 3
RETENTION_MONTHS_MAX: Final = 1_200

_DIGITS_MAX: Final = 12
_ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FLAGS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class OidcClient:
    """What the page needs to sign its reader in at an OIDC issuer: whom it asks, as whom, and for which scopes."""

    issuer: str
    client_id: str
    scope: str


class SettingsError(ValueError):
    """An environment variable cannot be used; the message names it and says what it must be."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    The settings of one running service.

    *stage* is where it is deployed, None on a machine of its own; *store* is the URL of a DynamoDB endpoint, None for
    AWS's own; *payment_gateway* is `none` for a process that takes no payments; *event_bus* is the name of an
    EventBridge bus, None for the log; *work_queue* and *dead_letters* are the URLs of SQS queues, None where jobs do
    all by themselves; *event_dead_letters* is that of events which the stream brought in vain, *metering_dead_letters*
    that of its batches which Lambda has given up; *report_bucket* is the name of an S3 bucket for large reports, None
    for this machine's disk, *report_queue* the URL of the SQS queue of those to write, None for a thread;
    *retention_months* is how long usage is kept; *requests_per_second* are those of one client to one process;
    *console_origins* are the other origins whose pages may use the API; *oidc* is where the page signs its reader in,
    None where tokens are handed to it.
    """

    stage: str | None = None
    store: str | None = None
    state_table: str = "usage-tab-state"
    pages_table: str = "usage-tab-pages"
    region: str = "eu-west-1"
    jwks_url: str | None = None
    jwks_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None
    oidc: OidcClient | None = None
    payment_gateway: str = SANDBOX
    sandbox_latency_ms: int = 0
    stripe_api_key: str | None = field(default=None, repr=False)
    stripe_webhook_secret: str | None = field(default=None, repr=False)
    event_bus: str | None = None
    work_queue: str | None = None
    dead_letters: str | None = None
    event_dead_letters: str | None = None
    metering_dead_letters: str | None = None
    report_bucket: str | None = None
    report_queue: str | None = None
    test_clock: bool = False
    retention_months: int = 25
    requests_per_second: int = 1_000
    console_origins: tuple[str, ...] = ()
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """
        Read the settings from *environ*, by default that of this process; an empty value counts as unset.

        Raises:
            SettingsError: for the first variable that cannot be used.
        """
        source = _Variables(os.environ if environ is None else environ)
        jwks_file = source.text("JWKS_FILE")
        jwks_url = source.url("JWKS_URL", secure=True)
        if jwks_file and jwks_url:
            _refuse("JWKS_FILE", "cannot be set beside USAGE_TAB_JWKS_URL")
        gateway = source.one_of("PAYMENT_GATEWAY", GATEWAYS, cls.payment_gateway)
        test_clock = source.flag("TEST_CLOCK", default=cls.test_clock)
        # What the secret holds is added to the environment later: until then a key may still come.
        if gateway == STRIPE and source.text("STRIPE_API_KEY") is None and source.text("SECRET") is None:
            _refuse("STRIPE_API_KEY", "must be set where payments go through stripe")
        if source.text("STAGE") == PRODUCTION and gateway == SANDBOX:
            _refuse("PAYMENT_GATEWAY", f"must not be {SANDBOX} in the stage {PRODUCTION}, where payments are real")
        if source.text("STAGE") == PRODUCTION and test_clock:
            _refuse("TEST_CLOCK", f"must not be switched on in the stage {PRODUCTION}, where time is real")
        return cls(
            stage=source.text("STAGE"),
            store=source.url("STORE", secure=False),
            state_table=source.text("STATE_TABLE") or cls.state_table,
            pages_table=source.text("PAGES_TABLE") or cls.pages_table,
            region=source.text("REGION") or source.aws_region() or cls.region,
            jwks_url=jwks_url,
            jwks_file=Path(jwks_file) if jwks_file else None,
            issuer=source.text("ISSUER"),
            audience=source.text("AUDIENCE"),
            oidc=source.oidc_client(),
            payment_gateway=gateway,
            sandbox_latency_ms=source.whole_number("SANDBOX_LATENCY_MS", 0, SANDBOX_LATENCY_MS_MAX, 0),
            stripe_api_key=source.text("STRIPE_API_KEY"),
            stripe_webhook_secret=source.text("STRIPE_WEBHOOK_SECRET"),
            event_bus=source.text("EVENT_BUS"),
            work_queue=source.url("WORK_QUEUE", secure=False),
            dead_letters=source.url("DEAD_LETTERS", secure=False),
            event_dead_letters=source.url("EVENT_DEAD_LETTERS", secure=False),
            metering_dead_letters=source.url("METERING_DEAD_LETTERS", secure=False),
            report_bucket=source.text("REPORT_BUCKET"),
            report_queue=source.url("REPORT_QUEUE", secure=False),
            test_clock=test_clock,
            retention_months=source.whole_number(
                "RETENTION_MONTHS", RETENTION_MONTHS_MIN, RETENTION_MONTHS_MAX, cls.retention_months
            ),
            requests_per_second=source.whole_number(
                "REQUESTS_PER_SECOND", 1, REQUESTS_PER_SECOND_MAX, cls.requests_per_second
            ),
            console_origins=source.origins("CONSOLE_ORIGIN"),
            log_level=source.log_level(cls.log_level),
        )


class _Variables:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(PREFIX + name, "").strip() or None

    def aws_region(self) -> str | None:
        return self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION")

    def url(self, name: str, *, secure: bool) -> str | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            _refuse(name, "is not a URL")
        if parts.scheme not in {"http", "https"} or not host:
            _refuse(name, "must be an http or https URL")
        if parts.username or parts.password:
            _refuse(name, "must not hold credentials")
        if secure and parts.scheme == "http" and host not in LOOPBACK_HOSTS:
            _refuse(name, "must be an https URL; http is for the loopback interface alone")
        return text

    def origins(self, name: str) -> tuple[str, ...]:
        texts = (self.text(name) or "").split(",")
        return tuple(_origin(name, text.strip()) for text in texts if text.strip())

    def oidc_client(self) -> OidcClient | None:
        client_id = self.text("OIDC_CLIENT_ID")
        if client_id is None:
            return None
        issuer = self.url("ISSUER", secure=True)
        if issuer is None:
            _refuse("ISSUER", "must be set where the page signs in")
        return OidcClient(issuer, client_id, self.text("OIDC_SCOPE") or "openid")

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.text(name)
        if text is None:
            return default
        if text.lower() not in _FLAGS:
            _refuse(name, f"must be one of {', '.join(_FLAGS)}")
        return _FLAGS[text.lower()]

    def whole_number(self, name: str, minimum: int, maximum: int, default: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and minimum <= int(text) <= maximum):
            _refuse(name, f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name)
        if text is None:
            return default
        if text.lower() not in choices:
            _refuse(name, f"must be one of {', '.join(choices)}")
        return text.lower()

    def log_level(self, default: str) -> str:
        text = self.text("LOG_LEVEL")
        if text is None:
            return default
        if text.upper() not in _LOG_LEVELS:
            _refuse("LOG_LEVEL", f"must be one of {', '.join(_LOG_LEVELS)}")
        return text.upper()


def _origin(name: str, text: str) -> str:
    """Return an origin exactly as browsers write it."""
    if not _ORIGIN.fullmatch(text):
        _refuse(name, "must list origins such as https://console.example, in lower case and without a path")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        _refuse(name, "lists what is not an origin")
    if port == _DEFAULT_PORTS[parts.scheme]:
        _refuse(name, f"must leave out the port {port}, as browsers do")
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        _refuse(name, "must list https origins; http is for the loopback interface alone")
    return text


def _refuse(name: str, problem: str) -> NoReturn:
    # Without the value, which may be a secret put into the wrong variable.
    message = f"{PREFIX}{name} {problem}"
    raise SettingsError(message)
