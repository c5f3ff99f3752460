"""EventBridge: what is put on the bus, in which batches, and what it says when it does not take all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import botocore.session
import pytest
from botocore.stub import Stubber

from chalicelib.bus.event_bus import EventBusUnavailableError
from chalicelib.bus.eventbridge import EventBridgeBus
from chalicelib.domain.notifications import Notification
from tests.unit.domain.builders import at


BUS: Final = "usage"


class Peer:
    """EventBridge, as a botocore client of it that answers what it is told."""

    def __init__(self) -> None:
        self.client = botocore.session.get_session().create_client(
            "events", region_name="eu-west-1", aws_access_key_id="local", aws_secret_access_key="local"
        )
        self.stub = Stubber(self.client)

    def will_take(self, *numbers: int, failing: dict[int, str] | None = None) -> None:
        """Expect the notifications of these *numbers* in one request, and take all but those *failing*."""
        codes = failing or {}
        answers = [
            {"ErrorCode": codes[number], "ErrorMessage": "no"} if number in codes else {"EventId": str(number)}
            for number in numbers
        ]
        expected = {"Entries": [an_entry(number) for number in numbers]}
        self.stub.add_response("put_events", {"FailedEntryCount": len(codes), "Entries": answers}, expected)

    def publish(self, count: int) -> None:
        """Publish so many notifications."""
        EventBridgeBus(self.client, BUS).publish([a_notification(number) for number in range(count)])


def a_notification(number: int) -> Notification:
    """Return a notification by its number."""
    data = {"account": "acme", "level": number, "note": "schönes ☃"}
    return Notification(f"acme:low-{number}", "credit.low", at("2026-11-10T12:00:05Z"), data)


def an_entry(number: int) -> dict[str, Any]:
    """Return what EventBridge is to be sent for it."""
    return {
        "Time": datetime(2026, 11, 10, 12, 0, 5, tzinfo=UTC),
        "Source": "usage-tab",
        "DetailType": "credit.low",
        "Detail": f'{{"id":"acme:low-{number}","account":"acme","level":{number},"note":"schönes ☃"}}',
        "EventBusName": "usage",
    }


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Give a peer that was asked for all it expected, in the end."""
    peer = Peer()
    with peer.stub:
        yield peer
        peer.stub.assert_no_pending_responses()


def test_an_entry(peer: Peer) -> None:
    """A notification's name is the detail type, id and data are the detail, its time is the entry's."""
    peer.will_take(0)

    peer.publish(1)


def test_nothing(peer: Peer) -> None:
    """For nothing EventBridge is not asked: it refuses an empty request."""
    peer.publish(0)


def test_ten(peer: Peer) -> None:
    """Ten notifications are one request."""
    peer.will_take(*range(10))

    peer.publish(10)


def test_more_than_ten(peer: Peer) -> None:
    """More than ten go in requests of ten, in their order."""
    peer.will_take(*range(10))
    peer.will_take(*range(10, 20))
    peer.will_take(20, 21, 22)

    peer.publish(23)


def test_some_not_taken(peer: Peer) -> None:
    """Where EventBridge takes some and not others, all are to be published again; the error names the codes."""
    peer.will_take(0, 1, 2, 3, failing={1: "ThrottlingException", 2: "InternalFailure", 3: "InternalFailure"})

    with pytest.raises(
        EventBusUnavailableError, match=r"^3 notifications were not taken: InternalFailure, ThrottlingException$"
    ):
        peer.publish(4)


def test_some_of_the_last_not_taken(peer: Peer) -> None:
    """One not taken of a later request counts as much as one of the first."""
    peer.will_take(*range(10))
    peer.will_take(10, 11, failing={11: "InternalFailure"})

    with pytest.raises(EventBusUnavailableError, match=r"^1 notifications"):
        peer.publish(12)


def test_some_of_the_first_not_taken(peer: Peer) -> None:
    """Once a request was not taken as a whole, no other is made: all come again."""
    peer.will_take(*range(10), failing={9: "InternalFailure"})

    with pytest.raises(EventBusUnavailableError):
        peer.publish(12)


@pytest.mark.parametrize(("code", "status"), [("InternalException", 500), ("AccessDeniedException", 400)])
def test_refused(peer: Peer, code: str, status: int) -> None:
    """A request that EventBridge refuses as a whole was not taken."""
    peer.stub.add_client_error("put_events", code, "no", status)

    with pytest.raises(EventBusUnavailableError, match=code):
        peer.publish(1)
