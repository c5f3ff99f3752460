"""What a log line shows, and what it hides."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest
from aws_lambda_powertools import Logger

from chalicelib.observability import MaskingFormatter, configure_logs, logger, mask


JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-bmF0_dXJl"


@pytest.fixture
def stream() -> StringIO:
    """Give the place that log lines go to."""
    return StringIO()


@pytest.fixture
def masked(stream: StringIO, request: pytest.FixtureRequest) -> Logger:
    """Give a logger of the test's own, with the service's formatter."""
    return Logger(service=request.node.name, stream=stream, logger_formatter=MaskingFormatter())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer ***"),
        ("bearer abc~+/=", "bearer ***"),
        (f"got {JWT}, twice {JWT}", "got ***, twice ***"),
        ("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", "***"),
        ("calls +12065550100;+4420", "calls +***;+4420"),
        ("number=%2B12065550100", "number=%2B***"),
        ("2026-11-22T14:03:11.123+0000", "2026-11-22T14:03:11.123+0000"),
        ("the bearer of 12065550100", "the bearer *** 12065550100"),
    ],
)
def test_mask(text: str, shown: str) -> None:
    """Tokens and phone numbers are masked, other text stays."""
    assert mask(text) == shown


def test_line(masked: Logger, stream: StringIO) -> None:
    """A line is JSON, masked in its message, its arguments and its keys."""
    masked.info("token %s", JWT, extra={"call": {"number": "+12065550100"}})
    line = json.loads(stream.getvalue())

    assert line["message"] == "token ***"
    assert line["call"] == {"number": "+***"}
    assert line["service"] == "test_line"


def test_stack_trace(masked: Logger, stream: StringIO) -> None:
    """A stack trace is masked as well."""
    try:
        _ = {}["+12065550100"]
    except KeyError:
        masked.exception("failed")

    assert "12065550100" not in stream.getvalue().replace('_ = {}["+12065550100"]', "")
    assert json.loads(stream.getvalue())["exception_name"] == "KeyError"


def test_one_logger() -> None:
    """The process has one logger, under the service's name."""
    assert logger() is logger()
    assert logger().service == "usage-tab"


def test_modules_own_logs(stream: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module logs by itself is JSON and masked, too, and said once."""
    package = logging.getLogger("chalicelib")
    monkeypatch.setattr(package, "handlers", [])
    monkeypatch.setattr(package, "propagate", True)
    monkeypatch.setattr("sys.stderr", stream)

    configure_logs()
    configure_logs()
    logging.getLogger("chalicelib.bus.event_bus").info("told +12065550100")

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "told +***"
    package.setLevel(logging.NOTSET)
