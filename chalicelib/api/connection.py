"""What a running function has made of its settings, and makes anew once they have changed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from chalicelib.settings import SettingsError


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.settings import Settings

SETTINGS_AGE_SECONDS_MAX: Final = 5 * 60
"""A key that is changed is used after so long at the latest: the old one should be valid meanwhile."""
RETRY_SECONDS: Final = 60

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Connection(Generic[T]):
    """
    What *connect* makes of the settings, when it is first needed.

    The settings are read again when they are old. While they are the same, so is what was made of them; it stays as
    well, for another try soon, when they cannot be read or used. Threads may share it. *monotonic* tells seconds.
    """

    def __init__(
        self,
        connect: Callable[[Settings], T],
        read_settings: Callable[[], Settings],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._read_settings = read_settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._made: tuple[Settings, T] | None = None
        self._due_at = 0.0

    def get(self) -> T:
        """
        Return what was made of the settings, of those of the last five minutes where they could be used.

        Raises:
            SettingsError: where none could be used yet; the next call tries again.
        """
        with self._lock:
            if self._made is None:
                self._made = self._make()
            elif self._monotonic() >= self._due_at:
                self._made = self._make_anew(self._made)
            return self._made[1]

    def _make(self, old: tuple[Settings, T] | None = None) -> tuple[Settings, T]:
        now = self._monotonic()
        self._due_at = now + RETRY_SECONDS
        settings = self._read_settings()
        made = old if old is not None and old[0] == settings else (settings, self._connect(settings))
        self._due_at = now + SETTINGS_AGE_SECONDS_MAX
        return made

    def _make_anew(self, old: tuple[Settings, T]) -> tuple[Settings, T]:
        try:
            return self._make(old)
        except SettingsError as error:
            _log.warning("the settings stay as they were: %s", error)
            return old
