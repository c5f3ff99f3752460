"""What DynamoDB charges for: the size of items and the read and write units of requests, by its published rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.storage.items import Item

WRITE_UNIT_BYTES: Final = 1024
READ_UNIT_BYTES: Final = 4096
NUMBER_BYTES_MAX: Final = 21

_ATTRIBUTES: Final = ("pk", "sk", "body", "version", "due_shard", "due_at", "expires", "first")
_INDEX_ATTRIBUTES: Final = ("pk", "sk", "due_shard", "due_at")


def item_bytes(item: Item, attributes: Iterable[str] = _ATTRIBUTES) -> int:
    """Return the size of an item: names and values of the attributes it has."""
    values = ((name, getattr(item, name)) for name in attributes)
    return sum(len(name) + _value_bytes(value) for name, value in values if value is not None)


def _value_bytes(value: str | bytes | int) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    digits = str(abs(value)).rstrip("0")
    return min(-(-len(digits) // 2) + 1 + (value < 0), NUMBER_BYTES_MAX)


def write_units(before: Item | None, after: Item) -> int:
    """Return the units of a put outside a transaction: each begun KB of the larger of the two items."""
    return -(-max(item_bytes(item) for item in (before, after) if item is not None) // WRITE_UNIT_BYTES)


def index_write_units(before: Item | None, after: Item) -> int:
    """Return the units by which a put moves an entry of the keys-only index of due work."""
    old, new = _index_bytes(before), _index_bytes(after)
    if before is not None and (before.due_shard, before.due_at) == (after.due_shard, after.due_at):
        return 0
    return sum(-(-size // WRITE_UNIT_BYTES) for size in (old, new))


def _index_bytes(item: Item | None) -> int:
    if item is None or not is_due(item):
        return 0
    return item_bytes(item, _INDEX_ATTRIBUTES)


def is_due(item: Item) -> bool:
    """Tell whether an item is in the index of due work, which holds only items that have both of its keys."""
    return item.due_shard is not None and item.due_at is not None


def read_units(items: Iterable[Item]) -> int:
    """Return the units of one strongly consistent read of *items* together: each begun 4 KB, at least one."""
    return max(-(-sum(item_bytes(item) for item in items) // READ_UNIT_BYTES), 1)
