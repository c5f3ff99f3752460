"""Telling that a product's free units are used up: once per product, month and included quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from chalicelib.domain.consequences import draw_consequences
from tests.unit.domain.builders import a_rate, a_state, an_account, an_event, at, charge, used


if TYPE_CHECKING:
    from chalicelib.domain.notifications import Notification
    from chalicelib.domain.rate_card import Rate
    from chalicelib.domain.state import AccountState
    from chalicelib.domain.usage_events import UsageEvent

NOON = "2026-11-10T12:00:00Z"
ONE = a_rate("1")


def take(
    state: AccountState, *events: UsageEvent, now: str = NOON, rate: Rate = ONE
) -> tuple[AccountState, list[Notification]]:
    """Take events in one request, and return what is told of free units."""
    after, charges = charge(state, *((event, rate) for event in events), now=now)
    follows = draw_consequences(state, after, charges, (), "p-1")
    return follows.state, [told for told in follows.notifications if told.name == "free_units.exhausted"]


def with_free(state: AccountState, **free: str) -> AccountState:
    """Return the state with other free units."""
    return replace(state, account=an_account(per_account=free))


def ids(told: list[Notification]) -> list[str]:
    """Return what is told, by its ids."""
    return [notification.id for notification in told]


@pytest.mark.parametrize(("quantity", "is_told"), [("0", False), ("99", False), ("100", True), ("250", True)])
def test_one_event(quantity: str, is_told: bool) -> None:  # noqa: FBT001 - a column of the table
    """An event that takes the last free unit is told of, also where it takes no more than that."""
    _, told = take(with_free(a_state(), call="100"), an_event(quantity))

    assert ids(told) == (["acme:free-units-2026-11-call-100"] if is_told else [])


def test_what_is_told() -> None:
    """The notification names product, month and quantity included."""
    _, (told,) = take(with_free(a_state(), call="100.50"), an_event("101"))

    assert (told.name, told.at) == ("free_units.exhausted", at(NOON))
    assert told.data == {"account": "acme", "resource": "call", "period": "2026-11", "included": "100.5"}


def test_over_many_events() -> None:
    """Of many events in one request, and of those that follow, it is told once."""
    state = with_free(a_state(), call="100")

    # 40, 80; then 120 and 160
    state, before = take(state, an_event("40", name="a"), an_event("40", name="b"))
    state, crossing = take(state, an_event("40", name="c"), an_event("40", name="d"))
    _, after = take(state, an_event("40", name="e"))

    assert (ids(before), ids(crossing), ids(after)) == ([], ["acme:free-units-2026-11-call-100"], [])


def test_billed_units_use_free_ones_up() -> None:
    """Free units go by billed units: one second of a minute's increment takes the last of 60."""
    _, told = take(with_free(a_state(), call="60"), an_event("1"), rate=a_rate("1", "60"))

    assert len(told) == 1


def test_free_calls_use_free_units_up() -> None:
    """Events at a price of zero take free units, too, and are told of."""
    _, told = take(with_free(a_state(), call="10"), an_event("10"), rate=a_rate("0"))

    assert len(told) == 1


def test_no_free_units() -> None:
    """Where none are included, none are used up."""
    assert take(a_state(), an_event("10"))[1] == []
    assert take(with_free(a_state(), call="0"), an_event("10"))[1] == []
    assert take(with_free(a_state(), message="5"), an_event("10"))[1] == []


def test_several_products() -> None:
    """Every product has its own free units, also those with a pool of their own."""
    state = with_free(a_state(), call="10", message="10", virtual_agent="2")

    _, told = take(
        state,
        an_event("2", resource="virtual_agent", name="a"),
        an_event("9", resource="message", name="b"),
        an_event("10", name="c"),
    )

    assert ids(told) == ["acme:free-units-2026-11-call-10", "acme:free-units-2026-11-virtual_agent-2"]


def test_two_months_at_once() -> None:
    """A request around midnight of the 1st may use up the free units of both months."""
    state = with_free(a_state(invoiced_through="2026-09"), call="10")

    _, told = take(
        state,
        an_event("10", "2026-10-31T23:59:00Z", name="a"),
        an_event("11", "2026-11-01T00:10:00Z", name="b"),
        now="2026-11-01T00:30:00Z",
    )

    assert ids(told) == ["acme:free-units-2026-10-call-10", "acme:free-units-2026-11-call-10"]


def test_a_late_event() -> None:
    """An event of an invoiced month uses up the free units of the month it is charged in."""
    state, told = take(with_free(a_state(), call="10"), an_event("10", "2026-10-31T12:00:00Z"))
    assert ids(told) == ["acme:free-units-2026-11-call-10"]

    assert take(state, an_event("10"))[1] == []


def test_the_next_month() -> None:
    """Free units that are used up in the next month are told of again."""
    state = with_free(a_state(periods={"2026-11": {"call": used("0", free="10")}}), call="10")

    _, told = take(state, an_event("10", "2026-12-01T00:10:00Z"), now="2026-12-01T00:10:00Z")

    assert ids(told) == ["acme:free-units-2026-12-call-10"]


def test_included_raised() -> None:
    """Where more is included once all was used, using that up is told of under another name."""
    state, first = take(with_free(a_state(), call="100"), an_event("120"))

    state, still_left = take(with_free(state, call="150"), an_event("49", name="e-2"))
    _, again = take(state, an_event("1", name="e-3"))

    assert ids(first) == ["acme:free-units-2026-11-call-100"]
    assert (ids(still_left), ids(again)) == ([], ["acme:free-units-2026-11-call-150"])


def test_included_by_more_agents() -> None:
    """What is included is told for all agents together."""
    state = replace(a_state(), account=an_account(agents=3, per_agent={"call": "20"}))

    assert ids(take(state, an_event("60"))[1]) == ["acme:free-units-2026-11-call-60"]


def test_included_lowered() -> None:
    """Where less is included than was used, nothing is used up any more and nothing told."""
    state, told = take(with_free(a_state(), call="100"), an_event("80"))
    assert told == []

    lowered, told = take(with_free(state, call="50"), an_event("10"))
    assert told == []

    # 80 of 100 were used, and the 10 meanwhile were none of the free ones
    assert len(take(with_free(lowered, call="100"), an_event("20"))[1]) == 1
