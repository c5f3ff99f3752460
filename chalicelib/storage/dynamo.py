"""DynamoDB as an `ItemStore`: PynamoDB models over one connection, and every way a call can end."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection.base import Connection
from pynamodb.constants import (
    ALL_OLD,
    BATCH_WRITE_ITEM,
    ITEM,
    PAY_PER_REQUEST_BILLING_MODE,
    PUT_ITEM,
    PUT_REQUEST,
    REQUEST_ITEMS,
    RESPONSES,
    TRANSACT_ITEMS,
    TRANSACT_PUT,
    TRANSACT_WRITE_ITEMS,
    UNPROCESSED_ITEMS,
    UNPROCESSED_KEYS,
)
from pynamodb.exceptions import PynamoDBException
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from chalicelib import aws_clients
from chalicelib.storage.items import (
    Absent,
    Condition,
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


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from botocore.session import Session
    from pynamodb.connection.base import MetaTable
    from pynamodb.expressions.condition import Condition as PynamoCondition

CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 10
RETRIES_MAX: Final = 2
CONNECTIONS_MAX: Final = 50

_BATCH_GET_MAX: Final = 100
_BATCH_WRITE_MAX: Final = 25
_BATCH_TRIES_MAX: Final = 8
_SERVER_ERROR: Final = 500
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NOT_DONE: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ResourceNotFoundException",
        "ThrottlingException",
    }
)
_NOT_REACHED: Final = (EndpointConnectionError, ConnectTimeoutError)
_TOO_MUCH: Final = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})
_CONTENTION: Final = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_ATTRIBUTES: Final = ("body", "version", "due_shard", "due_at", "expires", "first")


class _Record(Model):
    """The one base model: everything an `Item` can hold."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = BinaryAttribute(legacy_encoding=False, null=True)
    version = NumberAttribute(null=True)
    expires = NumberAttribute(null=True)
    first = NumberAttribute(null=True)


