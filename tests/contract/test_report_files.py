"""What every place of report files must do: this machine's disk and S3, here that of the embedded emulator."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.files.local import LocalReportFiles
from chalicelib.files.report_files import LINK_LIFETIME, PREPARING_MAX, FileState, FilesUnavailableError, ReportFiles
from chalicelib.files.s3 import S3ReportFiles
from chalicelib.services.clocks import RealClock
from tests.stores import AwsClients


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.domain.instants import Instant

BUCKET = "reports"
PART_BYTES = 5 * 1024 * 1024
KEY = "acme/cost-2026-11-7-0"


class Late:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.added = 0

    def now(self) -> Instant:
        """Return the time."""
        return RealClock().now() + self.added


@pytest.fixture(scope="module")
def s3_client(aws: AwsClients) -> Any:
    """Give a client of an emulated S3 with a bucket; it checks the signatures of links by the one key it knows."""
    client = aws("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture
def clock() -> Late:
    """Give the real clock."""
    return Late()


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, clock: Late) -> ReportFiles:
    """Give an empty place of each kind."""
    if request.param == "local":
        return LocalReportFiles(clock.now)
    client = request.getfixturevalue("s3_client")
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return S3ReportFiles(client, BUCKET, clock.now, PART_BYTES)


@pytest.fixture
def fetch(files: ReportFiles) -> Callable[[str], bytes | None]:
    """Give a function that follows a link; None where it leads nowhere."""

    def follow(url: str) -> bytes | None:
        if isinstance(files, LocalReportFiles):
            download = files.open(url.partition("?token=")[2])
            return None if download is None else download.path.read_bytes()
        try:
            with urllib.request.urlopen(url) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError:
            return None

    return follow


def chunks(size: int) -> Iterator[bytes]:
    """Yield *size* bytes in chunks of 64 KB."""
    for start in range(0, size, 65536):
        yield bytes((start // 65536 + place) % 251 for place in range(min(65536, size - start)))


class TestStates:
    """What becomes of a file."""

    def test_nobody_asked(self, files: ReportFiles) -> None:
        """At first there is nothing."""
        assert files.state(KEY) is None

    def test_announced_and_written(self, files: ReportFiles) -> None:
        """A file is being prepared from its announcement until it is there."""
        files.announce(KEY)
        assert files.state(KEY) is FileState.PREPARING
        files.write(KEY, [b"a", b"b"])
        assert files.state(KEY) is FileState.READY
        assert files.state(KEY + "1") is None

    def test_withdrawn(self, files: ReportFiles) -> None:
        """A file that is not going to be written after all is not waited for."""
        files.announce(KEY)
        files.withdraw(KEY)
        files.withdraw(KEY)
        assert files.state(KEY) is None

    def test_lost(self, files: ReportFiles, clock: Late) -> None:
        """An announcement does not hold for ever."""
        files.announce(KEY)
        clock.added = PREPARING_MAX
        assert files.state(KEY) is None
        files.announce(KEY)


class TestContent:
    """What is written is what is fetched."""

    @pytest.mark.untraced
    @pytest.mark.parametrize("size", [0, 1, 70_000, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 100_000])
    def test_a_file_comes_back_as_it_was(
        self, files: ReportFiles, fetch: Callable[[str], bytes | None], size: int
    ) -> None:
        """However large, a file is fetched as its chunks were written."""
        files.write(KEY, chunks(size))

        content = fetch(files.link(KEY, "acme-cost-2026-11.csv").url)
        assert content == b"".join(chunks(size))

    def test_a_file_that_breaks_off_is_not_there(self, files: ReportFiles) -> None:
        """Where its chunks fail, nothing of a file is there, and the announcement stands."""

        def broken() -> Iterator[bytes]:
            yield from chunks(PART_BYTES + 1)
            raise KeyError

        files.announce(KEY)
        with pytest.raises(KeyError):
            files.write(KEY, broken())
        assert files.state(KEY) is FileState.PREPARING

    def test_written_again_it_is_the_same(self, files: ReportFiles, fetch: Callable[[str], bytes | None]) -> None:
        """Writing a file twice leaves the later."""
        files.write(KEY, [b"first"])
        files.write(KEY, [b"second"])
        assert fetch(files.link(KEY, "x.csv").url) == b"second"


class TestLinks:
    """Who may fetch."""

    def test_a_link_expires(self, files: ReportFiles, clock: Late) -> None:
        """A link tells until when it can be followed."""
        files.write(KEY, [b"x"])
        before = clock.now()
        assert before + LINK_LIFETIME <= files.link(KEY, "x.csv").expires_at <= clock.now() + LINK_LIFETIME

    def test_a_link_for_another_file_leads_nowhere(
        self, files: ReportFiles, fetch: Callable[[str], bytes | None]
    ) -> None:
        """Who has the link to one file cannot make one to another of it."""
        files.write(KEY, [b"x"])
        url = files.link(KEY, "x.csv").url

        assert fetch(url) == b"x"
        assert fetch(url[:-4] + ("0000" if url[-4:] != "0000" else "1111")) is None

    def test_a_local_link_cannot_be_followed_later_or_changed(self, clock: Late) -> None:
        """Past its time, with another signature or of another process a token opens nothing."""
        files = LocalReportFiles(clock.now)
        files.write(KEY, [b"x"])
        token = files.link(KEY, "x.csv").url.partition("=")[2]
        claims, _, signature = token.partition(".")

        assert files.open(token) is not None
        for other in (
            "",
            ".",
            "a.b",
            claims,
            f"{claims}.",
            f"{claims}A.{signature}",
            f"{claims}.{signature[:-2]}AA",
            "é.é",
        ):
            assert files.open(other) is None
        assert LocalReportFiles(clock.now).open(token) is None
        clock.added = LINK_LIFETIME
        assert files.open(token) is None

    def test_an_s3_link_names_the_download(self, s3_client: Any, clock: Late) -> None:
        """The file is saved under the name that the link says, as CSV."""
        files = S3ReportFiles(s3_client, BUCKET, clock.now)
        files.write(KEY, [b"x"])

        with urllib.request.urlopen(files.link(KEY, "acme-cost-2026-11.csv").url) as answer:
            assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
            assert answer.headers["Content-Disposition"] == 'attachment; filename="acme-cost-2026-11.csv"'

    def test_a_bucket_that_is_not_there(self, s3_client: Any, clock: Late) -> None:
        """A bucket that cannot be used is told apart from a file that is not there."""
        files = S3ReportFiles(s3_client, "missing", clock.now)

        with pytest.raises(FilesUnavailableError):
            files.announce(KEY)
        with pytest.raises(FilesUnavailableError):
            files.write(KEY, [b"x"])
