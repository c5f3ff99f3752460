"""The format of heads."""

from __future__ import annotations

import zlib
from datetime import date
from decimal import Decimal
from random import Random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import AutoRecharge, InFlight, RechargeRule
from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.due import next_due_at
from chalicelib.domain.instants import SECOND, parse_instant
from chalicelib.domain.low_credit import RaisedWarning, Warnings
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.state import AccountState, PeriodUsage, ProductUsage
from chalicelib.domain.storage_peak import Peak
from chalicelib.local.units import item_bytes, write_units
from chalicelib.storage import heads as heads_format
from chalicelib.storage import keys
from chalicelib.storage.formats import UnknownFormatError
from chalicelib.storage.heads import Head, PageName, Span, Turn, decode_head, encode_head
from chalicelib.storage.items import Item
from tests.unit.storage.test_takings import WITH_PEAKS, WRITTEN, golden
from tests.unit.storage.values import heads


NOVEMBER: Final = Period(2026, 11)
NOON: Final = parse_instant("2026-11-22T12:00:00Z")

HEAD: Final = Head(
    state=AccountState(
        account=Account(
            id="acme",
            name="Acme Ltd",
            currency="USD",
            timezone="Europe/Lisbon",
            payment_method=PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok"),
            rate_card="standard",
            agents=10,
            free_units={
                "call": FreeUnits(Decimal(1000), Per.AGENT),
                "message": FreeUnits(Decimal("12.5"), Per.ACCOUNT),
            },
        ),
        at=parse_instant("2026-11-22T14:03:16.000001Z"),
        invoiced_through=Period(2026, 9),
        periods={
            Period(2026, 10): PeriodUsage(
                {"call": ProductUsage(SHARED_POOL, *map(Decimal, ("95", "120", "60", "0.12", "0")))},
                parse_instant("2026-10-31T23:59:59.999999Z"),
            ),
            NOVEMBER: PeriodUsage(
                {
                    "message": ProductUsage(SHARED_POOL, *map(Decimal, ("3", "3", "0", "0.0225", "0.0225"))),
                    "virtual_agent": ProductUsage(
                        "virtual_agent", *map(Decimal, ("2", "2", "1", "100000000000000000000", "1"))
                    ),
                }
            ),
        },
        grants=(
            Grant("g-1", SHARED_POOL, GrantKind.COMMITTED, Decimal("99.9775"), NOON, NOON + 86_400 * SECOND),
            Grant("g-2", "virtual_agent", GrantKind.PURCHASED, Decimal(100), NOON),
            Grant("g-3", SHARED_POOL, GrantKind.PROMOTIONAL, Decimal("0.000000000001"), NOON),
        ),
        is_used=True,
    ),
    version=43,
    pages=(
        PageName(
            bytes.fromhex("0000a1a2a3a4a5a6a7a8a9aaabacadae"),
            NOON + 1,
            42,
            (Period(2026, 10), NOVEMBER),
            (Span(NOON, NOON + 7), Span(NOON + 3_600 * SECOND, NOON + 3_600 * SECOND)),
        ),
    ),
    tail=WRITTEN,
    turn=Turn(bytes.fromhex("0102030405060708"), NOON + 2 * SECOND),
)
COMMITTED: Final = replace(
    HEAD,
    state=replace(
        HEAD.state,
        commitments=(
            Commitment(
                pool=SHARED_POOL,
                terms=Terms(Decimal(1000), Frequency.QUARTERLY, date(2026, 1, 31), date(2027, 12, 31), rollover=False),
                not_before=date(2026, 1, 15),
                upcoming=Terms(Decimal("750.5"), Frequency.ANNUAL, date(2027, 1, 31)),
                last_recharge_on=date(2026, 10, 31),
                granted=Decimal(1000),
            ),
            Commitment(
                pool="virtual_agent",
                terms=Terms(Decimal(5), Frequency.MONTHLY, date(2026, 12, 1)),
                not_before=date(2026, 11, 22),
                is_deleted=True,
            ),
        ),
    ),
)
RECHARGED: Final = replace(
    COMMITTED,
    state=replace(
        COMMITTED.state,
        auto_recharge=AutoRecharge(
            is_enabled=True,
            rule=RechargeRule(Decimal("49.5"), Decimal(100), Decimal(1000)),
            failures=2,
            retry_at=NOON + 3_600 * SECOND,
            in_flight=InFlight("01KAB1X2Y3Z4A5B6C7D8E9F0G2", Decimal(200), NOVEMBER),
            month=NOVEMBER,
            month_spent=Decimal("300.50"),
        ),
        warnings=Warnings(7, NOVEMBER, (RaisedWarning(15, is_dismissed=True), RaisedWarning(5))),
    ),
)
"""With all that there is in the elements of auto recharge and of warnings."""

