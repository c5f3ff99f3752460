"""Usage events: reading CloudEvents, identity, and what is kept of a number."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.usage_events import (
    InvalidEventError,
    UsageEvent,
    decode_cloud_event,
    kept_number,
    read_usage_event,
)
from tests.unit.domain.builders import at


FULL: dict[str, Any] = {
    "specversion": "1.0",
    "id": "c-4711",
    "source": "/voice/eu-west-1",
    "type": "call",
    "subject": "acme",
    "time": "2026-11-22T14:03:11Z",
    "data": {
        "quantity": "95",
        "direction": "outbound",
        "resolution": "answered",
        "country_code": "US",
        "number": "+12065550100",
        "category": "mobile",
        "type": "byoc",
        "interaction_id": "i-99",
    },
}

EVENT = UsageEvent(
    account="acme",
    source="/voice/eu-west-1",
    id="c-4711",
    time=at("2026-11-22T14:03:11Z"),
    resource="call",
    quantity=Decimal(95),
    direction="outbound",
    resolution="answered",
    country_code="US",
    number="12065550100",
    category="mobile",
    type="byoc",
    interaction_id="i-99",
)


def read(document: object) -> UsageEvent:
    """Read the event that a JSON document holds."""
    return read_usage_event(decode_cloud_event(json.dumps(document).encode()))


def changed(pointer: str, value: object) -> dict[str, Any]:
    """Return the full event with another value at *pointer*."""
    document = json.loads(json.dumps(FULL))
    *parents, member = pointer.strip("/").split("/")
    target = document
    for parent in parents:
        target = target[parent]
    target[member] = value
    return document


def without(pointer: str) -> dict[str, Any]:
    """Return the full event without the member at *pointer*."""
    document = changed(pointer, None)
    *parents, member = pointer.strip("/").split("/")
    del (document[parents[0]] if parents else document)[member]
    return document


def refusal_of(document: object) -> InvalidEventError:
    """Return why a document is refused."""
    with pytest.raises(InvalidEventError) as refusal:
        read(document)
    return refusal.value


def test_a_full_event() -> None:
    """Every member is read; a number loses its plus."""
    assert read(FULL) == EVENT


def test_the_least_event() -> None:
    """What rate rows match on may be missing."""
    document = changed("/data", {"quantity": "0"})

    assert read(document) == UsageEvent(
        account="acme",
        source="/voice/eu-west-1",
        id="c-4711",
        time=at("2026-11-22T14:03:11Z"),
        resource="call",
        quantity=Decimal(0),
    )


OPTIONAL = ["direction", "resolution", "country_code", "number", "category", "type", "interaction_id"]


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize("field", OPTIONAL)
def test_an_empty_field_is_no_field(field: str, nothing: str | None) -> None:
    """An empty or null field is one that is not given."""
    assert replace(EVENT, **{field: None}) == read(changed(f"/data/{field}", nothing))


def test_other_members_are_ignored() -> None:
    """Extension attributes and unknown data fields are allowed and say nothing to us."""
    document = changed("/traceparent", "00-1-2-3") | {"datacontenttype": "application/json", "dataschema": "urn:x"}
    document["data"]["agent"] = {"name": ["Ann"]}

    assert read(document) == EVENT


@pytest.mark.parametrize("pointer", ["/specversion", "/id", "/source", "/type", "/subject", "/time", "/data"])
def test_a_missing_member(pointer: str) -> None:
    """A required member that is missing is named."""
    assert pointer.strip("/") in str(refusal_of(without(pointer)))


def test_a_missing_quantity() -> None:
    """Data without a quantity is refused."""
    refusal = refusal_of(without("/data/quantity"))

    assert (refusal.pointer.startswith("/data"), "quantity" in str(refusal)) == (True, True)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/specversion", "0.3"),
        ("/specversion", "1.0.1"),
        ("/specversion", 1.0),
        ("/id", ""),
        ("/id", 4711),
        ("/id", None),
        ("/id", "x" * 129),
        # 43 characters of 3 bytes
        ("/id", "€" * 43),
        ("/source", ""),
        ("/source", None),
        ("/source", "x" * 257),
        # 65 characters of 4 bytes
        ("/source", "😀" * 65),
        ("/type", None),
        ("/type", ""),
        ("/type", ["call"]),
        ("/subject", None),
        ("/subject", ""),
        ("/subject", 7),
        ("/time", ""),
        ("/time", None),
        ("/time", 1795356191),
        ("/time", "2026-11-22T14:03:11"),
        ("/time", "2026-11-22"),
        ("/time", "2026-02-30T00:00:00Z"),
        ("/time", "2026-12-31T23:59:60Z"),
        ("/time", "yesterday"),
        ("/data", None),
        ("/data", "95"),
        ("/data", []),
        ("/data/quantity", 95),
        ("/data/quantity", 95.0),
        ("/data/quantity", True),
        ("/data/quantity", None),
        ("/data/quantity", ""),
        ("/data/quantity", "-1"),
        ("/data/quantity", "+1"),
        ("/data/quantity", "1e3"),
        ("/data/quantity", "1,5"),
        ("/data/quantity", "NaN"),
        ("/data/quantity", "Infinity"),
        ("/data/quantity", "1234567890123"),
        ("/data/quantity", "0.0000000001"),
        ("/data/quantity", "9" * 400),
        ("/data/direction", 1),
        ("/data/resolution", ["answered"]),
        ("/data/country_code", {}),
        ("/data/number", 12065550100),
        ("/data/number", "anonymous"),
        ("/data/number", "+"),
        ("/data/number", "+1 206 555 0100"),
        ("/data/number", "1234567890123456"),
        ("/data/number", "++1206"),
        ("/data/number", "\u0661\u0662"),
        ("/data/category", False),
        ("/data/type", 0),
        ("/data/interaction_id", 99),
        ("/data/interaction_id", "x" * 129),
        ("/data/interaction_id", "€" * 43),
    ],
)
def test_a_faulty_member(pointer: str, value: object) -> None:
    """A member of the wrong type, form or length is named by its pointer, with a reason."""
    refusal = refusal_of(changed(pointer, value))

    assert pointer == refusal.pointer
    assert str(refusal)


@pytest.mark.parametrize("document", [None, 1, "text", [], [FULL], {}, {"data": {}}])
def test_no_event(document: object) -> None:
    """Another document than an event is refused."""
    refusal_of(document)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"{]", b"\xff\xfe", b'{"id": "\xff"}', b'{"id": "\\ud800"}', b"[" * 100_000, b'{"data":' * 100_000],
)
def test_no_json(raw: bytes) -> None:
    """What is no JSON at all is refused in the same way."""
    with pytest.raises(InvalidEventError):
        decode_cloud_event(raw)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/id", "x" * 128),
        ("/id", "€" * 42),
        ("/source", "x" * 256),
        ("/source", "😀" * 64),
        ("/data/interaction_id", "x" * 128),
        ("/data/number", "123456789012345"),
        ("/data/number", "+1"),
        ("/data/quantity", "999999999999.999999999"),
        ("/data/quantity", "0.000000001"),
        ("/time", "2026-11-22t14:03:11.123456789z"),
    ],
)
def test_at_the_limit(pointer: str, value: str) -> None:
    """What is just within a limit is taken."""
    read(changed(pointer, value))


def test_quantities_are_exact() -> None:
    """A quantity keeps all its figures."""
    event = read(changed("/data/quantity", "123456789012.123456789"))

    assert Decimal("123456789012.123456789") == event.quantity


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"resource": "message"}, True),
        ({"quantity": Decimal(1)}, True),
        ({"source": "/voice/us-east-2"}, False),
        ({"id": "c-4712"}, False),
        ({"time": EVENT.time + 1}, False),
    ],
)
def test_identity(change: dict[str, object], is_same: bool) -> None:  # noqa: FBT001 - a column of the table
    """Source, id and instant tell events of an account apart; all else does not."""
    assert is_same == (EVENT.identity == replace(EVENT, **change).identity)


@pytest.mark.parametrize(
    "time", ["2026-11-22T15:03:11+01:00", "2026-11-22t14:03:11.000z", "2026-11-22T14:03:11.0000004-00:00"]
)
def test_one_instant_is_one_identity(time: str) -> None:
    """The offset an instant is written with does not matter, nor what is finer than a microsecond."""
    assert EVENT.identity == read(changed("/time", time)).identity


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({}, True),
        ({"quantity": Decimal("95.000")}, True),
        ({"interaction_id": "i-100"}, True),
        ({"resource": "message"}, False),
        ({"quantity": Decimal("95.000000001")}, False),
        ({"direction": "inbound"}, False),
        ({"resolution": "missed"}, False),
        ({"country_code": "CA"}, False),
        ({"category": "landline"}, False),
        ({"type": None}, False),
        ({"number": None}, False),
        ({"number": "12065550199"}, True),
        ({"number": "1206555"}, True),
        ({"number": "12064440100"}, False),
        ({"number": "1206"}, False),
    ],
)
def test_sent_again(change: dict[str, object], agrees: bool) -> None:  # noqa: FBT001 - a column of the table
    """An event is the same if resource, quantity by value and matching fields are; a number as far as it is kept."""
    recorded = replace(EVENT, number="120655")

    assert agrees == replace(EVENT, **change).agrees_with(recorded)


def test_sent_again_with_a_number_where_there_was_none() -> None:
    """A number is a matching field that cannot come later."""
    assert not EVENT.agrees_with(replace(EVENT, number=None))
    assert replace(EVENT, number=None).agrees_with(replace(EVENT, number=None))


@pytest.mark.parametrize(
    ("number", "rated_digits", "kept"),
    [
        (None, 5, None),
        ("12065550100", 5, "12065"),
        ("12065550100", 7, "1206555"),
        # never the last four
        ("12065550100", 8, "1206555"),
        ("12065550100", 15, "1206555"),
        ("12345", 5, "1"),
        ("1234", 5, ""),
        ("1", 5, ""),
    ],
)
def test_what_is_kept_of_a_number(number: str | None, rated_digits: int, kept: str | None) -> None:
    """The leading digits that rating needs are kept, the last four never."""
    assert kept == kept_number(number, rated_digits)
