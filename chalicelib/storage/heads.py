"""
The head: the one item that decides everything about an account, and its format.

The item's plain attributes are its version and its place in the index of due work. Its body:

    byte 0       format, 1
    the rest     a raw DEFLATE stream, begun with the preset dictionary `_DICTIONARY`, of a MessagePack array:

    0  account      [name, currency, time zone, 0 for credit card or 1 for invoice, card token, rate card, agents,
                    {resource: [free units, 0 per account or 1 per agent]}]
    1  at           the head's own clock, microseconds; it never goes back
    2  invoiced     the latest period invoiced, as months since year 0
    3  used         whether there ever was usage or credit
    4  periods      [[period, latest event time or nil, [[resource, own pool, quantity, billed, free, amount,
                    credits], ...]], ...] of every period not yet invoiced
    5  grants       [[id, pool, kind as place in GrantKind, remaining, effective at, expires at or nil, revivals if
                    there were any], ...] in booking order
    6  pages        [[id, at, version, [period, ...], [[first event, microseconds to the last], ...]], ...] of the
                    pages whose index entries are not written yet; a span for every UTC hour a page touches
    7  tail         the latest takings in the format of takings, not deflated; empty where there are none
    8  turn         [nonce, until] of the writer that others let pass, or nil
    9  commitments  [[pool, terms, not before, terms from the next recharge or nil, last recharge or nil, amount the
                    running term stands at, deleted], ...]; terms are [amount, frequency as place in Frequency, start,
                    end or nil, rollover]; days are ordinals
    10 auto recharge  nil where never configured, else [enabled, [threshold, amount, monthly limit or nil] or nil,
                    failures, retry at or nil, [payment, amount, month] in flight or nil, month or nil, spent in it]
    11 warnings     nil where there never were any, else [times re-armed, month or nil, [[level, dismissed], ...]]
    12 peaks        nil where there are none, else [takings, [[own pool, [grant, ...] that paid], ...]]: the charge of
                    each period's and product's highest sample in the format of takings, not deflated

Elements from 9 on were added one after the other: a head written before one was added has none of it.

Decimals are integers where whole and of 18 digits at most, else text.
"""

from __future__ import annotations

import zlib
from datetime import date
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import NEVER_CONFIGURED, AutoRecharge, InFlight, RechargeRule
from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.due import next_due_at
from chalicelib.domain.instants import Instant
from chalicelib.domain.low_credit import NO_WARNINGS, RaisedWarning, Warnings
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import AccountState, PeriodUsage, ProductUsage
from chalicelib.domain.storage_peak import Peak
from chalicelib.storage import keys
from chalicelib.storage.formats import UnknownFormatError, require_format
from chalicelib.storage.items import Item
from chalicelib.storage.takings import (
    Taking,
    decode_takings,
    encode_takings,
    pack_decimal,
    unpack_decimal,
)


FORMAT: Final = 1

_RAW_DEFLATE: Final = -15
_DICTIONARY: Final = (
    b"text_to_speechtranslationworkflowvideochatemaildialercall_recordingquality_evaluationspeech_analytics"
    b"screen_recording_storagevirtual_agentnumbermessagetranscriptioncallcontact_center_services"
    b"America/New_YorkEurope/LisbonEurope/LondonEtc/UTCGBPUSDEURtok_standard"
)
_ELEMENTS_AT_FIRST: Final = 9
_NOTHING_ADDED: Final[list[Any]] = [[], None, None, None]
"""What the elements from 9 on are in a head that has none of them."""

_PRODUCTS_REMEMBERED: Final = 2048

_PAYMENT_TYPES: Final = tuple(PaymentType)
_GRANT_KINDS: Final = tuple(GrantKind)
_PER: Final = tuple(Per)
_FREQUENCIES: Final = tuple(Frequency)


class Span(Struct, frozen=True):
    """The first and the last event time of a page within one UTC hour."""

    first: Instant
    last: Instant


class PageName(Struct, frozen=True):
    """A page that counts: what its index entries say of it."""

    id: bytes
    at: Instant
    version: int
    periods: tuple[Period, ...]
    spans: tuple[Span, ...]


class Turn(Struct, frozen=True):
    """Asks other writers to let the request *nonce* pass until the real time *until*."""

    nonce: bytes
    until: Instant


