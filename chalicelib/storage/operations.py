"""What the service keeps about itself: heartbeats of jobs and the test clock."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import Instant
from chalicelib.storage import keys
from chalicelib.storage.formats import decode_record, encode_record
from chalicelib.storage.items import Absent, ConditionFailedError, ContentionError, Item, ItemStore, Table, VersionIs


ADD_TRIES_MAX: Final = 8
FAILURES_MAX: Final = 20


class Failure(Struct, frozen=True):
    """What a job could not do, and why."""

    subject: str
    reason: str


class Heartbeat(Struct, frozen=True):
    """
    The last run of a job: as of *at*, begun and ended by the machine's clock, and what became of its subjects.

    *failures* names some of those that failed.
    """

    job: str
    at: Instant
    started_at: Instant
    ended_at: Instant
    done: int
    failed: int
    left: int
    failures: tuple[Failure, ...] = ()


class Heartbeats:
    """The last run of every job."""

    def __init__(self, store: ItemStore) -> None:
        """Keep heartbeats in *store*."""
        self._store = store

    def put(self, heartbeat: Heartbeat) -> bool:
        """
        Note the beginning or the end of a run in the place of the run before, and tell whether that was done.

        A run as of an earlier time than the last one's is not noted.
        """
        before, version = self._read(heartbeat.job)
        if before is not None and before.at > heartbeat.at:
            return False
        key = keys.job(heartbeat.job)
        body = encode_record(heartbeat)
        self._store.put(Table.STATE, Item(key.pk, key.sk, body=body, version=version + 1))
        return True

    def get(self, job: str) -> Heartbeat | None:
        """Return the last run of a job, None before the first."""
        return self._read(job)[0]

    def add(  # noqa: PLR0913 - what a heartbeat counts
        self,
        job: str,
        *,
        done: int = 0,
        failed: int = 0,
        left: int = 0,
        failure: Failure | None = None,
        ended_at: Instant | None = None,
    ) -> bool:
        """
        Add to the counts of the last run, and tell whether that was done.

        They are a summary: where many write at once one may be missed, while the metrics count all.
        """
        for _ in range(ADD_TRIES_MAX):
            heartbeat, version = self._read(job)
            if heartbeat is None:
                return False
            failures = heartbeat.failures if failure is None else (*heartbeat.failures, failure)[-FAILURES_MAX:]
            added = replace(
                heartbeat,
                done=heartbeat.done + done,
                failed=heartbeat.failed + failed,
                left=max(heartbeat.left + left, 0),
                failures=failures,
                ended_at=ended_at or heartbeat.ended_at,
            )
            key = keys.job(job)
            item = Item(key.pk, key.sk, body=encode_record(added), version=version + 1)
            with suppress(ConditionFailedError, ContentionError):
                self._store.put(Table.STATE, item, VersionIs(version))
                return True
        return False

    def _read(self, job: str) -> tuple[Heartbeat | None, int]:
        item = self._store.get(Table.STATE, keys.job(job))
        if item is None:
            return None, 0
        return decode_record(item.body, Heartbeat), item.version or 0


class SandboxDrawer:
    """Where the payment sandbox keeps what it was asked for: apart from all accounts, as a gateway would."""

    def __init__(self, store: ItemStore) -> None:
        """Keep it in *store*."""
        self._store = store

    def read(self, name: str) -> bytes | None:
        """Return what was kept under *name*, None for nothing."""
        item = self._store.get(Table.STATE, keys.sandbox_payment(name))
        return None if item is None else item.body

    def keep(self, name: str, content: bytes) -> None:
        """Keep *content* under *name*."""
        self._store.put(Table.STATE, Item(*keys.sandbox_payment(name), body=content))


class StoredTestClock:
    """A clock that stands still between moves; its time is the version of its item, so that it only goes forward."""

    def __init__(self, store: ItemStore) -> None:
        """Keep the time in *store*."""
        self._store = store

    def read(self) -> Instant | None:
        """Return its time, None where there is no test clock in the store."""
        item = self._store.get(Table.STATE, keys.TEST_CLOCK)
        return None if item is None else item.version

    def now(self) -> Instant:
        """Return its time; LookupError where it was never set."""
        now = self.read()
        if now is None:
            message = "the store has no test clock"
            raise LookupError(message)
        return now

    def start(self, at: Instant) -> bool:
        """Set the clock where the store has none, and tell whether it was set."""
        try:
            self._store.put(Table.STATE, Item(*keys.TEST_CLOCK, version=at), Absent())
        except ConditionFailedError:
            return False
        return True

    def move(self, from_instant: Instant, to_instant: Instant) -> bool:
        """Move the clock forward, and tell whether it still stood at *from_instant*."""
        if to_instant < from_instant:
            message = "the test clock only goes forward"
            raise ValueError(message)
        try:
            self._store.put(Table.STATE, Item(*keys.TEST_CLOCK, version=to_instant), VersionIs(from_instant))
        except ConditionFailedError:
            return False
        return True
