"""
Changing an account: read the head, carry out what is due, decide, commit; and begin again where another was faster.

Every change of every service goes through `Changes.apply`, so that lost races, unknown outcomes and turns are handled
in one place, and so is what follows from a change by itself: its effects are committed with it, in the outbox.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace
from ulid import ULID

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.consequences import draw_consequences
from chalicelib.domain.due import Done, carry_out_due
from chalicelib.domain.instants import MILLISECOND, SECOND, Instant
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.notifications import Notification
from chalicelib.domain.state import AccountState
from chalicelib.observability import Metric, count, log_keys, measure
from chalicelib.services.errors import BusyError
from chalicelib.storage.accounts import Accounts, Commit, LostRaceError
from chalicelib.storage.heads import Head, Turn
from chalicelib.storage.items import ContentionError, OutcomeUnknownError, Put, StoreUnavailableError
from chalicelib.storage.outbox import Effects, put_effects
from chalicelib.storage.payments import put_payment


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.services.clocks import Clock


TRIES_MAX: Final = 400
"""With the longest pauses about twenty seconds: what a caller of the API waits for at the most."""
WAIT_SECONDS_MAX: Final = 20
LOSSES_BEFORE_TURN: Final = 3
DUE_AT_ONCE_MAX: Final = 30
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
    carried_out: tuple[Done, ...] = ()


class Decision(Struct, Generic[R], frozen=True):
    """
    The *result* to answer with once all the rest is committed; no *state*: nothing to commit.

    *charges* are those of new events, *entries* the movements of credit, *notifications* what else is to be told, and
    *puts* further records that must count together with them.
    """

    result: R
    state: AccountState | None = None
    charges: tuple[Charge, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    puts: tuple[Put, ...] = ()


EffectsHandler = Callable[[Effects], None]
"""Carries effects out once their commit counts."""


def leave_to_the_stream(effects: Effects) -> None:
    """Leave *effects* in the outbox, where the table's stream or the sweeping schedule finds them."""


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
        self.on_effects: EffectsHandler = leave_to_the_stream
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
        effects: list[Effects] = []
        try:
            with log_keys(account=account), self._turn_in_process(account):
                result = self._apply(account, nonce, decide, effects)
        except BusyError:
            count(Metric.BUSY)
            raise
        for caused in effects:
            self.on_effects(caused)
        return result

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

    def _apply(
        self, account: str, nonce: bytes, decide: Callable[[Situation], Decision[R]], effects: list[Effects]
    ) -> R | None:
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
                return self._commit(head, nonce, decide, effects)
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

    def _commit(
        self, head: Head, nonce: bytes, decide: Callable[[Situation], Decision[R]], effects: list[Effects]
    ) -> R:
        at = max(head.state.at, self._clock.now())
        state, due = carry_out_due(head.state, at, at, DUE_AT_ONCE_MAX)
        situation = Situation(head, state, at, due)
        if len(due) == DUE_AT_ONCE_MAX:
            effects += self._save(situation, nonce, Decision(None, state))
            raise LostRaceError  # to ourselves: the next try carries out the rest
        decision = decide(situation)
        if decision.state is not None:
            effects += self._save(situation, nonce, decision)
        elif head.turn is not None and head.turn.nonce == nonce:
            self._accounts.note_turn(head, None)
        return decision.result

    def _save(self, situation: Situation, nonce: bytes, decision: Decision[R]) -> list[Effects]:
        """Commit *decision* with all that follows from it, and return the effects to carry out."""
        account = situation.state.account.id
        after = replace(decision.state or situation.state, at=situation.at)
        due = situation.carried_out
        entries = (*(done for done in due if isinstance(done, LedgerEntry)), *decision.entries)
        charges = (*(done for done in due if isinstance(done, Charge)), *decision.charges)
        follows = draw_consequences(situation.head.state, after, charges, entries, payment_id=str(ULID()))
        puts = list(decision.puts)
        effects = []
        notifications = (*follows.notifications, *decision.notifications)
        if follows.payment is not None:
            puts.append(put_payment(follows.payment))
        if notifications or follows.payment is not None:
            payment = None if follows.payment is None else follows.payment.id
            effects = [Effects(str(ULID()), account, situation.at, notifications, payment)]
            puts.append(put_effects(effects[0]))
        commit = Commit(follows.state, nonce, charges, entries, tuple(puts))
        try:
            self._accounts.commit(situation.head, commit)
        except LostRaceError:
            count(Metric.CONFLICTS)
            raise
        self._measure_delays(decision.charges)
        return effects

    def _measure_delays(self, charges: tuple[Charge, ...]) -> None:
        """Measure how long it took from usage to the balance that shows it; samples of storage wait for the 28th."""
        now = self._clock.now()
        times = [charge.event.time for charge in charges if charge.role is Role.EVENT]
        measure(Metric.EVENT_TO_VISIBLE, *(max(now - time, 0) // MILLISECOND for time in times))

    def _is_others_turn(self, head: Head, nonce: bytes) -> bool:
        return head.turn is not None and head.turn.nonce != nonce and self._real_clock.now() < head.turn.until

    def _take_turn(self, head: Head, nonce: bytes) -> Head:
        """Ask the others to wait, and return the head that says so."""
        turn = Turn(nonce, self._real_clock.now() + TURN_LENGTH)
        return self._accounts.note_turn(head, turn)

    def _wait(self, losses: int) -> None:
        count(Metric.RETRIES)
        longest = min(_PAUSE_SECONDS * 2**losses, _PAUSE_SECONDS_MAX)
        self._pause(random.uniform(0, longest))  # noqa: S311 - jitter
