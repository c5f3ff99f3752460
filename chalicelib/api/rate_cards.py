"""Rate cards: uploading versions as CSV or JSON, and the download of an account's prices."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.parameters import check_name, read_date
from chalicelib.domain.money import format_decimal
from chalicelib.domain.rate_card import COLUMNS, RateRow
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.spreadsheet_cells import BYTE_ORDER_MARK, harmless
from chalicelib.services.errors import Fault, RefusedError


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


routes = Blueprint(__name__)

ROWS_MAX: Final = 50_000

_MEMBERS: Final = {column.lower().replace(" ", "_"): column for column in COLUMNS}
_TITLES: Final = {**_MEMBERS, **{column: column for column in COLUMNS}}
_SEPARATOR: Final = ";"


@routes.route("/v1/rate-cards/{card}/versions/{effective_from}", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_version(call: Call, card: str, effective_from: str) -> Response:
    """Put a version of a rate card."""
    call.require_operator("admin")
    check_name("/card", card)
    day = read_date("/effective_from", effective_from)
    revision = call.services.catalogue.put_rate_card(card, day, _lines(call))
    return ok(
        {
            "rate_card": card,
            "effective_from": revision.effective_from.isoformat(),
            "revision": revision.number,
            "rows": revision.rows,
        }
    )


@routes.route("/v1/accounts/{account}/rate-card", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_prices(call: Call, account: str) -> Response:
    """Download the prices of an account in force on a day: CSV, or JSON for who accepts nothing else."""
    call.require_for_account("usage:read", account)
    settings = call.services.accounts.get(account)
    today = settings.calendar.date_of(call.services.clock.now())
    day = read_date("/on", call.query["on"]) if "on" in call.query else today
    revision, rows = call.services.catalogue.rate_card_on(settings.rate_card, day)
    if "application/json" in (call.header("Accept") or "") and "text/csv" not in (call.header("Accept") or ""):
        return ok(
            {
                "rate_card": settings.rate_card,
                "effective_from": revision.effective_from.isoformat(),
                "rows": [_show(row) for row in rows],
            }
        )
    return _attachment(f"{settings.rate_card}-{revision.effective_from}.csv", rows)


def _lines(call: Call) -> list[Line]:
    looks_like_json = call.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    is_json = looks_like_json or "json" in (call.header("Content-Type") or "")
    lines = _json_lines(call) if is_json else _csv_lines(call.body)
    if len(lines) > ROWS_MAX:
        raise RefusedError("body_too_large", f"a rate card has at most {ROWS_MAX} rows")
    return lines


def _csv_lines(body: bytes) -> list[Line]:
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError as error:
        raise RefusedError("malformed_body", f"the CSV is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise RefusedError("malformed_body", f"the CSV cannot be read: {error}") from error
    header = [title.strip() for title in rows[0][1]] if rows else []
    faults = tuple(_header_faults(header))
    if faults:
        raise RefusedError("invalid_rate_card", "the rate card is refused as a whole", faults)
    filled = ((number, row) for number, row in rows[1:] if any(cell.strip() for cell in row))
    return [_csv_line(f"/rows/{index}", f"line {number}", header, row) for index, (number, row) in enumerate(filled)]


def _csv_line(pointer: str, label: str, header: Sequence[str], row: Sequence[str]) -> Line:
    if len(row) != len(header):
        return Line(pointer, label, {}, fault=f"{len(row)} cells for {len(header)} columns")
    return Line(pointer, label, dict(zip(header, row, strict=True)))


def _header_faults(header: Sequence[str]) -> Iterator[Fault]:
    for column in COLUMNS:
        if column not in header:
            yield Fault("/columns", f"line 1: the column {column!r} is missing")
    for position, title in enumerate(header):
        if title not in COLUMNS:
            yield Fault("/columns", f"line 1: there is no column {title!r}")
        elif title in header[:position]:
            yield Fault("/columns", f"line 1: the column {title!r} stands twice")


def _json_lines(call: Call) -> list[Line]:
    document = call.read(object)
    rows = document.get("rows") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise RefusedError("malformed_body", "the body must hold a list of rows")
    return [_json_line(f"/rows/{index}", f"row {index + 1}", row) for index, row in enumerate(rows)]


def _json_line(pointer: str, label: str, row: object) -> Line:
    if not isinstance(row, dict):
        return Line(pointer, label, {}, fault="must be an object")
    cells = {_TITLES.get(str(member), str(member)): _cell(value) for member, value in row.items()}
    wrong = [column for column, cell in cells.items() if column not in COLUMNS or cell is None]
    if wrong:
        return Line(pointer, label, {}, fault=f"{wrong[0]!r} is no column, or its value is not text")
    return Line(pointer, label, {column: cell for column, cell in cells.items() if cell is not None})


def _cell(value: object) -> str | None:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return _SEPARATOR.join(value)
    return value if isinstance(value, str) else None


def _values(row: RateRow) -> list[str]:
    return [
        row.resource,
        row.description,
        row.direction or "",
        row.type or "",
        _SEPARATOR.join(row.resolutions),
        row.country_code or "",
        row.category or "",
        _SEPARATOR.join(row.prefixes),
        format_decimal(row.price_per_increment),
        format_decimal(row.increment),
        row.unit_of_measure,
        row.currency,
    ]


def _show(row: RateRow) -> dict[str, Any]:
    return dict(zip(_MEMBERS, _values(row), strict=True))


def _attachment(name: str, rows: Sequence[RateRow]) -> Response:
    text = io.StringIO(newline="")
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(cell) for cell in _values(row)] for row in rows)
    return Response(
        body=text.getvalue(),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )
