"""`usage-tab simulate`: a simulation over a store of choice, with a progress bar and a report."""

from __future__ import annotations

from calendar import monthrange
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress
from ulid import ULID

from chalicelib.bootstrap import open_store
from chalicelib.domain.instants import DAY, Instant, to_instant
from chalicelib.domain.periods import Period
from chalicelib.local.embedded import EmbeddedStore
from chalicelib.local.simulation.fleet import Span
from chalicelib.local.simulation.report import WIDTH_MIN, print_report
from chalicelib.local.simulation.simulate import Plan, simulate
from chalicelib.settings import Settings


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from chalicelib.storage.items import ItemStore

EMBEDDED: Final = "embedded"
_UNTIL_ALL_ARE_CLOSED: Final = 2 * DAY
"""After so long the month is over in every zone, and its invoices are due."""


def months_from(start: date, months: int) -> Span:
    """Return the time from the beginning of *start* (UTC) until so many *months* later are closed everywhere."""
    period = Period.from_ordinal(Period(start.year, start.month).ordinal + months)
    end = datetime(*period, min(start.day, monthrange(*period)[1]), tzinfo=UTC)
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    return Span(to_instant(begin), to_instant(end) + _UNTIL_ALL_ARE_CLOSED)


def run_simulation(plan: Plan, store_url: str) -> bool:
    """
    Simulate *plan* over the store at *store_url*, or the embedded one, and tell whether everything held.

    It has tables of its own, which it leaves behind.

    Raises:
        EmbeddedStoreError: where the embedded store cannot start.
    """
    with _endpoint(store_url) as endpoint:
        run = str(ULID()).lower()
        settings = replace(
            Settings.from_environment(),
            store=endpoint,
            state_table=f"usage-tab-simulation-{run}-state",
            pages_table=f"usage-tab-simulation-{run}-pages",
        )
        store = open_store(settings)
        store.create_tables()
        holds = simulate_and_report(plan, store)
        if store_url != EMBEDDED:
            _console().print(f"tables {settings.state_table} and {settings.pages_table}", soft_wrap=True)
    return holds


def simulate_and_report(plan: Plan, store: ItemStore) -> bool:
    """Simulate *plan* over an empty *store*, print the report, and tell whether everything held."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=plan.span.days)

        def note(now: Instant) -> None:
            bar.update(task, completed=(now - plan.span.start) // DAY)

        outcome = simulate(plan, store, note)
    print_report(outcome, _console())
    return not outcome.findings.violations


def _console() -> Console:
    """Return standard output, wide enough for the tables where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_MIN)


@contextmanager
def _endpoint(store_url: str) -> Iterator[str]:
    if store_url != EMBEDDED:
        yield store_url
        return
    with EmbeddedStore() as embedded:
        yield embedded.endpoint
