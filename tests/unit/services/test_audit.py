"""The audit: silent on a store that is in order, and every damage is found and named."""

from __future__ import annotations

from decimal import Decimal
from functools import cache, partial
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.auto_recharge import InFlight
from chalicelib.domain.card_payments import PaymentKind, PaymentStatus
from chalicelib.domain.credit import GrantKind, Payment
from chalicelib.domain.instants import DAY, SECOND, parse_instant
from chalicelib.domain.ledger import Settled
from chalicelib.domain.money import ZERO, format_decimal
from chalicelib.domain.periods import Period
from chalicelib.services.audit import Kind
from chalicelib.services.errors import RefusedError
from chalicelib.storage import keys
from chalicelib.storage.items import Table
from tests.fakes.memory_store import Action, ClientCrashedError, Fault, MemoryStore, Step, Undisturbed
from tests.unit.services.histories import ACCOUNT, History
from tests.unit.services.tampering import Tampering, with_credit, with_usage


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.domain.figures import Figures
    from chalicelib.domain.invoice import Invoice
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.waterfall import Charge
    from chalicelib.services.audit import Finding
    from chalicelib.services.container import Services
    from chalicelib.storage.heads import Head
    from tests.fakes.tables import Place

DECEMBER: Final = Period(2026, 12)
LATER: Final = parse_instant("2026-12-03T10:00:00Z")


@cache
def _two_months() -> History:
    history = History(1)
    history.play_two_months()
    return history


def _copy() -> MemoryStore:
    return MemoryStore(tables=_two_months().store.tables.copy())


def _grants(kind: str) -> list[LedgerEntry]:
    entries = (entry for _, entry in _two_months().services.records.ledger(ACCOUNT))
    return [entry for entry in entries if entry.kind.value == kind]


def _audit(store: MemoryStore) -> list[Finding]:
    return _two_months().over(store).auditing.audit(ACCOUNT)


def test_the_history_has_everything() -> None:
    """What is damaged holds all kinds of credit, payments that failed, and events in pages and the tail."""
    tampering = Tampering(_copy(), ACCOUNT)
    kinds = {entry.kind.value for _, entry in _two_months().services.records.ledger(ACCOUNT)}

    assert kinds == {"grant", "void", "recharge", "purchase", "auto_recharge", "expiry", "invoice"}
    assert tampering.payment("auto_recharge", "failed")
    assert len(tampering.pages()) > 10
    assert tampering.head.tail
    assert {grant.kind for grant in tampering.head.state.grants} >= {GrantKind.PROMOTIONAL, GrantKind.PURCHASED}


def test_a_store_in_order() -> None:
    """There is nothing to say of a store in which nothing went wrong."""
    assert _audit(_copy()) == []


def _lose_page(on: Tampering) -> str:
    page_id, _ = on.pages()[3]
    on.remove(keys.page(ACCOUNT, page_id), Table.PAGES)
    return f"lost page: page {page_id.hex()} counts but is not in the store"


def _lose_named_page(on: Tampering) -> str:
    history = _two_months()
    events = [history.event(LATER, "message", Decimal(1)) for _ in range(20)]
    history.over(on.store).metering.take(events)
    page = on.head.pages[0]
    on.remove(keys.page(ACCOUNT, page.id), Table.PAGES)
    return f"lost page: page {page.id.hex()} counts but is not in the store"


def _lose_entry_by_charge(on: Tampering) -> str:
    page_id, _ = on.pages()[3]
    for key in on.index_entries(page_id, "period"):
        on.remove(key, Table.PAGES)
    return f"index of pages: page {page_id.hex()} is listed by time but not by charge"


def _lose_entry_of_one_month(on: Tampering) -> str:
    page_id, keys_of_both = next(
        (page_id, listed) for page_id, _ in on.pages() if len(listed := on.index_entries(page_id, "period")) > 1
    )
    period = keys_of_both[0].pk.rpartition("#")[2]
    on.remove(keys_of_both[0], Table.PAGES)
    return f"index of pages: page {page_id.hex()} is not listed by charge for {period}"


