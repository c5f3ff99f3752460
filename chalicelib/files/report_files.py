"""What the service asks of the place where reports lie that are handed over as files."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from chalicelib.domain.instants import HOUR, MINUTE, Instant


if TYPE_CHECKING:
    from collections.abc import Iterable

LINK_LIFETIME: Final = 15 * MINUTE
"""How long a link can be followed; whoever asks again gets a new one."""

PREPARING_MAX: Final = HOUR
"""A file announced longer ago than this and still not there has been lost, and is to be prepared anew."""

CONTENT_TYPE: Final = "text/csv; charset=utf-8"


class FileState(Enum):
    """What has become of a file that was announced."""

    PREPARING = "preparing"
    READY = "ready"


class Link(Struct, frozen=True):
    """An address that anyone who knows it can fetch a file from until *expires_at*."""

    url: str
    expires_at: Instant


class FilesUnavailableError(Exception):
    """The place cannot be reached; nothing is half-done, and trying again is safe."""


class ReportFiles(Protocol):
    """
    Keeps files by a *key*, `account/name`.

    Every method may raise `FilesUnavailableError`.
    """

    def state(self, key: str) -> FileState | None:
        """Return what has become of a file, None where none of this key is announced or there."""
        ...

    def announce(self, key: str) -> None:
        """Note that a file is going to be written."""
        ...

    def withdraw(self, key: str) -> None:
        """Note that a file is not going to be written after all."""
        ...

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a file chunk by chunk; it is there as a whole or not at all, whatever *chunks* raises."""
        ...

    def link(self, key: str, download_name: str) -> Link:
        """Return a new link to a file that is ready; whoever follows it saves it as *download_name*."""
        ...
