"""
Handing reports over: a small one is the answer itself, a larger one a file behind a signed link.

The file is prepared by somebody else, a thread or a function that the queue of reports starts, and named by all that
the report depends on, so that whoever asks again while the account has not changed gets the same file. It holds the
month as of when it is prepared.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

from msgspec import Struct

from chalicelib.bus.work_queue import QueueUnavailableError, Work
from chalicelib.domain.periods import Period
from chalicelib.files.report_files import FileState, FilesUnavailableError, Link
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.services.write_reports import MismatchError, ReportKind


if TYPE_CHECKING:
    from chalicelib.bus.work_queue import WorkQueue
    from chalicelib.files.report_files import ReportFiles
    from chalicelib.services.clocks import Clock
    from chalicelib.services.read_months import Month
    from chalicelib.services.write_reports import WritingReports

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""What a report may have to be an answer, written as JSON as functions answer: a function's answer is at most 6 MB."""

LOOKS_MAX: Final = 5
"""How often an account is looked at again whose report does not add up, for it may be changing."""

WRITE_REPORT: Final = "write-report"
"""What work on the queue of reports is called; its subject is the key of the file."""

_NAME: Final = re.compile(r"(cost|transactions)-([0-9]{4}-[0-9]{2})-(final|[0-9]{1,12}-[0-9]{1,6})")

_log: Final = logging.getLogger(__name__)


class ReportFile(NamedTuple):
    """
    Names a report as a file: one of an account.

    *edition* is the version of the head that it was asked for and how much was due without being recorded, or `final`
    once the month is invoiced.
    """

    account: str
    kind: ReportKind
    period: Period
    edition: str

    @property
    def name(self) -> str:
        """Return its name within the account."""
        return f"{self.kind.value}-{self.period}-{self.edition}"

    @property
    def key(self) -> str:
        """Return its name among all files."""
        return f"{self.account}/{self.name}"

    @property
    def download_name(self) -> str:
        """Return what people save it as."""
        return f"{self.account}-{self.kind.value}-{self.period}.csv"

    @classmethod
    def of(cls, kind: ReportKind, month: Month) -> ReportFile:
        """Return the file of the report on *month*."""
        due = len(month.due_charges) + len(month.due_entries)
        return cls(month.account, kind, month.period, "final" if month.is_final else f"{month.head.version}-{due}")

    @classmethod
    def parse(cls, account: str, name: str) -> ReportFile:
        """Read the *name* of a file of *account*; ValueError for what is none."""
        match = _NAME.fullmatch(name)
        if match is None:
            message = f"{name[:60]!r} is not the name of a report"
            raise ValueError(message)
        return cls(account, ReportKind(match[1]), Period.parse(match[2]), match[3])

    @classmethod
    def of_key(cls, key: str) -> ReportFile:
        """Read the *key* of a file; ValueError for what is none."""
        account, _, name = key.partition("/")
        return cls.parse(account, name)


class Report(Struct, frozen=True):
    """A report to be answered with: its *content*, None where it is prepared as *file*."""

    file: ReportFile
    content: str | None = None


HandOver = Callable[[ReportFile], None]
"""Has a report written by somebody else; `BusyError` where there is nobody."""


