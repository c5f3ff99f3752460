"""A small fleet through some months, in memory and over the embedded store, and simulations that are tampered with."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.local.simulation.checks import INVARIANTS, MOVEMENTS
from chalicelib.local.simulation.report import totals_of
from chalicelib.local.simulation.run import months_from, simulate_and_report
from chalicelib.local.simulation.simulate import Outcome, Plan, simulate
from chalicelib.storage.dynamo import DynamoItemStore
from tests.fakes.memory_store import MemoryStore
from tests.stores import REGION, dynamodb_client


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.instants import Instant
    from chalicelib.storage.items import ItemStore, Put

ROOT = Path(__file__).parents[2]
PLAN = Plan("a seed", accounts=3, events=40, span=months_from(date(2026, 1, 15), 2))

_numbers = count()


def no_progress(now: Instant) -> None:
    """Take no note of *now*."""


@pytest.fixture(scope="module")
def in_memory() -> Outcome:
    """Give what came of the plan over a store in memory."""
    return simulate(PLAN, MemoryStore(), no_progress)


def test_everything_holds(in_memory: Outcome) -> None:
    """Every invariant is checked, and none is violated."""
    assert in_memory.findings.violations == []
    assert {name for name in INVARIANTS if not in_memory.findings.checked[name]} == set()


def test_what_happens(in_memory: Outcome) -> None:
    """There is usage, new and repeated, refusals, credit and invoices of every account."""
    totals = totals_of(in_memory)
    units = [cost.units for cost in in_memory.costs.values()]

    assert totals.accounts == 3
    assert totals.sent == sum(totals.answers.values()) > 500
    assert min(totals.answers[code] for code in ("accepted", "duplicate", "conflict", "too_old")) > 0
    assert totals.invoices == totals.published["invoice.issued"] >= 6
    assert set(totals.money) == {"EUR", "JPY", "USD"}
    assert all(money.charged > 0 for money in totals.money.values())
    assert any(money.charged > money.invoiced > 0 for money in totals.money.values())
    assert sum(used.write_units for used in units) > 0


@pytest.mark.untraced
def test_same_seed_same_totals(in_memory: Outcome, embedded_store: str) -> None:
    """The totals follow from the seed alone, whatever the store."""
    number = next(_numbers)
    store = DynamoItemStore(embedded_store, REGION, f"simulated-state-{number}", f"simulated-pages-{number}")
    store.create_tables()

    assert totals_of(simulate(PLAN, store, no_progress)) == totals_of(in_memory)


@pytest.mark.untraced
def test_other_seed_other_totals(in_memory: Outcome) -> None:
    """Another seed is another story."""
    other = simulate(PLAN._replace(seed="another seed"), MemoryStore(), no_progress)

    assert other.findings.violations == []
    assert totals_of(other) != totals_of(in_memory)


class ForgetfulStore:
    """Loses the first ledger entry that is written."""

    def __init__(self, store: ItemStore) -> None:
        """Pass all else on to *store*."""
        self._store = store
        self._has_forgotten = False

    def __getattr__(self, name: str) -> Any:
        """Pass on what is not tampered with."""
        return getattr(self._store, name)

    def transact(self, puts: Sequence[Put]) -> None:
        """Put all but the entry."""
        kept = [put for put in puts if self._has_forgotten or not put.item.sk.startswith("ledger#")]
        self._has_forgotten = self._has_forgotten or len(kept) < len(puts)
        self._store.transact(kept)


def test_a_lost_entry_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger entry that got lost is found, named, and reported as a failure."""
    plan = PLAN._replace(span=months_from(date(2026, 1, 15), 1))

    assert not simulate_and_report(plan, ForgetfulStore(MemoryStore()))

    printed = capsys.readouterr().out
    assert f"{MOVEMENTS}: fleet-0000" in printed
    assert "events sent" in printed


@pytest.mark.usefixtures("measured_processes")
def test_command(embedded_store: str) -> None:
    """The command prints the report; where somebody tampers with the store meanwhile, it exits with 1."""
    options = ["--accounts", "2", "--months", "1", "--events", "20", "--store", embedded_store]
    command = [sys.executable, "-c", "from chalicelib.cli import main; main()", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        _delete_a_ledger_entry(dynamodb_client(embedded_store), process)
        printed, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "ledger movements add up to the balance" in printed
    assert "events sent" in printed
    assert "tables usage-tab-simulation-" in printed


def _delete_a_ledger_entry(client: Any, process: subprocess.Popen[str]) -> None:
    """Delete the first ledger entry that the simulation writes."""
    while process.poll() is None:
        tables = [name for name in client.list_tables()["TableNames"] if name.startswith("usage-tab-simulation-")]
        for table in tables:
            if table.endswith("-state"):
                entries = [
                    item for item in client.scan(TableName=table)["Items"] if item["sk"]["S"].startswith("ledger#")
                ]
                for entry in entries[:1]:
                    client.delete_item(TableName=table, Key={"pk": entry["pk"], "sk": entry["sk"]})
                    return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
