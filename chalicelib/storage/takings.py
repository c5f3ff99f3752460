"""
The format of charged events, in pages and in the tail of a head.

A taking is what one commit took. Takings are written as columns, so that what repeats is said once:

    byte 0       format, 1
    bytes 1-4    n, length of the columns, big-endian
    n bytes      the columns: a MessagePack array, in a page as a raw DEFLATE stream, in a tail as it is
    the rest     16 bytes for every id, then every interaction id, that is a UUID in lower case

The columns, in order:

    0  takings       [[nonce, head version, at, events in it], ...]
    1  time unit     microseconds a step of column 2 has: 1, 1,000 or 1,000,000
    2  times         of each event less the event before (the first: less the epoch), in steps
    3  ids           text of each event, nil where it is among the UUIDs
    4  interactions  the different interaction ids, nil where it is among the UUIDs
    5  interaction   of each event: 0 for none, else its place in column 4, from 1
    6  quantities    integer where whole and of 18 digits at most, else text; so are all decimals
    7  numbers       leading digits of each event's number, nil where it has none
    8  rates         [[card, effective date as ordinal day, revision, row, price, increment], ...]
    9  shapes        [[source, resource, direction, resolution, country code, category, type,
                     period as months since year 0, role, place in column 8, from 0], ...]; the role is false
                     for an event, true for a late one, 2 for a sample, 3 for a late one, 4 for a peak, 5 for a
                     reversal
    10 shape         of each event: its place in column 9, from 0
    11 free          of each event: false for none, true for all billed units, else the units
    12 grants        the different grants that paid
    13 payments      of each event: 0 where no credit paid, the place in column 12, from 1, of the one grant
                     that paid all, else [[place, amount], ...]

Billed units and the amount follow from quantity, free units and rate; those of a sample are zero.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from chalicelib.domain.charges import Charge, Role, billed_units, price
from chalicelib.domain.credit import Payment
from chalicelib.domain.instants import Instant
from chalicelib.domain.money import ZERO, exact, format_decimal
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.storage.formats import require_format


FORMAT: Final = 1

_HEADER: Final = struct.Struct(">BI")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_UUID_BYTES: Final = 16
_TIME_UNITS: Final = (1_000_000, 1_000, 1)
_RAW_DEFLATE: Final = -15
_INTEGER_CHARACTERS_MAX: Final = 18

_ROLES: Final = (
    (Role.EVENT, False),
    (Role.EVENT, True),
    (Role.SAMPLE, False),
    (Role.SAMPLE, True),
    (Role.PEAK, False),
    (Role.REVERSAL, False),
)

T = TypeVar("T", bound=Hashable)


class Taking(Struct, frozen=True):
    """The charges of one commit: *version* and *at* are the head's after it, *nonce* names the request."""

    nonce: bytes
    version: int
    at: Instant
    charges: tuple[Charge, ...]


def pack_decimal(value: Decimal) -> int | str:
    """Write a decimal as an integer where it is whole and has at most 18 digits, else as text."""
    text = format_decimal(value)
    return text if "." in text or len(text) > _INTEGER_CHARACTERS_MAX else int(text)


unpack_decimal: Final[Callable[[int | str], Decimal]] = Decimal
"""Reads what `pack_decimal` wrote."""


class _Places(Generic[T]):
    """Gives every different value a place, in the order of their first use."""

    def __init__(self) -> None:
        self.place_by_value: dict[T, int] = {}

    def of(self, value: T) -> int:
        return self.place_by_value.setdefault(value, len(self.place_by_value))

    @property
    def values(self) -> list[T]:
        return list(self.place_by_value)


class _Names:
    """Texts of which the UUIDs are kept apart, as bytes."""

    def __init__(self) -> None:
        self.uuids: list[bytes] = []

    def pack(self, name: str) -> str | None:
        if len(name) == 36 and _UUID.fullmatch(name):  # noqa: PLR2004 - a cheap look before the costly one
            self.uuids.append(bytes.fromhex(name.replace("-", "")))
            return None
        return name


def encode_takings(takings: Sequence[Taking], *, deflate: bool) -> bytes:
    """Write *takings*, which hold at least one event, in the order given."""
    charges = [charge for taking in takings for charge in taking.charges]
    interactions: _Places[str] = _Places()
    rates: _Places[Rate] = _Places()
    shapes: _Places[tuple[object, ...]] = _Places()
    grants: _Places[str] = _Places()
    names = _Names()
    unit, times = _pack_times([charge.event.time for charge in charges])
    ids = [names.pack(charge.event.id) for charge in charges]
    interaction = [
        0 if charge.event.interaction_id is None else interactions.of(charge.event.interaction_id) + 1
        for charge in charges
    ]
    columns = [
        [[taking.nonce, taking.version, taking.at, len(taking.charges)] for taking in takings],
        unit,
        times,
        ids,
        [names.pack(value) for value in interactions.values],
        interaction,
        [pack_decimal(charge.event.quantity) for charge in charges],
        [charge.event.number for charge in charges],
        rates,
        shapes,
        [shapes.of(_shape(charge, rates)) for charge in charges],
        [_pack_free(charge) for charge in charges],
        grants,
        [_pack_payments(charge, grants) for charge in charges],
    ]
    columns[8] = [_pack_rate(rate) for rate in rates.values]
    columns[9] = shapes.values
    columns[12] = grants.values
    packed = msgspec.msgpack.encode(columns)
    if deflate:
        packed = _deflate(packed)
    return b"".join((_HEADER.pack(FORMAT, len(packed)), packed, *names.uuids))


