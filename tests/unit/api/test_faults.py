from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from chalicelib.api.faults import fault_of


class Portion(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a body."""

    quantity: str


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body with what bodies may hold."""

    name: str = ""
    portions: dict[str, Portion] = {}
    rows: list[dict[str, int]] = []
    price: Decimal = Decimal(1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"name": 1}', "/name"),
        (b"[]", ""),
        (b'{"portions": {"call": {"quantity": "1"}, "message": {"quantity": 2}}}', "/portions/message/quantity"),
        (b'{"portions": {"call": {"quantity": "1"}, "message": {}}}', "/portions/message/quantity"),
        (b'{"portions": {"a/b~c": 5}}', "/portions/a~1b~0c"),
        (b'{"rows": [{}, {"x": 1, "y": "2"}]}', "/rows/1/y"),
        (b'{"portions": {"call": {"quantity": "1", "per": "day"}}}', "/portions/call/per"),
        (b'{"nickname": "n"}', "/nickname"),
        (b'{"portions": {"call": 1}, "portions": 2}', "/portions"),
        (b'{"portions": {"call": 1}, "portions": {}}', "/portions"),
    ],
)
def test_a_pointer_leads_to_the_fault(body: bytes, pointer: str) -> None:
    """Members of members, places of lists and members of mappings are named, and what is missing or too much."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Body)

    assert fault_of(caught.value, body, Body).pointer == pointer


def test_what_is_no_json_behind_the_fault() -> None:
    """It is refused as no JSON."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'{"name": 1, nothing', type=Body)

    with pytest.raises(msgspec.DecodeError):
        fault_of(caught.value, b'{"name": 1, nothing', Body)
