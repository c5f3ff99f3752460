"""Every key of both tables in one place. Numbers in keys are of fixed width, so that they sort as numbers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

from chalicelib.domain.instants import DAY, HOUR
from chalicelib.domain.ledger import EntryKind
from chalicelib.storage.items import Key


if TYPE_CHECKING:
    from datetime import date

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period

_SHARDS: Final = tuple(f"{shard:02d}" for shard in range(16))

DUE_SHARDS: Final = _SHARDS
"""The partitions of the index of due work that hold accounts."""

PAYMENT_SHARDS: Final = tuple(f"payment-{shard}" for shard in _SHARDS)
"""Those that hold payments whose outcome is not known yet."""

OUTBOX_SHARDS: Final = tuple(f"outbox-{shard}" for shard in _SHARDS)
"""Those that hold effects not yet carried out."""

FIRST: Final = " "
"""Sorts before every character used in keys."""

LAST: Final = "~"
"""Sorts after every character used in keys."""

_INSTANT_DIGITS: Final = 17

END_OF_TIME: Final = 10**_INSTANT_DIGITS - 1
"""The latest instant that a key can hold."""


def fixed_width(instant: Instant) -> str:
    """Write an instant so that text sorts as time does."""
    return f"{instant:0{_INSTANT_DIGITS}d}"


def account_partition(account: str) -> str:
    """Return the partition that holds all of an account's state."""
    return f"account#{account}"


def head(account: str) -> Key:
    """Return the key of the one item that decides everything about an account."""
    return Key(account_partition(account), "head")


def snapshot(account: str, at: Instant, version: int) -> Key:
    """Return the key of what the head was once it had *version*: an account's snapshots sort by its clock."""
    return Key(account_partition(account), f"snapshot#{fixed_width(at)}#{version:012d}")


def snapshots_until(at: Instant) -> tuple[str, str]:
    """Return the lowest and highest sort key of snapshots made at or before *at*."""
    return "snapshot#", f"snapshot#{fixed_width(at)}#{LAST}"


def payments_range() -> tuple[str, str]:
    """Return the lowest and highest sort key of payments."""
    return "payment#", f"payment#{LAST}"


def payment(account: str, payment_id: str) -> Key:
    """Return the key of a payment by card."""
    return Key(account_partition(account), f"payment#{payment_id}")


def outbox(account: str, effect: str) -> Key:
    """Return the key of an effect to carry out."""
    return Key(account_partition(account), f"outbox#{effect}")


def is_outbox(key: Key) -> bool:
    """Tell whether *key* is that of an effect to carry out."""
    return key.sk.startswith("outbox#")


def account_of(key: Key) -> str:
    """Return whose state the item of *key* belongs to."""
    return key.pk.partition("#")[2]


def name_of(key: Key) -> str:
    """Return the name of the payment or the effect of *key*."""
    return key.sk.partition("#")[2]


def shard_of(name: str, shards: tuple[str, ...]) -> str:
    """Return which of *shards* something belongs to by its name."""
    return shards[crc32(name.encode()) % len(shards)]


def due_shard(account: str) -> str:
    """Return the partition of the due index an account belongs to."""
    return shard_of(account, DUE_SHARDS)


def ledger_entry(account: str, entry: LedgerEntry, version: int, place: int) -> Key:
    """
    Return the key of a ledger entry: entries sort by the instant they were due.

    At one instant an expiry comes first, whenever it was recorded; the rest sort by the head's *version* and by their
    *place* in its commit.
    """
    rank = 0 if entry.kind is EntryKind.EXPIRY else 1
    order = f"{fixed_width(entry.at)}#{rank}#{version:012d}#{place:03d}"
    return Key(account_partition(account), f"ledger#{order}#{entry.id}")


def commit_of_ledger_entry(sk: str) -> tuple[int, int]:
    """Return the head's version and the place in its commit that the sort key *sk* of a ledger entry tells."""
    _, _, _, version, place, _ = sk.split("#", 5)
    return int(version), int(place)


def ledger_range(start: Instant | None, end: Instant | None) -> tuple[str, str]:
    """Return the lowest and highest sort key of entries from *start* to *end*, both included."""
    lower = "ledger#" if start is None else f"ledger#{fixed_width(start)}#"
    upper = f"ledger#{LAST}" if end is None else f"ledger#{fixed_width(end)}#{LAST}"
    return lower, upper


def invoice(account: str, period: Period) -> Key:
    """Return the key of an account's invoice of *period*."""
    return Key(account_partition(account), f"invoice#{period}")


def idempotency(account: str, operation: str, key_hash: str) -> Key:
    """Return the key under which the first answer to an idempotent request is kept."""
    return Key(account_partition(account), f"idempotency#{operation}#{key_hash}")


def product(resource: str) -> Key:
    """Return the key of a product in the catalogue."""
    return Key("catalogue", f"product#{resource}")


def rate_card(card: str) -> Key:
    """Return the key of a card's list of versions."""
    return Key(f"rate-card#{card}", "versions")


def rate_card_revision(card: str, effective_from: date, number: int) -> Key:
    """Return the key of the rows of one revision of a version."""
    return Key(f"rate-card#{card}", f"rows#{effective_from.isoformat()}#{number:06d}")


def job(name: str) -> Key:
    """Return the key of a job's heartbeat."""
    return Key("jobs", f"job#{name}")


def sandbox_payment(gateway_id: str) -> Key:
    """Return the key of what the sandbox knows of a payment."""
    return Key("payment-sandbox", f"payment#{gateway_id}")


TEST_CLOCK: Final = Key("test-clock", "now")


def page(account: str, page_id: bytes) -> Key:
    """Return the key of a page: a partition of its own, for pages are read by name."""
    return Key(f"{account}#page#{page_id.hex()}", "page")


def pages_by_time(account: str, day: int) -> str:
    """Return the partition of the index entries by event time on a UTC *day*, counted from the epoch."""
    return f"{account}#day#{day}"


def page_by_time(account: str, last_event: Instant, page_id: bytes) -> Key:
    """Return the key of an index entry by event time: the UTC day, then the last event's time."""
    return Key(pages_by_time(account, last_event // DAY), f"{fixed_width(last_event)}#{page_id.hex()}")


def pages_by_charge(account: str, period: Period) -> str:
    """Return the partition of the index entries by the order of charging in *period*."""
    return f"{account}#period#{period}"


def page_by_charge(account: str, period: Period, at: Instant, version: int, page_id: bytes) -> Key:
    """Return the key of an index entry by the order of charging: the period, then the head's clock and version."""
    return Key(pages_by_charge(account, period), f"{fixed_width(at)}#{version:012d}#{page_id.hex()}")


def rollups(account: str, period: Period) -> str:
    """Return the partition of the hourly sums of *period*, which sort by the last page that they count."""
    return f"{account}#hours#{period}"


def page_of(sort_key: str) -> bytes:
    """Return the page that an index entry by the order of charging names."""
    return bytes.fromhex(sort_key.rpartition("#")[2])


def pages_by_charge_from(at: Instant, version: int, part: int) -> str:
    """Return the lowest sort key of pages that hold what came at or after a place in the order of charging."""
    return f"{fixed_width(at)}#{version:012d}#{part:04x}"


def end_of_hour(instant: Instant) -> Instant:
    """Return the last instant of the UTC hour of *instant*."""
    return instant // HOUR * HOUR + HOUR - 1
