"""The same calls again, in other orders, other batches and from many sides: the figures stay what they are."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.importing import import_calls, import_words
from tests.e2e.samples import NOW, SETTINGS, Sample, put_rate_cards, write_rows
from tests.e2e.server import Server
from tests.oracle.billing import bill


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.client import Client

MONTH = "2021-01"
FREE_SECONDS = "5000"
CALLS_MAX = 600


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """Run a server of their own for these many calls, which is not measured for coverage."""
    with Server(home, "--no-demo", "--test-clock", NOW) as server:
        put_rate_cards(server.client)
        yield server
        assert server.failures == []


@pytest.fixture(scope="session")
def january(plain: Sample, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Give calls of one month, for which it does not matter which of them free units cover."""
    folder = tmp_path_factory.mktemp("january")
    return Sample(plain.card, write_rows(folder / "calls.csv", plain.rows_before_now()[:CALLS_MAX]))


@pytest.fixture(scope="session")
def lines(january: Sample) -> dict[str, Any]:
    """Give what the calculation apart makes of them."""
    months: dict[str, Any] = bill(january.calls, january.card, "UTC", {"call": FREE_SECONDS})
    return months[MONTH]["lines"]["call"]


@pytest.fixture
def account(server: Server, january: Sample, name: str) -> str:
    """Give an account with free units by the card of these calls."""
    server.client.put_rate_card("january", "2020-01-01", january.card.read_text(encoding="utf-8"))
    free_units = {"call": {"quantity": FREE_SECONDS, "per": "account"}}
    server.client.put_account(name, {**SETTINGS, "rate_card": "january", "free_units": free_units})
    return name


def shuffled(rows: list[dict[str, str]], path: Path, times: int = 1, seed: int = 7) -> Path:
    """Write every row so many *times*, in an order that the *seed* decides."""
    copies = rows * times
    random.Random(seed).shuffle(copies)
    return write_rows(path, copies)


def assert_figures(server: Server, account: str, line: dict[str, str]) -> None:
    """Check the account's one row against the calculation apart, and the account against its own records."""
    row = server.client.product(account)
    assert row["free_units"]["used"] == line["free_units_used"]
    for member in ("quantity", "billed_quantity", "amount", "to_be_invoiced"):
        assert row[member] == line[member]
    assert server.client.balance(account) == f"-{line['to_be_invoiced']}"
    audit = server.audit(account)
    assert audit.returncode == 0, audit


def test_importing_again_changes_nothing(
    server: Server, january: Sample, account: str, lines: dict[str, Any], tmp_path: Path
) -> None:
    """A file imported twice, and once more backwards, counts once."""
    number = len(january.rows())
    first = import_calls(server, account, january.calls)
    assert (first.returncode, first.stdout) == (0, f"{number:,} accepted, 0 duplicates, 0 rejected\n")
    seen = server.client.usage(account)

    backwards = write_rows(tmp_path / "backwards.csv", january.rows()[::-1])
    for file, batch in ((january.calls, "1000"), (backwards, "333")):
        again = import_calls(server, account, file, "--batch", batch)
        assert (again.returncode, again.stdout) == (0, f"0 accepted, {number:,} duplicates, 0 rejected\n")
        assert server.client.usage(account) == seen
    assert_figures(server, account, lines)


@pytest.mark.parametrize("batch", ["7", "100", "1000"])
def test_order_and_batches_do_not_matter(  # noqa: PLR0913 - a table over fixtures
    server: Server, january: Sample, account: str, lines: dict[str, Any], tmp_path: Path, batch: str
) -> None:
    """The calls of a month in any order and in batches of any size make the same figures."""
    imported = import_calls(server, account, shuffled(january.rows(), tmp_path / "calls.csv"), "--batch", batch)

    assert imported.returncode == 0, imported
    assert_figures(server, account, lines)


