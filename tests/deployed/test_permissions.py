"""Every function works with the policy that it has, and not with one that lacks an action."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws_server import AwsServer
from tests.deployed.stack import DeployedStack, FunctionFailedError, emulated_template
from tests.deployed.streams import Outbox
from tests.e2e.client import event, expect
from tests.e2e.samples import SIMPLE, pays_by_card, put_rate_cards, written
from tests.fakes.stream_poller import StreamRecord, batch_event


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = "2021-01-31T12:00:00Z"
START = "2021-01-31T22:00:00Z"
JOBS = {
    "expire-credit",
    "recharge-commitments",
    "compute-storage-peaks",
    "issue-invoices",
    "settle-payments",
    "sweep-outbox",
    "audit",
}
OTHER_SCHEDULES = (
    "ExpireCredit",
    "RechargeCommitments",
    "ComputeStoragePeaks",
    "IssueInvoices",
    "SweepOutbox",
    "Audit",
)
IN_A_PAGE = 20
"""Events that are too many for a head's tail."""


@pytest.fixture(scope="session")
def guarded(bundle: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    """Give a stack whose every call is judged by IAM, over the emulator's own DynamoDB; nothing calls its functions."""
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with AwsServer(python=python, AUTH="true", **keys) as aws:
        packaged = emulated_template()
        del packaged["Resources"]["ReportBucketPolicy"]  # it refuses what does not come over TLS, and nothing here does
        stack = DeployedStack(aws, tmp_path_factory.mktemp("guarded"), packaged, bundle)
        assert stack.deploy()
        stack.open()
        functions = aws.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        stack.client.move_clock(START)
        put_rate_cards(stack.client)
        yield stack


def use_api(stack: DeployedStack, name: str) -> None:
    """Do what customers, operators and the metering system do."""
    client = stack.client
    client.put_account(name, pays_by_card())
    calls = [event(name, f"c{number}", NOON) for number in range(IN_A_PAGE)]
    client.take(*calls)
    assert client.post(calls)["duplicates"] == IN_A_PAGE
    expect(201, client.buy(name, "100.00", "order"))
    assert client.balance(name) == "98.80"
    assert [entry["kind"] for entry in client.ledger(name)] == ["purchase"]
    report = client.ask("GET", f"/v1/accounts/{name}/reports/cost", query={"period": "2021-01"})
    assert report.text.count(f"{NOON[:10]}T12:00:00") >= IN_A_PAGE
    assert client.ask("GET", f"/v1/accounts/{name}/reports/files/cost-2021-01-1-0").code == "not_found"
    wait_for_payment(stack, f"{name}-w")
    assert client.run_job("settle-payments")["left"] > 0


def wait_for_payment(stack: DeployedStack, name: str) -> str:
    """Leave a payment whose outcome is not known, and return where it can be seen."""
    stack.client.put_account(name, pays_by_card("tok_error"))
    asked = expect(202, stack.client.buy(name, "100.00", "order"))
    return f"/v1/accounts/{name}/credits/purchases/{asked.json['id']}"


def move_time(stack: DeployedStack, name: str) -> None:
    """Move the test clock by a quarter of an hour, with effects on the way."""
    stack.client.put_account(name, pays_by_card())
    expect(201, stack.client.buy(name, "100.00", "order"))
    now = datetime.fromisoformat(stack.client.get("/v1/test-clock")["now"])
    runs = stack.client.move_clock(written(now + timedelta(minutes=15)))
    assert [run["failed"] for run in runs] == [0] * 6


def meter(stack: DeployedStack, name: str) -> None:
    """Bring a batch from the stream, with a record that cannot be read, twice."""
    stack.client.put_account(name, SIMPLE)
    records = [json.dumps(event(name, f"c{number}", NOON)).encode() for number in range(IN_A_PAGE)]
    batch = batch_event("shard", [StreamRecord.of(record, name, 1_612_094_400_000_000) for record in [*records, b"?"]])
    for _ in range(2):
        assert stack.invoke("MeterEvents", batch) == {"batchItemFailures": []}
    assert stack.client.balance(name) == "-1.20"


def carry_out(stack: DeployedStack, name: str) -> None:
    """Carry out a payment and notifications, as the stream tells of them."""
    stack.client.put_account(name, pays_by_card())
    expect(201, stack.client.buy(name, "100.00", "order"))
    expect(200, stack.client.put_auto_recharge(name, threshold="50", amount="100"))
    stack.client.take(event(name, "1", NOON, "60000"))
    outbox = Outbox(stack)
    while outbox.deliver():
        pass
    assert stack.client.balance(name) == "140.00"


def find_due(stack: DeployedStack, name: str) -> None:
    """Find a payment whose outcome is not known, and hand it over."""
    wait_for_payment(stack, name)
    run = stack.fire(stack.rule("SettlePayments"))
    assert run["left"] > 0


def work(stack: DeployedStack, name: str) -> None:
    """Do what schedules have handed over."""
    where = wait_for_payment(stack, name)
    stack.client.put_account(f"{name}-sure", pays_by_card())
    expect(201, stack.client.buy(f"{name}-sure", "100.00", "order"))
    stack.client.take(*(event(name, f"c{number}", NOON) for number in range(IN_A_PAGE)))
    queues, queue = stack.aws.client("sqs"), stack.resource("WorkQueue")
    queues.purge_queue(QueueUrl=queue)
    for job in ("settle-payments", "sweep-outbox", "audit"):
        stack.client.run_job(job)
    waiting = []
    while messages := queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        waiting += [message for message in messages if name in message["Body"]]
    assert len(waiting) > 2
    assert stack.invoke("DoWork", of_queue(waiting)) == {"batchItemFailures": []}
    assert stack.client.get(where)["status"] == "succeeded"


def of_queue(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return messages as a function is given them."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:queue",
                "awsRegion": "eu-west-1",
            }
            for message in messages
        ]
    }


