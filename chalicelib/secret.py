"""
The settings that nobody may read: a deployed function takes them from AWS Secrets Manager.

The secret is a JSON object of settings under the names of their variables. It is Secrets Manager rather than the
Parameter Store since one call brings all of them, and its client takes a quarter of the time to make.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws_clients import AwsClient, soon_given_up
from chalicelib.settings import PREFIX, Settings, SettingsError


if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = f"{PREFIX}SECRET"
"""Names the secret, by its ARN or its name."""

MEMBERS: Final = (
    "USAGE_TAB_AUDIENCE",
    "USAGE_TAB_ISSUER",
    "USAGE_TAB_JWKS_URL",
    "USAGE_TAB_OIDC_CLIENT_ID",
    "USAGE_TAB_OIDC_SCOPE",
    "USAGE_TAB_STRIPE_API_KEY",
    "USAGE_TAB_STRIPE_WEBHOOK_SECRET",
)
"""What a secret may hold: whose tokens to trust and where the page gets one, and the keys for payments."""

_EMPTY: Final = "ResourceNotFoundException"
"""What is said of a secret that nobody has put anything into yet."""


def read_settings() -> Settings:
    """
    Read the settings from the environment of this process and the secret that it names, if any.

    Raises:
        SettingsError: where the secret cannot be read, or one of them cannot be used.
    """
    return Settings.from_environment(with_secret(os.environ))


def with_secret(environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return *environ* with what the secret that it names holds besides, or as it is where it names none.

    Raises:
        SettingsError: where the secret cannot be read, or holds something else; the message has nothing of it.
    """
    rest = {name: value for name, value in environ.items() if name != VARIABLE}
    secret = environ.get(VARIABLE, "").strip()
    return {**_read(secret, Settings.from_environment(environ).region), **rest} if secret else rest


def _read(secret: str, region: str) -> dict[str, str]:
    try:
        members = msgspec.json.decode(_fetch(secret, region), type=dict[str, str])
    except msgspec.DecodeError:
        _refuse("does not hold a JSON object of texts")
    if strange := members.keys() - set(MEMBERS):
        _refuse(f"holds {', '.join(sorted(strange))}; it may hold {', '.join(MEMBERS)}")
    return members


def _fetch(secret: str, region: str) -> str:
    client = AwsClient("secretsmanager", region, soon_given_up(attempts=3))
    try:
        return str(client.get_secret_value(SecretId=secret).get("SecretString", "{}"))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == _EMPTY:
            return "{}"
        _refuse(f"cannot be read: {code}")
    except BotoCoreError as error:
        _refuse(f"cannot be read: {type(error).__name__}")


def _refuse(problem: str) -> NoReturn:
    raise SettingsError(f"{VARIABLE} {problem}")