def _deflate(packed: bytes) -> bytes:
    compressor = zlib.compressobj(level=9, wbits=_RAW_DEFLATE)
    return compressor.compress(packed) + compressor.flush()


def _pack_times(times: Sequence[Instant]) -> tuple[int, list[int]]:
    unit = next(unit for unit in _TIME_UNITS if all(time % unit == 0 for time in times))
    steps = [time // unit for time in times]
    return unit, [step - before for step, before in zip(steps, [0, *steps], strict=False)]


def _shape(charge: Charge, rates: _Places[Rate]) -> tuple[object, ...]:
    event = charge.event
    return (
        event.source,
        event.resource,
        event.direction,
        event.resolution,
        event.country_code,
        event.category,
        event.type,
        charge.period.ordinal,
        _ROLES.index((charge.role, charge.is_late)) if charge.role is not Role.EVENT else charge.is_late,
        rates.of(charge.rate),
    )


def _pack_rate(rate: Rate) -> list[object]:
    return [
        rate.card,
        rate.revision.effective_from.toordinal(),
        rate.revision.number,
        rate.row,
        pack_decimal(rate.price_per_increment),
        pack_decimal(rate.increment),
    ]


def _pack_free(charge: Charge) -> bool | int | str:
    if not charge.free:
        return False
    return True if charge.free == charge.billed else pack_decimal(charge.free)


def _pack_payments(charge: Charge, grants: _Places[str]) -> int | list[tuple[int, int | str]]:
    payments = charge.payments
    if not payments:
        return 0
    if len(payments) == 1 and payments[0].amount == charge.amount:
        return grants.of(payments[0].grant) + 1
    return [(grants.of(payment.grant) + 1, pack_decimal(payment.amount)) for payment in payments]


@exact
def decode_takings(blob: bytes, account: str, *, deflated: bool) -> tuple[Taking, ...]:
    """
    Read what `encode_takings` wrote for *account*.

    Raises:
        UnknownFormatError: for a format of a later version.
    """
    require_format(blob, FORMAT, "takings")
    _, length = _HEADER.unpack_from(blob)
    end = _HEADER.size + length
    packed = blob[_HEADER.size : end]
    columns = msgspec.msgpack.decode(zlib.decompress(packed, wbits=_RAW_DEFLATE) if deflated else packed)
    charges = _Columns(columns, blob[end:], account).charges()
    takings = []
    start = 0
    for nonce, version, at, count in columns[0]:
        takings.append(Taking(nonce, version, at, tuple(charges[start : start + count])))
        start += count
    return tuple(takings)


class _Columns:
    """The columns of a page while it is read."""

    def __init__(self, columns: list[Any], uuids: bytes, account: str) -> None:
        self._columns = columns
        self._account = account
        texts = [*columns[3], *columns[4]]
        ends = iter(range(_UUID_BYTES, len(uuids) + 1, _UUID_BYTES))
        names = [text or str(UUID(bytes=uuids[(end := next(ends)) - _UUID_BYTES : end])) for text in texts]
        self._ids = names[: len(columns[3])]
        self._interactions = (None, *names[len(columns[3]) :])
        self._rates = [_unpack_rate(rate) for rate in columns[8]]
        self._grants = columns[12]

    def charges(self) -> list[Charge]:
        columns = self._columns
        charges = []
        step = 0
        rows = zip(
            columns[2],
            self._ids,
            columns[5],
            columns[6],
            columns[7],
            columns[10],
            columns[11],
            columns[13],
            strict=True,
        )
        for delta, name, interaction, quantity, number, shape, free, payments in rows:
            step += delta
            source, resource, direction, resolution, country, category, kind, period, role, rate = columns[9][shape]
            event = UsageEvent(
                self._account,
                source,
                name,
                step * columns[1],
                resource,
                unpack_decimal(quantity),
                direction,
                resolution,
                country,
                number,
                category,
                kind,
                self._interactions[interaction],
            )
            charges.append(self._charge(event, Period.from_ordinal(period), role, self._rates[rate], free, payments))
        return charges

    def _charge(  # noqa: PLR0913 - the columns of one event
        self,
        event: UsageEvent,
        period: Period,
        place: int,
        rate: Rate,
        free: bool | int | str,  # noqa: FBT001 - a column
        payments: int | list[tuple[int, int | str]],
    ) -> Charge:
        role, is_late = _ROLES[place]
        if role is Role.SAMPLE:
            return Charge(event, period, is_late, rate, ZERO, ZERO, ZERO, (), role)
        billed = billed_units(event.quantity, rate.increment)
        free_units = (billed if free else ZERO) if isinstance(free, bool) else unpack_decimal(free)
        amount = price(rate, billed, free_units)
        return Charge(event, period, is_late, rate, billed, free_units, amount, self._payments(payments, amount), role)

    def _payments(self, packed: int | list[tuple[int, int | str]], amount: Decimal) -> tuple[Payment, ...]:
        if isinstance(packed, int):
            return (Payment(self._grants[packed - 1], amount),) if packed else ()
        return tuple(Payment(self._grants[place - 1], unpack_decimal(part)) for place, part in packed)


def _unpack_rate(packed: list[Any]) -> Rate:
    card, day, number, row, price_per_increment, increment = packed
    return Rate(
        card,
        Revision(date.fromordinal(day), number),
        row,
        unpack_decimal(price_per_increment),
        unpack_decimal(increment),
    )


def events_in(takings: Iterable[Taking]) -> int:
    """Count the events of *takings*."""
    return sum(len(taking.charges) for taking in takings)
