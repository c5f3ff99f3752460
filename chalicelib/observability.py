"""Logs and metrics of the deployed service. No token and no full phone number leaves through a log."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from enum import StrEnum
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from chalicelib.settings import Settings


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

SERVICE: Final = "usage-tab"
PACKAGE: Final = "chalicelib"
NAMESPACE: Final = "UsageTab"
FUNCTION_NAME_VARIABLE: Final = "AWS_LAMBDA_FUNCTION_NAME"
SERVICE_VARIABLE: Final = "POWERTOOLS_SERVICE_NAME"
"""Tells the metrics of stages in one account apart: the dimension `service`."""

P = ParamSpec("P")
R = TypeVar("R")

VALUES_MAX: Final = 50
"""Values of one metric in one line; CloudWatch takes a hundred, and each is paid for by its bytes."""

_MASKED: Final = (
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,4}"), "***"),
    (re.compile(r"(\+|%2B)\d{7,}", re.IGNORECASE), r"\1***"),
)


def mask(text: str) -> str:
    """Replace whatever looks like a bearer token, a JWT or a phone number with its country code."""
    for pattern, replacement in _MASKED:
        text = pattern.sub(replacement, text)
    return text


class MaskingFormatter(LambdaPowertoolsFormatter):
    """Write a log record as one line of JSON, masked whole: message, extra keys, arguments, stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; the masks stand for characters that JSON does not escape."""
        return mask(super().format(record))


@cache
def logger() -> Logger:
    """Return the service's logger, at the level of the settings."""
    return Logger(
        service=SERVICE,
        level=Settings.from_environment().log_level,
        logger_formatter=MaskingFormatter(utc=True, use_rfc3339=True),
    )


def configure_logs() -> None:
    """Give every module's own log the masks and the level of the service's; done once, when a process starts."""
    package = logging.getLogger(PACKAGE)
    if not package.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(MaskingFormatter(service=SERVICE, utc=True, use_rfc3339=True))
        package.addHandler(handler)
    package.setLevel(Settings.from_environment().log_level)
    package.propagate = False


@contextmanager
def log_keys(**keys: str | None) -> Iterator[None]:
    """Put *keys* that are not None into every line that is logged meanwhile in this context, whichever log it is of."""
    before = logger().thread_safe_get_current_keys()
    add_log_keys(**{name: value for name, value in keys.items() if value is not None})
    try:
        yield
    finally:
        logger().thread_safe_clear_keys()
        add_log_keys(**before)


def add_log_keys(**keys: str) -> None:
    """Put *keys* into every line until the innermost `log_keys` of this context ends."""
    logger().thread_safe_append_keys(**keys)


def is_deployed() -> bool:
    """Tell whether this is a function on Lambda: only there do metrics go out, and a line for every request."""
    return FUNCTION_NAME_VARIABLE in os.environ


class Metric(StrEnum):
    """All that the service measures by itself; alarms and the dashboard name them. A *unit* is CloudWatch's."""

    unit: str

    def __new__(cls, name: str, unit: str = "Count") -> Self:
        """Name a metric."""
        metric = str.__new__(cls, name)
        metric._value_ = name
        metric.unit = unit
        return metric

    EVENTS_ACCEPTED = "EventsAccepted"
    EVENTS_DUPLICATE = "EventsDuplicate"
    EVENTS_REJECTED = "EventsRejected"
    """In all, and by `code`."""
    EVENT_TO_VISIBLE = "EventToVisible", "Milliseconds"
    """From the time of an accepted event to the commit that shows it."""
    CONFLICTS = "Conflicts"
    """Commits that lost the race for an account."""
    RETRIES = "Retries"
    """Changes begun again, for whatever reason."""
    BUSY = "Busy"
    """Changes given up: the caller has to send them again."""
    PAYMENTS = "Payments"
    """By `result`: succeeded, failed, or pending where the gateway has not told."""
    PAYMENT_AGE = "PaymentAge", "Seconds"
    """Of the oldest payment whose outcome is not known, at every run of `settle-payments`."""
    EFFECTS_DONE = "EffectsDone"
    EFFECTS_FAILED = "EffectsFailed"
    OUTBOX_AGE = "OutboxAge", "Seconds"
    """Of the oldest effect not carried out, at every sweep."""
    JOB_RUNS = "JobRuns"
    """By `job`: the heartbeat."""
    WORK_DONE = "WorkDone"
    """By `job`."""
    WORK_FAILED = "WorkFailed"
    """In all, and by `job`."""
    ACCOUNTS_AUDITED = "AccountsAudited"
    AUDIT_DIFFERENCES = "AuditDifferences"
    REPORTS_WRITTEN = "ReportsWritten"
    REPORTS_FAILED = "ReportsFailed"


Dimensions = tuple[tuple[str, str], ...]


class _Measured:
    """What was measured during one call of the function; its threads may measure side by side."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[Dimensions, dict[Metric, list[int]]] = {}

    def count(self, metric: Metric, number: int, dimensions: Dimensions) -> None:
        with self._lock:
            values = self._values.setdefault(dimensions, {})
            values[metric] = [values.get(metric, [0])[0] + number]

    def measure(self, metric: Metric, measured: Iterable[int]) -> None:
        with self._lock:
            self._values.setdefault((), {}).setdefault(metric, []).extend(measured)

    def send(self) -> None:
        """Write one line for each set of dimensions; most calls have one."""
        if not self._values:
            return
        from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: PLC0415 - most processes measure nothing

        for dimensions, values in self._values.items():
            metrics = EphemeralMetrics(namespace=NAMESPACE, service=os.environ.get(SERVICE_VARIABLE, SERVICE))
            for name, text in dimensions:
                metrics.add_dimension(name, text)
            for metric, measured in values.items():
                for value in _spread(measured):
                    metrics.add_metric(metric, metric.unit, value)
            metrics.flush_metrics()


def _spread(values: list[int]) -> list[int]:
    """Return *values*; of too many as many as a line holds, evenly spread by rank, the least and the greatest too."""
    if len(values) <= VALUES_MAX:
        return values
    ranked = sorted(values)
    return [ranked[place * (len(ranked) - 1) // (VALUES_MAX - 1)] for place in range(VALUES_MAX)]


_measured: ContextVar[_Measured | None] = ContextVar("measured", default=None)


@contextmanager
def one_call(**keys: str | None) -> Iterator[None]:
    """
    Be one call of the function: *keys* are in every line it logs, and what it measures goes out at its end.

    Threads take part in it through `in_this_call`.
    """
    token = _measured.set(_Measured() if is_deployed() else None)
    try:
        with log_keys(**keys):
            yield
    finally:
        measured = _measured.get()
        _measured.reset(token)
        if measured is not None:
            measured.send()


def in_this_call(function: Callable[P, R]) -> Callable[P, R]:
    """Return *function* for threads of its own: what it logs and measures there belongs to the present call."""
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return run


def count(metric: Metric, number: int = 1, **dimensions: str) -> None:
    """Count something *number* times; each of the *dimensions* must have few values, for each costs by the month."""
    measured = _measured.get()
    if measured is not None and number:
        measured.count(metric, number, tuple(dimensions.items()))


def measure(metric: Metric, *values: int) -> None:
    """Note how much of something there was, once for each of *values*."""
    measured = _measured.get()
    if measured is not None and values:
        measured.measure(metric, values)
