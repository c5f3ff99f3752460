"""Credit: which grant pays first, and when each can."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.credit import (
    GrantKind,
    burn_order,
    paying_grants,
    replace_remaining,
    total_credit,
)
from chalicelib.domain.products import SHARED_POOL
from tests.unit.domain.builders import a_grant, at


COMMITTED, PROMOTIONAL, PURCHASED = GrantKind.COMMITTED, GrantKind.PROMOTIONAL, GrantKind.PURCHASED

GRANTS = (
    a_grant("purchased", "5", PURCHASED, effective="2026-11-01T00:00:00Z"),
    a_grant("committed to 1 December", "3", COMMITTED, expires="2026-12-01T00:00:00Z"),
    a_grant("promotional to 1 December", "2", PROMOTIONAL, expires="2026-12-01T00:00:00Z"),
    a_grant("purchased to 1 December", "2", PURCHASED, expires="2026-12-01T00:00:00Z"),
    a_grant("purchased to 30 November", "1", PURCHASED, expires="2026-11-30T00:00:00Z"),
    a_grant("committed on 2 November", "4", COMMITTED, effective="2026-11-02T00:00:00Z"),
    a_grant("committed on 1 November", "4", COMMITTED, effective="2026-11-01T00:00:00Z"),
    a_grant("promotional", "1", PROMOTIONAL, effective="2026-10-01T00:00:00Z"),
)

BURN_ORDER = [
    # the soonest expiry goes before the kind
    "purchased to 30 November",
    # of one expiry, by kind
    "committed to 1 December",
    "promotional to 1 December",
    "purchased to 1 December",
    # what never expires comes last; the kind goes before the age
    "committed on 1 November",
    "committed on 2 November",
    "promotional",
    "purchased",
]


def test_burn_order() -> None:
    """Soonest expiry first, then committed before promotional before purchased, then the oldest."""
    assert [grant.id for grant in burn_order(GRANTS)] == BURN_ORDER
    assert [grant.id for grant in burn_order(reversed(GRANTS))] == BURN_ORDER


def test_equal_grants_keep_their_order() -> None:
    """Grants that differ in nothing are used in the order in which they were booked."""
    grants = [a_grant(name, "1") for name in ("z", "a", "m")]

    assert burn_order(grants) == grants


@pytest.mark.parametrize(
    ("moment", "is_in_force"),
    [
        ("2026-11-09T23:59:59.999999Z", False),
        ("2026-11-10T00:00:00Z", True),
        ("2026-11-30T23:59:59.999999Z", True),
        ("2026-12-01T00:00:00Z", False),
    ],
)
def test_in_force(moment: str, is_in_force: bool) -> None:  # noqa: FBT001 - a column of the table
    """A grant pays from the instant of its effect until the one at which it expires."""
    grant = a_grant("g", "1", effective="2026-11-10T00:00:00Z", expires="2026-12-01T00:00:00Z")

    assert is_in_force == grant.is_in_force(at(moment))


def test_never_expiring() -> None:
    """A grant without expiry stays in force."""
    assert a_grant("g", "1").is_in_force(at("9999-12-31T00:00:00Z"))


def test_who_pays() -> None:
    """Only grants of the pool pay that are in force and took effect before the end of the period."""
    december = at("2026-12-01T00:00:00Z")
    grants = (
        a_grant("of another pool", "1", pool="virtual_agent"),
        a_grant("effective later", "1", effective="2026-11-20T00:00:00Z"),
        a_grant("expired", "1", expires="2026-11-10T00:00:00Z"),
        a_grant("paying", "1"),
    )

    paying = paying_grants(grants, SHARED_POOL, at("2026-11-10T00:00:00Z"), december)

    assert [grant.id for grant in paying] == ["paying"]


@pytest.mark.parametrize(
    ("effective", "pays"),
    [("2026-11-30T23:59:59.999999Z", True), ("2026-12-01T00:00:00Z", False), ("2026-12-01T00:10:00Z", False)],
)
def test_credit_of_the_next_month(effective: str, pays: bool) -> None:  # noqa: FBT001 - a column of the table
    """December's credit never pays for November, though events of November still come."""
    december = at("2026-12-01T00:00:00Z")
    grant = a_grant("g", "1", effective=effective)

    assert ([grant] if pays else []) == paying_grants([grant], SHARED_POOL, at("2026-12-01T00:30:00Z"), december)


def test_totals() -> None:
    """Credit adds up, by kind or in all, without losing a digit."""
    # committed 3 + 4 + 4, promotional 2 + 1, purchased 5 + 2 + 1
    assert Decimal(11) == total_credit(GRANTS, COMMITTED)
    assert Decimal(3) == total_credit(GRANTS, PROMOTIONAL)
    assert Decimal(8) == total_credit(GRANTS, PURCHASED)
    assert Decimal(22) == total_credit(GRANTS)
    assert Decimal("1E+20") + 1 == total_credit([a_grant("a", "100000000000000000000"), a_grant("b", "1")])
    assert Decimal(0) == total_credit([])


def test_used_up_grants_are_dropped() -> None:
    """A grant with nothing left disappears, another keeps all but its remainder."""
    grants = (a_grant("a", "5"), a_grant("b", "6", expires="2026-12-01T00:00:00Z"), a_grant("c", "7"))

    left = replace_remaining(grants, {"a": Decimal(0), "b": Decimal("0.5")})

    assert left == (a_grant("b", "0.5", expires="2026-12-01T00:00:00Z"), a_grant("c", "7"))
