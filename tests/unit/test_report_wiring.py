"""Where large reports go, by the settings."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.bootstrap import open_report_files, open_report_queue
from chalicelib.bus.sqs import SqsWorkQueue
from chalicelib.files.local import LocalReportFiles
from chalicelib.services.clocks import RealClock
from chalicelib.settings import Settings


def test_without_a_bucket_they_stay_on_this_machine() -> None:
    """Where nothing is set, files lie on the disk and a thread writes them."""
    settings = Settings.from_environment({})

    assert isinstance(open_report_files(settings, RealClock()), LocalReportFiles)
    assert open_report_queue(settings) is None


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_a_bucket_hands_out_links_of_its_region(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """A link is signed for the bucket's own host, lasts a quarter of an hour and names the download."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = Settings.from_environment({"USAGE_TAB_REPORT_BUCKET": "bucket-of-reports", "USAGE_TAB_REGION": region})

    link = urlsplit(open_report_files(settings, RealClock()).link("acme/cost-2026-11-final", "x.csv").url)
    query = parse_qs(link.query)
    assert (link.scheme, link.netloc) == ("https", f"bucket-of-reports.s3.{region}.amazonaws.com")
    assert link.path == "/reports/acme/cost-2026-11-final"
    assert query["X-Amz-Expires"] == ["900"]
    assert query["response-content-disposition"] == ['attachment; filename="x.csv"']


def test_a_queue_starts_the_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a queue is set, reports are handed over to whoever takes from it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = Settings.from_environment({"USAGE_TAB_REPORT_QUEUE": "https://sqs.eu-west-1.amazonaws.com/1/reports"})

    assert isinstance(open_report_queue(settings), SqsWorkQueue)
