"""Reports too large for an answer: prepared as files, once, and handed over by links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chalicelib.bus.work_queue import QueueUnavailableError, Work
from chalicelib.domain.instants import HOUR
from chalicelib.domain.periods import Period
from chalicelib.events.report_builder import write_reports
from chalicelib.files.local import LocalReportFiles
from chalicelib.files.report_files import FileState, FilesUnavailableError
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.services.provide_reports import ProvidingReports, ReportFile, hand_over_by
from chalicelib.services.write_reports import ReportKind
from tests.fakes.clock import FixedClock
from tests.unit.domain.builders import at
from tests.unit.services.story import ACCOUNT, Story, read, use


if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.services.container import Services

COST, TRANSACTIONS = ReportKind


class Queue:
    """Keeps the work that is sent; where it is *broken*, takes none."""

    def __init__(self) -> None:
        self.work: list[Work] = []
        self.is_broken = False

    def send(self, work: Iterable[Work]) -> int:
        """Keep it."""
        if self.is_broken:
            raise QueueUnavailableError
        self.work += work
        return 1

    def bury(self, body: str, reason: str) -> None:
        """Take no dead letters."""
        raise NotImplementedError


class Desk:
    """An account with three calls, whose reports are too large for an answer of 300 bytes."""

    def __init__(self) -> None:
        self.real_clock = FixedClock(at("2026-11-22T00:00:00Z"))
        self.story = Story()
        self.story.go_to("2026-11-10T12:00:00Z")
        self.story.take(*(use(f"c{place}", "2026-11-10T11:00:00Z") for place in range(3)))
        self.queue = Queue()
        self.files = LocalReportFiles(self.real_clock.now)
        writing = self.story.services.reports.writing
        self.reports = ProvidingReports(writing, self.files, hand_over_by(self.queue, self.story.clock), 300)

    def ask(self, kind: ReportKind = COST, period: Period | None = None) -> ReportFile:
        """Ask for a report and return the file that is prepared."""
        report = self.reports.report(ACCOUNT, kind, period)
        assert report.content is None
        return report.file

    def work(self) -> None:
        """Do what is on the queue."""
        while self.queue.work:
            self.reports.write(ReportFile.of_key(self.queue.work.pop(0).subject))

    def fetch(self, file: ReportFile) -> list[dict[str, str]]:
        """Follow the link to a file and read it."""
        _, link = self.reports.link(ACCOUNT, file.name)
        assert link is not None
        download = self.files.open(link.url.partition("=")[2])
        assert download is not None
        return read(download.path.read_bytes().decode())


@pytest.fixture
def desk() -> Desk:
    """Give the desk."""
    return Desk()


class TestFiles:
    """Asking, waiting, fetching."""

    def test_a_large_report_becomes_a_file(self, desk: Desk) -> None:
        """It is being prepared until somebody has written it, and then it holds every line."""
        file = desk.ask()

        assert desk.reports.link(ACCOUNT, file.name) == (file, None)
        desk.work()
        assert len(desk.fetch(file)) == 3
        assert file.download_name == "acme-cost-2026-11.csv"

    def test_it_is_prepared_once(self, desk: Desk) -> None:
        """While the account stays as it is, the same file is prepared, waited for and fetched by all who ask."""
        first = desk.ask()
        assert desk.ask() == first
        assert len(desk.queue.work) == 1
        desk.work()
        assert desk.ask() == first
        assert desk.queue.work == []

    def test_usage_makes_another_file(self, desk: Desk) -> None:
        """What has changed is prepared anew, and what was prepared stays as it is."""
        first = desk.ask()
        desk.work()
        desk.story.take(use("more", "2026-11-10T11:00:00Z"))
        second = desk.ask()
        desk.work()

        assert first != second
        assert [len(desk.fetch(file)) for file in (first, second)] == [3, 4]

    def test_both_reports_are_files_of_their_own(self, desk: Desk) -> None:
        """The kind of a report is part of its name."""
        assert {desk.ask(COST).name, desk.ask(TRANSACTIONS).name} == {"cost-2026-11-2-0", "transactions-2026-11-2-0"}

    def test_an_invoiced_month_has_one_file(self, desk: Desk) -> None:
        """Once its month is invoiced a report does not change any more, whatever happens to the account."""
        desk.story.go_to("2026-12-02T00:00:00Z")
        first = desk.ask(period=Period(2026, 11))
        desk.story.take(use("december", "2026-12-01T11:00:00Z"))

        assert desk.ask(period=Period(2026, 11)) == first
        assert first.name == "cost-2026-11-final"

    def test_one_that_was_lost_is_prepared_again(self, desk: Desk) -> None:
        """An announcement holds for an hour: after that whoever asks has the file prepared anew."""
        file = desk.ask()
        desk.queue.work.clear()
        desk.real_clock.pass_by(HOUR)

        with pytest.raises(RefusedError):
            desk.reports.link(ACCOUNT, file.name)
        assert desk.ask() == file
        assert len(desk.queue.work) == 1

    def test_without_the_queue_nothing_is_announced(self, desk: Desk) -> None:
        """Where the work cannot be handed over the caller is asked to try again."""
        desk.queue.is_broken = True

        with pytest.raises(BusyError):
            desk.ask()
        desk.queue.is_broken = False
        assert desk.reports.link(ACCOUNT, desk.ask().name)[1] is None

    def test_a_thread_writes_where_there_is_no_queue(self, desk: Desk) -> None:
        """On one machine the report is written beside the request."""
        story = Story(files=desk.files)
        story.go_to("2026-11-10T12:00:00Z")
        story.take(use("c", "2026-11-10T11:00:00Z"))
        reports = story.services.reports
        reports.answer_bytes_max = 10

        file = reports.report(ACCOUNT, COST, None).file
        reports.wait()
        assert desk.files.state(file.key) is FileState.READY

    @pytest.mark.parametrize(
        "name", ["", "cost", "cost-2026-11-99-0", "cost-2026-13-1-0", "../other/cost-2026-11-3-0", "cost-2026-11-3-0/x"]
    )
    def test_there_are_no_other_files(self, desk: Desk, name: str) -> None:
        """What nobody asked for is not found."""
        with pytest.raises(RefusedError) as refused:
            desk.reports.link(ACCOUNT, name)
        assert refused.value.code == "not_found"

    def test_a_file_is_its_accounts(self, desk: Desk) -> None:
        """Another account does not reach it by the same name."""
        file = desk.ask()

        with pytest.raises(RefusedError):
            desk.reports.link("other", file.name)


class BrokenFiles(LocalReportFiles):
    """Files that cannot be written."""

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Fail."""
        raise FilesUnavailableError(key, len(list(chunks)))


