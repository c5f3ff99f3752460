"""The outbox over the table's stream: records that come apart, twice, or before what they speak of."""

from __future__ import annotations

from typing import Any

from chalicelib.events.outbox_stream import carry_out
from chalicelib.storage import keys
from chalicelib.storage.items import Table
from tests.unit.services.card_world import CardWorld, copied


def record(pk: str, sk: str, name: str = "INSERT", number: str = "1") -> dict[str, Any]:
    """Return a record as a DynamoDB stream delivers it."""
    return {
        "eventName": name,
        "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}, "SequenceNumber": number},
    }


def streaming() -> CardWorld:
    """Return an account whose purchase was booked, and whose effects are left to the stream."""
    world = copied()
    world.buy(services=world.another("a", has_stream=True))
    return world


def test_effects_are_carried_out_once() -> None:
    """A record leads to what its commit caused; the same again to nothing, and other records to nothing at all."""
    world = streaming()
    ((account, effects),) = [name for shard in keys.OUTBOX_SHARDS for name in _due(world, shard)]
    records = [
        record(f"account#{account}", f"outbox#{effects}"),
        record(f"account#{account}", f"outbox#{effects}"),
        record(f"account#{account}", f"outbox#{effects}", "MODIFY"),
        record(f"account#{account}", "head"),
    ]

    assert carry_out(world.services, {"Records": records}) == {"batchItemFailures": []}

    assert [told.name for told in world.bus.published] == ["credit.purchased"]


def test_effects_that_are_not_to_be_seen_yet() -> None:
    """They are delivered again, by themselves."""
    world = streaming()
    records = [record("account#acme", "head", number="1"), record("account#acme", "outbox#none", number="2")]

    assert carry_out(world.services, {"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "2"}]}


def _due(world: Any, shard: str) -> list[tuple[str, str]]:
    found = world.store.query_due(shard, 1 << 62)
    return [(keys.account_of(key), keys.name_of(key)) for key in found if world.store.get(Table.STATE, key)]
