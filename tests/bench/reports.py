"""
What a report and a series cost for months of any size: time to the first byte, memory, read and write units.

`python -m tests.bench.reports [EVENTS ...]`, by default 10,000 and 100,000. The month lies in a store in memory, filled
before anything is measured; memory is what Python allocates beyond that, at its peak, and by how much the largest size
of the process grew. Times are taken without watching allocations, which makes everything several times slower; in a
month of more than 200,000 events they are not watched.
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.domain.instants import parse_instant
from chalicelib.domain.periods import Period
from chalicelib.domain.series import Granularity
from chalicelib.local.counting_store import CountingStore
from chalicelib.services.write_reports import ReportKind
from tests.bench.workload import ACCOUNT, BenchClock, Traffic, open_account, take
from tests.fakes.memory_store import MemoryStore


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.services.container import Services

SIZES = (10_000, 100_000)
BATCH = 1_000
SINGLE_EVENTS = 1_000
WATCHED_EVENTS_MAX = 200_000
MONTH = Period(2026, 11)


class Measured(NamedTuple):
    """What reading a month cost; *first* is the time to the first part of the answer."""

    events: int
    name: str
    first_ms: float
    seconds: float
    mebibytes: float
    peak_kibibytes: int
    growth_kibibytes: int
    read_units: float
    write_units: int


def main() -> None:
    """Measure and print a table."""
    out = sys.stdout
    out.write(f"{'events':>9}  {'':26}{'first, ms':>10}{'all, s':>8}{'MiB written':>13}")
    out.write(f"{'peak KiB':>10}{'grew KiB':>10}{'read units':>12}{'write units':>13}\n")
    for size in [int(text) for text in sys.argv[1:]] or SIZES:
        for run in _measure(size):
            out.write(
                f"{run.events:>9}  {run.name:26}{run.first_ms:>10.1f}{run.seconds:>8.2f}{run.mebibytes:>13.1f}"
                f"{run.peak_kibibytes or '-':>10}{run.growth_kibibytes:>10}"
                f"{run.read_units:>12.1f}{run.write_units:>13}\n"
            )
            out.flush()


def _measure(size: int) -> Iterator[Measured]:
    clock = BenchClock(parse_instant("2026-11-10T12:00:00Z"))
    store = CountingStore(MemoryStore())
    services = open_account(store, clock)
    traffic = Traffic(clock, seed=1)
    for _ in range(size // BATCH):
        take(services, traffic.batch(BATCH))
    for kind in ReportKind:
        yield _run(size, f"{kind.value} report", store, partial(_report, services, kind))
    yield _run(size, "series for the first time", store, partial(_series, services), is_watched=False)
    yield _run(size, "series again", store, partial(_series, services))
    take(services, traffic.batch(BATCH))
    yield _run(size, "series with 1,000 more", store, partial(_series, services))
    for _ in range(SINGLE_EVENTS):
        take(services, traffic.batch(1))
    yield _run(size, "and 1,000 single ones", store, partial(_series, services))
    yield _run(size, "50 interactions", store, partial(_interactions, services))


def _run(
    size: int, name: str, store: CountingStore, read: Callable[[], Iterator[int]], *, is_watched: bool = True
) -> Measured:
    before = store.units
    size_before = _largest_size()
    started = time.perf_counter()
    first = 0.0
    written = 0
    for part in read():
        first = first or time.perf_counter() - started
        written += part
    seconds = time.perf_counter() - started
    units = store.units.since(before)
    grew = _largest_size() - size_before
    peak = _peak(read) // 1024 if is_watched and size <= WATCHED_EVENTS_MAX else 0
    return Measured(size, name, first * 1000, seconds, written / 2**20, peak, grew, units.read_units, units.write_units)


def _largest_size() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _peak(read: Callable[[], Iterator[Any]]) -> int:
    tracemalloc.start()
    for _ in read():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _report(services: Services, kind: ReportKind) -> Iterator[int]:
    writing = services.reports.writing
    yield from map(len, writing.chunks(kind, writing.open(ACCOUNT, MONTH)))


def _series(services: Services) -> Iterator[int]:
    yield len(services.series.series(ACCOUNT, MONTH, Granularity.HOUR).products)


def _interactions(services: Services) -> Iterator[int]:
    yield len(services.explaining.explain(ACCOUNT, "call", MONTH, 50).items)


if __name__ == "__main__":
    main()
