"""The event bus of a single machine: its log."""

from __future__ import annotations

import json
import logging

import pytest

from chalicelib.bus.event_bus import LogBus
from chalicelib.domain.notifications import Notification
from tests.unit.domain.builders import at


NOON = at("2026-11-10T12:00:00Z")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, line by line."""
    return [line for record in caplog.records for line in record.getMessage().splitlines()]


def test_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """Every notification is a line of its own with its id, its name and its data."""
    caplog.set_level(logging.INFO)
    notifications = [
        Notification("acme:purchase-1", "credit.purchased", NOON, {"account": "acme", "amount": "100.00"}),
        Notification("acme:low-1", "credit.low", NOON, {"account": "acme", "level": 15, "of": None}),
    ]

    LogBus().publish(notifications)

    written = [json.loads(line.removeprefix("published ")) for line in lines(caplog)]
    assert [(one["id"], one["name"], one["data"]) for one in written] == [
        ("acme:purchase-1", "credit.purchased", {"account": "acme", "amount": "100.00"}),
        ("acme:low-1", "credit.low", {"account": "acme", "level": 15, "of": None}),
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]


def test_line_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """Text from outside cannot begin a line of its own."""
    caplog.set_level(logging.INFO)

    LogBus().publish([Notification("acme:failed-1", "auto_recharge.failed", NOON, {"reason": "a\npublished b\r\nc"})])

    (line,) = lines(caplog)
    assert json.loads(line.removeprefix("published "))["data"] == {"reason": "a\npublished b\r\nc"}


def test_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing published is nothing logged."""
    caplog.set_level(logging.INFO)

    LogBus().publish([])

    assert lines(caplog) == []
