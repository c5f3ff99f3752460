"""What a log line shows, what it hides, and what goes out as a metric."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import pairwise
from threading import Barrier

import pytest
from aws_lambda_powertools import Logger

from chalicelib.observability import (
    VALUES_MAX,
    MaskingFormatter,
    Metric,
    configure_logs,
    count,
    in_this_call,
    log_keys,
    logger,
    mask,
    measure,
    one_call,
)
from tests.fakes.metrics import deploy, lines_of, series_of, totals_of


JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-bmF0_dXJl"


@pytest.fixture
def stream() -> StringIO:
    """Give the place that log lines go to."""
    return StringIO()


@pytest.fixture
def masked(stream: StringIO, request: pytest.FixtureRequest) -> Logger:
    """Give a logger of the test's own, with the service's formatter."""
    return Logger(service=request.node.name, stream=stream, logger_formatter=MaskingFormatter())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer ***"),
        ("bearer abc~+/=", "bearer ***"),
        (f"got {JWT}, twice {JWT}", "got ***, twice ***"),
        ("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", "***"),
        ("calls +12065550100;+4420", "calls +***;+4420"),
        ("number=%2B12065550100", "number=%2B***"),
        ("2026-11-22T14:03:11.123+0000", "2026-11-22T14:03:11.123+0000"),
        ("the bearer of 12065550100", "the bearer *** 12065550100"),
    ],
)
def test_mask(text: str, shown: str) -> None:
    """Tokens and phone numbers are masked, other text stays."""
    assert mask(text) == shown


def test_line(masked: Logger, stream: StringIO) -> None:
    """A line is JSON, masked in its message, its arguments and its keys."""
    masked.info("token %s", JWT, extra={"call": {"number": "+12065550100"}})
    line = json.loads(stream.getvalue())

    assert line["message"] == "token ***"
    assert line["call"] == {"number": "+***"}
    assert line["service"] == "test_line"


def test_stack_trace(masked: Logger, stream: StringIO) -> None:
    """A stack trace is masked as well."""
    try:
        _ = {}["+12065550100"]
    except KeyError:
        masked.exception("failed")

    assert "12065550100" not in stream.getvalue().replace('_ = {}["+12065550100"]', "")
    assert json.loads(stream.getvalue())["exception_name"] == "KeyError"


def test_one_logger() -> None:
    """The process has one logger, under the service's name."""
    assert logger() is logger()
    assert logger().service == "usage-tab"


def test_modules_own_logs(stream: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module logs by itself is JSON and masked, too, and said once."""
    package = logging.getLogger("chalicelib")
    monkeypatch.setattr(package, "handlers", [])
    monkeypatch.setattr(package, "propagate", True)
    monkeypatch.setattr("sys.stderr", stream)

    configure_logs()
    configure_logs()
    logging.getLogger("chalicelib.bus.event_bus").info("told +12065550100")

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "told +***"
    package.setLevel(logging.NOTSET)


def test_keys_end_with_their_block(masked: Logger, stream: StringIO) -> None:
    """Keys are in every line of the block, of whichever logger; an inner block gives back what the outer had."""
    with log_keys(request_id="r-1", account="acme", route=None):
        masked.info("outer")
        with log_keys(account="beta"):
            masked.info("inner")
        masked.info("outer again")
    masked.info("afterwards")

    outer, inner, again, afterwards = map(json.loads, stream.getvalue().splitlines())
    assert (outer["request_id"], outer["account"]) == (again["request_id"], again["account"]) == ("r-1", "acme")
    assert "route" not in outer
    assert (inner["request_id"], inner["account"]) == ("r-1", "beta")
    assert not afterwards.keys() & {"request_id", "account"}


def test_keys_of_a_failed_call_end_too(masked: Logger, stream: StringIO) -> None:
    """An exception leaves no key to the next call."""
    with pytest.raises(ValueError, match="broken"), one_call(request_id="r-1"):
        raise ValueError("broken")
    masked.info("next")

    assert "request_id" not in json.loads(stream.getvalue())


def test_threads_have_keys_of_their_own(masked: Logger, stream: StringIO) -> None:
    """Requests that run side by side do not see each other's keys."""
    together = Barrier(2)

    def serve(request: str) -> None:
        with one_call(request_id=request):
            together.wait(10)
            masked.info("for %s", request)
            together.wait(10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(serve, ["r-1", "r-2"]))

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["message"]: line["request_id"] for line in lines} == {"for r-1": "r-1", "for r-2": "r-2"}


class TestMetrics:
    """Measuring a call."""

    @pytest.fixture(autouse=True)
    def on_lambda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run as a function."""
        deploy(monkeypatch)

    def test_one_line_a_call(self, capsys: pytest.CaptureFixture[str]) -> None:
        """All that has no dimensions is one line, counts added up; what has some is a line for each of their values."""
        with one_call():
            count(Metric.EVENTS_ACCEPTED, 3)
            count(Metric.EVENTS_ACCEPTED, 4)
            count(Metric.CONFLICTS, 0)
            measure(Metric.EVENT_TO_VISIBLE, 12, 5)
            count(Metric.EVENTS_REJECTED, 1, code="no_rate")
            assert capsys.readouterr().out == ""

        printed = capsys.readouterr().out
        assert len(lines_of(printed)) == 2
        assert series_of(printed) == [
            ("EventsAccepted", {}, "Count", [7]),
            ("EventToVisible", {}, "Milliseconds", [12, 5]),
            ("EventsRejected", {"code": "no_rate"}, "Count", [1]),
        ]

    def test_a_failed_call_tells_what_it_measured(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What was measured before an exception goes out; the next call begins with nothing."""

        def fail() -> None:
            count(Metric.BUSY)
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"), one_call():
            fail()
        with one_call():
            pass

        assert totals_of(capsys.readouterr().out) == {("Busy",): 1}

    def test_many_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A line holds so many, spread evenly by rank, with the least and the greatest."""
        with one_call():
            measure(Metric.EVENT_TO_VISIBLE, *reversed(range(1000)))

        ((_, _, _, values),) = series_of(capsys.readouterr().out)
        assert len(values) == VALUES_MAX
        assert (values[0], values[-1]) == (0, 999)
        assert all(20 <= later - earlier <= 21 for earlier, later in pairwise(values))

    def test_threads_of_a_call(self, masked: Logger, stream: StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        """They measure and log for the call that started them."""

        def work(number: int) -> None:
            count(Metric.RETRIES, number)
            masked.info("working")

        with one_call(request_id="r-1"), ThreadPoolExecutor(4) as pool:
            list(pool.map(in_this_call(work), range(1, 9)))

        assert totals_of(capsys.readouterr().out) == {("Retries",): 36}
        assert {json.loads(line)["request_id"] for line in stream.getvalue().splitlines()} == {"r-1"}


def test_nothing_goes_out_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """On a person's machine no metric clutters the console, within a call or outside."""
    with one_call():
        count(Metric.EVENTS_ACCEPTED, 3)
        measure(Metric.EVENT_TO_VISIBLE, 1)
    count(Metric.EVENTS_ACCEPTED, 3)

    assert capsys.readouterr().out == ""
