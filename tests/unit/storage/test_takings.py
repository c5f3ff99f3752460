"""The format of charged events."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import Payment
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.storage.formats import UnknownFormatError
from chalicelib.storage.takings import (
    Taking,
    decode_takings,
    encode_takings,
    events_in,
    pack_decimal,
    unpack_decimal,
)
from tests.unit.storage.values import ACCOUNT, decimals, takings


GOLDEN: Final = Path(__file__).parent / "golden"


def golden(name: str) -> bytes:
    """Return the bytes of a file that was written once and has to be read for ever."""
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def _charge(event: UsageEvent, rate: Rate, billed: str, free: str, amount: str, *payments: tuple[str, str]) -> Charge:
    paid = tuple(Payment(grant, Decimal(part)) for grant, part in payments)
    period = Period(2026, 11)
    is_late = event.time < parse_instant("2026-11-01T00:00:00Z")
    return Charge(event, period, is_late, rate, Decimal(billed), Decimal(free), Decimal(amount), paid)


def _event(name: str, time: str, resource: str, quantity: str, **fields: str) -> UsageEvent:
    return UsageEvent(ACCOUNT, "/voice/eu-west-1", name, parse_instant(time), resource, Decimal(quantity), **fields)


CALL: Final = Rate("standard", Revision(date(2026, 1, 1), 1), 3, Decimal("0.12"), Decimal(60))
MESSAGE: Final = Rate("standard", Revision(date(2026, 11, 1), 2), 7, Decimal("0.0075"), Decimal(1))

WRITTEN: Final = (
    Taking(
        nonce=bytes.fromhex("0011223344556677"),
        version=41,
        at=parse_instant("2026-11-22T14:03:15.250001Z"),
        charges=(
            _charge(
                _event(
                    "6f1d2a4e-9c3b-4d5e-8f70-123456789abc",
                    "2026-11-22T14:03:11Z",
                    "call",
                    "95",
                    direction="outbound",
                    resolution="answered",
                    country_code="US",
                    number="1206",
                    category="mobile",
                    type="byoc",
                    interaction_id="0e984725-c51c-4bf4-9960-e1c80e27aba0",
                ),
                CALL,
                "120",
                "60",
                "0.12",
                ("g-1", "0.1"),
                ("g-2", "0.02"),
            ),
            _charge(
                _event("c-4711", "2026-11-22T14:03:11.5Z", "message", "3", interaction_id="i-99"),
                MESSAGE,
                "3",
                "0",
                "0.0225",
                ("g-2", "0.0225"),
            ),
        ),
    ),
    Taking(
        nonce=bytes.fromhex("8899aabbccddeeff"),
        version=42,
        at=parse_instant("2026-11-22T14:03:16Z"),
        charges=(
            _charge(
                _event("c-4712", "2026-10-31T23:59:59.999999Z", "call", "0.5", interaction_id="i-99"),
                CALL,
                "60",
                "60",
                "0",
            ),
            _charge(_event("c-4713", "2026-11-22T14:03:12Z", "message", "0"), MESSAGE, "0", "0", "0"),
        ),
    ),
)
"""What the files hold: takings of two requests, UUIDs and other ids, every kind of payment and of free units."""

STORAGE: Final = Rate("standard", Revision(date(2026, 1, 1), 1), 9, Decimal("0.25"), Decimal("0.5"))


def _storage(name: str, time: str, quantity: str, role: Role, *figures: str) -> Charge:
    paid = (Payment("g-1", Decimal(figures[2])),) if len(figures) > 2 else ()
    charge = _charge(_event(name, time, "screen_recording_storage", quantity), STORAGE, "0", "0", "0")
    if role is Role.SAMPLE:
        return replace(charge, role=role)
    free, amount = map(Decimal, figures[:2])
    return replace(charge, billed=Decimal(quantity), free=free, amount=amount, payments=paid, role=role)


WITH_PEAKS: Final = (
    Taking(
        nonce=bytes.fromhex("0123456789abcdef"),
        version=44,
        at=parse_instant("2026-11-29T09:00:00Z"),
        charges=(
            _storage("s-1", "2026-11-10T09:00:00Z", "512.5", Role.SAMPLE),
            _storage("s-1", "2026-11-10T09:00:00Z", "512.5", Role.PEAK, "500", "6.25", "6"),
            _storage("s-2", "2026-10-27T09:00:00.000001Z", "900", Role.SAMPLE),
            _storage("s-3", "2026-11-27T09:00:00Z", "513", Role.SAMPLE),
            _storage("s-1", "2026-11-10T09:00:00Z", "512.5", Role.REVERSAL, "500", "6.25", "6"),
            _storage("s-3", "2026-11-27T09:00:00Z", "513", Role.PEAK, "513", "0"),
            _storage("s-4", "2026-11-28T00:00:00Z", "0", Role.SAMPLE),
            _storage("s-4", "2026-11-28T00:00:00Z", "0", Role.PEAK, "0", "0"),
        ),
    ),
)
"""What later files hold: samples, one of them late, peaks, and one that was taken back."""


@pytest.mark.parametrize(
    ("name", "deflated", "written_then"),
    [
        ("takings-1-page", True, WRITTEN),
        ("takings-1-tail", False, WRITTEN),
        ("takings-1-page-with-peaks", True, WITH_PEAKS),
        ("takings-1-tail-with-peaks", False, WITH_PEAKS),
    ],
)
class TestGoldenFiles:
    """Pages and tails that the first format wrote, before and after it knew of peaks."""

    def test_are_read(self, name: str, deflated: bool, written_then: tuple[Taking, ...]) -> None:  # noqa: FBT001 - a parameter of the test
        """What was written once is read as it was meant."""
        assert decode_takings(golden(name), ACCOUNT, deflated=deflated) == written_then

    def test_are_written_alike(self, name: str, deflated: bool, written_then: tuple[Taking, ...]) -> None:  # noqa: FBT001 - as above
        """What is written today says the same as what was written then."""
        written = encode_takings(written_then, deflate=deflated)

        assert written[0] == golden(name)[0]
        assert decode_takings(written, ACCOUNT, deflated=deflated) == written_then


@pytest.mark.parametrize("deflate", [False, True])
@given(written=st.lists(takings, min_size=1, max_size=3).map(tuple))
@settings(deadline=None)
def test_what_is_written_is_read(written: tuple[Taking, ...], deflate: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Any takings come back as they were, whatever their ids, times and figures."""
    assert decode_takings(encode_takings(written, deflate=deflate), ACCOUNT, deflated=deflate) == written


