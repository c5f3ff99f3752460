"""Balances as of any time: what the service would have answered then."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.bootstrap import build_services
from chalicelib.domain.instants import DAY, HOUR, MINUTE, parse_instant
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.errors import RefusedError
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import Action, Fault, Step, Undisturbed
from tests.unit.services.histories import ACCOUNT, START, History


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.domain.figures import PoolFigures
    from chalicelib.domain.instants import Instant
    from tests.fakes.tables import Place

READER: Final = "reader"


def _balances(history: History, at: Instant) -> tuple[PoolFigures, ...]:
    pools, currency = history.services.past_balances.balances(ACCOUNT, at)
    assert currency == "EUR"
    return pools


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(40))
def test_what_was_answered_then(seed: int) -> None:
    """Whatever happened, asked about any time the service says what it said at that time; and the audit agrees."""
    history = History(seed)
    history.play(60)

    for at, answer in history.answers.items():
        assert _balances(history, at) == answer, f"at {at}"
    assert history.services.auditing.audit(ACCOUNT) == []


def test_two_months_by_the_hour() -> None:
    """What was noted while two busy months passed is told afterwards, closes and sleeping schedules and all."""
    history = _noted()

    assert len(history.answers) > 1_000
    for at, answer in list(history.answers.items())[::7]:
        assert _balances(history, at) == answer, f"at {at}"


class _Noting(History):
    """Notes what is answered every hour on the way to another time, and just before it."""

    def at(self, now: str) -> None:
        """Go there in steps."""
        until = parse_instant(now)
        while self.clock.now() < until:
            self.note_answer()
            self.clock.set(min(self.clock.now() // HOUR * HOUR + HOUR, until))


@cache
def _noted() -> History:
    history = _Noting(7)
    history.play_two_months(batch=20)
    return history


class TestBesideAWriter:
    """What another process writes while balances are asked for."""

    def test_at_every_step(self) -> None:
        """Whichever step of the reader a commit comes before, the past is what it was."""
        steps = 0
        for number in range(1, 120):
            history, noted = _busy_hour()
            writer = _Before(number, lambda history=history: _write(history))
            history.store.controller = writer
            reader = history.over(history.store.client(READER)).past_balances
            for at, answer in noted.items():
                assert reader.balances(ACCOUNT, at)[0] == answer
            steps = max(steps, writer.steps)
            if writer.steps < number:
                break
        assert 10 < steps < 119

    @pytest.mark.parametrize("seed", range(10))
    def test_a_transaction_half_way(self, seed: int) -> None:
        """Asked about now, while a purchase becomes visible leg by leg, the answer is that of the tab."""
        history, _ = _busy_hour()
        seen: list[tuple[tuple[PoolFigures, ...], tuple[PoolFigures, ...]]] = []
        reader = history.over(history.store.client(READER))

        def read() -> None:
            tab = reader.usage.tab(ACCOUNT).figures.pools
            seen.append((tab, reader.past_balances.balances(ACCOUNT, history.clock.now())[0]))

        history.store.controller = _BetweenLegs(seed, read)
        history.buy("100")

        assert len(seen) > 3
        assert all(tab == answer for tab, answer in seen)


def _busy_hour() -> tuple[History, dict[Instant, tuple[PoolFigures, ...]]]:
    """Return a history whose head names pages that no index lists yet, and what it answered on the way."""
    history = History(8)
    history.grant("30", 1)
    for count in (3, 2, 40, 5, 4, 60):
        history.clock.pass_by(10 * MINUTE)
        history.take(*history.events(count))
        history.note_answer()
        history.clock.pass_by(1)
        history.note_answer()
    history.clock.pass_by(MINUTE)
    return history, dict(history.answers)


def _write(history: History) -> None:
    """Let another process take events, whose commits write the index entries, and sell credit."""
    for count in (3, 30, 2):
        history.take(*history.events(count))
    history.buy("100")


class _Before(Undisturbed):
    """Lets something happen before a step of the reader."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.steps = 0
        self._number = number
        self._act = act

    def before(self, step: Step) -> Fault | None:
        """Count the reader's steps."""
        if step.client == READER:
            self.steps += 1
            if self.steps == self._number:
                self._act()
        return None


class _BetweenLegs(Undisturbed):
    """Lets a reader read before each leg of a transaction becomes visible, which come in any order."""

    def __init__(self, seed: int, read: Callable[[], None]) -> None:
        self._random = Random(seed)
        self._read = read

    def before(self, step: Step) -> Fault | None:
        """Read between the legs."""
        if step.action is Action.LEG:
            self._read()
        return None

    def next_leg(self, places: Sequence[Place]) -> int:
        """Choose any."""
        return self._random.randrange(len(places))


class TestRefused:
    """Times that cannot be told about."""

    @pytest.mark.parametrize(
        ("at", "code"),
        [
            pytest.param(START - 1, "not_found", id="before the account"),
            pytest.param(START + DAY + 1, "invalid_request", id="to come"),
        ],
    )
    def test_outside_the_account(self, at: Instant, code: str) -> None:
        """There is nothing to tell of a time before the account or after now."""
        history = History(0)
        history.clock.pass_by(DAY)

        assert _refusal(history, at) == code
        assert _balances(history, START)[0].pool == SHARED_POOL
        assert _balances(history, START + DAY)[0].balance == 0

    def test_nobody(self) -> None:
        """There is nothing to tell of an account that does not exist."""
        with pytest.raises(RefusedError) as refused:
            History(0).services.past_balances.balances("nobody", START)
        assert refused.value.code == "not_found"

    def test_past_retention(self) -> None:
        """By the service's clock usage is kept for 25 months of 31 days; what is now can be told of any account."""
        history = History(0)
        history.grant("10")
        history.clock.pass_by(DAY)
        history.take(history.event(START + DAY, "message", Decimal(1000)))
        history.clock.pass_by(25 * 31 * DAY)

        assert _refusal(history, START + DAY - 1) == "gone"
        assert _balances(history, history.clock.now())[0].pool == SHARED_POOL

    def test_a_clock_of_its_own(self) -> None:
        """A test clock that stands years before the machine's finds the past that it knows."""
        history = History(0)
        history.grant("10")
        history.clock.pass_by(DAY)

        services = build_services(
            Settings(),
            history.store,
            FixedClock(START + 900 * DAY),
            pause=lambda _seconds: None,
            clock=history.clock,
        )
        assert services.past_balances.balances(ACCOUNT, START + HOUR)[0][0].balance == 10


def _refusal(history: History, at: Instant) -> str:
    with pytest.raises(RefusedError) as refused:
        _balances(history, at)
    return refused.value.code
