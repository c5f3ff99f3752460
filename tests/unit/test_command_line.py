"""What `usage-tab` says where settings cannot be used: a line for whoever typed the command, no traceback."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from chalicelib.cli import main


@pytest.mark.parametrize(
    "command", [["inspect", "acme"], ["audit"], ["replay"], ["job", "settle-payments"]], ids=lambda words: words[0]
)
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("STAGE", "prod", "USAGE_TAB_PAYMENT_GATEWAY must not be sandbox in the stage prod, where payments are real"),
        ("RETENTION_MONTHS", "two", "USAGE_TAB_RETENTION_MONTHS must be a whole number from 3 to 1200"),
    ],
)
def test_settings_that_cannot_be_used(command: list[str], variable: str, value: str, told: str) -> None:
    """Every command that reads settings names the one that is wrong and ends with 2."""
    environment = {"USAGE_TAB_STORE": "http://127.0.0.1:1", f"USAGE_TAB_{variable}": value}

    result = CliRunner().invoke(main, command, env=environment)

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {told}\n")
