"""
Importing a file of usage: what it holds is read as a stream, posted in batches, and accounted for line by line.

Two formats are read, told apart by the name's ending or the first character:

    CSV      a header line, then a row for each event: `id`, `time`, `quantity` and any other field of an event's data;
             blank cells are left out
    NDJSON   a CloudEvents event on each line, posted as it is

Events are idempotent: a batch whose answer was lost, or that the service was too busy for, is posted again, and a file
that was imported before may be imported again.
"""

from __future__ import annotations

import csv
import random
import re
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec
import urllib3
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from io import BufferedReader
    from pathlib import Path

REQUIRED_COLUMNS: Final = ("id", "time", "quantity")
OPTIONAL_COLUMNS: Final = (
    "direction",
    "resolution",
    "country_code",
    "number",
    "category",
    "type",
    "interaction_id",
)
LINE_BYTES_MAX: Final = 1 << 20
BATCH_BYTES_MAX: Final = 4 << 20
"""Leaves room below what the service takes in one request."""

CONNECT_SECONDS_MAX: Final = 5
ANSWER_SECONDS_MAX: Final = 60
TRYING_SECONDS_MAX: Final = 90
"""How long one batch is tried again."""
TRYING_FIRST_SECONDS_MAX: Final = 10
"""How long a service is tried again that has never answered: its address may be wrong."""

REJECTED_SHOWN_MAX: Final = 10
DETAIL_CHARACTERS_MAX: Final = 300

_ENDINGS_OF_NDJSON: Final = frozenset({".jsonl", ".ndjson"})
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DATA_COLUMNS: Final = ("quantity", *OPTIONAL_COLUMNS)
_CONTENT_TYPE: Final = "application/cloudevents-batch+json"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_PAUSE_SECONDS: Final = 0.25
_PAUSE_SECONDS_MAX: Final = 8
_OK: Final = 200
_TRIED_AGAIN: Final = frozenset({429, 502, 503, 504})
_MEANINGS: Final = {
    400: "the request is refused",
    401: "the token is not accepted",
    403: "the token may not post events, it needs the scope events:write",
    404: "there is nothing at this address that takes events",
    413: "the request is too large, a smaller --batch may help",
}


class ImportFailedError(Exception):
    """The import has stopped; the message says why, and how much was answered before."""


class _StoppedError(Exception):
    """Something ends the import on the way."""


class Rejection(NamedTuple):
    """A line of the file that was not taken, and why."""

    line: int
    code: str
    detail: str


@dataclass
class Summary:
    """What became of the events of a file; *first_rejections* holds no more than are shown."""

    accepted: int = 0
    duplicates: int = 0
    rejected_by_code: Counter[str] = field(default_factory=Counter)
    first_rejections: list[Rejection] = field(default_factory=list)
    answered: int = 0

    @property
    def rejected(self) -> int:
        """Count the lines that were not taken."""
        return self.rejected_by_code.total()

    def reject(self, rejection: Rejection) -> None:
        """Note a line that was not taken."""
        self.rejected_by_code[rejection.code] += 1
        if len(self.first_rejections) < REJECTED_SHOWN_MAX:
            self.first_rejections.append(rejection)

    def text(self) -> str:
        """Return the summary for people."""
        lines = [f"{self.accepted:,} accepted, {self.duplicates:,} duplicates, {self.rejected:,} rejected"]
        lines += [f"  {number:,} {code}" for code, number in self.rejected_by_code.most_common()]
        lines += [f"line {line}: {code}: {detail}" for line, code, detail in sorted(self.first_rejections)]
        if self.rejected > len(self.first_rejections):
            lines.append(f"and {self.rejected - len(self.first_rejections):,} more")
        return "\n".join(lines)


def import_file(  # noqa: PLR0913 - the options of the command
    file: Path,
    *,
    account: str,
    resource: str,
    url: str,
    token: str,
    source: str = "/import",
    batch: int = 1000,
    pause: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Summary:
    """
    Post the events of *file* to the service at *url*, up to *batch* in a request, and return what became of them.

    The rows of a CSV file are events of *source* about *account*'s use of *resource*.

    Raises:
        ImportFailedError: where the file cannot be read, or the service cannot be reached or refuses requests.
    """
    summary = Summary()
    try:
        with file.open("rb") as opened, _Door(url, token, pause, monotonic) as door:
            lines = _Lines(opened)
            if _is_ndjson(file, opened):
                events = _read_ndjson(lines, summary)
            else:
                events = _read_csv(lines, _Template(account, resource, source), summary)
            with _progress(file) as show:
                for posted in _batches(events, batch):
                    _account_for(posted, door.post([event.body for event in posted]), summary)
                    show(lines.bytes_read, summary.answered)
    except _StoppedError as stopped:
        reason = str(stopped).rstrip(".")
        message = f"{reason}. Events answered before: {summary.answered:,}; it is safe to run the import again."
        raise ImportFailedError(message) from stopped
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror or error}"
        raise ImportFailedError(message) from error
    return summary


