"""The embedded store as a child process: what it keeps, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.local.embedded import EmbeddedStore, EmbeddedStoreError
from tests.stores import dynamodb_client


pytestmark = pytest.mark.usefixtures("measured_processes")

TABLE = "kept"

ITEMS = [
    {
        "pk": {"S": "acme\x00é☃"},
        "sk": {"S": f"{number:04d}"},
        "state": {"B": bytes(range(256))},
        "parts": {"BS": [b"\x00", b"\xff"]},
        "amount": {"N": "12345678901234567890.123456789012"},
        "nested": {"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, {"B": b"\x01"}]}}},
        "due_shard": {"S": "0"},
        "due_at": {"N": str(number)},
    }
    for number in range(3)
]


def create_table(client: Any) -> None:
    """Create a table with the shape of the service's own: two string keys and a sparse index."""
    types = {"pk": "S", "sk": "S", "due_shard": "S", "due_at": "N"}
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        KeySchema=_keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": _keys("due_shard", "due_at"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def query(client: Any, value: str, *, index: bool = False) -> Any:
    """Read a partition of the table, or of its index."""
    options = {"IndexName": "due"} if index else {"ConsistentRead": True}
    return client.query(
        TableName=TABLE,
        KeyConditionExpression=f"{'due_shard' if index else 'pk'} = :value",
        ExpressionAttributeValues={":value": {"S": value}},
        **options,
    )["Items"]


class TestEmbeddedStore:
    """Starting and stopping."""

    def test_kept_over_stop_and_start(self, tmp_path: Path) -> None:
        """Tables, items of every type and the index are there again after an orderly stop."""
        with EmbeddedStore(tmp_path / "data") as store:
            client = dynamodb_client(store.endpoint)
            create_table(client)
            for item in ITEMS:
                client.put_item(TableName=TABLE, Item=item)
        with EmbeddedStore(tmp_path / "data") as store:
            client = dynamodb_client(store.endpoint)

            assert query(client, "acme\x00é☃") == ITEMS
            assert [item["due_at"]["N"] for item in query(client, "0", index=True)] == ["0", "1", "2"]

    def test_condition_after_start(self, tmp_path: Path) -> None:
        """A condition is judged on the items that were loaded."""
        with EmbeddedStore(tmp_path) as store:
            client = dynamodb_client(store.endpoint)
            create_table(client)
            client.put_item(TableName=TABLE, Item=ITEMS[0])
        with EmbeddedStore(tmp_path) as store:
            client = dynamodb_client(store.endpoint)

            with pytest.raises(client.exceptions.ConditionalCheckFailedException):
                client.put_item(TableName=TABLE, Item=ITEMS[0], ConditionExpression="attribute_not_exists(pk)")

    def test_in_memory(self) -> None:
        """Without a directory nothing is kept, and the store may be started again."""
        store = EmbeddedStore()
        with store:
            create_table(dynamodb_client(store.endpoint))
        with store:
            assert dynamodb_client(store.endpoint).list_tables()["TableNames"] == []

    def test_process_ends(self) -> None:
        """After the stop there is no process, and the address is unknown."""
        with EmbeddedStore() as store:
            pid = store.pid
        store.stop()

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(EmbeddedStoreError, match="not running"):
            _ = store.endpoint

    def test_own_session(self) -> None:
        """A Ctrl-C in the terminal does not reach the child: it is in a session of its own."""
        with EmbeddedStore() as store:
            assert os.getsid(store.pid) == store.pid

    def test_loopback_only(self) -> None:
        """The address is one of the loopback interface."""
        with EmbeddedStore() as store:
            assert store.endpoint.startswith("http://127.0.0.1:")

    def test_started_twice(self) -> None:
        """A running store refuses to be started."""
        with EmbeddedStore() as store, pytest.raises(EmbeddedStoreError, match="started already"):
            store.start()

    def test_directory_in_use(self, tmp_path: Path) -> None:
        """Two stores do not share a directory."""
        with (
            EmbeddedStore(tmp_path),
            pytest.raises(EmbeddedStoreError, match="in use"),
            EmbeddedStore(tmp_path),
        ):
            pass

    def test_unreadable_state(self, tmp_path: Path) -> None:
        """A state that cannot be read stops the start and is left as it is."""
        state = tmp_path / "dynamodb.json"
        state.write_text("{ torn")

        with pytest.raises(EmbeddedStoreError, match="did not start"):
            EmbeddedStore(tmp_path).start()
        assert state.read_text() == "{ torn"

    def test_state_not_saved(self, tmp_path: Path) -> None:
        """A state that cannot be written is an error of the stop, not silence."""
        store = EmbeddedStore(tmp_path).start()
        create_table(dynamodb_client(store.endpoint))
        (tmp_path / "dynamodb.json.tmp").mkdir()

        with pytest.raises(EmbeddedStoreError, match="exit code 1"):
            store.stop()

    def test_child_killed(self) -> None:
        """A child that died meanwhile is an error of the stop."""
        store = EmbeddedStore().start()
        os.kill(store.pid, signal.SIGKILL)

        with pytest.raises(EmbeddedStoreError, match="exit code -9"):
            store.stop()

    def test_terminated(self, tmp_path: Path) -> None:
        """A SIGTERM to the child is an orderly stop, too."""
        store = EmbeddedStore(tmp_path).start()
        create_table(dynamodb_client(store.endpoint))
        os.kill(store.pid, signal.SIGTERM)
        store.stop()

        with store:
            assert dynamodb_client(store.endpoint).list_tables()["TableNames"] == [TABLE]


@pytest.fixture
def killed_parent(tmp_path: Path) -> int:
    """Give the process id of a store in *tmp_path* whose parent has just been killed."""
    program = """
import json, pathlib, sys
from chalicelib.local.embedded import EmbeddedStore
from tests.integration.test_embedded_store import create_table
from tests.stores import dynamodb_client

store = EmbeddedStore(pathlib.Path(sys.argv[1])).start()
create_table(dynamodb_client(store.endpoint))
print(json.dumps(store.pid), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pid = json.loads(parent.stdout.readline())
        parent.kill()
    return pid


def test_parent_killed(killed_parent: int, tmp_path: Path) -> None:
    """When the parent is killed, the child saves its state and ends."""
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    with EmbeddedStore(tmp_path) as store:
        assert store.pid != killed_parent
        assert dynamodb_client(store.endpoint).list_tables()["TableNames"] == [TABLE]