class TestBuilder:
    """What the queue of reports brings."""

    @pytest.fixture
    def story(self) -> Story:
        """Give an account whose reports cannot be written, and one of its reports announced."""
        story = Story(files=BrokenFiles(FixedClock(0).now))
        story.services.reports.files.announce("acme/cost-2026-11-1-0")
        return story

    def record(self, body: str, tries: int = 1) -> dict[str, Any]:
        """Return a message as the queue delivers it."""
        return {"messageId": "m", "body": body, "attributes": {"ApproximateReceiveCount": str(tries)}}

    def deliver(self, services: Services, body: str, tries: int = 1) -> list[Any]:
        """Deliver a message and return what is to be delivered again."""
        failures: list[Any] = write_reports(services, {"Records": [self.record(body, tries)]})["batchItemFailures"]
        return failures

    def test_it_writes_the_report(self) -> None:
        """A message names a report, which is then there."""
        story = Story()
        body = msgspec.json.encode(Work("write-report", "acme/cost-2026-11-1-0", 0)).decode()

        assert self.deliver(story.services, body) == []
        assert story.services.reports.link(ACCOUNT, "cost-2026-11-1-0")[1] is not None
        assert self.deliver(story.services, body) == []

    def test_a_report_that_fails_is_tried_again_and_then_given_up(self, story: Story) -> None:
        """The last failure takes the announcement back, so that whoever waits is told to ask again."""
        body = msgspec.json.encode(Work("write-report", "acme/cost-2026-11-1-0", 0)).decode()

        assert self.deliver(story.services, body, 1) == [{"itemIdentifier": "m"}]
        assert story.services.reports.link(ACCOUNT, "cost-2026-11-1-0")[1] is None
        assert self.deliver(story.services, body, 3) == []
        with pytest.raises(RefusedError):
            story.services.reports.link(ACCOUNT, "cost-2026-11-1-0")

    def test_a_report_of_nothing_is_given_up_at_once(self, story: Story) -> None:
        """What is refused once is refused always."""
        body = msgspec.json.encode(Work("write-report", "nobody/cost-2026-11-1-0", 0)).decode()

        assert self.deliver(story.services, body, 1) == []

    @pytest.mark.parametrize("body", ["", "{}", '{"job": "write-report", "subject": "acme", "at": 0}'])
    def test_a_message_that_is_none_is_dropped(self, story: Story, body: str) -> None:
        """What cannot be read is not delivered for ever."""
        assert self.deliver(story.services, body) == []
