"""
What the deployed service costs at list prices, from units, milliseconds and bytes measured here.

Run on DynamoDB Local beside the handlers: milliseconds are this machine's, units follow from the sizes of items.
Nothing that AWS gives away every month is taken off.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final, NamedTuple

from chalice.local import LambdaEventConverter, RouteMatcher

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.local.counting_store import CountingStore
from chalicelib.local.signing_key import ALL_SCOPES, SigningKey
from chalicelib.observability import FUNCTION_NAME_VARIABLE, Metric
from chalicelib.services.clocks import RealClock
from chalicelib.services.container import Services
from chalicelib.storage.dynamo import DynamoItemStore
from tests.bench.month_close import close_months
from tests.bench.workload import ACCOUNT, BenchClock, Traffic, open_account
from tests.stores import DynamoDBLocal


MILLION: Final = 1_000_000
GB: Final = 10**9
HOURS: Final = 730
"""In a month."""

PRICES: Final = {
    "request of a REST API": 3.50 / MILLION,
    "call of a function": 0.20 / MILLION,
    "GB-second of a function on arm64": 0.0000133334,
    "write unit on demand": 0.625 / MILLION,
    "read unit on demand": 0.125 / MILLION,
    "GB-month of a table": 0.25,
    "GB-month of recovery to a point in time": 0.20,
    "hour of a shard": 0.015,
    "25 KB put into a stream": 0.014 / MILLION,
    "request of a queue": 0.40 / MILLION,
    "event on a bus": 1.00 / MILLION,
    "GB of logs": 0.50,
    "GB out to the internet": 0.09,
    "metric a month": 0.30,
    "metric of an alarm a month": 0.10,
    "dashboard a month": 3.00,
    "encryption key a month": 1.00,
    "secret a month": 0.40,
}
"""Dollars, list prices of us-east-1 as of November 2025; those of eu-west-1 are up to a sixth higher."""

API_GB: Final = 1.769
WORK_GB: Final = 1.024
JOB_GB: Final = 0.512
"""Memory of the functions."""

PLATFORM_LOG_BYTES: Final = 750
"""What Lambda and API Gateway log of a call by themselves, about."""
EVENT_BYTES: Final = 26
MONTHS_KEPT: Final = 25

BATCHES: Final = {1: 150, 100: 40, 1000: 12}
TAB_VIEWS: Final = 200
ACCOUNTS_CLOSED: Final = 200

ACCOUNTS: Final = 1_000
EVENTS_A_MONTH: Final = 10_000
VIEWS_A_MONTH: Final = 200
AUDITS_A_MONTH: Final = 30 / 16
JOBS: Final = 7
JOB_RUNS_A_MONTH: Final = 6 * 4 * HOURS + 30
REJECTION_CODES: Final = 8
PAYMENT_RESULTS: Final = 3
DIMENSIONED: Final = 3
"""Metrics that are written by a dimension alone: payments, runs and work done."""


class Measured(NamedTuple):
    """One call: milliseconds (the lower quartile), units, and bytes logged and answered."""

    ms: float
    writes: float
    reads: float
    log_bytes: float = 0
    answer_bytes: float = 0


class Cost(NamedTuple):
    """Dollars by what they are paid for."""

    door: float
    functions: float
    table: float
    logs: float
    transfer: float = 0

    @property
    def total(self) -> float:
        """Add up."""
        return sum(self)


def main() -> None:
    """Measure, and print the tables of the deployment's README."""
    out = sys.stdout
    # The logger writes to what is the standard output when it is first used.
    with DynamoDBLocal() as local, redirect_stdout(io.StringIO()) as log:
        measured = _measure(local, log)
    with DynamoDBLocal() as local:
        store = DynamoItemStore(local.endpoint, "eu-west-1", "bench-state", "bench-pages")
        store.create_tables()
        closed = close_months(store, ACCOUNTS_CLOSED)
    measured["close of a month"] = Measured(
        closed.seconds * 1000 / closed.accounts,
        closed.write_units / closed.accounts,
        closed.read_units / closed.accounts,
    )
    out.write(f"\n{_table_of_measurements(measured)}\n{_table_of_millions(measured)}\n{_table_of_month(measured)}")


