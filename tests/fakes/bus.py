"""An event bus that remembers what was published."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from chalicelib.bus.event_bus import EventBusUnavailableError
from tests.fakes.outside import BeforeCall, Call, calling, undisturbed


if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.notifications import Notification


class FakeBus:
    """The bus itself, and all that was *published* on it; `client` gives a process its own way there."""

    def __init__(self, before_call: BeforeCall = undisturbed) -> None:
        self.before_call = before_call
        self.published: list[Notification] = []
        self._lock = Lock()

    def client(self, name: str) -> ClientBus:
        """Return the bus as the client *name* uses it."""
        return ClientBus(self, name)

    def ids(self, name: str) -> list[str]:
        """Return the ids of what was published under the *name* of an event, in order, repeats and all."""
        with self._lock:
            return [notification.id for notification in self.published if notification.name == name]

    def _take(self, notifications: Sequence[Notification]) -> None:
        with self._lock:
            self.published += notifications


class ClientBus:
    """The `EventBus` of one client."""

    def __init__(self, shared: FakeBus, client: str) -> None:
        self._shared = shared
        self._client = client

    def publish(self, notifications: Sequence[Notification]) -> None:
        """Publish *notifications*."""
        fault = self._shared.before_call(Call(self._client, "publish"))
        with calling(fault, EventBusUnavailableError):
            self._shared._take(notifications)