class _DueIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]  # untyped in PynamoDB
    """Suggests which accounts have something due; sparse, keys only."""

    class Meta:
        """How the index is stored."""

        index_name = "due"
        projection = KeysOnlyProjection()
        billing_mode = PAY_PER_REQUEST_BILLING_MODE

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class DynamoItemStore:
    """
    The two tables at a DynamoDB endpoint (None for that of AWS).

    *pause* waits some seconds before what DynamoDB left unprocessed is tried again.
    """

    def __init__(
        self,
        endpoint: str | None,
        region: str,
        state_table: str,
        pages_table: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make the models; nothing is sent before the first call."""
        self._pause = pause

        class _StateRecord(_Record):
            class Meta:
                table_name = state_table

            due_shard = UnicodeAttribute(null=True)
            due_at = NumberAttribute(null=True)
            due = _DueIndex()

        class _PageRecord(_Record):
            class Meta:
                table_name = pages_table

        self._state = _StateRecord
        self._models: dict[Table, type[_Record]] = {Table.STATE: _StateRecord, Table.PAGES: _PageRecord}
        self._connection = _Connection(endpoint, region)
        for model in self._models.values():
            _use(self._connection, model)
        self._tries = _Tries()
        self._is_watched = False

    def create_tables(self) -> bool:
        """Create what is missing of the tables and tell whether anything was."""
        with _reading():
            missing = [model for model in self._models.values() if not model.exists()]
        for model in missing:
            model.create_table(wait=True, billing_mode=PAY_PER_REQUEST_BILLING_MODE)
            self._connection.update_time_to_live(model.Meta.table_name, "expires")
        return bool(missing)

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item, strongly consistent."""
        with _reading():
            data = self._connection.get_item(self._name(table), key.pk, key.sk, consistent_read=True)
        return _from_raw(data[ITEM]) if ITEM in data else None

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read the items that exist among *keys*, strongly consistent, 100 a call."""
        name = self._name(table)
        waiting = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
        items: list[Item] = []
        for attempt in range(len(waiting) // _BATCH_GET_MAX + _BATCH_TRIES_MAX):
            if not waiting:
                return items
            request = {REQUEST_ITEMS: {name: {"Keys": waiting[:_BATCH_GET_MAX], "ConsistentRead": True}}}
            with _reading():
                data = self._connection.dispatch("BatchGetItem", request)
            items += map(_from_raw, data[RESPONSES].get(name, ()))
            unprocessed = data.get(UNPROCESSED_KEYS, {}).get(name, {}).get("Keys", [])
            waiting = unprocessed + waiting[_BATCH_GET_MAX:]
            self._back_off(attempt, unprocessed)
        message = f"{len(waiting)} items could not be read"
        raise StoreUnavailableError(message)

    def query(  # noqa: PLR0913 - the parts of a range query
        self,
        table: Table,
        pk: str,
        lower: str,
        upper: str,
        *,
        newest_first: bool = False,
        page_size: int | None = None,
    ) -> Iterator[Item]:
        """Yield the items of *pk* from *lower* to *upper*, strongly consistent, page by page."""
        if upper < lower:
            return
        model = self._models[table]
        results = model.query(
            pk,
            _Record.sk.between(lower, upper),
            consistent_read=True,
            scan_index_forward=not newest_first,
            page_size=page_size,
        )
        with _reading():
            for record in results:
                yield _to_item(record)

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Yield the keys of state items of *shard* due at or before *until*, soonest first."""
        with _reading():
            for record in self._state.due.query(shard, _DueIndex.due_at <= until):
                yield Key(record.pk, record.sk)

    def earliest_due(self, shard: str) -> int | None:
        """Return the least `due_at` in *shard*, None where it is empty."""
        with _reading():
            for record in self._state.due.query(shard, limit=1):
                return int(record.due_at)
        return None

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """Put one item; a failed condition returns the item that stands in the way."""
        request = self._put_request(table, item, condition, return_current=condition is not None)
        try:
            with self._writing():
                self._connection.dispatch(PUT_ITEM, request)
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            current = getattr(error.__cause__, "response", {}).get(ITEM)
            raise ConditionFailedError(_from_raw(current) if current else None) from error

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Put items without condition, 25 a call."""
        name = self._name(table)
        waiting = [{PUT_REQUEST: {ITEM: self._record(table, item).serialize()}} for item in items]
        for attempt in range(len(waiting) // _BATCH_WRITE_MAX + _BATCH_TRIES_MAX):
            if not waiting:
                return
            with self._writing():
                data = self._connection.dispatch(BATCH_WRITE_ITEM, {REQUEST_ITEMS: {name: waiting[:_BATCH_WRITE_MAX]}})
            unprocessed = data.get(UNPROCESSED_ITEMS, {}).get(name, [])
            waiting = unprocessed + waiting[_BATCH_WRITE_MAX:]
            self._back_off(attempt, unprocessed)
        message = f"{len(waiting)} items could not be written"
        raise StoreUnavailableError(message)

    def transact(self, puts: Sequence[Put]) -> None:
        """Put all or nothing, in one call whose legs keep their order."""
        legs = [{TRANSACT_PUT: self._put_request(put.table, put.item, put.condition)} for put in puts]
        try:
            with self._writing():
                self._connection.dispatch(TRANSACT_WRITE_ITEMS, {TRANSACT_ITEMS: legs})
        except ClientError as error:
            if _code(error) != "TransactionCanceledException":
                raise
            reasons = [None if reason is None else reason.code for reason in getattr(error, "cancellation_reasons", ())]
            reason = _cancelled(reasons)
            if reason is None:
                raise
            raise reason from error

    def _writing(self) -> AbstractContextManager[None]:
        if not self._is_watched:
            self._tries.watch(self._connection)
            self._is_watched = True
        return _writing(self._tries)

    def _name(self, table: Table) -> str:
        return str(self._models[table].Meta.table_name)

    def _record(self, table: Table, item: Item) -> _Record:
        values = {name: getattr(item, name) for name in _ATTRIBUTES}
        return self._models[table](item.pk, item.sk, **{k: v for k, v in values.items() if v is not None})

    def _put_request(
        self, table: Table, item: Item, condition: Condition | None, *, return_current: bool = False
    ) -> dict[str, Any]:
        return self._record(table, item).get_save_kwargs_from_instance(
            condition=_expression(condition),
            return_values_on_condition_failure=ALL_OLD if return_current else None,
        )

    def _back_off(self, attempt: int, unprocessed: Sequence[object]) -> None:
        if unprocessed:
            self._pause(min(0.05 * 2**attempt, 2.0))


class _Connection(Connection):
    """
    A connection whose client is of the session that all clients of the process share.

    A store of this machine takes any credentials, which are not to become the session's: its client has its own.
    """

    def __init__(self, endpoint: str | None, region: str) -> None:
        access = "local" if endpoint and urlsplit(endpoint).hostname in _LOOPBACK else None
        super().__init__(
            region=region,
            host=endpoint,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            max_retry_attempts=RETRIES_MAX,
            max_pool_connections=CONNECTIONS_MAX,
            aws_access_key_id=access,
            aws_secret_access_key=access,
        )
        self._has_own_session = access is not None

    @property
    def session(self) -> Session:
        """Return the session that makes the client."""
        return super().session if self._has_own_session else aws_clients.session()


def _use(connection: Connection, model: type[Model]) -> None:
    """Have *model* use *connection*: PynamoDB would make a client for every model."""
    table = model._get_connection()  # noqa: SLF001 - as said
    meta_table: MetaTable = table.get_meta_table()
    connection.add_meta_table(meta_table)
    table.connection = connection


def _to_item(record: Any) -> Item:
    return Item(
        record.pk,
        record.sk,
        body=record.body,
        version=record.version,
        due_shard=getattr(record, "due_shard", None),
        due_at=getattr(record, "due_at", None),
        expires=record.expires,
        first=record.first,
    )


def _from_raw(raw: dict[str, dict[str, Any]]) -> Item:
    """Return what DynamoDB answers with as an item, without the detour over a model, which costs the tab a tenth."""
    return Item(
        raw["pk"]["S"],
        raw["sk"]["S"],
        body=raw["body"]["B"] if "body" in raw else None,
        version=_number(raw, "version"),
        due_shard=raw["due_shard"]["S"] if "due_shard" in raw else None,
        due_at=_number(raw, "due_at"),
        expires=_number(raw, "expires"),
        first=_number(raw, "first"),
    )


def _number(raw: dict[str, dict[str, Any]], name: str) -> int | None:
    return int(raw[name]["N"]) if name in raw else None


def _expression(condition: Condition | None) -> PynamoCondition | None:
    if condition is None:
        return None
    return _Record.pk.does_not_exist() if isinstance(condition, Absent) else _Record.version == condition.version


def _cancelled(
    reasons: Sequence[str | None],
) -> TransactionFailedError | ContentionError | StoreUnavailableError | None:
    """Return what the reasons of a cancelled transaction come to, None for a mistake of the program."""
    failed = [position for position, code in enumerate(reasons) if code == "ConditionalCheckFailed"]
    if failed:
        return TransactionFailedError(failed)
    if "TransactionConflict" in reasons:
        return ContentionError("a transaction is writing one of the items")
    if _TOO_MUCH.intersection(reasons):
        return StoreUnavailableError("the transaction was cancelled: there is too much to do")
    return None


@contextmanager
def _reading() -> Iterator[None]:
    """Tell an unreachable or throttling store from every other error."""
    try:
        yield
    except BotoCoreError as error:
        raise StoreUnavailableError(str(error)) from error
    except (PynamoDBException, ClientError) as error:
        cause = error.cause if isinstance(error, PynamoDBException) else error
        if isinstance(cause, BotoCoreError) or (isinstance(cause, ClientError) and _is_unavailable(cause)):
            raise StoreUnavailableError(str(error)) from error
        raise


class _Tries(threading.local):
    """What became of the tries of the call that a thread is making; botocore repeats calls by itself."""

    some_unanswered = False

    def watch(self, connection: Connection) -> None:
        """Take note of every try of every call over *connection*."""
        connection.client.meta.events.register_first("needs-retry.dynamodb", self._note, unique_id="usage-tab-tries")

    def _note(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        if isinstance(caught_exception, _NOT_REACHED):
            return
        if response is None or response[0].status_code >= _SERVER_ERROR:
            self.some_unanswered = True


@contextmanager
def _writing(tries: _Tries) -> Iterator[None]:
    """Sort out how a write ended; failed conditions are left to the caller."""
    tries.some_unanswered = False
    try:
        yield
    except BotoCoreError as error:
        if isinstance(error, _NOT_REACHED) and not tries.some_unanswered:
            raise StoreUnavailableError(str(error)) from error
        raise OutcomeUnknownError(str(error)) from error
    except ClientError as error:
        if _code(error) in _CONTENTION:
            raise ContentionError(_code(error)) from error
        if _code(error) in _NOT_DONE and not tries.some_unanswered:
            raise StoreUnavailableError(str(error)) from error
        if _is_unavailable(error):
            raise OutcomeUnknownError(str(error)) from error
        raise


def _is_unavailable(error: ClientError) -> bool:
    original = error if "ResponseMetadata" in error.response else error.__cause__
    status = getattr(original, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return _code(error) in _NOT_DONE or status >= _SERVER_ERROR


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