def _lose_entry_by_time(on: Tampering) -> str:
    page_id, _ = on.pages()[3]
    on.remove(on.index_entries(page_id, "day")[0], Table.PAGES)
    return f"index of pages: page {page_id.hex()} is not listed by time for its events from "


def _lose_all_entries(on: Tampering) -> str:
    page_id, takings = on.pages()[3]
    for order in ("day", "period"):
        for key in on.index_entries(page_id, order):
            on.remove(key, Table.PAGES)
    period = takings[0].charges[0].period
    return f"usage: {period} call: quantity is "


def _count_page_twice(on: Tampering) -> str:
    page_id, takings = on.pages()[3]
    on.copy_page(page_id)
    return f"counted twice: event {takings[0].charges[0].event.id} of /voice at "


def _list_page_twice(on: Tampering) -> str:
    page_id, takings = on.pages()[3]
    on.list_again(page_id)
    return f"index of pages: page {page_id.hex()} is listed for version {takings[-1].version + 1} but holds"


def _change_usage(on: Tampering, **changes: Decimal) -> str:
    head = with_usage(on.head, **changes)
    on.change_head(periods=head.state.periods)
    name = {"billed": "billed quantity", "free": "free units", "credits": "credits applied"}
    changed = next(iter(changes))
    return f"usage: 2026-12 call: {name.get(changed, changed)} is 999999, the events say "


def _double_grant(on: Tampering) -> str:
    grants = on.head.state.grants
    on.change_head(grants=(*grants, grants[0]))
    return f"booked twice: head: grant {grants[0].id} is there 2 times"


def _double_amount(on: Tampering) -> str:
    grant = on.grant_of("purchased")
    on.change_grant(grant.id, remaining=grant.remaining * 2)
    left, said = format_decimal(grant.remaining * 2), format_decimal(grant.remaining)
    return f"credit: grant {grant.id}: {left} is left, the ledger says {said}"


def _invent_grant(on: Tampering) -> str:
    grants = on.head.state.grants
    on.change_head(grants=(*grants, replace(grants[0], id="invented")))
    return "wallet: grant invented is in the head, but the ledger never booked it"


def _lose_grant(on: Tampering) -> str:
    gone, *kept = on.head.state.grants
    on.change_head(grants=tuple(kept))
    return f"credit: grant {gone.id}: 0 is left, the ledger says {format_decimal(gone.remaining)}"


def _book_twice(on: Tampering, kind: str) -> str:
    on.copy_entry(kind)
    return f"booked twice: entry {on.entry(kind)[1].id} is in the ledger 2 times"


def _book_under_other_id(on: Tampering, kind: str, deed: str) -> str:
    on.copy_entry(kind, id="another")
    return f"booked twice: grant {on.entry(kind)[1].grant} is {deed} 2 times"


def _change_wallet(on: Tampering, kind: str, name: str, **changes: object) -> str:
    grant = on.grant_of(kind)
    on.change_grant(grant.id, **changes)
    return f"wallet: grant {grant.id} has another {name} than the ledger says"


def _change_kind(on: Tampering) -> str:
    grant = on.grant_of("purchased")
    on.change_grant(grant.id, kind=GrantKind.PROMOTIONAL)
    return f"wallet: grant {grant.id} has another kind than the ledger says"


def _is_paid(charge: Charge) -> bool:
    return bool(charge.payments)


def _pay_with(charge: Charge, grant: str) -> Charge:
    return replace(charge, payments=(Payment(grant, charge.amount),))


def _pay_from_other_pool(on: Tampering) -> str:
    (gift,) = (grant for grant in _grants("grant") if grant.pool == "virtual_agent" and grant.amount == 20)
    on.change_charge(
        lambda charge: charge.event.resource == "call" and bool(charge.payments),
        lambda charge: _pay_with(charge, gift.grant or ""),
    )
    return f"{gift.grant} is of the pool virtual_agent, not of contact_center_services"


def _pay_from_unknown_grant(on: Tampering) -> str:
    on.change_charge(_is_paid, partial(_pay_with, grant="nobody"))
    return "nobody has nothing left or was never booked"


