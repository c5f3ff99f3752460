"""Hypothesis strategies for what the store keeps: charges, takings, heads."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import NEVER_CONFIGURED, AutoRecharge, InFlight, RechargeRule
from chalicelib.domain.charges import Charge, Role, billed_units, price
from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.credit import Grant, GrantKind, Payment
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.low_credit import NO_WARNINGS, RaisedWarning, Warnings
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.state import AccountState, PeriodUsage, ProductUsage
from chalicelib.domain.storage_peak import Peak
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.storage.heads import Head, PageName, Span, Turn
from chalicelib.storage.takings import Taking


if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

ACCOUNT: Final = "acme"
_FIRST: Final = parse_instant("2024-12-31T23:59:59Z")
_LAST: Final = parse_instant("2027-01-01T00:00:00Z")


def decimals(digits: int, places: int) -> SearchStrategy[Decimal]:
    """Draw decimals that are not negative, in every way they can be written."""
    return st.builds(
        lambda whole, exponent: Decimal(whole).scaleb(exponent),
        st.integers(0, 10**digits - 1),
        st.integers(-places, 0),
    ) | st.sampled_from(
        [ZERO, Decimal("0.00"), Decimal(1), Decimal("1.50"), Decimal("1E+3"), Decimal(10) ** digits - 1]
    )


instants: Final = st.integers(_FIRST, _LAST)
"""Instants to the microsecond; often whole seconds or milliseconds."""

periods: Final = st.builds(Period, st.integers(2024, 2027), st.integers(1, 12))
days: Final = st.dates(date(2020, 1, 1), date(2040, 12, 31))
texts: Final = st.text(min_size=1, max_size=12)
names: Final = (
    texts
    | st.uuids().map(str)
    | st.uuids().map(lambda uuid: str(uuid).upper())
    | st.uuids().map(lambda uuid: uuid.hex)
    | st.just("00000000-0000-0000-0000-000000000000")
)
"""Ids of events and interactions, among them those of UUIDs and those that nearly are."""

_maybe_text: Final = st.none() | st.sampled_from(["inbound", "US", "ÆØ"]) | texts
_rates: Final = st.builds(
    Rate,
    card=texts,
    revision=st.builds(Revision, days, st.integers(1, 300)),
    row=st.integers(0, 10_000),
    price_per_increment=decimals(12, 12),
    increment=decimals(12, 9).filter(bool),
)


@st.composite
def _events(draw: DrawFn) -> UsageEvent:
    step = draw(st.sampled_from([1, 1_000, 1_000_000]))
    return UsageEvent(
        account=ACCOUNT,
        source=draw(texts),
        id=draw(names),
        time=draw(instants) // step * step,
        resource=draw(st.sampled_from(["call", "message"]) | texts),
        quantity=draw(decimals(12, 9)),
        direction=draw(_maybe_text),
        resolution=draw(_maybe_text),
        country_code=draw(_maybe_text),
        number=draw(st.none() | st.text("0123456789", max_size=11)),
        category=draw(_maybe_text),
        type=draw(_maybe_text),
        interaction_id=draw(st.none() | names),
    )


@st.composite
@exact
def _charges(draw: DrawFn, roles: Sequence[Role] = tuple(Role)) -> Charge:
    """Draw a charge that adds up: what is billed and costs follows from quantity, rate and free units."""
    event = draw(_events())
    rate = draw(_rates)
    role = draw(st.sampled_from(roles))
    is_late = role in (Role.EVENT, Role.SAMPLE) and draw(st.booleans())
    if role is Role.SAMPLE:
        return Charge(event, draw(periods), is_late, rate, ZERO, ZERO, ZERO, (), role)
    billed = billed_units(event.quantity, rate.increment)
    free = draw(st.sampled_from([ZERO, billed]) | decimals(12, 9).map(lambda units: min(units, billed)))
    amount = price(rate, billed, free)
    return Charge(event, draw(periods), is_late, rate, billed, free, amount, draw(_payments(amount)), role)


@st.composite
def _payments(draw: DrawFn, amount: Decimal) -> tuple[Payment, ...]:
    if not amount:
        return ()
    grants = draw(st.lists(st.sampled_from(["g-1", "g-2", "g-3"]) | texts, max_size=3, unique=True))
    shares = [amount if draw(st.booleans()) else draw(decimals(12, 12).filter(bool)) for _ in grants]
    payments = []
    left = amount
    for grant, share in zip(grants, shares, strict=True):
        if left:
            payments.append(Payment(grant, min(share, left)))
            left -= payments[-1].amount
    return tuple(payments)


takings: Final = st.builds(
    Taking,
    nonce=st.binary(max_size=8),
    version=st.integers(1, 2**40),
    at=instants,
    charges=st.lists(_charges(), min_size=1, max_size=4).map(tuple),
)

_free_units: Final = st.builds(FreeUnits, decimals(12, 9), st.sampled_from(Per))
_accounts: Final = st.builds(
    Account,
    id=st.just(ACCOUNT),
    name=st.text(max_size=20),
    currency=st.sampled_from(["USD", "EUR", "JPY"]),
    timezone=st.sampled_from(["Etc/UTC", "Europe/Lisbon", "America/New_York"]),
    payment_method=st.builds(PaymentMethod, st.sampled_from(PaymentType), st.none() | texts),
    rate_card=texts,
    agents=st.integers(0, 100_000),
    free_units=st.dictionaries(texts, _free_units, max_size=3),
)
_amounts: Final = decimals(30, 12)
_usages: Final = st.dictionaries(
    texts,
    st.tuples(st.booleans(), *[_amounts] * 5),
    max_size=4,
).map(
    lambda products: {
        resource: ProductUsage(resource if has_own_pool else SHARED_POOL, *figures)
        for resource, (has_own_pool, *figures) in products.items()
    }
)
_grants: Final = st.builds(
    Grant,
    id=texts,
    pool=texts,
    kind=st.sampled_from(GrantKind),
    remaining=_amounts,
    effective_at=instants,
    expires_at=st.none() | instants,
)
_terms: Final = st.builds(Terms, _amounts, st.sampled_from(Frequency), days, st.none() | days, st.booleans())
_commitments: Final = st.builds(
    Commitment,
    pool=texts,
    terms=_terms,
    not_before=days,
    upcoming=st.none() | _terms,
    last_recharge_on=st.none() | days,
    granted=_amounts,
    is_deleted=st.booleans(),
)
_rules: Final = st.builds(RechargeRule, _amounts, _amounts, st.none() | _amounts)
_auto_recharges: Final = st.builds(
    AutoRecharge,
    is_enabled=st.booleans(),
    rule=st.none() | _rules,
    failures=st.integers(0, 3),
    retry_at=st.none() | instants,
    in_flight=st.none() | st.builds(InFlight, texts, _amounts, periods),
    month=st.none() | periods,
    month_spent=_amounts,
)
_warnings: Final = st.builds(
    Warnings,
    armed=st.integers(0, 1_000),
    month=st.none() | periods,
    raised=st.lists(st.builds(RaisedWarning, st.sampled_from([15, 10, 5, 85, 90, 95]), st.booleans()), max_size=3).map(
        tuple
    ),
)
_spans: Final = st.tuples(instants, st.integers(0, 3_599_999_999)).map(lambda span: Span(span[0], span[0] + span[1]))
_page_names: Final = st.builds(
    PageName,
    id=st.binary(min_size=16, max_size=16),
    at=instants,
    version=st.integers(1, 2**40),
    periods=st.lists(periods, max_size=2).map(tuple),
    spans=st.lists(_spans, max_size=3).map(tuple),
)


@st.composite
def _peaks(draw: DrawFn, period: Period) -> dict[str, Peak]:
    """Draw the highest samples of a period's window, charged already or not."""
    peaks = {}
    for charge in draw(st.lists(_charges((Role.SAMPLE, Role.PEAK)), max_size=2)):
        resource = charge.event.resource
        pool = draw(st.sampled_from([SHARED_POOL, resource]))
        paid_by = tuple(draw(st.lists(_grants, max_size=2)))
        peaks[resource] = Peak(replace(charge, period=period, is_late=False), pool, paid_by)
    return peaks


@st.composite
def _periods(draw: DrawFn) -> dict[Period, PeriodUsage]:
    drawn = draw(st.lists(periods, max_size=2, unique=True))
    return {period: PeriodUsage(draw(_usages), draw(st.none() | instants), draw(_peaks(period))) for period in drawn}


@st.composite
def heads(draw: DrawFn) -> Head:
    """Draw a head, with peaks, a tail, names of pages and a turn, or without."""
    state = AccountState(
        account=draw(_accounts),
        at=draw(instants),
        invoiced_through=draw(periods),
        periods=draw(_periods()),
        grants=tuple(draw(st.lists(_grants, max_size=3))),
        commitments=tuple(draw(st.lists(_commitments, max_size=2))),
        is_used=draw(st.booleans()),
        auto_recharge=draw(st.just(NEVER_CONFIGURED) | _auto_recharges),
        warnings=draw(st.just(NO_WARNINGS) | _warnings),
    )
    return Head(
        state=state,
        version=draw(st.integers(1, 2**53)),
        pages=tuple(draw(st.lists(_page_names, max_size=2))),
        tail=tuple(draw(st.lists(takings, max_size=2))),
        turn=draw(st.none() | st.builds(Turn, st.binary(min_size=8, max_size=8), instants)),
    )
