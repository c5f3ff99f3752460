"""What a running function makes of a secret that was changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from threading import Barrier, BrokenBarrierError

import pytest

from chalicelib.api.application import Application
from chalicelib.api.tokens import Unauthenticated
from chalicelib.bootstrap import connect
from chalicelib.local.signing_key import SigningKey
from chalicelib.settings import Settings, SettingsError


MINUTE = 60
KEY_SET = {"USAGE_TAB_JWKS_URL": "https://login.example/jwks.json"}
STRIPE_KEY = {"USAGE_TAB_STRIPE_API_KEY": "sk_test_first"}


class Secret:
    """A secret that the test fills, and that cannot be read while there is a *problem*."""

    def __init__(self) -> None:
        self.environment = {"AWS_REGION": "eu-west-1", "USAGE_TAB_STAGE": "dev"}
        self.members: dict[str, str] = {}
        self.problem: str | None = None
        self.reads = 0

    def read(self) -> Settings:
        """Return the settings with what the secret holds."""
        self.reads += 1
        if self.problem is not None:
            raise SettingsError(self.problem)
        return Settings.from_environment({**self.environment, **self.members})


class Stopwatch:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


@pytest.fixture
def log() -> Iterator[SimpleQueue[logging.LogRecord]]:
    """Give what is logged about it, whether or not the logs were configured before."""
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(queue)
    logger = logging.getLogger("chalicelib.api.connection")
    logger.addHandler(handler)
    yield queue
    logger.removeHandler(handler)


@pytest.fixture
def secret() -> Secret:
    """Give an empty secret."""
    return Secret()


@pytest.fixture
def stopwatch() -> Stopwatch:
    """Give a clock that stands still."""
    return Stopwatch()


@pytest.fixture
def function(secret: Secret, stopwatch: Stopwatch) -> Application:
    """Give a function that has begun nothing yet."""
    return Application("usage-tab", connect, secret.read, stopwatch)


def test_nothing_at_first(function: Application, secret: Secret) -> None:
    """The secret is read when it is first needed, and once for all that is made of it."""
    assert secret.reads == 0

    services = function.services

    assert (function.services, function.limiter) == (services, function.limiter)
    assert secret.reads == 1


def test_a_change_is_not_seen_before_five_minutes(function: Application, secret: Secret, stopwatch: Stopwatch) -> None:
    """Within five minutes the secret is not read again, then once."""
    services = function.services
    secret.members = KEY_SET

    stopwatch.seconds += 5 * MINUTE - 1
    assert function.services is services
    assert secret.reads == 1

    stopwatch.seconds += 1
    assert function.services is not services
    assert function.verifier is function.verifier
    assert secret.reads == 2


def test_the_same_secret(function: Application, secret: Secret, stopwatch: Stopwatch) -> None:
    """As long as the secret is the same, nothing is made anew, and it is read every five minutes."""
    secret.members = KEY_SET
    before = (function.services, function.verifier, function.limiter)

    for reads in (2, 3, 4):
        stopwatch.seconds += 5 * MINUTE
        now = (function.services, function.verifier, function.limiter)
        assert all(new is old for new, old in zip(now, before, strict=True))
        assert secret.reads == reads


def test_another_issuer(function: Application, secret: Secret, stopwatch: Stopwatch, tmp_path: Path) -> None:
    """Tokens are judged as the changed secret says."""
    key = SigningKey.load_or_create(tmp_path)
    key_set = tmp_path / "jwks.json"
    key_set.write_text(json.dumps(key.jwks()))
    secret.environment["USAGE_TAB_JWKS_FILE"] = str(key_set)
    secret.members = {"USAGE_TAB_AUDIENCE": "somebody-else"}
    authorization = f"Bearer {key.issue_token(['usage:read'], account_id='acme')}"
    with pytest.raises(Unauthenticated):
        function.verifier.authenticate(authorization)

    secret.members = {}
    stopwatch.seconds += 5 * MINUTE

    assert function.verifier.authenticate(authorization).account_id == "acme"


def test_filled_later(function: Application, secret: Secret, stopwatch: Stopwatch) -> None:
    """A function that began while the secret was empty judges tokens once it names a key set."""
    with pytest.raises(SettingsError, match="USAGE_TAB_JWKS_URL"):
        _ = function.verifier

    secret.members = KEY_SET
    stopwatch.seconds += 5 * MINUTE

    assert function.verifier is not None


def test_unusable_at_first(function: Application, secret: Secret) -> None:
    """A function that could not begin without a key does as soon as the secret holds one."""
    secret.environment["USAGE_TAB_PAYMENT_GATEWAY"] = "stripe"
    with pytest.raises(SettingsError, match="USAGE_TAB_STRIPE_API_KEY must be set"):
        _ = function.services

    secret.members = STRIPE_KEY

    assert function.services.webhooks is not None


@pytest.mark.parametrize("trouble", ["unreadable", "unusable"])
def test_kept_in_trouble(
    trouble: str,
    function: Application,
    secret: Secret,
    stopwatch: Stopwatch,
    log: SimpleQueue[logging.LogRecord],
) -> None:
    """While the secret cannot be read or used the function goes on as it was, warns, and tries again every minute."""
    secret.members = KEY_SET
    services, verifier = function.services, function.verifier
    if trouble == "unreadable":
        secret.problem = "USAGE_TAB_SECRET cannot be read: ThrottlingException"
    else:
        secret.members = {"USAGE_TAB_JWKS_URL": "ftp://hush-hush.example"}
    stopwatch.seconds += 5 * MINUTE

    for reads in (2, 3):
        assert (function.services is services, function.verifier is verifier) == (True, True)
        stopwatch.seconds += MINUTE - 1
        assert function.services is services
        assert secret.reads == reads
        stopwatch.seconds += 1

    problem = secret.problem or "USAGE_TAB_JWKS_URL must be an http or https URL"
    for _ in range(2):
        assert log.get_nowait().getMessage() == f"the settings stay as they were: {problem}"
    assert log.empty()

    secret.problem, secret.members = None, {"USAGE_TAB_JWKS_URL": "https://login.example/other.json"}
    assert function.services is not services
    assert function.verifier is not verifier


def test_services_handed_over(function: Application, secret: Secret, stopwatch: Stopwatch) -> None:
    """Services that were handed over stay, and no secret is read."""
    services, _ = connect(secret.read())
    function.use(services, None)  # type: ignore[arg-type]
    secret.reads = 0
    secret.members = KEY_SET
    stopwatch.seconds += 5 * MINUTE

    assert function.services is services
    assert secret.reads == 0


def test_threads(secret: Secret) -> None:
    """Of threads that need the settings at once one reads them, and the others wait for what is made of them."""
    both_read = Barrier(2)

    def read() -> Settings:
        with suppress(BrokenBarrierError):
            both_read.wait(0.1)
        return secret.read()

    function = Application("usage-tab", connect, read)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: function.services, range(2))

    assert one is other
    assert secret.reads == 1