def _pay_from_later_month(on: Tampering) -> str:
    """Let what was granted in November pay an event of October that came after it."""
    (gift,) = (grant for grant in _grants("grant") if grant.amount == 30)
    at = parse_instant("2026-10-31T23:30:00Z")
    on.change_charge(
        lambda charge: str(charge.period) == "2026-10" and charge.event.time == at,
        lambda charge: _pay_with(charge, gift.grant or ""),
    )
    return f"{gift.grant} took effect after 2026-10"


def _pay_from_expired_grant(on: Tampering) -> str:
    """Let credit that expired while the close slept pay an event that came then."""
    (gift,) = (grant for grant in _grants("grant") if grant.amount == 500)
    at = parse_instant("2026-12-02T10:00:00Z")
    on.change_charge(
        lambda charge: charge.event.resource == "virtual_agent" and charge.event.time == at,
        lambda charge: _pay_with(charge, gift.grant or ""),
    )
    return f"{gift.grant} is not in force at 2026-12-02T10:00:00Z"


def _pay_less(on: Tampering) -> str:
    charge = on.change_charge(_is_paid, lambda charge: replace(charge, payments=()))
    paid = charge.payments[0]
    return f"payment is nothing and should be {format_decimal(paid.amount)} by {paid.grant}"


def _more_free_than_billed(on: Tampering) -> str:
    charge = on.change_charge(
        lambda charge: charge.billed > 0 and not charge.free, lambda charge: replace(charge, free=charge.billed + 1)
    )
    return f"number of free units is {charge.billed + 1:f} and should be 0"


def _one_free_too_many(on: Tampering) -> str:
    on.change_charge(
        lambda charge: charge.billed > 1 and not charge.free, lambda charge: replace(charge, free=Decimal(1))
    )
    return "number of free units is 1 and should be 0"


def _other_month(on: Tampering) -> str:
    charge = on.change_charge(lambda charge: charge.is_late, lambda charge: replace(charge, is_late=False))
    return f"event {charge.event.id} of /voice"


def _other_price(on: Tampering) -> str:
    dear = Decimal("0.0076")
    charge = on.change_charge(
        lambda charge: charge.event.resource == "message",
        lambda charge: replace(charge, rate=replace(charge.rate, price_per_increment=dear)),
    )
    return f"rate: event {charge.event.id} of /voice"


def _other_row(on: Tampering) -> str:
    def change(charge: Charge) -> Charge:
        rate = charge.rate
        return replace(charge, rate=replace(rate, row=1, price_per_increment=Decimal("0.31"), increment=Decimal(60)))

    charge = on.change_charge(lambda charge: charge.event.resource == "call" and charge.rate.row == 0, change)
    return f"rate: event {charge.event.id} of /voice"


def _unknown_rate(on: Tampering) -> str:
    charge = on.change_charge(_is_paid, lambda charge: replace(charge, rate=replace(charge.rate, card="gone")))
    return f"rate: event {charge.event.id} of /voice"


def _change_entry(on: Tampering, kind: str, said: str, **changes: object) -> str:
    return f"ledger: entry {on.change_entry(kind, **changes)} {said}"


def _change_entry_of_invoice(on: Tampering, said: str, **changes: object) -> str:
    on.change_entry("invoice", **changes)
    return said


def _more_than_booked(on: Tampering) -> str:
    grant = on.grant_of("purchased")
    on.change_grant(grant.id, remaining=Decimal(100_000))
    return f"credit: grant {grant.id} has more left than was booked"


def _change_snapshot_wallet(on: Tampering) -> str:
    def change(head: Head) -> Head:
        first, *others = head.state.grants
        moved = replace(first, expires_at=LATER + DAY)
        return replace(head, state=replace(head.state, grants=(moved, *others)))

    version = on.change_snapshot(-1, change)
    return f"wallet: snapshot of version {version}: grant "


def _change_latest_event(on: Tampering) -> str:
    usage = on.head.state.periods[DECEMBER]
    on.change_head(periods={DECEMBER: replace(usage, last_event_at=LATER + SECOND)})
    return "snapshot: head: 2026-12 has another latest event than was recorded"