class Head(Struct, frozen=True):
    """An account's state with the names of its recent pages and the tail of its latest events."""

    state: AccountState
    version: int
    pages: tuple[PageName, ...] = ()
    tail: tuple[Taking, ...] = ()
    turn: Turn | None = None


def encode_head(head: Head) -> Item:
    """Write a head as its item."""
    packed = msgspec.msgpack.encode(_pack(head))
    compressor = zlib.compressobj(level=9, wbits=_RAW_DEFLATE, zdict=_DICTIONARY)
    account = head.state.account.id
    key = keys.head(account)
    return Item(
        pk=key.pk,
        sk=key.sk,
        version=head.version,
        body=bytes([FORMAT]) + compressor.compress(packed) + compressor.flush(),
        due_shard=keys.due_shard(account),
        due_at=next_due_at(head.state),
    )


def decode_head(item: Item) -> Head:
    """
    Read the head of an account.

    Raises:
        UnknownFormatError: for a format of a later version.
    """
    return _unpack(keys.account_of(item.key), item.version or 0, _packed_in(item))


def decode_state(item: Item) -> AccountState:
    """
    Read of the head of an account the state alone: the events of its tail are left unread.

    Raises:
        UnknownFormatError: for a format of a later version.
    """
    return _unpack_state(keys.account_of(item.key), _packed_in(item))


def _packed_in(item: Item) -> list[Any]:
    """Return the elements of a head, with what those written before the latest were added have none of."""
    require_format(item.body, FORMAT, "head")
    decompressor = zlib.decompressobj(wbits=_RAW_DEFLATE, zdict=_DICTIONARY)
    packed = decompressor.decompress((item.body or b"")[1:]) + decompressor.flush()
    elements: list[Any] = msgspec.msgpack.decode(packed)
    added = len(elements) - _ELEMENTS_AT_FIRST
    if added > len(_NOTHING_ADDED):
        message = f"head of {len(elements)} elements"
        raise UnknownFormatError(message)
    return [*elements, *_NOTHING_ADDED[added:]]


def _pack(head: Head) -> list[object]:
    state = head.state
    return [
        _pack_account(state.account),
        state.at,
        state.invoiced_through.ordinal,
        state.is_used,
        [_pack_period(period, usage) for period, usage in sorted(state.periods.items())],
        [_pack_grant(grant) for grant in state.grants],
        [_pack_page(page) for page in head.pages],
        encode_takings(head.tail, deflate=False) if head.tail else b"",
        None if head.turn is None else [head.turn.nonce, head.turn.until],
        [_pack_commitment(commitment) for commitment in state.commitments],
        _pack_auto_recharge(state.auto_recharge),
        _pack_warnings(state.warnings),
        _pack_peaks(state),
    ]


def _unpack(account_id: str, version: int, packed: list[Any]) -> Head:
    pages, tail, turn = packed[6:9]
    return Head(
        state=_unpack_state(account_id, packed),
        version=version,
        pages=tuple(_unpack_page(*page) for page in pages),
        tail=decode_takings(tail, account_id, deflated=False) if tail else (),
        turn=None if turn is None else Turn(*turn),
    )


def _unpack_state(account_id: str, packed: list[Any]) -> AccountState:
    account, at, invoiced, is_used, periods, grants, _, _, _, commitments, auto_recharge, warnings, peaks = packed
    state = AccountState(
        account=_unpack_account(account_id, account),
        at=at,
        invoiced_through=Period.from_ordinal(invoiced),
        periods=dict(_unpack_period(*period) for period in periods),
        grants=tuple(_unpack_grant(*grant) for grant in grants),
        commitments=tuple(_unpack_commitment(*commitment) for commitment in commitments),
        is_used=is_used,
        auto_recharge=_unpack_auto_recharge(auto_recharge),
        warnings=_unpack_warnings(warnings),
    )
    return _with_peaks(state, peaks)


def _pack_account(account: Account) -> list[object]:
    return [
        account.name,
        account.currency,
        account.timezone,
        _PAYMENT_TYPES.index(account.payment_method.type),
        account.payment_method.token,
        account.rate_card,
        account.agents,
        {
            resource: [pack_decimal(free.quantity), _PER.index(free.per)]
            for resource, free in sorted(account.free_units.items())
        },
    ]