def _measure(local: DynamoDBLocal, log: io.StringIO) -> dict[str, Measured]:
    os.environ[FUNCTION_NAME_VARIABLE] = "usage-tab"
    store = DynamoItemStore(local.endpoint, "eu-west-1", "bench-state", "bench-pages")
    store.create_tables()
    counting = CountingStore(store)
    clock = BenchClock(RealClock().now())
    services = open_account(counting, clock)
    with tempfile.TemporaryDirectory() as home:
        key = SigningKey.load_or_create(Path(home))
    app.use(services, TokenVerifier(KeySource.from_jwks(key.jwks())))
    traffic = Traffic(clock, seed=1)
    caller = _Caller(counting, key.issue_token(ALL_SCOPES), log)
    caller.call("POST", "/v1/events", [traffic.batch(1000)])
    measured = {
        f"POST /v1/events, {_events(size)}": caller.call(
            "POST", "/v1/events", [traffic.batch(size) for _ in range(rounds)]
        )
        for size, rounds in BATCHES.items()
    }
    measured["GET …/usage"] = caller.call("GET", f"/v1/accounts/{ACCOUNT}/usage", [b""] * TAB_VIEWS)
    measured["run of a job that finds nothing"] = _measured(counting, lambda: services.jobs.run("expire-credit"), 20)
    events = 1000 + sum(size * rounds for size, rounds in BATCHES.items())
    measured["audit, per 1,000 events kept"] = _per_thousand(_measured(counting, lambda: _audit(services), 3), events)
    return measured


def _events(size: int) -> str:
    return "one event" if size == 1 else f"{size:,} events"


def _audit(services: Services) -> None:
    if findings := services.auditing.audit(ACCOUNT):
        raise AssertionError(findings)


def _per_thousand(audit: Measured, events: int) -> Measured:
    return Measured(audit.ms * 1000 / events, 0, audit.reads * 1000 / events)


def _measured(store: CountingStore, act: Callable[[], object], rounds: int) -> Measured:
    before = store.units
    seconds = [_timed(act)[0] for _ in range(rounds)]
    units = store.units.since(before)
    return Measured(_undisturbed(seconds) * 1000, units.write_units / rounds, units.read_units / rounds)


def _undisturbed(seconds: list[float]) -> float:
    """Return the lower quartile: a machine that has other work makes calls longer, never shorter."""
    return statistics.quantiles(seconds, n=4)[0] if len(seconds) > 1 else seconds[0]


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = act()
    return time.perf_counter() - started, result


class _Caller:
    """Calls the handler of the API as Lambda does, and keeps what it logs."""

    def __init__(self, store: CountingStore, token: str, log: io.StringIO) -> None:
        self._store = store
        self._log = log
        self._converter = LambdaEventConverter(RouteMatcher(list(app.routes)))
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, bodies: Iterable[bytes]) -> Measured:
        events = [self._converter.create_lambda_event(method, path, self._headers, body) for body in bodies]
        before, logged, seconds, answered = self._store.units, self._log.tell(), [], 0
        for event in events:
            taken, answer = _timed(lambda event=event: app(event, None))
            if answer["statusCode"] != 200:
                raise AssertionError(answer)
            seconds.append(taken)
            answered += len(answer["body"])
        units, calls = self._store.units.since(before), len(events)
        return Measured(
            _undisturbed(seconds) * 1000,
            units.write_units / calls,
            units.read_units / calls,
            (self._log.tell() - logged) / calls,
            answered / calls,
        )


def _cost(measured: Measured, calls: float, gb: float, door: float) -> Cost:
    """Return what *calls* of a function with *gb* of memory cost, each of which costs *door* to get there."""
    price = PRICES
    seconds = measured.ms / 1000
    return Cost(
        door=calls * door,
        functions=calls * (price["call of a function"] + seconds * gb * price["GB-second of a function on arm64"]),
        table=calls * (measured.writes * price["write unit on demand"] + measured.reads * price["read unit on demand"]),
        logs=calls * (measured.log_bytes + PLATFORM_LOG_BYTES) / GB * price["GB of logs"],
        transfer=calls * measured.answer_bytes / GB * price["GB out to the internet"],
    )


def _millions(measured: dict[str, Measured]) -> dict[str, Cost]:
    request = PRICES["request of a REST API"]
    costs = {
        f"events over HTTP, {_events(size)} a request": _cost(
            measured[f"POST /v1/events, {_events(size)}"], MILLION / size, API_GB, request
        )
        for size in BATCHES
    }
    for size in (100, 1000):
        costs[f"events over the stream, {_events(size)} of an account a batch"] = _cost(
            measured[f"POST /v1/events, {_events(size)}"],
            MILLION / size,
            API_GB,
            size * PRICES["25 KB put into a stream"],
        )._replace(transfer=0)
    costs["tab views"] = _cost(measured["GET …/usage"], MILLION, API_GB, request)
    return costs


