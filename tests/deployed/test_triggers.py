"""A schedule, the queues and the table's stream reach the packaged functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployed.stack import wait_for
from tests.e2e.client import event, expect
from tests.e2e.samples import pays_by_card


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deployed.stack import DeployedStack
    from tests.deployed.streams import Outbox


@pytest.fixture
def published(stack: DeployedStack, name: str) -> Callable[[], list[dict[str, Any]]]:
    """Give what takes from a queue all that was published on the stack's bus."""
    events, queues = stack.aws.client("events"), stack.aws.client("sqs")
    bus = stack.outputs["EventBusName"]
    queue = queues.create_queue(QueueName=name)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["usage-tab"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])

    def take() -> list[dict[str, Any]]:
        messages = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return take


def test_work(stack: DeployedStack, name: str) -> None:
    """A payment whose outcome was unknown is found by its schedule, handed over, and settled by the queue's worker."""
    stack.client.put_account(name, pays_by_card("tok_error"))
    asked = expect(202, stack.client.buy(name, "100.00", "order"))

    run = stack.fire(stack.rule("SettlePayments"))

    assert (run["done"], run["failed"]) == (0, 0)
    assert run["left"] >= 1
    path = f"/v1/accounts/{name}/credits/purchases/{asked.json['id']}"
    settled = wait_for(lambda: answer if (answer := stack.client.get(path))["status"] != "pending" else None)
    assert settled["status"] == "succeeded"
    assert stack.client.balance(name) == "100.00"


def test_work_that_cannot_be_done(stack: DeployedStack) -> None:
    """A message that nobody can read is put among the dead letters, and those beside it are done."""
    queues = stack.aws.client("sqs")

    queues.send_message(QueueUrl=stack.resource("WorkQueue"), MessageBody="nobody can read this")

    dead_letters = stack.outputs["WorkDeadLettersUrl"]
    (letter,) = wait_for(lambda: queues.receive_message(QueueUrl=dead_letters).get("Messages"))
    assert letter["Body"] == "nobody can read this"


def test_reports(stack: DeployedStack, account: str) -> None:
    """A report that was handed over is written into the bucket, as the API answers with it."""
    time = stack.ago(60)
    stack.client.take(event(account, "1", time, "95", direction="inbound"))
    answer = stack.client.ask("GET", f"/v1/accounts/{account}/reports/cost", query={"period": time[:7]})
    assert answer.text.count("\n") == 2
    work = {"job": "report", "subject": f"{account}/cost-{time[:7]}-1-0", "at": 1_612_137_599_000_000}

    stack.aws.client("sqs").send_message(QueueUrl=stack.resource("ReportQueue"), MessageBody=json.dumps(work))

    s3, bucket = stack.aws.client("s3"), stack.outputs["ReportBucketName"]
    (file,) = wait_for(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"reports/{account}/").get("Contents"))
    assert s3.get_object(Bucket=bucket, Key=file["Key"])["Body"].read() == answer.body


def test_effects(
    stack: DeployedStack, outbox: Outbox, name: str, published: Callable[[], list[dict[str, Any]]]
) -> None:
    """Usage below the threshold is followed by a payment, credit and notifications, all through the table's stream."""
    stack.client.put_account(name, pays_by_card())
    expect(201, stack.client.buy(name, "100.00", "order"))
    expect(200, stack.client.put_auto_recharge(name, threshold="50", amount="100"))
    stack.client.take(event(name, "1", stack.ago(60), "60000"))
    assert stack.client.balance(name) == "40.00"

    while outbox.deliver():
        pass

    assert stack.client.balance(name) == "140.00"
    of_account = [message for message in published() if message["detail"]["account"] == name]
    assert sorted(message["detail-type"] for message in of_account) == ["credit.purchased", "credit.recharged"]


def test_answers_of_a_function(stack: DeployedStack) -> None:
    """Strangers are refused, bodies and paths come through as they were sent, and the page comes with its files."""
    client = stack.client
    assert client.ask("GET", "/v1/jobs", token=None).code == "unauthenticated"
    assert client.ask("GET", "/v1/accounts/nobody/usage").code == "not_found"
    assert client.ask("POST", "/v1/events", "{").code == "malformed_body"
    assert client.ask("GET", "/health", token=None).json == {"status": "ok", "store": "ok"}
    page = client.ask("GET", "/", token=None)
    assert page.headers["Content-Type"].startswith("text/html")
    assert client.ask("GET", "/console/icon.svg", token=None).status == 200
