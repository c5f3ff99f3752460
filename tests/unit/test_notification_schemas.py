"""What is published, against the schemas in `events/notifications/` that receivers rely on."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from chalicelib.bootstrap import build_services
from chalicelib.bus.eventbridge import EventBridgeBus
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import RechargeRule
from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.instants import HOUR, parse_instant
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.services.meter_events import ACCEPTED
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


FOLDER: Final = Path(__file__).parents[2] / "events" / "notifications"
SUFFIX: Final = ".schema.json"
SCHEMAS: Final = {
    path.name.removesuffix(SUFFIX): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob(f"*{SUFFIX}"))
}
NAMES: Final = {
    "credit.low",
    "credit.recharged",
    "credit.purchased",
    "auto_recharge.failed",
    "auto_recharge.disabled",
    "free_units.exhausted",
    "invoice.issued",
}

every_schema = pytest.mark.parametrize("name", SCHEMAS)


class Receiver:
    """Stands for the client of EventBridge, and keeps what arrives."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - its name at EventBridge
        """Take all of them."""
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


class World:
    """A service over a store in memory, where a second of calls costs 1."""

    def __init__(self) -> None:
        self.clock = FixedClock(parse_instant("2026-11-10T12:00:00.25Z"))
        self.receiver = Receiver()
        self.services = build_services(
            Settings(),
            MemoryStore(),
            self.clock,
            pause=lambda seconds: None,  # noqa: ARG005 - nobody waits
            clock=self.clock,
            bus=EventBridgeBus(self.receiver, "tests"),
        )
        cells = {"Price per increment": "1", "Increment": "1", "Currency": "EUR"}
        rows = [{**dict.fromkeys(COLUMNS, ""), "Resource": resource, **cells} for resource in ("call", "virtual_agent")]
        lines = [Line(f"/rows/{index}", f"row {index}", row) for index, row in enumerate(rows)]
        self.services.catalogue.put_rate_card("standard", date(2026, 1, 1), lines)

    def put_account(self, account: str, token: str | None, **free_units: str) -> None:
        """Put an account that pays by the card *token*, None by invoice."""
        method = PaymentMethod(PaymentType.CREDIT_CARD, token) if token else PaymentMethod(PaymentType.INVOICE)
        free = {resource: FreeUnits(Decimal(units), Per.ACCOUNT) for resource, units in free_units.items()}
        self.services.accounts.put(Account(account, account, "EUR", "Europe/Lisbon", method, "standard", 0, free))

    def commit_credit(self, account: str, amount: str, frequency: Frequency, pool: str = SHARED_POOL) -> None:
        """Commit credit from today on, which is lost when the next recharge comes."""
        terms = Terms(Decimal(amount), frequency, starts_on=date(2026, 11, 10), rollover=False)
        self.services.committing.put(account, pool, terms, actor="tests")

    def recharge_below(self, account: str, threshold: str, amount: str) -> None:
        """Switch auto recharge on."""
        rule = RechargeRule(Decimal(threshold), Decimal(amount))
        self.services.auto_recharge.put(account, rule, is_enabled=True)

    def call(self, account: str, quantity: str) -> None:
        """Take a call."""
        event = UsageEvent(account, "/tests", f"e-{quantity}", self.clock.now(), "call", Decimal(quantity))
        assert self.services.metering.take([event]) == [ACCEPTED]

    def run(self, job: str) -> None:
        """Run a job."""
        assert self.services.jobs.run(job).failed == 0


@pytest.fixture(scope="module")
def published() -> list[dict[str, Any]]:
    """Give all that was published while three accounts met with everything that is ever told."""
    world = World()
    world.put_account("card", "tok_ok", call="10")
    world.commit_credit("card", "100", Frequency.MONTHLY)
    world.commit_credit("card", "7.5", Frequency.ANNUAL, "virtual_agent")
    world.services.buying.purchase("card", "250.5", "key", "tests")
    world.recharge_below("card", "20", "50")
    # 337 of it cost 1 each, which leaves 13.5 of 350.5: less than 15 % of 100, and below 20
    world.call("card", "346.25")
    world.put_account("declined", "tok_declined")
    world.services.granting.grant("declined", GrantRequest(SHARED_POOL, Decimal(100), None, ""), "key", "tests")
    world.recharge_below("declined", "50", "30")
    world.call("declined", "60")
    world.put_account("invoice", None)
    world.commit_credit("invoice", "300", Frequency.QUARTERLY)
    # 90 more than the credit, of an expected 100 a month
    world.call("invoice", "390")
    for _ in range(2):
        world.clock.pass_by(HOUR)
        world.run("settle-payments")
    world.clock.set(parse_instant("2026-12-10T00:15:00Z"))
    for job in ("expire-credit", "recharge-commitments", "issue-invoices"):
        world.run(job)
    return world.receiver.entries