def write_report(stack: DeployedStack, name: str) -> None:
    """Write a report of calls that lie in a page."""
    stack.client.put_account(name, SIMPLE)
    stack.client.take(*(event(name, f"c{number}", NOON) for number in range(IN_A_PAGE)))
    body = json.dumps({"job": "report", "subject": f"{name}/cost-2021-01-1-0", "at": 1_612_137_599_000_000})
    message = {"MessageId": "1", "ReceiptHandle": "1", "Body": body}
    assert stack.invoke("BuildReports", of_queue([message])) == {"batchItemFailures": []}
    bucket, prefix = stack.outputs["ReportBucketName"], f"reports/{name}/"
    assert stack.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 1


@dataclass(frozen=True)
class Usage:
    """What a function is there for, and the actions without which it fails at that, by the beginning of a resource."""

    does: tuple[Callable[[DeployedStack, str], None], ...]
    needs: tuple[tuple[str, tuple[str, ...]], ...]


READ_AND_PUT = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem")
USES = {
    "APIHandler": Usage(
        (use_api, move_time),
        (
            ("StateTable", READ_AND_PUT),
            ("StateTable/index/due", ("dynamodb:Query",)),
            ("PagesTable", ("dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:BatchWriteItem")),
            ("ReportBucket/", ("s3:GetObject",)),
            ("EventBus", ("events:PutEvents",)),
        ),
    ),
    "MeterEvents": Usage(
        (meter,),
        (
            ("StateTable", ("dynamodb:GetItem", "dynamodb:PutItem")),
            ("PagesTable", ("dynamodb:Query", "dynamodb:BatchWriteItem")),
        ),
    ),
    "CarryOutEffects": Usage(
        (carry_out,),
        (("StateTable", ("dynamodb:GetItem", "dynamodb:PutItem")), ("EventBus", ("events:PutEvents",))),
    ),
    "DoWork": Usage(
        (work,),
        (
            ("StateTable", ("dynamodb:Query", "dynamodb:PutItem")),
            ("PagesTable", ("dynamodb:Query",)),
            ("EventBus", ("events:PutEvents",)),
        ),
    ),
    "BuildReports": Usage(
        (write_report,),
        (
            ("StateTable", ("dynamodb:GetItem", "dynamodb:Query")),
            ("PagesTable", ("dynamodb:Query",)),
            ("ReportBucket/", ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")),
        ),
    ),
    "SettlePayments": Usage(
        (find_due,),
        (("StateTable", ("dynamodb:PutItem",)), ("StateTable/index/due", ("dynamodb:Query",))),
    ),
}


class Policy:
    """The policy of a function, from which actions can be taken."""

    def __init__(self, stack: DeployedStack, function: str) -> None:
        self.function, self._stack = function, stack
        self._iam, self._role = stack.aws.client("iam"), stack.resource(f"{function}Role")
        self._whole = self._iam.get_role_policy(RoleName=self._role, PolicyName=function)["PolicyDocument"]

    def put_without(self, resource: str, action: str) -> None:
        """Put the policy without an *action* on a *resource* of the template."""
        policy = copy.deepcopy(self._whole)
        statements = [statement for statement in policy["Statement"] if self._is_of(statement, resource)]
        (found,) = (statement for statement in statements if action in statement["Action"])
        found["Action"].remove(action)
        policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
        self._put(policy)

    def put_back(self) -> None:
        """Put the policy as the template has it."""
        self._put(self._whole)

    def _is_of(self, statement: dict[str, Any], resource: str) -> bool:
        name, slash, rest = resource.partition("/")
        ending = self._stack.resource(name) + slash + rest
        return any(arn.endswith(ending) or (slash and not rest and ending in arn) for arn in statement["Resource"])

    def _put(self, policy: dict[str, Any]) -> None:
        document = json.dumps(policy)
        self._iam.put_role_policy(RoleName=self._role, PolicyName=self.function, PolicyDocument=document)


@pytest.mark.parametrize("function", USES)
def test_least_privilege(guarded: DeployedStack, function: str, name: str) -> None:
    """A function does what it is there for, but not without any one of the actions it needs; with all, again."""
    usage, policy = USES[function], Policy(guarded, function)
    for number, do in enumerate(usage.does):
        do(guarded, f"{name}-{number}")

    works_without = [
        (resource, action)
        for place, (resource, actions) in enumerate(usage.needs)
        for action in actions
        if is_done_without(guarded, policy, resource, action, f"{name}-{place}-{action.rpartition(':')[2]}")
    ]

    policy.put_back()
    assert works_without == []
    for number, do in enumerate(usage.does):
        do(guarded, f"{name}-again-{number}")


def is_done_without(stack: DeployedStack, policy: Policy, resource: str, action: str, name: str) -> bool:
    """Take an action on a resource away, and tell whether the function does all it is there for nevertheless."""
    policy.put_without(resource, action)
    try:
        for number, do in enumerate(USES[policy.function].does):
            do(stack, f"{name}-{number}")
    except (AssertionError, FunctionFailedError):
        return False
    return True


def test_schedules(guarded: DeployedStack) -> None:
    """Every schedule of the template reaches the function of its job, which runs it with the policy that it has."""
    rules = [rule for rule in guarded.aws.client("events").list_rules()["Rules"] if rule.get("ScheduleExpression")]

    answers = [guarded.fire(rule) for rule in rules]

    assert {answer["job"] for answer in answers} == JOBS
    assert [answer["failed"] for answer in answers] == [0] * len(JOBS)
    states = guarded.client.get("/v1/jobs")["items"]
    assert {state["job"] for state in states if state["last_run"] is not None} == JOBS
    assert {rule["State"] for rule in rules} == {"ENABLED"}


def test_schedules_have_one_policy(guarded: DeployedStack) -> None:
    """What one schedule may do is what every other may do, so that one of them stands for all in these tests."""
    iam, functions = guarded.aws.client("iam"), (*OTHER_SCHEDULES, "SettlePayments")
    policies = [
        iam.get_role_policy(RoleName=guarded.resource(f"{function}Role"), PolicyName=function)["PolicyDocument"]
        for function in functions
    ]

    allowed = [
        [statement for statement in policy["Statement"] if "logs:PutLogEvents" not in statement["Action"]]
        for policy in policies
    ]

    assert allowed == [allowed[0]] * len(functions)
