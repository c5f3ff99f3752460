"""Notifications on an Amazon EventBridge bus."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bus.event_bus import EventBusUnavailableError
from chalicelib.domain.instants import to_datetime


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.notifications import Notification

SOURCE: Final = "usage-tab"
ENTRIES_MAX: Final = 10
"""Entries that one PutEvents takes."""


class EventBridgeBus:
    """Publishes to the bus *name* through a botocore client of `events`."""

    def __init__(self, client: Any, name: str) -> None:
        """Publish through *client*."""
        self._client = client
        self._name = name

    def publish(self, notifications: Sequence[Notification]) -> None:
        """Put *notifications*: the name is the detail type, id and data are the detail."""
        entries = iter([self._entry(notification) for notification in notifications])
        while batch := list(islice(entries, ENTRIES_MAX)):
            try:
                answer = self._client.put_events(Entries=batch)
            except (BotoCoreError, ClientError) as error:
                raise EventBusUnavailableError(str(error)) from error
            if answer["FailedEntryCount"]:
                codes = sorted({entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry})
                message = f"{answer['FailedEntryCount']} notifications were not taken: {', '.join(codes)}"
                raise EventBusUnavailableError(message)

    def _entry(self, notification: Notification) -> dict[str, Any]:
        return {
            "Time": to_datetime(notification.at),
            "Source": SOURCE,
            "DetailType": notification.name,
            "Detail": msgspec.json.encode({"id": notification.id, **notification.data}).decode(),
            "EventBusName": self._name,
        }
