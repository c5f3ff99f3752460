"""
Dead letters on Amazon SQS.

An event is the body of its message, byte by byte. One that SQS cannot carry, too large or no text, is an object of a
bucket under `dead-letters/`, and the body is its address. The attributes of the message say why and since when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bus.dead_letters import DeadEvent, DeadLettersUnavailableError, DeadWork, Held
from chalicelib.bus.sqs_text import attribute, can_carry
from chalicelib.domain.instants import Instant, NotAnInstantError, format_instant, parse_instant


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX: Final = "dead-letters/"

ENTRIES_MAX: Final = 10
"""Messages that one request sends, deletes or receives."""

REQUEST_BYTES_MAX: Final = 256 * 1024
"""Of all messages in a request; queues that were made lately take more."""

ATTRIBUTES_BYTES_MAX: Final = 8 * 1024
"""What the attributes of a message may come to."""

DETAIL_CHARACTERS_MAX: Final = 500
RECEIVED_MAX: Final = 500
HOLD_SECONDS: Final = 15 * 60
WAIT_SECONDS: Final = 1
"""A request that waits asks all servers of the queue; one that does not may overlook messages."""

_MICROSECONDS_IN_MILLISECOND: Final = 1000
_OBJECT: Final = "Object"

T = TypeVar("T")

ClientOf = Callable[[str], Any]
"""Returns a botocore client of the service that it names."""


class SqsDeadLetters(Generic[T]):
    """The queue at *url*, through what *client* returns for `sqs`; *read* makes letters of messages."""

    def __init__(
        self,
        client: ClientOf,
        url: str,
        read: Callable[[dict[str, Any]], T],
        wait_seconds: int = WAIT_SECONDS,
        received_max: int = RECEIVED_MAX,
    ) -> None:
        """Ask for clients when they are needed: most processes send no dead letters."""
        self._client = client
        self._url = url
        self._read = read
        self._wait_seconds = wait_seconds
        self._received_max = received_max

    def count(self) -> int:
        """Ask for the approximate number of messages."""
        name = "ApproximateNumberOfMessages"
        answer = self._call("get_queue_attributes", AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receive(self) -> list[Held[T]]:
        """Receive messages, ten a request, until there are enough or no more."""
        held: list[Held[T]] = []
        while len(held) < self._received_max:
            answer = self._call(
                "receive_message",
                MaxNumberOfMessages=ENTRIES_MAX,
                VisibilityTimeout=HOLD_SECONDS,
                WaitTimeSeconds=0 if held else self._wait_seconds,
                AttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                break
            held += [Held(self._read(message), message["MessageId"], message["ReceiptHandle"]) for message in messages]
        return held

    def settle(self, held: Sequence[Held[T]]) -> None:
        """Delete messages."""
        for entries in _entries(held):
            answer = self._call("delete_message_batch", Entries=entries)
            _check(answer)

    def release(self, held: Sequence[Held[T]]) -> None:
        """Make messages visible."""
        for entries in _entries(held):
            visible = [{**entry, "VisibilityTimeout": 0} for entry in entries]
            self._call("change_message_visibility_batch", Entries=visible)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return _call(self._client("sqs"), operation, QueueUrl=self._url, **parameters)


class SqsDeadEvents(SqsDeadLetters[DeadEvent]):
    """The dead letters of the stream, and *bucket*, None for none, through what *client* returns for `s3`."""

    def __init__(self, client: ClientOf, url: str, bucket: str | None, wait_seconds: int = WAIT_SECONDS) -> None:
        """Keep in *bucket* what SQS cannot carry."""
        super().__init__(client, url, self._read_event, wait_seconds)
        self._bucket = bucket

    def send(self, events: Sequence[DeadEvent]) -> None:
        """Send *events*, up to ten a request."""
        for entries in _requests([self._entry(event) for event in events]):
            _check(self._call("send_message_batch", Entries=entries))

    def _entry(self, event: DeadEvent) -> dict[str, Any]:
        attributes = {
            "Id": event.id,
            "Reason": event.code,
            "Detail": event.detail[:DETAIL_CHARACTERS_MAX],
            "ArrivedAt": format_instant(event.arrived_at),
        }
        body = _carried(event.body)
        if body is None:
            body = self._put_object(event)
            attributes[_OBJECT] = "body"
        return {
            "MessageBody": body,
            "MessageAttributes": {name: attribute(text) for name, text in attributes.items()},
        }

    def _put_object(self, event: DeadEvent) -> str:
        if self._bucket is None:
            message = "an event that SQS cannot carry needs USAGE_TAB_REPORT_BUCKET"
            raise DeadLettersUnavailableError(message)
        key = PREFIX + event.id
        _call(self._client("s3"), "put_object", Bucket=self._bucket, Key=key, Body=event.body)
        return f"s3://{self._bucket}/{key}"

    def _read_event(self, message: dict[str, Any]) -> DeadEvent:
        attributes = _attributes(message)
        body = message["Body"].encode()
        if _OBJECT in attributes and (content := self._get_object(message["Body"])) is not None:
            body = content
        try:
            arrived_at = parse_instant(attributes["ArrivedAt"])
        except (KeyError, NotAnInstantError):  # put there by hand
            arrived_at = _sent_at(message)
        return DeadEvent(
            attributes.get("Id", message["MessageId"]),
            body,
            attributes.get("Reason", "unknown"),
            attributes.get("Detail", ""),
            arrived_at,
        )

    def _get_object(self, address: str) -> bytes | None:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        client = self._client("s3")
        try:
            body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise DeadLettersUnavailableError(str(error)) from error
        return body


def read_work(message: dict[str, Any]) -> DeadWork:
    """Read a message that the work queue has buried."""
    reason = _attributes(message).get("Reason", "unknown")
    return DeadWork(message["MessageId"], message["Body"], reason, _sent_at(message))


def _carried(body: bytes) -> str | None:
    """Return *body* as the text of a message, None where SQS cannot carry it."""
    if not 0 < len(body) <= REQUEST_BYTES_MAX - ATTRIBUTES_BYTES_MAX:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if can_carry(text) else None


def _requests(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Share *entries* out to requests, and number them there."""
    request: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        more = len(entry["MessageBody"].encode()) + ATTRIBUTES_BYTES_MAX
        if request and (len(request) == ENTRIES_MAX or size + more > REQUEST_BYTES_MAX):
            yield request
            request, size = [], 0
        request.append({"Id": str(len(request)), **entry})
        size += more
    if request:
        yield request


def _entries(held: Sequence[Held[T]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(held), ENTRIES_MAX):
        receipts = [one.receipt for one in held[start : start + ENTRIES_MAX]]
        yield [{"Id": str(place), "ReceiptHandle": receipt} for place, receipt in enumerate(receipts)]


def _attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}


def _sent_at(message: dict[str, Any]) -> Instant:
    return int(message["Attributes"]["SentTimestamp"]) * _MICROSECONDS_IN_MILLISECOND


def _check(answer: dict[str, Any]) -> None:
    if answer.get("Failed"):
        codes = sorted({entry["Code"] for entry in answer["Failed"]})
        message = f"{len(answer['Failed'])} messages were refused: {', '.join(codes)}"
        raise DeadLettersUnavailableError(message)


def _call(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(**parameters)
    except (BotoCoreError, ClientError) as error:
        raise DeadLettersUnavailableError(str(error)) from error
    return answer
