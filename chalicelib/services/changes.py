"""
Changing an account: read the head, carry out what is due, decide, commit; and begin again where another was faster.

Every change of every service goes through `Changes.apply`, so that lost races, unknown outcomes and turns are handled
in one place.
"""

from __future__ import annotations

import random
import secrets
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.due import carry_out_due
from chalicelib.domain.instants import SECOND, Instant
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.state import AccountState
from chalicelib.domain.waterfall import Charge
from chalicelib.services.errors import BusyError
from chalicelib.storage.accounts import Accounts, Commit, LostRaceError
from chalicelib.storage.heads import Head, Turn
from chalicelib.storage.items import ContentionError, OutcomeUnknownError, Put, StoreUnavailableError
from chalicelib.storage.records import put_entry


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.services.clocks import Clock


TRIES_MAX: Final = 400
"""With the longest pauses about twenty seconds: what a caller of the API waits for at the most."""
WAIT_SECONDS_MAX: Final = 20
LOSSES_BEFORE_TURN: Final = 3
DUE_AT_ONCE_MAX: Final = 40
"""Movements that fall due and are committed with a decision; more than these get commits of their own first."""
TURN_LENGTH: Final = 2 * SECOND

_PAUSE_SECONDS: Final = 0.004
_PAUSE_SECONDS_MAX: Final = 0.1

_NONCE_BYTES: Final = 8

R = TypeVar("R")


def new_nonce() -> bytes:
    """Return a name for a request, by which it recognises its own work."""
    return secrets.token_bytes(_NONCE_BYTES)


class Situation(Struct, frozen=True):
    """
    What a decision is taken on: the head as read, and its state at *at* with all that is due by then carried out.

    *carried_out* holds what that recorded; it is committed with any decision that has a state.
    """

    head: Head
    state: AccountState
    at: Instant
    carried_out: tuple[LedgerEntry, ...] = ()


class Decision(Struct, Generic[R], frozen=True):
    """The *result* to answer with once *state*, *charges* and *puts* are committed; no *state*: nothing to commit."""

    result: R
    state: AccountState | None = None
    charges: tuple[Charge, ...] = ()
    puts: tuple[Put, ...] = ()


class Changes:
    """
    Commits decisions about accounts, one after the other.

    *clock* is the service's, *real_clock* the machine's, by which turns end; *pause* waits some seconds.
    """

    def __init__(self, accounts: Accounts, clock: Clock, real_clock: Clock, pause: Callable[[float], None]) -> None:
        """Change *accounts*."""
        self._accounts = accounts
        self._clock = clock
        self._real_clock = real_clock
        self._pause = pause
        self._guard = Lock()
        self._locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def apply(self, account: str, nonce: bytes, decide: Callable[[Situation], Decision[R]]) -> R | None:
        """
        Commit what *decide* makes of the account and return its result; None where there is no such account.

        *decide* is called again after a lost race or an unknown outcome and has to recognise its own work: events
        by *nonce*, everything else by what it finds done.

        Raises:
            BusyError: after many lost races, or where the store is not to be reached.
        """
        with self._turn_in_process(account):
            return self._apply(account, nonce, decide)

    @contextmanager
    def _turn_in_process(self, account: str) -> Iterator[None]:
        """Let the threads of this process change an account one after the other: against each other they only lose."""
        with self._guard:
            lock = self._locks.setdefault(account, Lock())
        if not lock.acquire(timeout=WAIT_SECONDS_MAX):
            message = f"account {account} is too busy"
            raise BusyError(message)
        try:
            yield
        finally:
            lock.release()

    def _apply(self, account: str, nonce: bytes, decide: Callable[[Situation], Decision[R]]) -> R | None:
        current: Head | None = None
        for losses in range(TRIES_MAX):
            try:
                head = current or self._accounts.load(account)
                current = None
                if head is None:
                    return None
                if self._is_others_turn(head, nonce):
                    self._wait(losses)
                    continue
                if losses >= LOSSES_BEFORE_TURN and (head.turn is None or head.turn.nonce != nonce):
                    head = self._take_turn(head, nonce)
                return self._commit(head, nonce, decide)
            except LostRaceError as lost:
                current = lost.current
                self._wait(losses)
            except (ContentionError, OutcomeUnknownError):
                self._wait(losses)
            except StoreUnavailableError as error:
                message = f"the store cannot be reached: {error}"
                raise BusyError(message) from error
        message = f"account {account} is too busy"
        raise BusyError(message)

    def _commit(self, head: Head, nonce: bytes, decide: Callable[[Situation], Decision[R]]) -> R:
        account = head.state.account.id
        at = max(head.state.at, self._clock.now())
        state, entries = carry_out_due(head.state, at, at, DUE_AT_ONCE_MAX)
        due = tuple(put_entry(account, entry) for entry in entries)
        if len(due) == DUE_AT_ONCE_MAX:
            self._accounts.commit(head, Commit(replace(state, at=at), puts=due))
            raise LostRaceError  # to ourselves: the next try carries out the rest
        decision = decide(Situation(head, state, at, entries))
        if decision.state is not None:
            self._accounts.commit(head, Commit(decision.state, nonce, decision.charges, (*due, *decision.puts)))
        elif head.turn is not None and head.turn.nonce == nonce:
            self._accounts.note_turn(head, None)
        return decision.result

    def _is_others_turn(self, head: Head, nonce: bytes) -> bool:
        return head.turn is not None and head.turn.nonce != nonce and self._real_clock.now() < head.turn.until

    def _take_turn(self, head: Head, nonce: bytes) -> Head:
        """Ask the others to wait, and return the head that says so."""
        turn = Turn(nonce, self._real_clock.now() + TURN_LENGTH)
        return self._accounts.note_turn(head, turn)

    def _wait(self, losses: int) -> None:
        longest = min(_PAUSE_SECONDS * 2**losses, _PAUSE_SECONDS_MAX)
        self._pause(random.uniform(0, longest))  # noqa: S311 - jitter