def _invoice_of(on: Tampering, change: Callable[[Figures], Figures], said: str) -> str:
    def changed(invoice: Invoice) -> Invoice:
        return replace(invoice, figures=change(invoice.figures))

    on.change_invoice("2026-11", changed)  # type: ignore[arg-type]
    return said


def _other_line(figures: Figures) -> Figures:
    first, *others = figures.products
    return replace(figures, products=(replace(first, amount=first.amount + 1), *others))


def _no_line(figures: Figures) -> Figures:
    return replace(figures, products=figures.products[1:])


def _other_credit(figures: Figures) -> Figures:
    first, *others = figures.pools
    return replace(figures, pools=(replace(first, purchased=first.purchased + 1), *others))


def _other_total(figures: Figures) -> Figures:
    first, *others = figures.pools
    return replace(figures, pools=(replace(first, to_be_invoiced=first.to_be_invoiced + 1), *others))


def _lose_invoice(on: Tampering) -> str:
    on.remove(keys.invoice(ACCOUNT, Period(2026, 10)))
    return "invoice: invoice 2026-10 is missing"


def _lose_entry(on: Tampering, kind: str, said: str) -> str:
    item, entry = on.entry(kind)
    on.remove(item.key)
    return said.format(entry=entry)


def _early_invoice(on: Tampering) -> str:
    on.change_head(invoiced_through=Period(2026, 10))
    return "invoice: invoice 2026-11 is there, but the month is not closed"


def _lose_payment(on: Tampering) -> str:
    payment = on.payment("purchase")
    on.remove(keys.payment(ACCOUNT, payment.id))
    return f"payment: entry purchase-{payment.id} books credit for which there is no payment"


def _change_payment(on: Tampering, said: str, **changes: object) -> str:
    payment = on.payment("auto_recharge")
    on.change_payment(payment, **changes)
    return f"payment {payment.id} {said}"


def _charge_without_credit(on: Tampering) -> str:
    payment = on.payment("auto_recharge", "failed")
    on.change_payment(payment, status=PaymentStatus.SUCCEEDED)
    return f"payment: payment {payment.id} succeeded, but its credit is booked 0 times"


def _change_auto(on: Tampering, said: str, **changes: object) -> str:
    on.change_head(auto_recharge=replace(on.head.state.auto_recharge, **changes))
    return f"auto recharge: {said}"


def _lose_snapshot(on: Tampering, place: int) -> str:
    item = on.snapshots()[place]
    on.remove(item.key)
    return f"snapshot: version {item.version} has "


def _change_snapshot_usage(on: Tampering) -> str:
    version = on.change_snapshot(-1, partial(with_usage, quantity=Decimal(999_999)))
    return f"snapshot: snapshot of version {version}: 2026-12 virtual_agent has quantity 999999, "


def _change_snapshot_credit(on: Tampering) -> str:
    version = on.change_snapshot(-1, with_credit)
    return f"credit: snapshot of version {version}: grant "


def _change_first_snapshot(on: Tampering) -> str:
    first = on.head.state.grants
    on.change_snapshot(0, lambda head: replace(head, state=replace(head.state, grants=first)))
    return "snapshot: snapshot of version 1 holds usage or credit of a new account"


def _forget_recharge(on: Tampering) -> str:
    (commitment,) = on.head.state.commitments
    day = parse_instant("2026-12-20T12:00:00Z")
    moved = replace(commitment, last_recharge_on=on.head.state.account.calendar.date_of(day))
    on.change_head(commitments=(moved,))
    return "commitment: commitment of contact_center_services has no ledger entry for 2026-12-20"


