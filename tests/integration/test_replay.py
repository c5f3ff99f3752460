"""`usage-tab replay` over an emulated AWS: dead letters of the stream and of jobs, batches that Lambda has given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chalicelib.bootstrap import build_services, open_event_dead_letters, open_store, open_work_queue
from chalicelib.cli import main
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.instants import DAY, format_instant
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.events.metering_stream import meter
from chalicelib.services.clocks import RealClock
from chalicelib.services.container import Services
from chalicelib.settings import Settings
from tests.aws_server import AwsServer
from tests.fakes.stream_poller import Shard, StreamPoller, StreamRecord, batch_event
from tests.stores import AwsClients, aws_client


CELLS = {"Resource": "call", "Price per increment": "1", "Increment": "1", "Currency": "EUR"}
SHARD = "shardId-000000000001"


@dataclass
class Deployment:
    """A service with its queues, its bucket and its environment."""

    services: Services
    aws: AwsClients
    environment: dict[str, str]

    @property
    def bucket(self) -> str:
        """The bucket that everything else goes to."""
        return self.environment["USAGE_TAB_REPORT_BUCKET"]

    def new_queue(self, setting: str) -> None:
        """Create a queue and name it in the environment."""
        name = f"{self.bucket}-{setting.lower().replace('_', '-')}"
        self.environment[setting] = self.aws("sqs").create_queue(QueueName=name)["QueueUrl"]

    def create_account(self, name: str) -> None:
        """Create an account in euros, with a free unit."""
        by_invoice = PaymentMethod(PaymentType.INVOICE)
        free_units = {"call": FreeUnits(Decimal(1), Per.ACCOUNT)}
        self.services.accounts.put(Account(name, name, "EUR", "UTC", by_invoice, "standard", 0, free_units))

    def effects(self) -> list[str]:
        """Return what waits in the outbox, by its account."""
        return [subject.partition("/")[0] for subject in self.services.effects.subjects(RealClock().now() + DAY)]

    def event(self, account: str, name: str, quantity: str = "1") -> dict[str, Any]:
        """Return an event of a day ago, of which a unit costs 1."""
        return {
            "specversion": "1.0",
            "id": name,
            "source": "/voice",
            "type": "call",
            "subject": account,
            "time": format_instant(RealClock().now() - DAY),
            "data": {"quantity": quantity},
        }

    def records(self, *contents: bytes | dict[str, Any]) -> dict[str, Any]:
        """Return a batch of the stream that arrived a day ago."""
        at = RealClock().now() - DAY
        data = [content if isinstance(content, bytes) else json.dumps(content).encode() for content in contents]
        return batch_event(SHARD, [StreamRecord.of(content, "acme", at) for content in data])

    def used(self, account: str) -> str:
        """Return what an account owes."""
        return str(-self.services.usage.tab(account).figures.pools[0].balance)

    def waiting(self, name: str) -> int:
        """Count the messages of a queue that can be received."""
        attribute = "ApproximateNumberOfMessages"
        answer = self.aws("sqs").get_queue_attributes(QueueUrl=self.environment[name], AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    def read(self, stream_arn: str, shard: str) -> list[StreamRecord]:
        """Return what lies in a shard."""
        kinesis = self.aws("kinesis")
        start = {"StreamARN": stream_arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**start)["ShardIterator"]
        return [StreamRecord.of_kinesis(record) for record in kinesis.get_records(ShardIterator=iterator)["Records"]]

    def replay(self, *options: str) -> Result:
        """Run the command."""
        return CliRunner().invoke(main, ["replay", *options], env=self.environment)


@pytest.fixture(scope="module")
def aws() -> Iterator[tuple[str, AwsClients]]:
    """Give the address of an emulated AWS, and clients of it."""
    with AwsServer("dynamodb,sqs,s3,kinesis") as server:
        endpoint = server.environment["AWS_ENDPOINT_URL"]
        clients = cache(lambda service: aws_client(service, endpoint))
        yield endpoint, clients


@pytest.fixture
def deployment(aws: tuple[str, AwsClients], request: pytest.FixtureRequest) -> Deployment:
    """Give a service with tables and queues of its own, and the account `acme`."""
    endpoint, clients = aws
    name = request.node.name.replace("_", "-")
    clients("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    environment = {
        "USAGE_TAB_STORE": endpoint,
        "USAGE_TAB_STATE_TABLE": f"{name}-state",
        "USAGE_TAB_PAGES_TABLE": f"{name}-pages",
        "USAGE_TAB_REPORT_BUCKET": name,
    }
    settings = Settings.from_environment(environment)
    store = open_store(settings)
    store.create_tables()
    deployment = Deployment(build_services(settings, store), clients, environment)
    line = Line("/rows/0", "line 2", {**dict.fromkeys(COLUMNS, ""), **CELLS})
    deployment.services.catalogue.put_rate_card("standard", date(2020, 1, 1), [line])
    deployment.create_account("acme")
    return deployment


def test_events(deployment: Deployment) -> None:
    """What the stream brought in vain is taken once its account is there; what can never be taken stays, named."""
    batch = deployment.records(
        deployment.event("acme", "1", "2"), deployment.event("late", "1", "4"), b"\xff", deployment.event("late", "2")
    )
    deployment.new_queue("USAGE_TAB_EVENT_DEAD_LETTERS")
    dead_letters = open_event_dead_letters(Settings.from_environment(deployment.environment))
    assert meter(replace(deployment.services, event_dead_letters=dead_letters), batch) == {"batchItemFailures": []}
    poison = batch["Records"][2]["eventID"]
    assert deployment.waiting("USAGE_TAB_EVENT_DEAD_LETTERS") == 3

    deployment.create_account("late")
    trial = deployment.replay("--dry-run")
    assert trial.exit_code == 1
    assert trial.stdout.splitlines()[0] == "events (dry run): 2 accepted, 1 left"
    assert deployment.used("late") == "0"
    assert deployment.effects() == []
    done = deployment.replay()

    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert said[0] == "events: 2 accepted, 1 left"
    assert said[1].startswith(f"left: usage-tab-events/{poison}/0: invalid_event: ")
    assert (deployment.used("acme"), deployment.used("late")) == ("1", "4")
    assert deployment.effects() == ["late"]
    assert deployment.waiting("USAGE_TAB_EVENT_DEAD_LETTERS") == 1


def test_batches_that_lambda_gave_up(deployment: Deployment) -> None:
    """A batch is read from the stream again; what it holds in vain becomes a dead letter; nothing is counted twice."""
    deployment.new_queue("USAGE_TAB_EVENT_DEAD_LETTERS")
    deployment.new_queue("USAGE_TAB_METERING_DEAD_LETTERS")
    sqs, kinesis = deployment.aws("sqs"), deployment.aws("kinesis")
    kinesis.create_stream(StreamName=deployment.bucket, ShardCount=1)
    event = deployment.event("acme", "1", "2")
    for content in (event, {}, [event, deployment.event("acme", "2", "4")], deployment.event("acme", "3", "64")):
        kinesis.put_record(StreamName=deployment.bucket, Data=json.dumps(content).encode(), PartitionKey="acme")
    stream = kinesis.describe_stream(StreamName=deployment.bucket)["StreamDescription"]
    records = deployment.read(stream["StreamARN"], stream["Shards"][0]["ShardId"])
    poller = StreamPoller(_crash, [Shard("shardId-000000000000", records[:3], stream["StreamARN"])], splits=False)
    poller.drain()
    (notice,) = poller.given_up
    queue = deployment.environment["USAGE_TAB_METERING_DEAD_LETTERS"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(notice))
    gone = {**notice["KinesisBatchInfo"], "streamArn": f"{stream['StreamARN']}-gone"}
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"KinesisBatchInfo": gone}))
    more = {**notice["KinesisBatchInfo"], "batchSize": 4}
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"KinesisBatchInfo": more}))
    sqs.send_message(QueueUrl=queue, MessageBody="{}")

    done = deployment.replay()

    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert said[0] == "batches: 1 taken, 3 left"
    assert all(line.endswith(": not all its records are in the stream any more") for line in said[1:4])
    assert said[4] == "events: none put back, 1 left"
    assert said[5].startswith(f"left: {deployment.bucket}/shardId-000000000000:{records[1].sequence}/0: invalid_event")
    assert deployment.used("acme") == "5"
    assert deployment.waiting("USAGE_TAB_METERING_DEAD_LETTERS") == 3


def _crash(_event: dict[str, Any]) -> None:
    raise RuntimeError


def test_work(deployment: Deployment) -> None:
    """Work of jobs goes back into its queue; nothing left is the exit code 0, and so is running it again."""
    deployment.new_queue("USAGE_TAB_WORK_QUEUE")
    deployment.new_queue("USAGE_TAB_DEAD_LETTERS")
    queue = open_work_queue(Settings.from_environment(deployment.environment))
    assert queue is not None
    queue.bury('{"job":"audit","subject":"acme","at":7}', "KeyError: x")

    done = deployment.replay()

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["work: 1 put back, 0 left"]
    (message,) = deployment.aws("sqs").receive_message(QueueUrl=deployment.environment["USAGE_TAB_WORK_QUEUE"])[
        "Messages"
    ]
    assert message["Body"] == '{"job":"audit","subject":"acme","at":7}'
    assert deployment.waiting("USAGE_TAB_DEAD_LETTERS") == 0


def test_what_cannot_be_replayed(deployment: Deployment) -> None:
    """Without a queue, or where it is not there, the command says so in a line."""
    nothing = deployment.replay()
    elsewhere = deployment.replay("--queue", f"{deployment.environment['USAGE_TAB_STORE']}/000000000000/none")

    assert (nothing.exit_code, elsewhere.exit_code) == (2, 2)
    assert "USAGE_TAB_EVENT_DEAD_LETTERS" in nothing.stderr
    assert "Error: " in elsewhere.stderr
