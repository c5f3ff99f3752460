"""
What calls of the packaged functions use: time on a processor, and memory.

`python -m tests.bench.function_memory [EVENTS]`, EVENTS being how many the month of the report has, by default 100,000.
Every kind of call has a function of its own: its first call is a cold start, the second is warm. Lambda gives a
function a processor's share in proportion to its memory, and a whole one at 1,769 MB.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chalicelib.domain.instants import to_datetime
from chalicelib.domain.periods import Period
from chalicelib.services.clocks import RealClock
from chalicelib.services.provide_reports import WRITE_REPORT, ReportFile
from chalicelib.services.write_reports import ReportKind
from tests.bench.cold_start import Runtime, open_filled_store, unpack_service
from tests.bench.deployed import Surroundings
from tests.bench.lambda_runtime import Function
from tests.bench.workload import ACCOUNT, take
from tests.stores import DynamoDBLocal


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.workload import Traffic

EVENTS = 100_000
BATCH = 1_000
RECORDS = 500
"""Of the stream in one batch, an event in each."""

TICK = {
    "version": "0",
    "id": "1",
    "account": "123456789012",
    "region": "eu-west-1",
    "time": "2026-11-22T15:00:00Z",
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
    "resources": [],
}


class Kind(NamedTuple):
    """A kind of call: the handler, and the events of two calls."""

    name: str
    handler: str
    first: Any
    second: Any


def main() -> None:
    """Measure and print a table."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    runtime = Runtime.found()
    with TemporaryDirectory() as scratch, DynamoDBLocal() as local:
        services, traffic = open_filled_store(local.endpoint)
        for _ in range(events // BATCH):
            take(services, traffic.batch(BATCH))
        folder = Path(scratch)
        task = unpack_service(folder, runtime)
        with Surroundings(folder, local.endpoint) as surroundings:
            # Files are kept on disk, as there is no S3 here.
            environment = {**surroundings.environment, "USAGE_TAB_REPORT_BUCKET": ""}
            sys.stdout.write(f"{'':34}{'cold start':>12}{'warm call':>12}{'peak':>8}   (ms on a processor, MB)\n")
            for kind in _kinds(surroundings, traffic):
                with Function(runtime.interpreter, runtime.client, task, kind.handler, environment) as function:
                    _measure(function, kind)


def _measure(function: Function, kind: Kind) -> None:
    _check(function, kind, function.call(kind.first))
    cold = function.used()
    _check(function, kind, function.call(kind.second))
    warm = function.used()
    sys.stdout.write(
        f"{kind.name:34}{cold.cpu_seconds * 1e3:>12.0f}{(warm.cpu_seconds - cold.cpu_seconds) * 1e3:>12.0f}"
        f"{warm.peak_mb:>8.0f}\n"
    )


def _check(function: Function, kind: Kind, answer: Any) -> None:
    is_refused = answer.get("statusCode", 200) != 200 or json.loads(answer.get("body", "{}")).get("rejected")
    if is_refused or answer.get("batchItemFailures") or answer.get("failed"):
        raise RuntimeError(f"{kind.name} answers {str(answer)[:500]}: {function.log[-2000:]}")


def _kinds(surroundings: Surroundings, traffic: Traffic) -> Iterator[Kind]:
    tab = surroundings.request("GET", "/v1/accounts/{account}/usage", ACCOUNT)
    yield Kind("APIHandler, the tab", "app.app", tab, tab)
    bodies = [traffic.batch(BATCH).decode() for _ in range(2)]
    posts = [surroundings.request("POST", "/v1/events", body=body) for body in bodies]
    yield Kind(f"APIHandler, {BATCH:,} events", "app.app", *posts)
    batches = [_stream_batch(traffic) for _ in range(2)]
    yield Kind(f"MeterEvents, {RECORDS} records", "app.meter_events", *batches)
    yield Kind("ExpireCredit, nothing due", "app.expire_credit", TICK, TICK)
    month = Period.parse(to_datetime(RealClock().now()).strftime("%Y-%m"))
    reports = [_report_batch(ReportFile(ACCOUNT, ReportKind.COST, month, f"{version}-0")) for version in (1, 2)]
    yield Kind("BuildReports, the cost of a month", "app.build_reports", *reports)


def _stream_batch(traffic: Traffic) -> Any:
    events = msgspec.json.decode(traffic.batch(RECORDS), type=list[msgspec.Raw])
    return {
        "Records": [
            {
                "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/usage-tab-events",
                "eventID": f"shardId-000000000000:{number}",
                "kinesis": {
                    "partitionKey": ACCOUNT,
                    "sequenceNumber": str(number),
                    "data": b64encode(event).decode(),
                    "approximateArrivalTimestamp": RealClock().now() / 1e6,
                },
            }
            for number, event in enumerate(events)
        ]
    }


def _report_batch(file: ReportFile) -> Any:
    body = json.dumps({"job": WRITE_REPORT, "subject": file.key, "at": RealClock().now()})
    record = {"messageId": "1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}, "eventSource": "aws:sqs"}
    return {"Records": [record]}


if __name__ == "__main__":
    main()
