"""
The outbox: effects outside the store, written in the transaction that causes them and carried out after it.

All effects of one commit are one item, in the index of due work until they are carried out. What was carried out stays
for a while, so that a stream record that comes late finds it done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import DAY, SECOND, Instant
from chalicelib.domain.notifications import Notification
from chalicelib.storage import keys
from chalicelib.storage.formats import decode_record, encode_record
from chalicelib.storage.items import Absent, Item, ItemStore, Put, Table


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


KEPT_WHEN_DONE: Final = 30 * DAY


class Effects(Struct, frozen=True):
    """What one commit of *account* causes: whom to tell, and the *payment* to carry out if any."""

    id: str
    account: str
    at: Instant
    notifications: tuple[Notification, ...] = ()
    payment: str | None = None
    is_done: bool = False


class Outbox:
    """The effects of all accounts."""

    def __init__(self, store: ItemStore, real_clock: Callable[[], Instant]) -> None:
        """Keep effects in *store*; *real_clock* is the machine's, for times to live."""
        self._store = store
        self._real_clock = real_clock

    def get(self, account: str, effects: str) -> Effects | None:
        """Read effects by their id, None where there are none."""
        item = self._store.get(Table.STATE, keys.outbox(account, effects))
        return None if item is None else decode_record(item.body, Effects)

    def note_done(self, effects: Effects) -> None:
        """Note that *effects* are carried out; doing so again changes nothing."""
        done = replace(effects, is_done=True)
        expires = (self._real_clock() + KEPT_WHEN_DONE) // SECOND
        self._store.put(Table.STATE, replace(_item(done), expires=expires))

    def due(self, until: Instant) -> Iterator[tuple[str, str]]:
        """Yield the account and id of effects not carried out, of commits at or before *until*."""
        for shard in keys.OUTBOX_SHARDS:
            for key in self._store.query_due(shard, until):
                yield keys.account_of(key), keys.name_of(key)

    def next_due_at(self) -> Instant | None:
        """Return when the oldest commit was whose effects are not carried out, None where all are."""
        earliest = (self._store.earliest_due(shard) for shard in keys.OUTBOX_SHARDS)
        return min((due_at for due_at in earliest if due_at is not None), default=None)


def put_effects(effects: Effects) -> Put:
    """Return the leg that hands *effects* over."""
    return Put(Table.STATE, _item(effects), Absent())


def _item(effects: Effects) -> Item:
    key = keys.outbox(effects.account, effects.id)
    return Item(
        key.pk,
        key.sk,
        body=encode_record(effects),
        due_shard=None if effects.is_done else keys.shard_of(effects.id, keys.OUTBOX_SHARDS),
        due_at=None if effects.is_done else effects.at,
    )