OFF: Final = replace(
    COMMITTED,
    state=replace(
        COMMITTED.state,
        auto_recharge=AutoRecharge(rule=RechargeRule(Decimal(0), Decimal("0.01"))),
        warnings=Warnings(1),
    ),
)
"""With as little as there can be in them."""

PEAKS: Final = WITH_PEAKS[0].charges
WITH_STORAGE: Final = replace(
    COMMITTED,
    state=replace(
        COMMITTED.state,
        periods={
            **COMMITTED.state.periods,
            NOVEMBER: PeriodUsage(
                {
                    "screen_recording_storage": ProductUsage(
                        "screen_recording_storage", *map(Decimal, ("57", "57", "0", "7", "6"))
                    )
                },
                NOON,
                {
                    "screen_recording_storage": Peak(
                        PEAKS[1],
                        "screen_recording_storage",
                        (Grant("g-1", "screen_recording_storage", GrantKind.PROMOTIONAL, Decimal(6), NOON, NOON + 1),),
                    ),
                    "call_recording": Peak(
                        replace(PEAKS[3], event=replace(PEAKS[3].event, resource="call_recording")), SHARED_POOL
                    ),
                },
            ),
            NOVEMBER.next: PeriodUsage(
                {},
                NOON,
                {"screen_recording_storage": Peak(replace(PEAKS[6], period=NOVEMBER.next), "screen_recording_storage")},
            ),
        },
    ),
    tail=WITH_PEAKS,
)
"""One with a peak that is charged, one that is not though it might be, and one of the next window."""


def _stored(name: str) -> Item:
    return Item(*keys.head("acme"), body=golden(name), version=43)


class TestGoldenFiles:
    """Heads that the first format wrote, before and after it knew of commitments, auto recharge, warnings and peaks."""

    @pytest.mark.parametrize(
        ("name", "head"),
        [
            ("head-1-without-commitments", HEAD),
            ("head-1-with-commitments", COMMITTED),
            ("head-1-with-auto-recharge", RECHARGED),
            ("head-1-with-auto-recharge-off", OFF),
            ("head-1-with-peaks", WITH_STORAGE),
        ],
    )
    def test_are_read(self, name: str, head: Head) -> None:
        """What was written once is read as it was meant."""
        assert decode_head(_stored(name)) == head

    @pytest.mark.parametrize(
        ("name", "head"),
        [
            ("head-1-with-commitments", COMMITTED),
            ("head-1-with-auto-recharge", RECHARGED),
            ("head-1-with-auto-recharge-off", OFF),
            ("head-1-with-peaks", WITH_STORAGE),
        ],
    )
    def test_are_written_alike(self, name: str, head: Head) -> None:
        """What is written today says the same as what was written then."""
        written = encode_head(head)

        assert (written.body or b"")[:1] == golden(name)[:1]
        assert decode_head(written) == decode_head(_stored(name))


@given(head=heads())
@settings(deadline=None)
def test_what_is_written_is_read(head: Head) -> None:
    """Any head comes back as it was."""
    assert decode_head(encode_head(head)) == head


def test_plain_attributes() -> None:
    """Beside the body an item has its key, its version and its place in the index of due work."""
    item = encode_head(HEAD)

    assert item.key == ("account#acme", "head")
    assert item.version == 43
    assert item.due_shard in keys.DUE_SHARDS
    assert item.due_at == next_due_at(HEAD.state)
    assert item.expires is None


