"""
Report files on this machine's disk, fetched by links that are signed as those of S3 are.

A link is `/files?token=TOKEN`: whoever serves it asks `LocalReportFiles.open` for the file. The token says which file
it is and until when, and is signed with a secret that this process made. It is in the query, which no log keeps.
"""

from __future__ import annotations

import hmac
import secrets
import shutil
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import finalize

import msgspec
from msgspec import Struct

from chalicelib.domain.instants import Instant
from chalicelib.files.report_files import LINK_LIFETIME, PREPARING_MAX, FileState, Link


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LINK_PATH: Final = "/files"

_SECRET_BYTES: Final = 32


class _Claims(Struct, array_like=True):
    key: str
    download_name: str
    expires_at: Instant


class Download(Struct, frozen=True):
    """A file that a link leads to, and what to save it as."""

    path: Path
    name: str


class LocalReportFiles:
    """
    Keeps files in a temporary folder, which is made with the first of them and goes with this object.

    *clock* is the real one, for links to expire by.
    """

    def __init__(self, clock: Callable[[], Instant]) -> None:
        """Begin without files."""
        self._clock = clock
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._announced: dict[str, Instant] = {}
        self._lock = Lock()
        self._made: Path | None = None

    def state(self, key: str) -> FileState | None:
        """Return what has become of a file."""
        if self._made is not None and self._path(key).exists():
            return FileState.READY
        is_announced = self._announced.get(key, -PREPARING_MAX) > self._clock() - PREPARING_MAX
        return FileState.PREPARING if is_announced else None

    def announce(self, key: str) -> None:
        """Note that a file is going to be written."""
        self._announced[key] = self._clock()

    def withdraw(self, key: str) -> None:
        """Note that a file is not going to be written after all."""
        self._announced.pop(key, None)

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a file beside its place, and put it there once it is whole."""
        path = self._path(key)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix="draft-", delete=False) as draft:
            try:
                for chunk in chunks:
                    draft.write(chunk)
                draft.flush()
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink()
                raise
        self.withdraw(key)

    def link(self, key: str, download_name: str) -> Link:
        """Sign a path to the file."""
        expires_at = self._clock() + LINK_LIFETIME
        claims = msgspec.json.encode(_Claims(key, download_name, expires_at))
        return Link(f"{LINK_PATH}?token={_text(claims)}.{_text(self._sign(claims))}", expires_at)

    def open(self, token: str) -> Download | None:
        """Return what a link's token leads to; None if it is not ours, or has expired, or the file is gone."""
        try:
            claims, signature = (urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
        except ValueError:
            return None
        if not hmac.compare_digest(signature, self._sign(claims)):
            return None
        link = msgspec.json.decode(claims, type=_Claims)
        if link.expires_at <= self._clock() or self.state(link.key) is not FileState.READY:
            return None
        return Download(self._path(link.key), link.download_name)

    def _sign(self, claims: bytes) -> bytes:
        return hmac.digest(self._secret, claims, "sha256")

    def _path(self, key: str) -> Path:
        # By its hash: a key is no path.
        return self._folder() / sha256(key.encode()).hexdigest()

    def _folder(self) -> Path:
        with self._lock:
            if self._made is None:
                self._made = Path(tempfile.mkdtemp(prefix="usage-tab-reports-"))
                finalize(self, shutil.rmtree, self._made, ignore_errors=True)
            return self._made


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
