"""Every way a call to DynamoDB can end, as the store tells it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import botocore.endpoint
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from pynamodb.exceptions import PynamoDBException

from chalicelib.storage.dynamo import RETRIES_MAX, DynamoItemStore
from chalicelib.storage.items import (
    Absent,
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    Table,
    TransactionFailedError,
)
from tests.contract.stub_server import (
    CONNECTION_CLOSED,
    OK,
    SERVER_ERROR,
    UNAVAILABLE,
    Answer,
    StubServer,
    cancelled,
    refusal,
)
from tests.stores import REGION, dynamodb_client


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.storage.items import ItemStore

ITEM = Item("p", "a", version=1)
TRIES = 1 + RETRIES_MAX
THROTTLED = refusal("ProvisionedThroughputExceededException")
CONDITION_FAILED = refusal(
    "ConditionalCheckFailedException", Item={"pk": {"S": "p"}, "sk": {"S": "a"}, "version": {"N": "7"}}
)

READS: dict[str, Callable[[ItemStore], object]] = {
    "get": lambda store: store.get(Table.STATE, ITEM.key),
    "get_many": lambda store: store.get_many(Table.STATE, [ITEM.key]),
    "query": lambda store: list(store.query(Table.STATE, "p", "a", "z")),
    "query_due": lambda store: list(store.query_due("00", 5)),
    "earliest_due": lambda store: store.earliest_due("00"),
}
WRITES: dict[str, Callable[[ItemStore], object]] = {
    "put": lambda store: store.put(Table.STATE, ITEM, Absent()),
    "put_many": lambda store: store.put_many(Table.STATE, [ITEM]),
    "transact": lambda store: store.transact([Put(Table.STATE, ITEM, Absent())]),
}
CALLS = READS | WRITES


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore try again at once."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None))


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    """Give an endpoint that answers what it is told."""
    with StubServer() as server:
        yield server


class Stores:
    """
    Stores that speak to the stub; what they pause is kept in `pauses`, seconds.

    A client tries again only so many times in its life, and making one takes time: each serves some tests.
    """

    TESTS_MAX: Final = 20

    def __init__(self, stub: StubServer) -> None:
        self.pauses: list[float] = []
        self._stub = stub
        self._store: DynamoItemStore | None = None
        self._tests = 0

    def store(self) -> DynamoItemStore:
        """Return a store for one test more."""
        self.pauses.clear()
        if self._store is None or self._tests == self.TESTS_MAX:
            self._store = DynamoItemStore(self._stub.endpoint, REGION, "state", "pages", self.pauses.append)
            self._tests = 0
        self._tests += 1
        return self._store


@pytest.fixture(scope="module")
def stores(stub: StubServer) -> Stores:
    """Give stores that speak to the stub."""
    return Stores(stub)


@pytest.fixture
def store(stores: Stores) -> DynamoItemStore:
    """Give a store that speaks to the stub."""
    return stores.store()


@pytest.fixture
def pauses(stores: Stores) -> list[float]:
    """Give the pauses the store takes during the test, seconds."""
    return stores.pauses


@pytest.mark.parametrize("call", CALLS)
def test_unreachable(call: str) -> None:
    """Where nobody listens, nothing was read or written."""
    with StubServer() as server:
        endpoint = server.endpoint

    with pytest.raises(StoreUnavailableError):
        CALLS[call](DynamoItemStore(endpoint, REGION, "state", "pages"))


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]
)
@pytest.mark.parametrize("call", CALLS)
def test_throttled(store: DynamoItemStore, stub: StubServer, call: str, code: str) -> None:
    """A call that is throttled to the last try was not carried out."""
    stub.will_answer([refusal(code)])

    with pytest.raises(StoreUnavailableError):
        CALLS[call](store)

    assert len(stub.requests) == TRIES


def test_throttled_for_a_while(store: DynamoItemStore, stub: StubServer) -> None:
    """Throttling that ends before the last try goes unnoticed."""
    stub.will_answer([THROTTLED, THROTTLED, OK])
    store.put(Table.STATE, ITEM)

    assert [operation for operation, _ in stub.requests] == ["PutItem"] * 3


@pytest.mark.parametrize("call", CALLS)
def test_no_such_table(store: DynamoItemStore, stub: StubServer, call: str) -> None:
    """Tables that are missing or not active yet make the store unavailable."""
    stub.will_answer([refusal("ResourceNotFoundException")])

    with pytest.raises(StoreUnavailableError):
        CALLS[call](store)


@pytest.mark.parametrize("answer", [CONNECTION_CLOSED, SERVER_ERROR, UNAVAILABLE])
@pytest.mark.parametrize("write", WRITES)
def test_writes_without_an_answer(store: DynamoItemStore, stub: StubServer, write: str, answer: Answer) -> None:
    """A write whose answer is lost, or an error of the server, may have happened."""
    stub.will_answer([answer])

    with pytest.raises(OutcomeUnknownError):
        WRITES[write](store)

    assert len(stub.requests) == TRIES


@pytest.mark.parametrize("last", [THROTTLED, refusal("ThrottlingException")])
@pytest.mark.parametrize("write", WRITES)
def test_throttled_after_an_answer_was_lost(store: DynamoItemStore, stub: StubServer, write: str, last: Answer) -> None:
    """A write may have happened at the first try though the last one was throttled."""
    stub.will_answer([CONNECTION_CLOSED, last])

    with pytest.raises(OutcomeUnknownError):
        WRITES[write](store)


@pytest.mark.parametrize("answer", [CONNECTION_CLOSED, SERVER_ERROR, UNAVAILABLE])
@pytest.mark.parametrize("read", READS)
def test_reads_without_an_answer(store: DynamoItemStore, stub: StubServer, read: str, answer: Answer) -> None:
    """A read that is not answered is a store that cannot be reached."""
    stub.will_answer([answer])

    with pytest.raises(StoreUnavailableError):
        READS[read](store)


class TestTimeouts:
    """What botocore raises when time runs out, without the time."""

    @pytest.fixture
    def time_out(self, stub: StubServer) -> Callable[..., DynamoItemStore]:
        """Give a store whose requests end in errors of the connection, one after the other, the last for ever."""

        def time_out(*errors: Exception) -> DynamoItemStore:
            left = list(errors)

            def fail(**_kwargs: object) -> None:
                raise left.pop(0) if len(left) > 1 else left[0]

            store = DynamoItemStore(stub.endpoint, REGION, "state", "pages")
            store._connection.client.meta.events.register("before-send.dynamodb", fail)
            return store

        return time_out

    @pytest.mark.parametrize("write", WRITES)
    def test_read_timeout_of_a_write(self, time_out: Callable[..., DynamoItemStore], write: str) -> None:
        """A write that is not answered in time may have happened."""
        store = time_out(ReadTimeoutError(endpoint_url="http://127.0.0.1"))

        with pytest.raises(OutcomeUnknownError):
            WRITES[write](store)

    @pytest.mark.parametrize("write", WRITES)
    def test_connect_timeout_after_a_read_timeout(self, time_out: Callable[..., DynamoItemStore], write: str) -> None:
        """A write may have happened at the first try though the last one never left."""
        url = "http://127.0.0.1"
        store = time_out(ReadTimeoutError(endpoint_url=url), ConnectTimeoutError(endpoint_url=url))

        with pytest.raises(OutcomeUnknownError):
            WRITES[write](store)

    @pytest.mark.parametrize("call", CALLS)
    def test_connect_timeout(self, time_out: Callable[..., DynamoItemStore], call: str) -> None:
        """A request that never left has changed nothing."""
        store = time_out(ConnectTimeoutError(endpoint_url="http://127.0.0.1"))

        with pytest.raises(StoreUnavailableError):
            CALLS[call](store)

    @pytest.mark.parametrize("read", READS)
    def test_read_timeout_of_a_read(self, time_out: Callable[..., DynamoItemStore], read: str) -> None:
        """A read that is not answered in time can be tried again later."""
        store = time_out(ReadTimeoutError(endpoint_url="http://127.0.0.1"))

        with pytest.raises(StoreUnavailableError):
            READS[read](store)


class TestContention:
    """Meeting a transaction."""

    def test_put(self, store: DynamoItemStore, stub: StubServer) -> None:
        """A put that a transaction stands in the way of did nothing."""
        stub.will_answer([refusal("TransactionConflictException")])

        with pytest.raises(ContentionError):
            store.put(Table.STATE, ITEM, Absent())

    def test_transaction(self, store: DynamoItemStore, stub: StubServer) -> None:
        """A transaction cancelled only because of another one did nothing."""
        stub.will_answer([cancelled("None", "TransactionConflict")])

        with pytest.raises(ContentionError):
            store.transact([Put(Table.STATE, ITEM), Put(Table.STATE, Item("p", "b"))])

    def test_transaction_in_progress(self, store: DynamoItemStore, stub: StubServer) -> None:
        """A transaction whose first try is still under way is contention, too."""
        stub.will_answer([refusal("TransactionInProgressException")])

        with pytest.raises(ContentionError):
            store.transact([Put(Table.STATE, ITEM)])


class TestCancelledTransactions:
    """Why nothing of a transaction was written."""

    PUTS = tuple(Put(Table.STATE, Item("p", sk), Absent()) for sk in "abc")

    @pytest.mark.parametrize(
        ("codes", "failed"),
        [
            (("ConditionalCheckFailed", "None", "None"), (0,)),
            (("None", "None", "ConditionalCheckFailed"), (2,)),
            (("ConditionalCheckFailed", "None", "ConditionalCheckFailed"), (0, 2)),
            (("TransactionConflict", "ConditionalCheckFailed", "None"), (1,)),
        ],
    )
    def test_conditions(
        self, store: DynamoItemStore, stub: StubServer, codes: tuple[str, ...], failed: tuple[int, ...]
    ) -> None:
        """Failed conditions are told by the positions of their legs, also beside a conflict."""
        stub.will_answer([cancelled(*codes)])

        with pytest.raises(TransactionFailedError) as failure:
            store.transact(self.PUTS)

        assert failure.value.failed == failed

    @pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
    def test_throttled(self, store: DynamoItemStore, stub: StubServer, code: str) -> None:
        """A transaction cancelled for its load did nothing."""
        stub.will_answer([cancelled("None", code, "None")])

        with pytest.raises(StoreUnavailableError):
            store.transact(self.PUTS)

    @pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded"])
    def test_mistakes(self, store: DynamoItemStore, stub: StubServer, code: str) -> None:
        """A leg that DynamoDB will never take is a mistake, which trying again does not mend."""
        stub.will_answer([cancelled("None", code, "None")])

        with pytest.raises((ClientError, PynamoDBException)):
            store.transact(self.PUTS)

    def test_a_repeated_transaction_has_one_token(self, store: DynamoItemStore, stub: StubServer) -> None:
        """Tries of one transaction carry one token, by which DynamoDB applies it once; the next has another."""
        stub.will_answer([CONNECTION_CLOSED, OK])
        store.transact(self.PUTS)
        store.transact(self.PUTS)
        tokens = [body["ClientRequestToken"] for _, body in stub.requests]

        assert tokens[0] == tokens[1]
        assert tokens[1] != tokens[2]


class TestFailedConditions:
    """Puts that lost."""

    def test_current_item(self, store: DynamoItemStore, stub: StubServer) -> None:
        """The item that stands in the way comes with the failure."""
        stub.will_answer([CONDITION_FAILED])

        with pytest.raises(ConditionFailedError) as failure:
            store.put(Table.STATE, ITEM, Absent())

        assert failure.value.current == Item("p", "a", version=7)
        assert stub.requests[0][1]["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"

    def test_after_an_answer_was_lost(self, store: DynamoItemStore, stub: StubServer) -> None:
        """Where the first try may have succeeded the item tells who won."""
        stub.will_answer([CONNECTION_CLOSED, CONDITION_FAILED])

        with pytest.raises(ConditionFailedError) as failure:
            store.put(Table.STATE, ITEM, Absent())

        assert failure.value.current == Item("p", "a", version=7)


@pytest.mark.parametrize("call", CALLS)
def test_mistakes_are_not_disguised(store: DynamoItemStore, stub: StubServer, call: str) -> None:
    """A request that DynamoDB will never take is no state of the store."""
    stub.will_answer([refusal("ValidationException")])

    with pytest.raises((ClientError, PynamoDBException)):
        CALLS[call](store)

    assert len(stub.requests) == 1


def _keys(numbers: range) -> list[Key]:
    return [Key("p", str(number)) for number in numbers]


def _raw(number: int) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": str(number)}}


def _found(answered: range, unprocessed: range = range(0)) -> Answer:
    answer: dict[str, Any] = {"Responses": {"state": [_raw(number) for number in answered]}}
    if unprocessed:
        answer["UnprocessedKeys"] = {"state": {"Keys": [_raw(number) for number in unprocessed]}}
    return Answer(200, answer)


def _written(unprocessed: range) -> Answer:
    left = [{"PutRequest": {"Item": _raw(number)}} for number in unprocessed]
    return Answer(200, {"UnprocessedItems": {"state": left} if left else {}})


class TestUnprocessed:
    """What a batch leaves is tried again, after pauses that grow."""

    def test_reads(self, store: DynamoItemStore, stub: StubServer, pauses: list[float]) -> None:
        """Keys left unprocessed are asked for again, before those not asked for yet."""
        stub.will_answer([_found(range(60), range(60, 100)), _found(range(60, 120)), _found(range(0))])
        found = store.get_many(Table.STATE, _keys(range(120)))
        asked = [len(body["RequestItems"]["state"]["Keys"]) for _, body in stub.requests]

        assert sorted(int(item.sk) for item in found) == list(range(120))
        assert asked == [100, 60]
        assert pauses == [0.05]

    def test_reads_are_consistent(self, store: DynamoItemStore, stub: StubServer) -> None:
        """Every try reads what was written last."""
        stub.will_answer([_found(range(0), range(1)), _found(range(1))])
        store.get_many(Table.STATE, _keys(range(1)))

        assert [body["RequestItems"]["state"]["ConsistentRead"] for _, body in stub.requests] == [True, True]

    def test_reads_left_for_ever(self, store: DynamoItemStore, stub: StubServer, pauses: list[float]) -> None:
        """Keys that are never processed make the store unavailable in the end."""
        stub.will_answer([_found(range(0), range(3))])

        with pytest.raises(StoreUnavailableError):
            store.get_many(Table.STATE, _keys(range(3)))

        assert len(stub.requests) == len(pauses) == 8
        assert pauses == sorted(pauses)

    def test_writes(self, store: DynamoItemStore, stub: StubServer, pauses: list[float]) -> None:
        """Items left unprocessed are put again, before those not put yet."""
        stub.will_answer([_written(range(20, 25)), _written(range(0))])
        store.put_many(Table.STATE, [Item("p", str(number)) for number in range(40)])
        put = [
            [int(request["PutRequest"]["Item"]["sk"]["S"]) for request in body["RequestItems"]["state"]]
            for _, body in stub.requests
        ]

        assert put == [list(range(25)), list(range(20, 40))]
        assert pauses == [0.05]

    def test_writes_left_for_ever(self, store: DynamoItemStore, stub: StubServer, pauses: list[float]) -> None:
        """Items that are never processed make the store unavailable in the end."""
        stub.will_answer([_written(range(1))])

        with pytest.raises(StoreUnavailableError):
            store.put_many(Table.STATE, [Item("p", "0")])

        assert len(stub.requests) == len(pauses) == 8


class TestTables:
    """Creating what is missing."""

    @pytest.fixture(params=["embedded_store", "dynamodb_local"])
    def endpoint(self, request: pytest.FixtureRequest) -> str:
        """Give each store's URL in turn."""
        found: str = request.getfixturevalue(request.param)
        return found

    def test_create_tables(self, endpoint: str) -> None:
        """Tables are created once, with the sparse index of due work and the time to live of pages."""
        store = DynamoItemStore(endpoint, REGION, "created-state", "created-pages")
        client = dynamodb_client(endpoint)
        try:
            created = [store.create_tables(), store.create_tables()]
            state = client.describe_table(TableName="created-state")["Table"]
            pages = client.describe_table(TableName="created-pages")["Table"]
            time_to_live = client.describe_time_to_live(TableName="created-pages")["TimeToLiveDescription"]
        finally:
            client.delete_table(TableName="created-state")
            client.delete_table(TableName="created-pages")

        (index,) = state["GlobalSecondaryIndexes"]
        assert created == [True, False]
        assert [key["AttributeName"] for key in state["KeySchema"]] == ["pk", "sk"]
        assert [key["AttributeName"] for key in pages["KeySchema"]] == ["pk", "sk"]
        assert index["IndexName"] == "due"
        assert [key["AttributeName"] for key in index["KeySchema"]] == ["due_shard", "due_at"]
        assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"
        assert time_to_live["AttributeName"] == "expires"

    def test_create_what_is_missing(self, endpoint: str) -> None:
        """One table that is there already stays as it is."""
        store = DynamoItemStore(endpoint, REGION, "half-state", "half-pages")
        client = dynamodb_client(endpoint)
        store.create_tables()
        try:
            store.put(Table.STATE, ITEM)
            client.delete_table(TableName="half-pages")
            created = store.create_tables()
            kept = store.get(Table.STATE, ITEM.key)
            store.put(Table.PAGES, ITEM)
        finally:
            client.delete_table(TableName="half-state")
            client.delete_table(TableName="half-pages")

        assert created
        assert kept == ITEM