@pytest.mark.parametrize("body", [b"\x00", b"\x02anything", b"", None])
def test_another_format_is_refused(body: bytes | None) -> None:
    """Bytes of a later version, or none, are told from those this one can read."""
    with pytest.raises(UnknownFormatError):
        decode_head(replace(_stored("head-1-with-commitments"), body=body))


def test_an_element_of_a_later_version_is_refused() -> None:
    """A head with more elements than are known is not read: writing it back would lose them."""
    body = _stored("head-1-with-peaks").body or b""
    decompressor = zlib.decompressobj(wbits=-15, zdict=heads_format._DICTIONARY)
    elements = msgspec.msgpack.decode(decompressor.decompress(body[1:]))
    compressor = zlib.compressobj(wbits=-15, zdict=heads_format._DICTIONARY)
    longer = compressor.compress(msgspec.msgpack.encode([*elements, None])) + compressor.flush()

    with pytest.raises(UnknownFormatError, match="head of 14 elements"):
        decode_head(replace(_stored("head-1-with-peaks"), body=body[:1] + longer))


def test_the_card_token_is_nowhere_in_clear() -> None:
    """Who looks at the item does not see the token by chance."""
    assert b"tok_ok" not in (encode_head(HEAD).body or b"")


def _realistic_state(products: int, seed: int) -> AccountState:
    """Return an account in the middle of a busy month, with usage of so many *products*."""
    random = Random(seed)
    resources = [*DEFAULT_CATALOGUE, "fax", "whatsapp", "co_browse", "knowledge_base", "callback"][:products]
    usage = {}
    for resource in resources:
        quantity = random.randrange(1_000, 3_000_000)
        billed = -(-quantity // 60) * 60
        free = random.choice([0, 0, 60_000])
        amount = Decimal(random.randrange(10**5, 10**10)).scaleb(-6)
        usage[resource] = ProductUsage(
            SHARED_POOL, Decimal(quantity), Decimal(billed), Decimal(free), amount, random.choice([amount, Decimal(0)])
        )
    account = Account(
        id="acme",
        name="Acme Incorporated",
        currency="USD",
        timezone="Europe/Lisbon",
        payment_method=PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok_1234"),
        rate_card="standard",
        agents=125,
        free_units={
            "call": FreeUnits(Decimal(1000), Per.AGENT),
            "message": FreeUnits(Decimal(500), Per.ACCOUNT),
            "transcription": FreeUnits(Decimal(60_000), Per.ACCOUNT),
        },
    )
    grants = (
        Grant(
            "recharge-contact_center_services-2026-11-01",
            SHARED_POOL,
            GrantKind.COMMITTED,
            Decimal("8124.0152"),
            NOON,
            NOON + SECOND,
        ),
        Grant("01KAB1X2Y3Z4A5B6C7D8E9F0G2", SHARED_POOL, GrantKind.PURCHASED, Decimal(200), NOON),
    )
    commitment = Commitment(
        pool=SHARED_POOL,
        terms=Terms(Decimal(1000), Frequency.MONTHLY, date(2026, 1, 1)),
        not_before=date(2026, 1, 1),
        last_recharge_on=date(2026, 11, 1),
        granted=Decimal(1000),
    )
    return AccountState(
        account=account,
        at=NOON + 123_456,
        invoiced_through=Period(2026, 10),
        periods={NOVEMBER: PeriodUsage(usage, NOON)},
        grants=grants,
        commitments=(commitment,),
        is_used=True,
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_head_of_twenty_products_is_one_write_unit(seed: int) -> None:
    """A busy account's head is written for one unit, with the name of its latest page."""
    head = Head(_realistic_state(20, seed), version=1_234_567, pages=HEAD.pages)
    item = encode_head(head)

    assert write_units(None, item) == 1, f"{item_bytes(item)} bytes"


def test_a_new_account_is_small() -> None:
    """A head without usage takes a quarter of a unit."""
    head = Head(AccountState(HEAD.state.account, NOON, Period(2026, 10)), version=1)

    assert item_bytes(encode_head(head)) < 256