def _unpack_account(account_id: str, packed: list[Any]) -> Account:
    name, currency, timezone, payment_type, token, rate_card, agents, free_units = packed
    return Account(
        id=account_id,
        name=name,
        currency=currency,
        timezone=timezone,
        payment_method=PaymentMethod(_PAYMENT_TYPES[payment_type], token),
        rate_card=rate_card,
        agents=agents,
        free_units={
            resource: FreeUnits(unpack_decimal(quantity), _PER[per]) for resource, (quantity, per) in free_units.items()
        },
    )


def _pack_period(period: Period, usage: PeriodUsage) -> list[object]:
    products = [
        [
            resource,
            product.pool != SHARED_POOL,
            pack_decimal(product.quantity),
            pack_decimal(product.billed),
            pack_decimal(product.free),
            pack_decimal(product.amount),
            pack_decimal(product.credits),
        ]
        for resource, product in sorted(usage.products.items())
    ]
    return [period.ordinal, usage.last_event_at, products]


def _unpack_period(
    ordinal: int, last_event_at: Instant | None, products: list[list[Any]]
) -> tuple[Period, PeriodUsage]:
    usage = {product[0]: _unpack_product(*product) for product in products}
    return Period.from_ordinal(ordinal), PeriodUsage(usage, last_event_at)


@lru_cache(maxsize=_PRODUCTS_REMEMBERED)
def _unpack_product(resource: str, has_own_pool: bool, *figures: int | str) -> ProductUsage:  # noqa: FBT001 - as above
    """Read what was used of a product; what has not changed since the last reading is the same object."""
    return ProductUsage(resource if has_own_pool else SHARED_POOL, *map(unpack_decimal, figures))


def _pack_grant(grant: Grant) -> list[object]:
    packed: list[object] = [
        grant.id,
        grant.pool,
        _GRANT_KINDS.index(grant.kind),
        pack_decimal(grant.remaining),
        grant.effective_at,
        grant.expires_at,
    ]
    return [*packed, grant.revivals] if grant.revivals else packed


def _unpack_grant(  # noqa: PLR0913 - the parts of a grant
    grant_id: str,
    pool: str,
    kind: int,
    remaining: int | str,
    effective_at: Instant,
    expires_at: Instant | None,
    revivals: int = 0,
) -> Grant:
    return Grant(grant_id, pool, _GRANT_KINDS[kind], unpack_decimal(remaining), effective_at, expires_at, revivals)


def _pack_commitment(commitment: Commitment) -> list[object]:
    return [
        commitment.pool,
        _pack_terms(commitment.terms),
        commitment.not_before.toordinal(),
        None if commitment.upcoming is None else _pack_terms(commitment.upcoming),
        None if commitment.last_recharge_on is None else commitment.last_recharge_on.toordinal(),
        pack_decimal(commitment.granted),
        commitment.is_deleted,
    ]


def _unpack_commitment(  # noqa: PLR0913 - the parts of a commitment
    pool: str,
    terms: list[Any],
    not_before: int,
    upcoming: list[Any] | None,
    last_recharge_on: int | None,
    granted: int | str,
    is_deleted: bool,  # noqa: FBT001 - as above
) -> Commitment:
    return Commitment(
        pool=pool,
        terms=_unpack_terms(*terms),
        not_before=date.fromordinal(not_before),
        upcoming=None if upcoming is None else _unpack_terms(*upcoming),
        last_recharge_on=None if last_recharge_on is None else date.fromordinal(last_recharge_on),
        granted=unpack_decimal(granted),
        is_deleted=is_deleted,
    )


def _pack_terms(terms: Terms) -> list[object]:
    ends_on = None if terms.ends_on is None else terms.ends_on.toordinal()
    frequency = _FREQUENCIES.index(terms.frequency)
    return [pack_decimal(terms.amount), frequency, terms.starts_on.toordinal(), ends_on, terms.rollover]


def _unpack_terms(amount: int | str, frequency: int, starts_on: int, ends_on: int | None, rollover: bool) -> Terms:  # noqa: FBT001 - as above
    return Terms(
        amount=unpack_decimal(amount),
        frequency=_FREQUENCIES[frequency],
        starts_on=date.fromordinal(starts_on),
        ends_on=None if ends_on is None else date.fromordinal(ends_on),
        rollover=rollover,
    )