class ProvidingReports:
    """
    Answers with reports, or with files of them.

    *writing* writes them, *files* is where they lie, *answer_bytes_max* what an answer may have.
    """

    def __init__(
        self,
        writing: WritingReports,
        files: ReportFiles,
        hand_over: HandOver | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        """Have large reports written to *files* by *hand_over*: a thread of this process where there is none."""
        self.writing = writing
        self.files = files
        self._hand_over = hand_over or self._write_in_thread
        self.answer_bytes_max = answer_bytes_max
        self._threads: WeakSet[Thread] = WeakSet()

    def report(self, account: str, kind: ReportKind, period: Period | None) -> Report:
        """
        Return the report on *period*, None for the month that the tab shows, or have it prepared as a file.

        Raises:
            RefusedError: `not_found` for an unknown account, a period before it or one in the future, `gone` for one
                whose usage is not kept any more.
            BusyError: where the account keeps changing, or the file cannot be prepared now.
        """
        for _ in range(LOOKS_MAX):
            month = self.writing.open(account, period)
            file = ReportFile.of(kind, month)
            try:
                if self.files.state(file.key) is not None:
                    return Report(file)
                content = self._content(kind, month)
                if content is None:
                    self._prepare(file)
            except MismatchError as error:
                _log.warning("report %s: %s", file.key, error)
            except FilesUnavailableError as error:
                message = f"reports cannot be prepared: {error}"
                raise BusyError(message) from error
            else:
                return Report(file, content)
        message = f"account {account} keeps changing"
        raise BusyError(message)

    def link(self, account: str, name: str) -> tuple[ReportFile, Link | None]:
        """
        Return a new link to the file *name* of an account, None while it is being prepared.

        Raises:
            RefusedError: `not_found` where no such file is or was asked for lately.
            BusyError: where the files cannot be reached.
        """
        try:
            file = ReportFile.parse(account, name)
            state = self.files.state(file.key)
            if state is FileState.PREPARING:
                return file, None
            if state is FileState.READY:
                return file, self.files.link(file.key, file.download_name)
        except ValueError:
            pass
        except FilesUnavailableError as error:
            message = f"files cannot be reached: {error}"
            raise BusyError(message) from error
        raise RefusedError("not_found", "there is no such file; ask for the report again")

    def write(self, file: ReportFile) -> None:
        """
        Write the report *file*, unless it is there.

        Raises:
            RefusedError: where there is nothing to report on any more.
            BusyError: where the account keeps changing; trying again is safe.
            FilesUnavailableError: the same, where the files cannot be reached.
        """
        if self.files.state(file.key) is FileState.READY:
            return
        for _ in range(LOOKS_MAX):
            month = self.writing.open(file.account, file.period)
            try:
                self.files.write(file.key, (chunk.encode() for chunk in self.writing.chunks(file.kind, month)))
            except MismatchError as error:
                _log.warning("report %s: %s", file.key, error)
            else:
                return
        message = f"account {file.account} keeps changing"
        raise BusyError(message)

    def give_up(self, file: ReportFile) -> None:
        """Note that *file* is not going to be written: whoever asks for the report again has it tried anew."""
        self.files.withdraw(file.key)

    def _content(self, kind: ReportKind, month: Month) -> str | None:
        """Return a report whole, None where it is too large for an answer."""
        chunks = []
        size = 0
        for chunk in self.writing.chunks(kind, month):
            size += len(json.dumps(chunk))
            if size > self.answer_bytes_max:
                return None
            chunks.append(chunk)
        return "".join(chunks)

    def _prepare(self, file: ReportFile) -> None:
        self.files.announce(file.key)
        try:
            self._hand_over(file)
        except BaseException:
            self.files.withdraw(file.key)
            raise

    def wait(self) -> None:
        """Wait for the reports that threads of this process are writing."""
        for thread in tuple(self._threads):
            thread.join()

    def _write_in_thread(self, file: ReportFile) -> None:
        thread = Thread(target=self._write_or_give_up, args=(file,), name=f"report {file.key}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _write_or_give_up(self, file: ReportFile) -> None:
        try:
            self.write(file)
        except Exception:  # noqa: BLE001 - nobody waits for this thread
            _log.exception("report %s could not be written", file.key)
            self.give_up(file)


def hand_over_by(queue: WorkQueue, clock: Clock) -> HandOver:
    """Return what puts reports on *queue*, each as work of its own."""

    def hand_over(file: ReportFile) -> None:
        try:
            queue.send([Work(WRITE_REPORT, file.key, clock.now())])
        except QueueUnavailableError as error:
            message = f"the queue of reports cannot be reached: {error}"
            raise BusyError(message) from error

    return hand_over
