"""Logs and metrics of the deployed service. No token and no full phone number leaves through a log."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from chalicelib.settings import Settings


if TYPE_CHECKING:
    import logging

    from aws_lambda_powertools import Metrics

SERVICE: Final = "usage-tab"
NAMESPACE: Final = "UsageTab"

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


@cache
def metrics() -> Metrics:
    """Return the service's metrics; what was added goes out when they are flushed."""
    from aws_lambda_powertools import Metrics  # noqa: PLC0415 - most processes count nothing

    return Metrics(namespace=NAMESPACE, service=SERVICE)


def count(name: str, value: int, **dimensions: str) -> None:
    """Count something of these *dimensions*: the metric goes out with the log, in a line of its own."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415 - as above

    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="service", value=SERVICE)
        for dimension, text in dimensions.items():
            metric.add_dimension(name=dimension, value=text)
