"""The interactions of a product in a month, each with how it was charged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.parameters import read_cursor, read_limit, read_period, write_cursor
from chalicelib.domain.charges import Role
from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import EXACT, exact, format_decimal, format_money
from chalicelib.domain.report_lines import masked_number, signed
from chalicelib.services.errors import RefusedError
from chalicelib.storage.pages import Position


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.domain.periods import Period
    from chalicelib.services.explain_usage import Explained


routes = Blueprint(__name__)

_POSITION: Final = re.compile(r"(-?[0-9]{1,18})#([0-9]{1,12})#([0-9]{1,5})#([0-9]{1,6})")
_KINDS: Final = {Role.EVENT: "event", Role.SAMPLE: "sample", Role.PEAK: "peak", Role.REVERSAL: "reversal"}


@routes.route("/v1/accounts/{account}/usage/{resource}/events", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def list_interactions(call: Call, account: str, resource: str) -> Response:
    """List the interactions of a product, the last taken first."""
    call.require_for_account("usage:read", account)
    limit = read_limit(call.query)
    period = read_period(call.query["period"]) if "period" in call.query else None
    period, before = _read_position(call, account, resource, period)
    found = call.services.explaining.explain(account, resource, period, limit, before)
    cursor = None if found.rest is None else _write_position(account, resource, found.period, found.rest)
    return ok({"items": [_show(item, found.currency) for item in found.items], "cursor": cursor})


def _read_position(
    call: Call, account: str, resource: str, period: Period | None
) -> tuple[Period | None, Position | None]:
    """Read the cursor: it goes on in the month in which the list began, whatever month the tab shows by now."""
    prefix = f"events#{resource}#"
    text = read_cursor(call.query, prefix, account)
    if text is None:
        return period, None
    month, _, place = text.removeprefix(prefix).partition("#")
    match = _POSITION.fullmatch(place)
    if match is None or (period is not None and month != str(period)):
        raise RefusedError("invalid_cursor", "the cursor is not one that this list handed out")
    return read_period(month), Position(*map(int, match.groups()))


def _write_position(account: str, resource: str, period: Period, position: Position) -> str:
    return write_cursor(f"events#{resource}#{period}#{'#'.join(map(str, position))}", account)


@exact
def _show(item: Explained, currency: str) -> dict[str, Any]:
    charge, event, rate = item.charge, item.charge.event, item.charge.rate
    sign = -1 if charge.role is Role.REVERSAL else 1

    def money(value: Decimal) -> str:
        return format_money(signed(value, sign), currency)

    def units(value: Decimal) -> str:
        return format_decimal(signed(value, sign))

    return {
        "id": event.id,
        "source": event.source,
        "kind": _KINDS[charge.role],
        "time": format_instant(event.time),
        "taken_at": format_instant(item.taken_at),
        "late": charge.is_late,
        "interaction_id": event.interaction_id,
        "direction": event.direction,
        "resolution": event.resolution,
        "country_code": event.country_code,
        "number": masked_number(event.number),
        "category": event.category,
        "type": event.type,
        "quantity": units(event.quantity),
        "billed_quantity": units(charge.billed),
        "rate": {
            "rate_card": rate.card,
            "effective_from": rate.revision.effective_from.isoformat(),
            "revision": rate.revision.number,
            "row": rate.row + 1,
            "description": item.rate_row.description,
            "price_per_increment": format_decimal(rate.price_per_increment),
            "increment": format_decimal(rate.increment),
            "unit_of_measure": item.rate_row.unit_of_measure,
        },
        "increments": units(EXACT.divide(charge.billed, rate.increment)),
        "free_units": units(charge.free),
        "amount": money(charge.amount),
        "credits": [{"grant": paid.grant, "amount": money(paid.amount)} for paid in charge.payments],
        "to_be_invoiced": money(charge.amount - charge.credits),
    }