def _pack_auto_recharge(auto: AutoRecharge) -> list[object] | None:
    if auto == NEVER_CONFIGURED:
        return None
    rule, payment = auto.rule, auto.in_flight
    return [
        auto.is_enabled,
        None if rule is None else [pack_decimal(rule.threshold), pack_decimal(rule.amount), _pack_limit(rule)],
        auto.failures,
        auto.retry_at,
        None if payment is None else [payment.payment, pack_decimal(payment.amount), payment.month.ordinal],
        None if auto.month is None else auto.month.ordinal,
        pack_decimal(auto.month_spent),
    ]


def _pack_limit(rule: RechargeRule) -> int | str | None:
    return None if rule.monthly_limit is None else pack_decimal(rule.monthly_limit)


def _unpack_auto_recharge(packed: list[Any] | None) -> AutoRecharge:
    if packed is None:
        return NEVER_CONFIGURED
    is_enabled, rule, failures, retry_at, payment, month, spent = packed
    return AutoRecharge(
        is_enabled=is_enabled,
        rule=None if rule is None else _unpack_rule(*rule),
        failures=failures,
        retry_at=retry_at,
        in_flight=None if payment is None else _unpack_in_flight(*payment),
        month=None if month is None else Period.from_ordinal(month),
        month_spent=unpack_decimal(spent),
    )


def _unpack_rule(threshold: int | str, amount: int | str, limit: int | str | None) -> RechargeRule:
    return RechargeRule(
        unpack_decimal(threshold), unpack_decimal(amount), None if limit is None else unpack_decimal(limit)
    )


def _unpack_in_flight(payment: str, amount: int | str, month: int) -> InFlight:
    return InFlight(payment, unpack_decimal(amount), Period.from_ordinal(month))


def _pack_warnings(warnings: Warnings) -> list[object] | None:
    if warnings == NO_WARNINGS:
        return None
    month = None if warnings.month is None else warnings.month.ordinal
    return [warnings.armed, month, [[one.level, one.is_dismissed] for one in warnings.raised]]


def _unpack_warnings(packed: list[Any] | None) -> Warnings:
    if packed is None:
        return NO_WARNINGS
    armed, month, raised = packed
    return Warnings(
        armed, None if month is None else Period.from_ordinal(month), tuple(RaisedWarning(*one) for one in raised)
    )


def _pack_peaks(state: AccountState) -> list[object] | None:
    peaks = [usage.peaks[resource] for _, usage in sorted(state.periods.items()) for resource in sorted(usage.peaks)]
    if not peaks:
        return None
    charges = Taking(b"", 0, 0, tuple(peak.charge for peak in peaks))
    paid_by = [[peak.pool != SHARED_POOL, [_pack_grant(grant) for grant in peak.paid_by]] for peak in peaks]
    return [encode_takings([charges], deflate=False), paid_by]


def _with_peaks(state: AccountState, packed: list[Any] | None) -> AccountState:
    if packed is None:
        return state
    (taking,) = decode_takings(packed[0], state.account.id, deflated=False)
    for charge, (has_own_pool, paid_by) in zip(taking.charges, packed[1], strict=True):
        resource = charge.event.resource
        grants = tuple(_unpack_grant(*grant) for grant in paid_by)
        usage = state.usage_of(charge.period)
        peaks = {**usage.peaks, resource: Peak(charge, resource if has_own_pool else SHARED_POOL, grants)}
        state = state.with_usage(charge.period, msgspec.structs.replace(usage, peaks=peaks))
    return state


def _pack_page(page: PageName) -> list[object]:
    periods = [period.ordinal for period in page.periods]
    return [
        page.id,
        page.at,
        page.version,
        periods,
        [[span.first, span.last - span.first] for span in page.spans],
    ]


def _unpack_page(page_id: bytes, at: Instant, version: int, periods: list[int], spans: list[list[int]]) -> PageName:
    return PageName(
        page_id,
        at,
        version,
        tuple(map(Period.from_ordinal, periods)),
        tuple(Span(first, first + length) for first, length in spans),
    )
