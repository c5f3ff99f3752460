"""Notifications through a real client onto an EventBridge bus, and from there to those who listen."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from chalicelib.bus.event_bus import EventBusUnavailableError
from chalicelib.bus.eventbridge import EventBridgeBus
from chalicelib.domain.notifications import Notification
from tests.integration.eventbridge_server import EventBridgeServer, Listener, client_of
from tests.unit.domain.builders import at


if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def eventbridge() -> Iterator[EventBridgeServer]:
    """Give an EventBridge."""
    with EventBridgeServer() as server:
        yield server


def notifications(count: int) -> list[Notification]:
    """Return so many notifications."""
    moment = at("2026-11-10T12:00:05.25Z")
    data = {"account": "acme", "amount": "100.00", "expires_on": None, "note": "☃"}
    return [Notification(f"acme:purchase-{number}", "credit.purchased", moment, data) for number in range(count)]


def test_what_arrives(eventbridge: EventBridgeServer) -> None:
    """Who listens on the bus gets name, id and data."""
    listener = Listener(eventbridge, "one")

    EventBridgeBus(eventbridge.client("events"), "one").publish(notifications(1))

    (event,) = listener.received()
    assert (event["source"], event["detail-type"]) == ("usage-tab", "credit.purchased")
    assert event["detail"] == {
        "id": "acme:purchase-0",
        "account": "acme",
        "amount": "100.00",
        "expires_on": None,
        "note": "☃",
    }


def test_many(eventbridge: EventBridgeServer) -> None:
    """All of more notifications than one request takes arrive, each once."""
    listener = Listener(eventbridge, "many")

    EventBridgeBus(eventbridge.client("events"), "many").publish(notifications(25))

    arrived = [event["detail"]["id"] for event in listener.received()]
    assert sorted(arrived) == sorted(f"acme:purchase-{number}" for number in range(25))


def test_a_bus_that_does_not_exist(eventbridge: EventBridgeServer) -> None:
    """Where the bus is not to be found, nothing was taken."""
    elsewhere = "arn:aws:events:eu-west-1:999999999999:event-bus/elsewhere"

    with pytest.raises(EventBusUnavailableError, match=r"^2 notifications were not taken: ResourceNotFoundException$"):
        EventBridgeBus(eventbridge.client("events"), elsewhere).publish(notifications(2))


def test_unreachable() -> None:
    """Where nobody listens at the address, nothing was taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(EventBusUnavailableError):
        EventBridgeBus(client_of("events", f"http://127.0.0.1:{port}"), "one").publish(notifications(1))