class _Event(NamedTuple):
    """The JSON of an event, and where it comes from."""

    line: int
    body: bytes


class _Template(NamedTuple):
    """What the rows of a CSV file leave out."""

    account: str
    resource: str
    source: str

    def body(self, cells: Mapping[str, str]) -> bytes:
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "source": self.source,
                "type": self.resource,
                "subject": self.account,
                **{name: cells[name] for name in ("id", "time") if name in cells},
                "data": {name: cells[name] for name in _DATA_COLUMNS if name in cells},
            }
        )


class _Lines:
    """The lines of a file, one at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes]:
        for number in count(1):
            line = self._file.readline(LINE_BYTES_MAX + 1)
            if not line:
                return
            if len(line) > LINE_BYTES_MAX:
                message = f"line {number} is longer than {LINE_BYTES_MAX:,} bytes"
                raise _StoppedError(message)
            self.bytes_read += len(line)
            yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line

    def texts(self) -> Iterator[str]:
        for number, line in enumerate(self, start=1):
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                message = f"line {number} is not UTF-8"
                raise _StoppedError(message) from error


def _is_ndjson(file: Path, opened: BufferedReader) -> bool:
    start = opened.peek().removeprefix(_BYTE_ORDER_MARK).lstrip()
    return file.suffix.lower() in _ENDINGS_OF_NDJSON or start.startswith(b"{")


def _read_ndjson(lines: _Lines, summary: Summary) -> Iterator[_Event]:
    for number, line in enumerate(lines, start=1):
        body = line.strip()
        if not body:
            continue
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            # One such line would make the whole batch unreadable.
            summary.reject(Rejection(number, "invalid_line", f"the line is not JSON: {error}"))
        else:
            yield _Event(number, body)


def _read_csv(lines: _Lines, template: _Template, summary: Summary) -> Iterator[_Event]:
    """Check the header at once, and return the rows yet to be read."""
    rows = _csv_rows(lines)
    _, header = next(rows, (1, []))
    columns = [title.strip() for title in header]
    _check_columns(columns)
    return _read_rows(rows, columns, template, summary)


def _read_rows(
    rows: Iterator[tuple[int, list[str]]], columns: Sequence[str], template: _Template, summary: Summary
) -> Iterator[_Event]:
    for line, row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(columns):
            detail = f"the line has {len(cells)} cells for {len(columns)} columns"
            summary.reject(Rejection(line, "invalid_line", detail))
            continue
        filled = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
        yield _Event(line, template.body(filled))


def _csv_rows(lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the numbers of the lines they begin on."""
    reader = csv.reader(lines.texts(), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f"line {line} is not CSV: {error}"
            raise _StoppedError(message) from error


def _check_columns(columns: Sequence[str]) -> None:
    faults = [f"the column {name!r} is missing" for name in REQUIRED_COLUMNS if name not in columns]
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    faults += [f"there is no column {name[:64]!r}" for name in columns if name not in known]
    faults += [f"the column {name!r} stands twice" for name, times in Counter(columns).items() if times > 1]
    if faults:
        message = f"line 1: {', '.join(faults)}; the columns are {', '.join(known)}"
        raise ImportFailedError(message)


def _batches(events: Iterator[_Event], size: int) -> Iterator[list[_Event]]:
    batch: list[_Event] = []
    bytes_left = BATCH_BYTES_MAX
    for event in events:
        if batch and len(event.body) > bytes_left:
            yield batch
            batch, bytes_left = [], BATCH_BYTES_MAX
        batch.append(event)
        bytes_left -= len(event.body)
        if len(batch) == size:
            yield batch
            batch, bytes_left = [], BATCH_BYTES_MAX
    if batch:
        yield batch


class _Result(Struct):
    index: int
    status: str
    code: str | None = None
    detail: str | None = None


class _Answer(Struct):
    accepted: int
    duplicates: int
    rejected: int
    results: list[_Result]


class _Problem(Struct):
    detail: str = ""


def _account_for(batch: Sequence[_Event], answer: _Answer, summary: Summary) -> None:
    summary.answered += len(batch)
    summary.accepted += answer.accepted
    summary.duplicates += answer.duplicates
    for result in answer.results:
        if result.status == "rejected":
            line = batch[result.index].line
            summary.reject(Rejection(line, result.code or "rejected", _shown(result.detail or "")))


class _Door:
    """`POST /v1/events` over one connection, which is kept open between requests."""

    def __init__(self, url: str, token: str, pause: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._address = _address(url)
        self._headers = {"Authorization": f"Bearer {_checked(token)}", "Content-Type": _CONTENT_TYPE}
        self._pause = pause
        self._monotonic = monotonic
        self._has_answered = False
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=ANSWER_SECONDS_MAX),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def post(self, bodies: Sequence[bytes]) -> _Answer:
        """Post a batch until it is answered, or for as long as trying again makes sense."""
        body = b"[" + b",".join(bodies) + b"]"
        began = self._monotonic()
        tries = 0
        while True:
            wait_at_least = 0.0
            try:
                response = self._request(body)
            except SSLError as error:
                message = f"{self._address} cannot be trusted: {error}"
                raise _StoppedError(message) from error
            except HTTPError as error:
                trouble = f"{self._address} {_trouble(error)}"
            else:
                self._has_answered = True
                if response.status not in _TRIED_AGAIN:
                    return self._read(response, len(bodies))
                trouble = f"{self._address} answered {response.status}: {_detail(response)}"
                wait_at_least = _retry_after(response)
            self._wait(tries, wait_at_least, self._monotonic() - began, trouble)
            tries += 1

    def _request(self, body: bytes) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST", self._address, body=body, headers=self._headers, retries=False, redirect=False
        )

    def _wait(self, tries: int, at_least: float, spent: float, trouble: str) -> None:
        longest = min(_PAUSE_SECONDS * 2**tries, _PAUSE_SECONDS_MAX)
        seconds = at_least + random.uniform(longest / 2, longest)  # noqa: S311 - jitter
        if spent + seconds > (TRYING_SECONDS_MAX if self._has_answered else TRYING_FIRST_SECONDS_MAX):
            raise _StoppedError(trouble)
        self._pause(seconds)

    def _read(self, response: urllib3.BaseHTTPResponse, events: int) -> _Answer:
        if response.status != _OK:
            meaning = _MEANINGS.get(response.status, "the request was not completed")
            message = f"{self._address} answered {response.status}, {meaning}: {_detail(response)}"
            raise _StoppedError(message)
        try:
            answer = msgspec.json.decode(response.data, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._not_ours() from error
        counted = answer.accepted + answer.duplicates + answer.rejected
        if counted != events or not all(0 <= result.index < events for result in answer.results):
            raise self._not_ours()
        return answer

    def _not_ours(self) -> _StoppedError:
        return _StoppedError(f"{self._address} does not answer as the service does")


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
        has_credentials = parts.username is not None or parts.password is not None
        _ = parts.port
    except ValueError:
        is_usable, has_credentials = False, False
    if has_credentials or not is_usable:
        message = "--url must be an http or https address, without credentials, such as http://127.0.0.1:8000"
        raise ImportFailedError(message)
    return f"{url.rstrip('/')}/v1/events"


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token.strip()):
        message = "--token holds characters that no token has"
        raise ImportFailedError(message)
    return token.strip()


def _trouble(error: HTTPError) -> str:
    if isinstance(error, NewConnectionError):
        reason = error.__cause__ or error.__context__
        return f"cannot be reached: {getattr(reason, 'strerror', None) or 'no connection'}"
    return "did not answer in time" if isinstance(error, NoAnswerError) else "broke the connection"


def _detail(response: urllib3.BaseHTTPResponse) -> str:
    try:
        detail = msgspec.json.decode(response.data, type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = ""
    return _shown(detail) or response.reason or "no reason given"


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:DETAIL_CHARACTERS_MAX])


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    text = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0
    return max((until.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing elsewhere; yield what to tell it: bytes read and events answered."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TimeRemainingColumn(),
    )
    is_hidden = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=is_hidden) as bar:
        # What is no regular file has no size.
        task = bar.add_task(file.name, total=file.stat().st_size or None, events=0)
        yield lambda bytes_read, events: bar.update(task, completed=bytes_read, events=events)
