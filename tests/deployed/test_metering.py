"""The metering stream reaches the packaged function, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.client import event
from tests.e2e.samples import SIMPLE, written


if TYPE_CHECKING:
    from tests.deployed.gateway_to_dynamodb import GatewayToDynamoDB
    from tests.deployed.stack import DeployedStack
    from tests.deployed.streams import Metering

CALLS: Final = 1_000
OWED: Final = "-60.00"
"""What 1,000 calls of a minute cost, at 0.06."""


def calls(stack: DeployedStack, account: str, count: int = CALLS) -> list[tuple[str, bytes]]:
    """Return calls of a minute, a record each, in the order of their times."""
    first = datetime.fromisoformat(stack.ago(count))
    times = [written(first + timedelta(seconds=number)) for number in range(count)]
    return [(account, json.dumps(event(account, f"c{n}", time)).encode()) for n, time in enumerate(times)]


def used(stack: DeployedStack, account: str) -> tuple[str, str]:
    """Return the balance of an account, and the quantity of its calls."""
    return stack.client.balance(account), stack.client.product(account)["quantity"]


def dead_letters(stack: DeployedStack) -> list[tuple[str, str]]:
    """Take all dead letters of events, and return each with its reason."""
    queues, url = stack.aws.client("sqs"), stack.outputs["EventDeadLettersUrl"]
    taken = []
    while messages := queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        taken += [(message["Body"], message["MessageAttributes"]["Reason"]["StringValue"]) for message in messages]
    return taken


def test_poison(stack: DeployedStack, metering: Metering, account: str) -> None:
    """One record among 1,000 good ones that cannot be read lies among the dead letters, with its reason."""
    dead_letters(stack)
    records = calls(stack, account)
    poison = '{"specversion": "1.0", "id'
    records.insert(CALLS // 2, (account, poison.encode()))

    poller = metering.deliver(records)

    assert used(stack, account) == (OWED, "60000")
    assert dead_letters(stack) == [(poison, "invalid_event")]
    assert sum(len(numbers) for numbers in poller.invocations) == len(records)


def test_killed(stack: DeployedStack, metering: Metering, gateway_to_dynamodb: GatewayToDynamoDB, name: str) -> None:
    """A function that is killed between the writes of a batch is called again, and every event counts once."""
    accounts = [f"{name}-{number}" for number in range(4)]
    for account in accounts:
        stack.client.put_account(account, SIMPLE)
    shares = [calls(stack, account, 100) for account in accounts]
    records = [record for together in zip(*shares, strict=True) for record in together]
    killed: list[int] = []
    poller = metering.poller(metering.shards(metering.put(records)))
    metering.invoke({"Records": []})
    with gateway_to_dynamodb.before_put(2, lambda: killed.extend(kill_function(stack.resource("MeterEvents")))):
        poller.poll()
    assert killed
    poller.drain()

    assert poller.given_up == []
    assert [used(stack, account) for account in accounts] == [("-6.00", "6000")] * 4


def kill_function(function: str) -> list[int]:
    """Kill the processes that run a function, as Lambda may at any moment, and return their ids."""
    killed = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"ministack-lambda-{function}-".encode() in command:
            os.kill(int(folder.name), signal.SIGKILL)
            killed.append(int(folder.name))
    return killed


def test_delivered_twice(stack: DeployedStack, metering: Metering, account: str) -> None:
    """Batches that are delivered twice, and records that are written twice, change nothing the second time."""
    records = calls(stack, account, 100)
    shards = metering.shards(metering.put(records))

    for _ in range(2):
        poller = metering.poller(shards)
        poller.drain()
        assert poller.given_up == []
    metering.deliver(records)

    assert used(stack, account) == ("-6.00", "6000")


@pytest.mark.parametrize("newest_first", [True, False], ids=["children first", "side by side"])
def test_shards_split(stack: DeployedStack, metering: Metering, name: str, *, newest_first: bool) -> None:
    """Records of a stream that was split meanwhile come out of order, the later ones first, and all count once."""
    accounts = [f"{name}-{number}" for number in range(4)]
    for account in accounts:
        stack.client.put_account(account, SIMPLE)
    shares = [calls(stack, account, 100) for account in accounts]
    early = [record for share in shares for record in share[:50]]
    late = [record for share in shares for record in share[50:]]
    parents = metering.shards(metering.put(early))  # the emulator forgets a shard with its split
    metering.split()
    children = metering.shards(metering.put(late))
    assert not {shard.name for shard in children} <= {shard.name for shard in parents}

    poller = metering.poller([*children, *parents])
    if newest_first:
        poller.drain()
    else:
        poller.drain_side_by_side()

    assert poller.given_up == []
    assert [used(stack, account) for account in accounts] == [("-6.00", "6000")] * 4