def _month(measured: dict[str, Measured]) -> dict[str, float]:
    """Return what a thousand accounts cost in a month, and a stage by itself."""
    price = PRICES
    millions = _millions(measured)
    close, audit = measured["close of a month"], measured["audit, per 1,000 events kept"]
    events_kept = EVENTS_A_MONTH * MONTHS_KEPT
    whole_audit = Measured(audit.ms * events_kept / 1000, 0, audit.reads * events_kept / 1000)
    gigabytes = ACCOUNTS * events_kept * EVENT_BYTES / GB
    alarms = json.loads((Path(__file__).parents[2] / "infra" / "alarms.json").read_text())["Resources"].values()
    alarm_metrics = sum(
        max(sum("MetricStat" in query for query in one["Properties"].get("Metrics", [])), 1)
        for one in alarms
        if one["Type"] == "AWS::CloudWatch::Alarm"
    )
    metrics = len(Metric) - DIMENSIONED + REJECTION_CODES + PAYMENT_RESULTS + 3 * JOBS
    # A message is sent, received and deleted: three requests, in tens.
    queued = 0.3 * price["request of a queue"]
    return {
        f"{EVENTS_A_MONTH:,} events an account, 100 a request": ACCOUNTS
        * EVENTS_A_MONTH
        / MILLION
        * millions["events over HTTP, 100 events a request"].total,
        f"{VIEWS_A_MONTH} tab views an account": ACCOUNTS * VIEWS_A_MONTH / MILLION * millions["tab views"].total,
        "closing the month": _cost(close, ACCOUNTS, WORK_GB, queued).total,
        f"audits, every 16 nights, over {MONTHS_KEPT} months of events": _cost(
            whole_audit, ACCOUNTS * AUDITS_A_MONTH, WORK_GB, queued
        ).total,
        f"{gigabytes:.1f} GB of events, {MONTHS_KEPT} months of them, with recovery": gigabytes
        * (price["GB-month of a table"] + price["GB-month of recovery to a point in time"]),
        "**the stage by itself**: schedules": _cost(
            measured["run of a job that finds nothing"], JOB_RUNS_A_MONTH, JOB_GB, 0
        ).total,
        f"{alarm_metrics} metrics of alarms, about {metrics} of our own, a dashboard, a key, a secret": alarm_metrics
        * price["metric of an alarm a month"]
        + metrics * price["metric a month"]
        + price["dashboard a month"]
        + price["encryption key a month"]
        + price["secret a month"],
        "one shard": HOURS * price["hour of a shard"],
    }


def _table_of_measurements(measured: dict[str, Measured]) -> str:
    rows = [
        f"| {name} | {one.ms:.1f} | {one.writes:.2f} | {one.reads:.2f} | {_bytes(one.log_bytes)} | "
        f"{_bytes(one.answer_bytes)} |"
        for name, one in measured.items()
    ]
    heads = "| a call | ms | write units | read units | bytes logged | bytes answered |\n|---|---|---|---|---|---|\n"
    return heads + "\n".join(rows) + "\n"


def _bytes(number: float) -> str:
    return f"{number:,.0f}" if number else "0"


def _table_of_millions(measured: dict[str, Measured]) -> str:
    rows = [
        f"| {name} | {cost.door:.2f} | {cost.functions:.2f} | {cost.table:.2f} | {cost.logs:.2f} | "
        f"{cost.transfer:.2f} | **{cost.total:.2f}** |"
        for name, cost in _millions(measured).items()
    ]
    heads = f"| dollars a million | door | functions | tables | logs | transfer | together |\n{'|---' * 7}|\n"
    return heads + "\n".join(rows) + "\n"


def _table_of_month(measured: dict[str, Measured]) -> str:
    month = _month(measured)
    rows = [f"| {name} | {dollars:.2f} |" for name, dollars in month.items()]
    heads = f"| {ACCOUNTS:,} accounts | dollars a month |\n|---|---|\n"
    return heads + "\n".join(rows) + f"\n| **together** | **{sum(month.values()):.2f}** |\n"


if __name__ == "__main__":
    main()