def told(published: list[dict[str, Any]], name: str, *members: str) -> list[tuple[Any, ...]]:
    """Return some members of all notifications of a *name*."""
    details = [json.loads(entry["Detail"]) for entry in published if entry["DetailType"] == name]
    return [tuple(detail[member] for member in members) for detail in details]


def test_there_is_a_schema_for_every_name(published: list[dict[str, Any]]) -> None:
    """The schemas, the names that the contract lists and those that are published are the same."""
    assert set(SCHEMAS) == NAMES
    assert {entry["DetailType"] for entry in published} == NAMES


def test_all_that_is_published_is_as_its_schema_says(published: list[dict[str, Any]]) -> None:
    """Every notification of a busy month is valid, comes from the service, and has an id of its own."""
    for entry in published:
        assert entry["Source"] == "usage-tab"
        Draft202012Validator(SCHEMAS[entry["DetailType"]]).validate(json.loads(entry["Detail"]))
    ids = [json.loads(entry["Detail"])["id"] for entry in published]
    assert len(set(ids)) == len(ids)


def test_what_is_told(published: list[dict[str, Any]]) -> None:
    """The notifications say what happened to the three accounts."""
    assert told(published, "credit.recharged", "account", "kind", "pool", "amount", "balance", "expires_on") == [
        ("card", "recharge", SHARED_POOL, "100.00", "100.00", "2026-12-09"),
        ("card", "recharge", "virtual_agent", "7.50", "7.50", "2027-11-09"),
        ("card", "auto_recharge", SHARED_POOL, "50.00", "63.50", None),
        ("invoice", "recharge", SHARED_POOL, "300.00", "300.00", "2027-02-09"),
        ("card", "recharge", SHARED_POOL, "100.00", "163.50", "2027-01-09"),
    ]
    assert told(published, "credit.purchased", "account", "amount", "balance") == [("card", "250.50", "350.50")]
    assert told(published, "free_units.exhausted", "account", "resource", "included") == [("card", "call", "10")]
    assert told(published, "credit.low", "account", "level", "balance", "commitment_months") == [
        ("card", 15, "13.50", 1),
        ("invoice", 85, "-90.00", 3),
    ]
    assert told(published, "auto_recharge.failed", "account", "amount", "failures", "next_try_at") == [
        ("declined", "30.00", 1, "2026-11-10T13:00:00.25Z"),
        ("declined", "30.00", 2, "2026-11-10T14:00:00.25Z"),
        ("declined", "30.00", 3, None),
    ]
    assert told(published, "auto_recharge.disabled", "account", "failures") == [("declined", 3)]
    assert sorted(told(published, "invoice.issued", "account", "period", "issued_at", "total")) == [
        ("card", "2026-11", "2026-12-01T01:00:00Z", "0.00"),
        ("declined", "2026-11", "2026-12-01T01:00:00Z", "0.00"),
        ("invoice", "2026-11", "2026-12-01T01:00:00Z", "90.00"),
    ]


@every_schema
def test_a_schema_is_one(name: str) -> None:
    """Each file is a schema of the draft it names, is called as its notification, and has a valid example."""
    schema = SCHEMAS[name]

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert (schema["$id"], schema["title"]) == (f"urn:usage-tab:notification:{name}", name)
    assert schema["examples"]
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


@every_schema
def test_a_schema_is_strict(name: str) -> None:
    """A schema describes each member, needs all of them, knows no others, and takes no numbers for decimals."""
    schema = SCHEMAS[name]
    example = schema["examples"][0]
    others = [
        {**example, "other": "x"},
        *({member: value for member, value in example.items() if member != missing} for missing in example),
        *({**example, member: 1.5} for member in example),
    ]

    assert all(member["description"] for member in schema["properties"].values())
    for other in others:
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate(other)


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("credit.low", {"level": 85}),
        ("credit.low", {"payment_method": "invoice"}),
        ("credit.low", {"period": "2026-13"}),
        ("credit.low", {"balance": "1e3"}),
        ("credit.recharged", {"kind": "purchase"}),
        ("credit.recharged", {"effective_at": "2026-11-01T00:00:00+01:00"}),
        ("credit.recharged", {"expires_on": "30.11.2026"}),
        ("credit.purchased", {"amount": "-5.00"}),
        ("free_units.exhausted", {"included": "3600.0"}),
        ("invoice.issued", {"total": "053.59"}),
    ],
)
def test_what_a_schema_refuses(name: str, members: dict[str, Any]) -> None:
    """Levels of the other way of paying, other notations and kinds that belong elsewhere are not valid."""
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMAS[name]).validate({**SCHEMAS[name]["examples"][0], **members})