DAMAGES: Final = {
    "a lost page": _lose_page,
    "a lost page that the head names": _lose_named_page,
    "a lost index entry by charge": _lose_entry_by_charge,
    "a lost index entry of one of two months": _lose_entry_of_one_month,
    "a lost index entry by time": _lose_entry_by_time,
    "a page that no index lists": _lose_all_entries,
    "a page counted twice": _count_page_twice,
    "a page listed twice": _list_page_twice,
    "another quantity": partial(_change_usage, quantity=Decimal(999_999)),
    "another billed quantity": partial(_change_usage, billed=Decimal(999_999)),
    "other free units": partial(_change_usage, free=Decimal(999_999)),
    "another amount": partial(_change_usage, amount=Decimal(999_999)),
    "other credits": partial(_change_usage, credits=Decimal(999_999)),
    "a grant twice in the head": _double_grant,
    "a grant of twice its amount": _double_amount,
    "a grant from nowhere": _invent_grant,
    "a lost grant": _lose_grant,
    "a gift booked twice": partial(_book_twice, kind="grant"),
    "a purchase booked twice": partial(_book_twice, kind="purchase"),
    "a recharge booked twice": partial(_book_under_other_id, kind="recharge", deed="booked"),
    "a payment booked twice": partial(_book_under_other_id, kind="auto_recharge", deed="booked"),
    "an expiry booked twice": partial(_book_under_other_id, kind="expiry", deed="taken away"),
    "a grant in another pool": partial(_change_wallet, kind="promotional", name="pool", pool="virtual_agent"),
    "a grant of another kind": _change_kind,
    "a grant of another day": partial(
        _change_wallet, kind="promotional", name="effective time", effective_at=LATER - 1
    ),
    "a grant that ends otherwise": partial(_change_wallet, kind="promotional", name="expiry", expires_at=LATER + DAY),
    "paid by another pool": _pay_from_other_pool,
    "paid by nobody's grant": _pay_from_unknown_grant,
    "paid by a later month's credit": _pay_from_later_month,
    "paid by expired credit": _pay_from_expired_grant,
    "not paid though there was credit": _pay_less,
    "more free than billed": _more_free_than_billed,
    "free beyond what was included": _one_free_too_many,
    "a late event in another month": _other_month,
    "another price": _other_price,
    "another rate row": _other_row,
    "a rate card that is gone": _unknown_rate,
    "another balance": partial(
        _change_entry, kind="grant", said="begins with a balance of 12 and should with ", balance_before=Decimal(12)
    ),
    "another balance of an expiry": partial(
        _change_entry, kind="expiry", said="begins with a balance of 12 and should with ", balance_before=Decimal(12)
    ),
    "another balance of an invoice": partial(
        _change_entry, kind="invoice", said="begins with a balance of 12 and should with ", balance_before=Decimal(12)
    ),
    "an expiry of less than was left": partial(_change_entry, kind="expiry", said="takes 1 from ", amount=Decimal(-1)),
    "another payment on arrival": partial(
        _change_entry,
        kind="recharge",
        said="pays 1 of call on arrival and should pay nothing",
        settled=(Settled("call", Decimal(1)),),
    ),
    "another line on an invoice": partial(_invoice_of, change=_other_line, said="usage: 2026-11 call: amount is "),
    "a line missing on an invoice": partial(_invoice_of, change=_no_line, said="usage: 2026-11 call: quantity is 0, "),
    "other credit on an invoice": partial(
        _invoice_of, change=_other_credit, said="invoice: invoice 2026-11 does not show what the tab showed"
    ),
    "another sum of an invoice": partial(
        _invoice_of, change=_other_total, said="invoice: invoice 2026-11: lines of contact_center_services asks for "
    ),
    "a missing invoice": _lose_invoice,
    "an invoice too early": _early_invoice,
    "an invoice not in the ledger": partial(
        _lose_entry, kind="invoice", said="invoice: invoice {entry.period}: {entry.pool} asks for "
    ),
    "an invoice twice in the ledger": partial(_book_twice, kind="invoice"),
    "a purchase not in the ledger": partial(
        _lose_entry, kind="purchase", said="payment: payment {entry.grant} succeeded, but its credit is booked 0 times"
    ),
    "a recharge not in the ledger": partial(
        _lose_entry, kind="recharge", said="commitment: commitment of {entry.pool} has no ledger entry for 2026-11-20"
    ),
    "credit without a payment": _lose_payment,
    "a payment without credit": _charge_without_credit,
    "a pending payment that is booked": partial(
        _change_payment, said="is pending, but the ledger has credit for it", status=PaymentStatus.PENDING
    ),
    "a failed payment that is booked": partial(
        _change_payment, said="is failed, but the ledger has credit for it", status=PaymentStatus.FAILED
    ),
    "a payment of another amount": partial(_change_payment, said="was of 49, but the ledger", amount=Decimal(49)),
    "a payment with another balance": partial(_change_payment, said="tells another balance", balance=Decimal(49)),
    "another month's spending": partial(
        _change_auto, said="2026-11: 0 is spent, the payments say 100", month_spent=ZERO
    ),
    "a payment that is not in flight": partial(
        _change_auto,
        said="payment p-1 is in flight, but not pending",
        in_flight=InFlight("p-1", Decimal(50), DECEMBER),
    ),
    "a pending payment that is not in flight": partial(
        _change_payment, said="is pending, but not in flight", status=PaymentStatus.PENDING
    ),
    "a payment for something else": partial(
        _change_payment, said="is for purchase, the ledger says auto_recharge", kind=PaymentKind.PURCHASE
    ),
    "an invoice of another time": partial(
        _change_entry_of_invoice, said="was issued at another time than the ledger says", recorded_at=LATER
    ),
    "an invoice entry of another pool": partial(
        _change_entry_of_invoice, said="does not ask for dialer, for which the ledger has an entry", pool="dialer"
    ),
    "a grant with more left than was booked": _more_than_booked,
    "a wallet that changes between snapshots": _change_snapshot_wallet,
    "another latest event": _change_latest_event,
    "the first snapshot lost": partial(_lose_snapshot, place=0),
    "a snapshot lost": partial(_lose_snapshot, place=-1),
    "a snapshot with other usage": _change_snapshot_usage,
    "a snapshot with other credit": _change_snapshot_credit,
    "a first snapshot that is not empty": _change_first_snapshot,
    "a recharge that nobody booked": _forget_recharge,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_named(damage: Callable[[Tampering], str]) -> None:
    """Whatever is damaged, one of the findings says what and where."""
    store = _copy()
    said = damage(Tampering(store, ACCOUNT))

    found = [str(finding) for finding in _audit(store)]
    assert [text for text in found if said in text], f"{said!r} is not in {found}"


def test_what_two_looks_agree_on() -> None:
    """A transaction that becomes visible while the audit reads is no difference, in whatever order its legs come."""
    looked = 0
    for seed in range(40):
        store = _before_the_close()
        store.controller = _Crash(seed)
        jobs = _waiting_for_its_close().over(store).jobs
        with pytest.raises(ClientCrashedError):
            jobs.run("issue-invoices")
        looked += bool(_waiting_for_its_close().over(MemoryStore(tables=store.tables.copy())).auditing.audit(ACCOUNT))

        assert _waiting_for_its_close().over(store).auditing.audit(ACCOUNT) == []
        store.settle()
        assert _waiting_for_its_close().over(store).auditing.audit(ACCOUNT) == []
    assert looked > 10, "nothing is seen of the transaction half-way"


class _Crash(Undisturbed):
    """Ends the client once the transaction of the close is accepted; its legs become visible later, in any order."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._legs_shown = self._random.randrange(4)

    def before(self, step: Step) -> Fault | None:
        """End the client after some legs."""
        if step.action is not Action.LEG:
            return None
        self._legs_shown -= 1
        return Fault.CRASH_BEFORE if self._legs_shown < 0 else None

    def next_leg(self, places: Sequence[Place]) -> int:
        """Choose any."""
        return self._random.randrange(len(places))


@cache
def _waiting_for_its_close() -> History:
    """Return a history that stands after the end of its first month, which waits for its close."""
    history = History(2)
    history.grant("5")
    history.take(*history.events(30))
    history.at("2026-11-01T00:30:00Z")
    history.grant("6")
    history.at("2026-11-01T01:30:00Z")
    return history


def _before_the_close() -> MemoryStore:
    return MemoryStore(tables=_waiting_for_its_close().store.tables.copy())


def test_what_was_read_half_way_stays_wrong_if_it_is() -> None:
    """On a busy account, too, what is wrong at every look is told, though its figures change."""
    store = _copy()
    Tampering(store, ACCOUNT).change_head(grants=())
    history = _two_months()
    busy = history.over(store)
    auditing = history.over(store).auditing
    auditing._pause = lambda _seconds: _use(history, busy)

    kinds = {finding.kind for finding in auditing.audit(ACCOUNT)}
    assert Kind.CREDIT in kinds


def _use(history: History, services: Services) -> None:
    services.metering.take([history.event(LATER, "message", Decimal(1))])


def test_a_restamped_event_is_a_warning() -> None:
    """One id on one day with two times may be one event that was stamped again: it is told, but is no difference."""
    history = History(3)
    first = history.event(history.clock.now(), "message", Decimal(1))
    history.take(first, replace(first, time=first.time - SECOND), replace(first, time=first.time - 2 * DAY))

    (warning,) = history.services.auditing.audit(ACCOUNT)
    assert warning.is_warning
    assert str(warning) == (
        "restamped event: event e-1 of /voice at 2026-10-20T09:00:00Z "
        "was taken with other times that day: 2026-10-20T08:59:59Z"
    )


def test_the_same_wrong_thing_many_times_is_counted() -> None:
    """Of one kind twenty findings are named and the others counted."""
    history = History(3)
    events = [history.event(history.clock.now(), "message", Decimal(1)) for _ in range(25)]
    history.take(*events, *(replace(event, time=event.time - SECOND) for event in events))

    findings = history.services.auditing.audit(ACCOUNT)
    assert len(findings) == 21
    assert str(findings[-1]) == "restamped event: others: 5 more"


def test_no_account() -> None:
    """An account that does not exist is refused, not in order."""
    with pytest.raises(RefusedError) as refused:
        History(0).services.auditing.audit("nobody")
    assert refused.value.code == "not_found"


def test_ten_thousand_events_of_several_accounts() -> None:
    """Two busy accounts side by side, one beside them that nobody uses: all in order."""
    history = History(5, accounts=(ACCOUNT, "initech", "idle"))
    history.play_two_months(batch=240)
    history.clock.set(parse_instant("2026-12-03T11:00:00Z"))
    history.take(*history.events(30, account="initech"))

    assert history.taken > 10_000
    assert [history.services.auditing.audit(name) for name in (ACCOUNT, "initech", "idle")] == [[], [], []]


class TestRetention:
    """Usage that is not kept any more."""

    def test_the_audit_begins_with_what_is_kept(self) -> None:
        """Pages that their time to live has ended are not missed: the audit goes on from a snapshot after them."""
        tampering = self._after_thirty_months()

        assert _old_pages(tampering)
        for page_id in _old_pages(tampering):
            tampering.remove(keys.page(ACCOUNT, page_id), Table.PAGES)
            for key in tampering.index_entries(page_id, "day")[:1]:
                tampering.remove(key, Table.PAGES)
        assert self._audit(tampering) == []

    def test_what_is_kept_is_still_audited(self) -> None:
        """A page of the last months that is lost is found."""
        tampering = self._after_thirty_months()
        page_id = tampering.pages()[-1][0]
        tampering.remove(keys.page(ACCOUNT, page_id), Table.PAGES)

        kinds = [finding.kind for finding in self._audit(tampering)]
        assert kinds[0] is Kind.LOST_PAGE

    def _after_thirty_months(self) -> Tampering:
        return Tampering(MemoryStore(tables=_thirty_months().store.tables.copy()), ACCOUNT)

    def _audit(self, tampering: Tampering) -> list[Finding]:
        return _thirty_months().over(tampering.store).auditing.audit(ACCOUNT)


@cache
def _thirty_months() -> History:
    history = History(4)
    history.grant("100")
    history.grant("5", 400, "virtual_agent")
    history.commit("20", rollover=False)
    for _ in range(30):
        history.take(*history.events(20))
        history.clock.pass_by(31 * DAY)
        history.run_jobs()
    history.take(*history.events(20))
    history.take(*history.events(20))
    return history


def _old_pages(tampering: Tampering) -> list[bytes]:
    kept_since = _thirty_months().clock.now() - 25 * 31 * DAY
    return [page_id for page_id, takings in tampering.pages() if takings[-1].at < kept_since]
