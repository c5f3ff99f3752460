"""How a call to DynamoDB can end, told apart by what the engine has to do next."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from chalicelib.storage.dynamo import DynamoItemStore
from chalicelib.storage.items import (
    ContentionError,
    Item,
    Key,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    Table,
    TransactionFailedError,
)
from tests.contract.conftest import dynamo_store


ITEM = Item("a", "1", version=1)


class _Stub(BaseHTTPRequestHandler):
    """Answers each call with what the test has laid ready, the last one over and over; None hangs up."""

    answers: ClassVar[deque[tuple[int, dict[str, Any]] | None]] = deque()
    calls: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        """Take a call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append(json.loads(body))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            self.connection.close()
            return
        status, document = answer
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture(scope="module")
def stub_address() -> Iterator[str]:
    """Serve the stub while the module runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def stubbed(stub_address: str) -> DynamoItemStore:
    """Return a store whose DynamoDB is the stub."""
    _Stub.answers.clear()
    _Stub.calls.clear()
    return DynamoItemStore(stub_address, "eu-west-1", "state", "pages", pause=lambda _seconds: None)


def _error(code: str, status: int = 400, **more: object) -> tuple[int, dict[str, object]]:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **more}


def test_throttling_that_does_not_end(stubbed: DynamoItemStore) -> None:
    """After the retries a throttled write is reported as not done."""
    _Stub.answers.append(_error("ThrottlingException"))

    with pytest.raises(StoreUnavailableError):
        stubbed.put(Table.STATE, ITEM)

    assert len(_Stub.calls) > 1


def test_a_transaction_holds_the_item(stubbed: DynamoItemStore) -> None:
    """A plain put that meets a transaction is refused, and the writer may try again."""
    _Stub.answers.append(_error("TransactionConflictException"))

    with pytest.raises(ContentionError):
        stubbed.put(Table.STATE, ITEM)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TransactionConflict", ContentionError),
        ("ConditionalCheckFailed", TransactionFailedError),
        ("ThrottlingError", StoreUnavailableError),
    ],
)
def test_a_cancelled_transaction(stubbed: DynamoItemStore, code: str, kind: type[Exception]) -> None:
    """Why a transaction was cancelled decides what is raised."""
    reasons = [{"Code": "None"}, {"Code": code, "Message": "no"}]
    _Stub.answers.append(_error("TransactionCanceledException", CancellationReasons=reasons))

    with pytest.raises(kind):
        stubbed.transact([Put(Table.STATE, ITEM), Put(Table.STATE, Item("a", "2"))])


def test_the_answer_is_lost(stubbed: DynamoItemStore) -> None:
    """Where the connection ends before the answer, nobody knows whether the write was done."""
    _Stub.answers.append(None)

    with pytest.raises(OutcomeUnknownError):
        stubbed.put(Table.STATE, ITEM)


def test_the_server_fails(stubbed: DynamoItemStore) -> None:
    """A server error leaves a write's outcome unknown and makes a read fail."""
    _Stub.answers.append(_error("InternalServerError", 500))

    with pytest.raises(OutcomeUnknownError):
        stubbed.put(Table.STATE, ITEM)
    with pytest.raises(StoreUnavailableError):
        stubbed.get(Table.STATE, ITEM.key)


def test_a_mistake_of_ours_is_not_disguised(stubbed: DynamoItemStore) -> None:
    """What DynamoDB calls invalid is no outage."""
    _Stub.answers.append(_error("ValidationException"))

    with pytest.raises(ClientError):
        stubbed.put(Table.STATE, ITEM)


def test_unprocessed_writes_are_written(stubbed: DynamoItemStore) -> None:
    """What a batch left over is sent again, alone."""
    left = {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "2"}}}}
    _Stub.answers.extend([(200, {"UnprocessedItems": {"pages": [left]}}), (200, {"UnprocessedItems": {}})])

    stubbed.put_many(Table.PAGES, [Item("a", "1"), Item("a", "2")])

    assert [len(call["RequestItems"]["pages"]) for call in _Stub.calls] == [2, 1]


def test_writes_that_stay_unprocessed(stubbed: DynamoItemStore) -> None:
    """A batch that never gets through is reported."""
    left = {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "1"}}}}
    _Stub.answers.append((200, {"UnprocessedItems": {"pages": [left]}}))

    with pytest.raises(StoreUnavailableError):
        stubbed.put_many(Table.PAGES, [Item("a", "1")])


def test_unprocessed_reads_are_read(stubbed: DynamoItemStore) -> None:
    """What a batch did not read is asked for again."""
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    _Stub.answers.extend(
        [
            (200, {"Responses": {"pages": []}, "UnprocessedKeys": {"pages": {"Keys": [key]}}}),
            (200, {"Responses": {"pages": [key]}, "UnprocessedKeys": {}}),
        ]
    )

    assert stubbed.get_many(Table.PAGES, [Key("a", "1")]) == [Item("a", "1")]


def test_reads_that_stay_unprocessed(stubbed: DynamoItemStore) -> None:
    """A batch that is never read is reported."""
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    _Stub.answers.append((200, {"Responses": {"pages": []}, "UnprocessedKeys": {"pages": {"Keys": [key]}}}))

    with pytest.raises(StoreUnavailableError):
        stubbed.get_many(Table.PAGES, [Key("a", "1")])


def test_nobody_listens() -> None:
    """A store that cannot be reached has done nothing."""
    store = DynamoItemStore("http://127.0.0.1:9", "eu-west-1", "state", "pages")

    with pytest.raises(StoreUnavailableError):
        store.put(Table.STATE, ITEM)
    with pytest.raises(StoreUnavailableError):
        list(store.query(Table.STATE, "a", " ", "~"))
    with pytest.raises(StoreUnavailableError):
        store.earliest_due("00")


def test_tables_are_created_once(embedded_store: str) -> None:
    """Creating tables that exist changes nothing."""
    assert not dynamo_store(embedded_store).create_tables()
