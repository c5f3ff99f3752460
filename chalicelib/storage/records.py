"""What is kept for ever beside an account's head: ledger entries, invoices and first answers to idempotent requests."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from chalicelib.domain.invoice import Invoice
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.storage import keys
from chalicelib.storage.formats import decode_record, encode_record
from chalicelib.storage.items import Absent, Item, ItemStore, Key, Put, Table


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period


class FirstAnswer(Struct, frozen=True):
    """The answer to the first request of an idempotency key, and the hash of that request's body."""

    body_hash: str
    status: int
    answer: Raw


def _record(key: Key, value: object) -> Item:
    return Item(key.pk, key.sk, body=encode_record(value))


class Records:
    """
    The records of all accounts.

    They are written as legs of the transaction that changes the head, under keys that make writing them twice fail.
    """

    def __init__(self, store: ItemStore) -> None:
        """Read from *store*."""
        self._store = store

    def ledger(
        self,
        account: str,
        start: Instant | None = None,
        end: Instant | None = None,
        before: str | None = None,
    ) -> Iterator[tuple[str, LedgerEntry]]:
        """Yield entries due from *start* to *end* with their positions, newest first, from behind position *before*."""
        lower, upper = keys.ledger_range(start, end)
        for item in self._newest_first(account, lower, upper, before):
            yield item.sk, decode_record(item.body, LedgerEntry)

    def commit_of(self, position: str) -> tuple[int, int]:
        """Return the head's version that the ledger entry at *position* came with, and its place in that commit."""
        return keys.commit_of_ledger_entry(position)

    def settlements(self, account: str, start: Instant, end: Instant) -> list[tuple[int, LedgerEntry]]:
        """
        Return the entries due from *start* to *end* whose credit paid on its arrival what was open, the oldest first.

        With each comes the version of the head that its commit made.
        """
        entries = [
            (keys.commit_of_ledger_entry(position)[0], entry)
            for position, entry in self.ledger(account, start, end)
            if entry.settled
        ]
        return sorted(entries, key=lambda found: found[0])

    def invoices(self, account: str, before: str | None = None) -> Iterator[tuple[str, Invoice]]:
        """Yield an account's invoices with their positions, newest first, from behind position *before*."""
        for item in self._newest_first(account, "invoice#", f"invoice#{keys.LAST}", before):
            yield item.sk, decode_record(item.body, Invoice)

    def invoice(self, account: str, period: Period) -> Invoice | None:
        """Return the invoice of *period*, None where none was issued."""
        item = self._store.get(Table.STATE, keys.invoice(account, period))
        return None if item is None else decode_record(item.body, Invoice)

    def first_answer(self, account: str, operation: str, idempotency_key: str) -> FirstAnswer | None:
        """Return what the first request with this key was answered, None where there was none."""
        item = self._store.get(Table.STATE, _idempotency(account, operation, idempotency_key))
        return None if item is None else decode_record(item.body, FirstAnswer)

    def _newest_first(self, account: str, lower: str, upper: str, before: str | None) -> Iterator[Item]:
        upper = upper if before is None else min(upper, before)
        partition = keys.account_partition(account)
        for item in self._store.query(Table.STATE, partition, lower, upper, newest_first=True):
            if item.sk != before:
                yield item


def put_entries(account: str, version: int, entries: Iterable[LedgerEntry]) -> list[Put]:
    """Return the legs that record the ledger entries of the commit that gives the head its *version*."""
    return [
        Put(Table.STATE, _record(keys.ledger_entry(account, entry, version, place), entry), Absent())
        for place, entry in enumerate(entries)
    ]


def put_invoice(invoice: Invoice) -> Put:
    """Return the leg that records an invoice, once per account and period."""
    return Put(Table.STATE, _record(keys.invoice(invoice.account, invoice.period), invoice), Absent())


def put_first_answer(account: str, operation: str, idempotency_key: str, first: FirstAnswer) -> Put:
    """Return the leg that binds an idempotency key to the answer it got, once."""
    return Put(Table.STATE, _record(_idempotency(account, operation, idempotency_key), first), Absent())


def _idempotency(account: str, operation: str, idempotency_key: str) -> Key:
    return keys.idempotency(account, operation, sha256(idempotency_key.encode()).hexdigest())
