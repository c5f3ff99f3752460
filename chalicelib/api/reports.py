"""The cost and the transactions report: CSV attachments, or files to poll for."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.parameters import read_period
from chalicelib.domain.instants import format_instant
from chalicelib.files.report_files import CONTENT_TYPE, Link
from chalicelib.services.write_reports import ReportKind


if TYPE_CHECKING:
    from chalicelib.services.provide_reports import Report, ReportFile


routes = Blueprint(__name__)

POLL_SECONDS: Final = 2
"""What a client is asked to wait before it asks for a file again."""


@routes.route("/v1/accounts/{account}/reports/cost", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_cost_report(call: Call, account: str) -> Response:
    """Download what every interaction of a month cost."""
    return _report(call, account, ReportKind.COST)


@routes.route("/v1/accounts/{account}/reports/transactions", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_transactions_report(call: Call, account: str) -> Response:
    """Download how every interaction of a month was paid."""
    return _report(call, account, ReportKind.TRANSACTIONS)


@routes.route("/v1/accounts/{account}/reports/files/{file}", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_report_file(call: Call, account: str, file: str) -> Response:
    """Tell whether a report is there as a file, and lead to it."""
    call.require_for_account("usage:read", account)
    found, link = call.services.reports.link(account, file)
    return _preparing(call, found) if link is None else _ready(call, link)


def _report(call: Call, account: str, kind: ReportKind) -> Response:
    call.require_for_account("usage:read", account)
    period = read_period(call.query["period"]) if "period" in call.query else None
    report = call.services.reports.report(account, kind, period)
    return _preparing(call, report.file) if report.content is None else _attachment(report, report.content)


def _attachment(report: Report, content: str) -> Response:
    disposition = f'attachment; filename="{report.file.download_name}"'
    return Response(content, {"Content-Type": CONTENT_TYPE, "Content-Disposition": disposition})


def _preparing(call: Call, file: ReportFile) -> Response:
    poll = call.address_of(f"/v1/accounts/{file.account}/reports/files/{file.name}")
    headers = {"Location": poll, "Retry-After": str(POLL_SECONDS)}
    return ok({"status": "preparing", "poll": poll}, HTTPStatus.ACCEPTED, headers)


def _ready(call: Call, link: Link) -> Response:
    url = call.address_of(link.url) if link.url.startswith("/") else link.url
    body = {"status": "ready", "url": url, "expires_at": format_instant(link.expires_at)}
    return ok(body)
