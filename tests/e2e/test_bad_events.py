"""What `POST /v1/events` does not take: each is answered, and moves nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Client, assert_problem, event, expect


if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = {"time": "2021-01-20T11:00:00Z", "direction": "inbound", "resolution": "answered"}
MISSING = object()


@pytest.fixture
def used(client: Client, account: str) -> Iterator[str]:
    """Give an account with usage and credit, none of which may have moved when the test ends."""
    client.grant(account, "5", key="a")
    client.take(event(account, "first", quantity="6000", **GOOD))
    before = snapshot(client, account)
    yield account
    assert snapshot(client, account) == before


def snapshot(client: Client, account: str) -> Any:
    """Return all that a customer sees of an account."""
    return client.usage(account), client.balances(account), client.ledger(account)


def changed(account: str, path: str, value: object) -> dict[str, Any]:
    """Build a good event with another member at *path*."""
    document = event(account, "bad", **GOOD)
    *parents, member = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    if value is MISSING:
        del place[member]
    else:
        place[member] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("subject", "nobody", "unknown_account"),
        ("subject", "not an id", "unknown_account"),
        ("subject", "", "invalid_event"),
        ("type", "telepathy", "unknown_resource"),
        ("type", "", "invalid_event"),
        ("data.direction", "sideways", "no_rate"),
        ("time", "2019-12-31T23:59:59Z", "too_old"),
        ("time", "2020-12-27T21:59:59.999999Z", "too_old"),
        ("time", "2021-01-31T22:05:00.000001Z", "in_future"),
        ("time", "2021-01-31T22:06:00Z", "in_future"),
        ("time", "9999-12-31T23:59:59Z", "in_future"),
        ("time", MISSING, "invalid_event"),
        ("time", "2021-01-20T11:00:00", "invalid_event"),
        ("time", "2021-02-30T11:00:00Z", "invalid_event"),
        ("time", "0000-00-00T00:00:00Z", "invalid_event"),
        ("time", "yesterday", "invalid_event"),
        ("time", 1611140400, "invalid_event"),
        ("data.quantity", MISSING, "invalid_event"),
        ("data.quantity", "-1", "invalid_event"),
        ("data.quantity", "", "invalid_event"),
        ("data.quantity", "ten", "invalid_event"),
        ("data.quantity", "1e3", "invalid_event"),
        ("data.quantity", "1,5", "invalid_event"),
        ("data.quantity", " 1", "invalid_event"),
        ("data.quantity", "\u0661", "invalid_event"),
        ("data.quantity", "NaN", "invalid_event"),
        ("data.quantity", "Infinity", "invalid_event"),
        ("data.quantity", "9" * 400, "invalid_event"),
        ("data.quantity", "1" * 13, "invalid_event"),
        ("data.quantity", "0.0000000001", "invalid_event"),
        ("data.quantity", 60, "invalid_event"),
        ("data.quantity", 60.5, "invalid_event"),
        ("data.quantity", None, "invalid_event"),
        ("data.quantity", True, "invalid_event"),
        ("data.quantity", ["60"], "invalid_event"),
        ("data.number", "call me", "invalid_event"),
        ("data.number", "+1234567890123456", "invalid_event"),
        ("data.direction", 1, "invalid_event"),
        ("data.interaction_id", "i" * 129, "invalid_event"),
        ("data", MISSING, "invalid_event"),
        ("data", "60", "invalid_event"),
        ("id", MISSING, "invalid_event"),
        ("id", "", "invalid_event"),
        ("id", "i" * 129, "invalid_event"),
        ("id", "\u00e9" * 65, "invalid_event"),
        ("id", 1, "invalid_event"),
        ("source", MISSING, "invalid_event"),
        ("source", "", "invalid_event"),
        ("source", "s" * 257, "invalid_event"),
        ("type", MISSING, "invalid_event"),
        ("subject", MISSING, "invalid_event"),
        ("specversion", MISSING, "invalid_event"),
        ("specversion", "0.3", "invalid_event"),
    ],
)
def test_an_event_with_a_wrong_member_is_rejected(
    client: Client, used: str, path: str, value: object, code: str
) -> None:
    """One event that cannot be taken is answered with its code, alone and among others."""
    document = changed(used, path, value)
    again = event(used, "first", quantity="6000", **GOOD)

    for body, index in ((document, 0), ([again, document, again], 1)):
        counts = expect(200, client.ask("POST", "/v1/events", body)).json
        (result,) = (result for result in counts["results"] if result["status"] == "rejected")
        assert (counts["accepted"], counts["rejected"]) == (0, 1)
        assert (result["index"], result["code"]) == (index, code)
        assert isinstance(result["detail"], str)
        assert result["detail"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data.quantity": "x", "subject": "nobody"}, "invalid_event"),
        ({"subject": "nobody", "type": "telepathy"}, "unknown_account"),
        ({"type": "telepathy", "time": "2019-01-01T00:00:00Z"}, "unknown_resource"),
        ({"time": "2019-01-01T00:00:00Z", "data.direction": "sideways"}, "too_old"),
        ({"id": "first", "data.direction": "sideways"}, "conflict"),
    ],
)
def test_of_several_faults_the_first_checked_is_named(
    client: Client, used: str, changes: dict[str, str], code: str
) -> None:
    """The checks come in the order that the contract lists."""
    document = event(used, "bad", **GOOD)
    for path, value in changes.items():
        place = document["data"] if path.startswith("data.") else document
        place[path.removeprefix("data.")] = value

    (result,) = client.post([document])["results"]
    assert result["code"] == code


def test_a_batch_takes_what_it_can(client: Client, account: str) -> None:
    """Good events of a batch count, and the results name the others in the order of their indexes."""
    batch = [
        event(account, "1", quantity="6", **GOOD),
        event(account, "2", quantity="-6", **GOOD),
        event("nobody", "3", quantity="6", **GOOD),
        event(account, "1", quantity="6.0", **GOOD),
        event(account, "4", quantity="12", **GOOD),
        event(account, "4", quantity="13", **GOOD),
        "no event at all",
    ]

    counts = client.post(batch)  # type: ignore[arg-type]
    named = [(result["index"], result["status"], result["code"]) for result in counts["results"]]
    assert (counts["accepted"], counts["duplicates"], counts["rejected"]) == (2, 1, 4)
    assert named == [
        (1, "rejected", "invalid_event"),
        (2, "rejected", "unknown_account"),
        (3, "duplicate", "duplicate"),
        (5, "rejected", "conflict"),
        (6, "rejected", "invalid_event"),
    ]
    assert client.product(account)["quantity"] == "18"


@pytest.mark.parametrize("time", ["2020-12-27T22:00:00Z", "2021-01-31T22:05:00Z"])
def test_the_limits_of_an_events_age_are_included(client: Client, account: str, time: str) -> None:
    """An event that is 35 days old, or 5 minutes ahead, to the microsecond is taken."""
    client.take(event(account, "1", time, direction="inbound", resolution="answered"))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b" ", 400, "malformed_body"),
        (b"{", 400, "malformed_body"),
        (b"[{}", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b"{} {}", 400, "malformed_body"),
        (b"1", 400, "malformed_body"),
        (b'"event"', 400, "malformed_body"),
        (b"null", 400, "malformed_body"),
        (b"true", 400, "malformed_body"),
        (b'{"data": {"quantity": NaN}}', 400, "malformed_body"),
        (b'[{"data": {"quantity": Infinity}}]', 400, "malformed_body"),
        (b"\x00", 400, "malformed_body"),
        (b"\xff\xfe[\x00", 400, "malformed_body"),
        (b"id,time,quantity\n1,2,3\n", 400, "malformed_body"),
        (b"[" * 100_000, 400, "malformed_body"),
        (b"[" + b" " * 6 * 1024 * 1024 + b"]", 413, "body_too_large"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_a_body_that_is_no_event_and_no_batch_is_refused(
    client: Client, used: str, body: bytes, status: int, code: str
) -> None:
    """Anything but an event or a batch of at least one is refused as a whole."""
    assert used
    assert_problem(client.ask("POST", "/v1/events", body), status, code)


def test_a_batch_of_more_than_a_thousand_is_refused(client: Client, used: str) -> None:
    """Of 1,001 events none is taken."""
    batch = [event(used, f"many-{number}", **GOOD) for number in range(1001)]

    assert_problem(client.ask("POST", "/v1/events", batch), 413, "too_many_events")


def test_a_batch_of_a_thousand_is_taken(client: Client, account: str) -> None:
    """The largest batch counts in full."""
    client.take(*(event(account, f"many-{number}", quantity="6", **GOOD) for number in range(1000)))

    assert client.product(account)["quantity"] == "6000"


@pytest.mark.parametrize(
    ("content_type", "is_batch"),
    [
        ("application/cloudevents+json", False),
        ("application/cloudevents+json; charset=utf-8", False),
        ("application/cloudevents-batch+json", True),
        ("application/json", False),
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
    ],
)
def test_events_come_in_every_content_type_of_the_contract(
    client: Client, account: str, content_type: str, *, is_batch: bool
) -> None:
    """One event and a batch are taken as CloudEvents and as plain JSON."""
    document = event(account, "1", **GOOD)
    body = json.dumps([document] if is_batch else document)

    answer = client.ask("POST", "/v1/events", body, headers={"Content-Type": content_type})
    assert expect(200, answer).json == {"accepted": 1, "duplicates": 0, "rejected": 0, "results": []}


def test_members_that_the_service_does_not_know_are_no_fault(client: Client, account: str) -> None:
    """CloudEvents' optional attributes, extensions and further data are let pass."""
    document = event(account, "1", **GOOD)
    document |= {"datacontenttype": "application/json", "dataschema": "urn:x", "traceparent": "00-1", "sequence": 5}
    document["data"] |= {"agent": "Kim", "waited": 12}

    client.take(document)
