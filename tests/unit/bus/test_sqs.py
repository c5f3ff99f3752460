"""SQS: work in batches of ten, dead letters with their reason, and what is said when not all is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from chalicelib.bus.sqs import REASON_CHARACTERS_MAX, SqsWorkQueue
from chalicelib.bus.work_queue import QueueUnavailableError, Work


WORK = "https://sqs.eu-west-1.amazonaws.com/1/work"
DEAD = "https://sqs.eu-west-1.amazonaws.com/1/dead"


class Peer:
    """SQS, as a botocore client of it that answers what it is told."""

    def __init__(self) -> None:
        self.client = botocore.session.get_session().create_client(
            "sqs", region_name="eu-west-1", aws_access_key_id="local", aws_secret_access_key="local"
        )
        self.stub = Stubber(self.client)
        self.queue = SqsWorkQueue(self.client, WORK, DEAD)

    def will_take(self, *numbers: int, failed: tuple[int, ...] = ()) -> None:
        """Expect the work of these *numbers* in one request, and refuse those that *failed*."""
        entries = [
            {"Id": str(place), "MessageBody": f'{{"job":"issue-invoices","subject":"a-{number}","at":7}}'}
            for place, number in enumerate(numbers)
        ]
        refused = [{"Id": str(place), "SenderFault": False, "Code": "Busy"} for place in failed]
        answer: dict[str, Any] = {"Successful": [], "Failed": refused}
        self.stub.add_response("send_message_batch", answer, {"QueueUrl": WORK, "Entries": entries})

    def send(self, count: int) -> int:
        """Send so much work."""
        return self.queue.send(Work("issue-invoices", f"a-{number}", 7) for number in range(count))


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Give SQS, which must be asked all that was expected."""
    peer = Peer()
    with peer.stub:
        yield peer
    peer.stub.assert_no_pending_responses()


def test_ten_at_once(peer: Peer) -> None:
    """Twenty-one messages take three requests."""
    peer.will_take(*range(10))
    peer.will_take(*range(10, 20))
    peer.will_take(20)

    assert peer.send(21) == 21


def test_nothing_to_send(peer: Peer) -> None:
    """Without work nothing is asked."""
    assert peer.send(0) == 0


def test_not_all_taken(peer: Peer) -> None:
    """A message that is refused fails the run, whose work the next run finds again."""
    peer.will_take(0, 1, 2, failed=(1,))

    with pytest.raises(QueueUnavailableError, match="1 messages were not taken: Busy"):
        peer.send(3)


def test_refused(peer: Peer) -> None:
    """So does a request that is refused."""
    peer.stub.add_client_error("send_message_batch", "AccessDenied")

    with pytest.raises(QueueUnavailableError):
        peer.send(1)


def test_a_dead_letter(peer: Peer) -> None:
    """It is the message as it came, with the reason beside it, cut where it is too long."""
    attributes = {"Reason": {"DataType": "String", "StringValue": "x" * REASON_CHARACTERS_MAX}}
    expected = {"QueueUrl": DEAD, "MessageBody": "{}", "MessageAttributes": attributes}
    peer.stub.add_response("send_message", {}, expected)

    peer.queue.bury("{}", "x" * (REASON_CHARACTERS_MAX + 1))


def test_a_reason_that_sqs_cannot_carry(peer: Peer) -> None:
    """It says as much as a message can, or the letter would be refused for ever."""
    attributes = {"Reason": {"DataType": "String", "StringValue": "torn? at ?"}}
    expected = {"QueueUrl": DEAD, "MessageBody": "{}", "MessageAttributes": attributes}
    peer.stub.add_response("send_message", {}, expected)

    peer.queue.bury("{}", "torn\x00 at \ufffe")


def test_a_dead_letter_refused(peer: Peer) -> None:
    """It says so, and the message stays where it is."""
    peer.stub.add_client_error("send_message", "AccessDenied")

    with pytest.raises(QueueUnavailableError):
        peer.queue.bury("{}", "no")
