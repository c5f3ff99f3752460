"""What the service asks of an event bus, and the one of a single machine: its log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import msgspec


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.notifications import Notification


_log = logging.getLogger(__name__)


class EventBusUnavailableError(Exception):
    """Not all notifications were taken; publishing them again is safe."""


class EventBus(Protocol):
    """Takes notifications."""

    def publish(self, notifications: Sequence[Notification]) -> None:
        """
        Publish *notifications*; receivers tell by their ids those that come twice.

        Raises:
            EventBusUnavailableError: where not all were taken.
        """
        ...


class LogBus:
    """Writes notifications to the log, a line each."""

    def publish(self, notifications: Sequence[Notification]) -> None:
        """Write *notifications*."""
        for notification in notifications:
            _log.info("published %s", msgspec.json.encode(notification).decode())