def test_single_events_make_the_same_figures(server: Server, january: Sample, account: str, tmp_path: Path) -> None:
    """Calls posted one by one, and then all at once, count once."""
    rows = january.rows()[::6]
    sample = Sample(january.card, write_rows(tmp_path / "sample.csv", rows))
    months: dict[str, Any] = bill(sample.calls, sample.card, "UTC", {"call": FREE_SECONDS})

    for options in (["--batch", "1"], ["--batch", "1000"]):
        imported = import_calls(server, account, shuffled(rows, tmp_path / "calls.csv"), *options)
        assert imported.returncode == 0, imported
    assert_figures(server, account, months[MONTH]["lines"]["call"])


def test_every_event_three_times_counts_once(
    server: Server, january: Sample, account: str, lines: dict[str, Any], tmp_path: Path
) -> None:
    """Repeats within a batch and between batches are told apart from new events."""
    number = len(january.rows())
    file = shuffled(january.rows(), tmp_path / "calls.csv", times=3)

    imported = import_calls(server, account, file, "--batch", "100")
    assert imported.stdout == f"{number:,} accepted, {2 * number:,} duplicates, 0 rejected\n"
    assert_figures(server, account, lines)


def test_four_processes_import_the_same_calls_at_once(
    server: Server, january: Sample, account: str, lines: dict[str, Any], tmp_path: Path
) -> None:
    """Importers that race for every event take each of them once between them."""
    importers = []
    for number, batch in enumerate(("200", "100", "50", "37")):
        file = shuffled(january.rows(), tmp_path / f"calls-{number}.csv", seed=number)
        importers.append(server.begin(*import_words(server, account, file, "--batch", batch)))

    accepted = 0
    for importer in importers:
        with importer:
            out, err = importer.communicate()
        assert importer.returncode == 0, (out, err)
        accepted += int(out.split()[0].replace(",", ""))
    assert accepted == len(january.rows())
    assert_figures(server, account, lines)


@pytest.mark.parametrize("grants", [("3", "0.25", "2"), ("300", "0.25", "2")], ids=["too little", "more than enough"])
def test_with_credit_the_balance_does_not_depend_on_the_order(  # noqa: PLR0913 - a table over fixtures
    server: Server,
    client: Client,
    january: Sample,
    account: str,
    lines: dict[str, Any],
    tmp_path: Path,
    grants: tuple[str, ...],
) -> None:
    """Credit pays the same in total, whether it comes before, between or after the calls."""
    rows = january.rows()
    half = len(rows) // 2
    files = [write_rows(tmp_path / "1.csv", rows[half:]), write_rows(tmp_path / "2.csv", rows[:half])]

    client.grant(account, grants[0], "0")
    for number, file in enumerate(files, start=1):
        assert import_calls(server, account, file, "--batch", "100").returncode == 0
        client.grant(account, grants[number], str(number))

    row = client.product(account)
    granted, amount = sum(map(Decimal, grants)), Decimal(lines["amount"])
    assert row["amount"] == lines["amount"]
    assert Decimal(row["credits_applied"]) == min(granted, amount)
    assert Decimal(client.balance(account)) == granted - amount
    assert server.audit(account).returncode == 0


def test_calls_of_every_kind_in_any_order(
    server: Server, client: Client, varied: Sample, name: str, tmp_path: Path
) -> None:
    """Without free units every call costs what it costs, whenever it comes."""
    rows = varied.rows_before_now()
    sample = Sample(varied.card, write_rows(tmp_path / "january.csv", rows))
    months: dict[str, Any] = bill(sample.calls, sample.card, "UTC")
    line = months[MONTH]["lines"]["call"]
    client.put_account(name, SETTINGS)

    imported = import_calls(server, name, shuffled(rows, tmp_path / "calls.csv", times=2), "--batch", "50")
    assert imported.returncode == 0, imported
    row = client.product(name)
    assert row["free_units"] is None
    for member in ("quantity", "billed_quantity", "amount", "to_be_invoiced"):
        assert row[member] == line[member]
    assert client.get(f"/v1/accounts/{name}/invoices/upcoming")["total"] == months[MONTH]["total"]