@pytest.mark.parametrize("first_byte", [0, 2, 255])
def test_another_format_is_refused(first_byte: int) -> None:
    """Bytes of a later version are told from those this one can read."""
    written = bytearray(encode_takings(WRITTEN, deflate=True))
    written[0] = first_byte

    with pytest.raises(UnknownFormatError, match=str(first_byte)):
        decode_takings(bytes(written), ACCOUNT, deflated=True)


@given(value=decimals(30, 12))
def test_decimals_come_back(value: Decimal) -> None:
    """A decimal keeps its value however it is written and however large it is."""
    assert unpack_decimal(pack_decimal(value)) == value


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        ("0", 0),
        ("-0.00", 0),
        ("12.500", "12.5"),
        ("1E+3", 1000),
        ("-7", -7),
        ("999999999999999999", 10**18 - 1),
        ("1000000000000000000", "1000000000000000000"),
        ("18446744073709551616", "18446744073709551616"),
    ],
)
def test_decimals_in_few_bytes(value: str, packed: int | str) -> None:
    """Whole numbers are integers as long as MessagePack can hold them, anything else is text."""
    assert pack_decimal(Decimal(value)) == packed


def test_counting_events() -> None:
    """The events of several takings are counted together."""
    assert events_in(WRITTEN) == 4
    assert events_in([]) == 0
