"""What DynamoDB charges for: the size of items and the read and write units of requests, by its published rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.storage.items import Item, Key

WRITE_UNIT_BYTES: Final = 1024
READ_UNIT_BYTES: Final = 4096
NUMBER_BYTES_MAX: Final = 21
TRANSACTION_TIMES: Final = 2
"""How many times as much a transaction costs as the same puts outside one."""

_ATTRIBUTES: Final = ("pk", "sk", "body", "version", "due_shard", "due_at", "expires", "first")
_INDEX_ATTRIBUTES: Final = ("pk", "sk", "due_shard", "due_at")
_DIGITS_IN_BYTE: Final = 2


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
    return min(_begun(len(digits), _DIGITS_IN_BYTE) + 1 + (value < 0), NUMBER_BYTES_MAX)


def index_bytes(item: Item | None) -> int:
    """Return the size of an item's entry in the keys-only index of due work, 0 where it has none."""
    if item is None or not is_due(item):
        return 0
    return item_bytes(item, _INDEX_ATTRIBUTES)


def index_entry_bytes(key: Key, shard: str, due_at: int) -> int:
    """Return the size of the entry of the index of due work that holds *key*, *shard* and *due_at*."""
    values: tuple[str | int, ...] = (*key, shard, due_at)
    return sum(map(len, _INDEX_ATTRIBUTES)) + sum(map(_value_bytes, values))


def is_due(item: Item) -> bool:
    """Tell whether an item is in the index of due work, which holds only items that have both of its keys."""
    return item.due_shard is not None and item.due_at is not None


def write_units(before: Item | None, after: Item) -> int:
    """Return the units of a put outside a transaction: each begun KB of the larger of the two items."""
    return units_of_put(0 if before is None else item_bytes(before), item_bytes(after))


def units_of_put(bytes_before: int, bytes_after: int) -> int:
    """Return the units of a put outside a transaction by the sizes of the items, 0 for none: at least one."""
    return max(_begun(max(bytes_before, bytes_after), WRITE_UNIT_BYTES), 1)


def index_write_units(before: Item | None, after: Item) -> int:
    """Return the units by which a put moves an entry of the keys-only index of due work."""
    if before is not None and (before.due_shard, before.due_at) == (after.due_shard, after.due_at):
        return 0
    return units_of_move(index_bytes(before), index_bytes(after))


def units_of_move(bytes_before: int, bytes_after: int) -> int:
    """Return the units of taking one entry out of an index and putting another in, by their sizes, 0 for none."""
    return sum(_begun(size, WRITE_UNIT_BYTES) for size in (bytes_before, bytes_after))


def read_units(items: Iterable[Item]) -> int:
    """Return the units of one strongly consistent read of *items* together: each begun 4 KB, at least one."""
    return units_of_read(sum(item_bytes(item) for item in items))


def units_of_read(size: int) -> int:
    """Return the units of one strongly consistent read of *size* bytes; an eventually consistent one costs half."""
    return max(_begun(size, READ_UNIT_BYTES), 1)


def _begun(size: int, unit: int) -> int:
    return -(-size // unit)
