"""Write units and events per second of the engine against the usual design, side by side on DynamoDB Local."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

from chalicelib.local.counting_store import CountingStore
from chalicelib.services.clocks import RealClock
from chalicelib.services.container import Services
from chalicelib.storage.dynamo import DynamoItemStore
from tests.bench.naive import naive_models, take_naively
from tests.bench.workload import BenchClock, Traffic, open_account, take
from tests.stores import DynamoDBLocal


ROUNDS_BY_BATCH = {1: 450, 100: 40, 1000: 20}
NAIVE_EVENTS = 400


class Measured(NamedTuple):
    """What a run cost."""

    name: str
    events: int
    seconds: float
    write_units: int
    read_units: float

    @property
    def events_per_second(self) -> float:
        """Return how fast it was."""
        return self.events / self.seconds


def main() -> None:
    """Measure and print a table."""
    with DynamoDBLocal() as local:
        store = DynamoItemStore(local.endpoint, "eu-west-1", "bench-state", "bench-pages")
        store.create_tables()
        counting = CountingStore(store)
        clock = BenchClock(RealClock().now())
        services = open_account(counting, clock)
        traffic = Traffic(clock, seed=1)
        take(services, traffic.batch(1000))
        models = naive_models(local.endpoint)
        take_naively(models, traffic.batch(100))
        usual_runs, runs = [], []
        for size, rounds in ROUNDS_BY_BATCH.items():
            usual_runs.append(_measure_usual(models, traffic))
            runs.append(_measure_engine(services, counting, [traffic.batch(size) for _ in range(rounds)], size))
    usual = max(usual_runs, key=lambda run: run.events_per_second)
    _report([usual, *runs], usual)


def _measure_usual(models: tuple[Any, Any, Any], traffic: Traffic) -> Measured:
    body = traffic.batch(NAIVE_EVENTS)
    started = time.perf_counter()
    write_units = take_naively(models, body)
    return Measured("usual design", NAIVE_EVENTS, time.perf_counter() - started, write_units, 0)


def _measure_engine(services: Services, counting: CountingStore, bodies: list[bytes], size: int) -> Measured:
    before = counting.units
    started = time.perf_counter()
    accepted = sum(take(services, body) for body in bodies)
    seconds = time.perf_counter() - started
    name = f"engine, {size} a batch"
    units = counting.units.since(before)
    return Measured(name, accepted, seconds, units.write_units, units.read_units)


def _report(runs: list[Measured], usual: Measured) -> None:
    out = sys.stdout
    out.write(
        f"{'':24}{'events':>8}{'events/s':>10}{'x usual':>9}{'write units':>13}{'read units':>12}   (per event)\n"
    )
    for run in runs:
        ratio = run.events_per_second / usual.events_per_second
        out.write(
            f"{run.name:24}{run.events:>8}{run.events_per_second:>10.0f}{ratio:>9.1f}"
            f"{run.write_units / run.events:>13.4f}{run.read_units / run.events:>12.4f}\n"
        )


if __name__ == "__main__":
    main()
