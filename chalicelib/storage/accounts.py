"""
Loading and committing heads: the one place that decides which change of an account wins.

A commit writes in this order: index entries of pages the head it read still names, new pages, and then the head, alone
or in one transaction with the records of a movement of money. Only the last of these makes anything count. A change
that is not of usage alone leaves a snapshot of the head beside it, from which the account as of any time can be told.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.charges import Charge
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.state import AccountState
from chalicelib.storage import keys
from chalicelib.storage.heads import Head, Turn, decode_head, decode_state, encode_head
from chalicelib.storage.items import (
    Absent,
    Condition,
    ConditionFailedError,
    ContentionError,
    Item,
    ItemStore,
    Put,
    Table,
    TransactionFailedError,
    VersionIs,
)
from chalicelib.storage.records import put_entries
from chalicelib.storage.takings import Taking, events_in


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.storage.pages import Pages


TAIL_EVENTS_MAX: Final = 8
TAIL_EVENTS_CHEAP: Final = 4
"""From here on a tail that costs the head another write unit is not worth it."""

_EVER: Final = 1 << 62

WRITE_UNIT_BYTES: Final = 1024
_ITEM_OVERHEAD_BYTES: Final = 100


class LostRaceError(Exception):
    """Another writer changed what the commit relied on, and nothing of it counts; *current* is the head, if known."""

    def __init__(self, current: Head | None = None) -> None:
        """Keep the head that won."""
        super().__init__("the account has changed")
        self.current = current


class Commit(Struct, frozen=True):
    """
    What to make of the head that was read.

    *charges* are those of new events, *nonce* names the request that brought them, *entries* are the other movements of
    credit, *puts* further records and marks that must count together with the head.
    """

    state: AccountState
    nonce: bytes = b""
    charges: tuple[Charge, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()
    puts: tuple[Put, ...] = ()

    @property
    def is_usage_alone(self) -> bool:
        """Tell whether the state follows from the state before and the charges."""
        return bool(self.charges) and not self.entries


class Accounts:
    """The heads of all accounts."""

    def __init__(self, store: ItemStore, pages: Pages) -> None:
        """Keep heads in *store* and events in *pages*."""
        self._store = store
        self._pages = pages

    def load(self, account: str) -> Head | None:
        """Read the head of an account, None where there is no such account."""
        item = self._store.get(Table.STATE, keys.head(account))
        return None if item is None else decode_head(item)

    def state(self, account: str) -> AccountState | None:
        """Read the state of an account alone, None where there is no such account: for readers, who commit nothing."""
        item = self._store.get(Table.STATE, keys.head(account))
        return None if item is None else decode_state(item)

    def snapshot(self, account: str, at: int) -> Head | None:
        """
        Read what the head was after the last change up to *at* that was not of usage alone, None before the first.

        Its state and version are those of then; the charges taken since have to be added.
        """
        lower, upper = keys.snapshots_until(at)
        partition = keys.account_partition(account)
        newest = self._store.query(Table.STATE, partition, lower, upper, newest_first=True, page_size=1)
        return next((decode_head(item) for item in newest), None)

    def snapshots(self, account: str) -> Iterator[Head]:
        """Yield what the head was after every change that was not of usage alone, the first one first."""
        lower, upper = keys.snapshots_until(keys.END_OF_TIME)
        for item in self._store.query(Table.STATE, keys.account_partition(account), lower, upper):
            yield decode_head(item)

    def due(self, until: int) -> Iterator[str]:
        """Yield the accounts that may have something due at or before *until*, each shard's soonest first."""
        for shard in keys.DUE_SHARDS:
            for key in self._store.query_due(shard, until):
                yield keys.account_of(key)

    def of_night(self, night: int) -> tuple[Iterator[str], Iterator[str]]:
        """Return the accounts of one partition of the due index, another every *night*, and those of all others."""
        first = night % len(keys.DUE_SHARDS)
        tonight, *others = (*keys.DUE_SHARDS[first:], *keys.DUE_SHARDS[:first])
        return self._in_shard(tonight), chain.from_iterable(map(self._in_shard, others))

    def _in_shard(self, shard: str) -> Iterator[str]:
        return (keys.account_of(key) for key in self._store.query_due(shard, _EVER))

    def next_due_at(self) -> int | None:
        """Return the earliest instant at which anything is due for any account, None without accounts."""
        earliest = (self._store.earliest_due(shard) for shard in keys.DUE_SHARDS)
        return min((due_at for due_at in earliest if due_at is not None), default=None)

    def create(self, state: AccountState) -> None:
        """
        Commit the first head of an account.

        Raises:
            LostRaceError: where the account exists.
        """
        first = Head(state, version=1)
        self._write(encode_head(first), Absent(), (_snapshot(first),))

    def commit(self, head: Head, commit: Commit) -> None:
        """
        Make *commit* count if the account is still as *head* was read.

        Raises:
            LostRaceError: if it is not.
            OutcomeUnknownError: where the answer was lost; reading the head again tells.
        """
        account = head.state.account.id
        self._pages.index(account, head.pages)
        successor = self._successor(head, commit)
        records = put_entries(account, successor.version, commit.entries)
        if not commit.is_usage_alone:
            records.append(_snapshot(successor))
        self._write(encode_head(successor), VersionIs(head.version), (*records, *commit.puts))

    def note_turn(self, head: Head, turn: Turn | None) -> Head:
        """
        Note in the head which request others should let pass, None for none, and return the head with the note.

        Raises:
            LostRaceError: if the account is not as *head* was read any more.
        """
        noted = replace(head, version=head.version + 1, turn=turn)
        self._write(encode_head(noted), VersionIs(head.version), ())
        return noted

    def _successor(self, head: Head, commit: Commit) -> Head:
        successor = Head(commit.state, head.version + 1, tail=head.tail)
        if not commit.charges:
            return successor
        taking = Taking(commit.nonce, successor.version, commit.state.at, commit.charges)
        takings = (*head.tail, taking)
        with_tail = replace(successor, tail=takings)
        without_tail = replace(successor, tail=())
        if events_in(takings) <= TAIL_EVENTS_MAX and _tail_is_cheap(with_tail, without_tail):
            return with_tail
        return replace(without_tail, pages=self._pages.put(head.state.account.id, takings))

    def _write(self, item: Item, condition: Condition, puts: Sequence[Put]) -> None:
        try:
            if puts:
                self._store.transact([Put(Table.STATE, item, condition), *puts])
            else:
                self._store.put(Table.STATE, item, condition)
        except ConditionFailedError as error:
            raise LostRaceError(decode_head(error.current) if error.current else None) from error
        except (TransactionFailedError, ContentionError) as error:
            raise LostRaceError from error


def _snapshot(head: Head) -> Put:
    """Return the leg that keeps what the head is now, without its events, for asking about this time later."""
    item = encode_head(Head(head.state, head.version))
    key = keys.snapshot(head.state.account.id, head.state.at, head.version)
    return Put(Table.STATE, replace(item, sk=key.sk, due_shard=None, due_at=None))


def _tail_is_cheap(with_tail: Head, without_tail: Head) -> bool:
    if events_in(with_tail.tail) <= TAIL_EVENTS_CHEAP:
        return True
    size = _size(with_tail)
    return size <= WRITE_UNIT_BYTES or _units(size) == _units(_size(without_tail))


def _size(head: Head) -> int:
    item = encode_head(head)
    return len(item.body or b"") + len(item.pk) + _ITEM_OVERHEAD_BYTES


def _units(size: int) -> int:
    return -(-size // WRITE_UNIT_BYTES)
