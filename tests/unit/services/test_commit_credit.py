"""Commitments in the service: put and deleted by administrators, carried out by schedules, shown in the tab."""

from __future__ import annotations

import zlib
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.instants import format_instant, parse_instant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL, Display, Meter, Product
from chalicelib.services.errors import RefusedError
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.storage import heads, keys
from chalicelib.storage.heads import Head, decode_head, encode_head
from chalicelib.storage.items import OutcomeUnknownError, Table
from tests.fakes.memory_store import ClientCrashedError, Fault, Undisturbed
from tests.unit.services.world import Interruption, World


if TYPE_CHECKING:
    pass

CALENDAR_JOBS = ("expire-credit", "recharge-commitments", "issue-invoices")


class CommittedWorld(World):
    """A service with the account `acme`, to which credit is committed."""

    def put(  # noqa: PLR0913 - the parts of a commitment
        self,
        amount: str = "1000",
        starts_on: str = "2026-11-10",
        frequency: str = "monthly",
        ends_on: str | None = None,
        pool: str = SHARED_POOL,
        *,
        rollover: bool = True,
    ) -> Commitment:
        """Put a commitment."""
        wanted = terms(amount, starts_on, frequency, ends_on, rollover)
        _, commitment = self.services.committing.put("acme", pool, wanted, "me")
        return commitment

    def delete(self, pool: str = SHARED_POOL) -> None:
        """Delete a commitment."""
        self.services.committing.delete("acme", pool)

    def run(self, job: str) -> int:
        """Run a job and return how many accounts it did something for."""
        run = self.services.jobs.run(job)
        assert run.failed == 0
        return run.done

    def run_all(self) -> dict[str, int]:
        """Run the calendar's jobs in their order."""
        return {job: self.run(job) for job in CALENDAR_JOBS}

    def ledger(self) -> list[tuple[str, str, str, str]]:
        """Return the ledger, oldest first: kind, due time, balances before and after."""
        return [
            (
                entry.kind.value,
                format_instant(entry.at),
                format_decimal(entry.balance_before),
                format_decimal(entry.balance_after),
            )
            for entry in self.entries()
        ]

    def committed(self, period: str | None = None, pool: str = SHARED_POOL) -> str:
        """Return the committed credit that the tab shows."""
        tab = self.services.usage.tab("acme", None if period is None else Period.parse(period))
        return format_decimal(tab.figures.pool(pool).committed)


def terms(amount: str, starts_on: str, frequency: str, ends_on: str | None, rollover: bool) -> Terms:  # noqa: FBT001 - the parts of terms
    """Return the terms of a commitment."""
    last = None if ends_on is None else date.fromisoformat(ends_on)
    return Terms(Decimal(amount), Frequency(frequency), date.fromisoformat(starts_on), last, rollover)


def test_put() -> None:
    """Putting a commitment makes the recharge that is due today before it answers."""
    world = CommittedWorld()

    commitment = world.put()

    assert (commitment.last_recharge_on, commitment.next_recharge_on) == (date(2026, 11, 10), date(2026, 12, 10))
    assert world.committed() == "1000"
    assert world.ledger() == [("recharge", "2026-11-10T00:00:00Z", "0", "1000")]
    assert world.differences() == []


def test_what_was_open_is_paid() -> None:
    """A recharge pays what is open in its month, products in the order of their codes."""
    world = CommittedWorld()
    world.use("30", "message")
    world.use("50", "call")

    world.put("60")

    tab = world.services.usage.tab("acme")
    assert {row.resource: str(row.to_be_invoiced) for row in tab.figures.products} == {"call": "0", "message": "20"}
    # 60 - 80
    assert world.ledger() == [("recharge", "2026-11-10T00:00:00Z", "-80", "-20")]
    assert world.differences() == []


def test_a_schedule_that_slept() -> None:
    """After five months one run makes five recharges, each with its own date, and a second run none."""
    world = CommittedWorld("2026-10-15T12:00:00Z")
    world.put(starts_on="2026-10-31")

    world.at("2027-03-30T23:59:59Z")
    assert (world.run("recharge-commitments"), world.run("recharge-commitments")) == (1, 0)

    assert world.ledger() == [
        ("recharge", "2026-10-31T00:00:00Z", "0", "1000"),
        ("recharge", "2026-11-30T00:00:00Z", "1000", "2000"),
        ("recharge", "2026-12-31T00:00:00Z", "2000", "3000"),
        ("recharge", "2027-01-31T00:00:00Z", "3000", "4000"),
        ("recharge", "2027-02-28T00:00:00Z", "4000", "5000"),
    ]
    recorded = {entry.recorded_at for _, entry in world.services.records.ledger("acme")}
    assert recorded == {parse_instant("2027-03-30T23:59:59Z")}
    # October awaits its invoice still, and gets none of November's credit
    assert (world.committed(), world.committed("2027-03")) == ("1000", "5000")
    assert world.run_all() == {"expire-credit": 0, "recharge-commitments": 0, "issue-invoices": 1}
    assert world.committed() == "5000"
    assert world.differences() == []


def test_nothing_to_do() -> None:
    """A run before anything is due does nothing and counts nothing."""
    world = CommittedWorld()
    world.put(rollover=False)

    world.at("2026-11-30T23:59:59Z")

    assert world.run_all() == dict.fromkeys(CALENDAR_JOBS, 0)


def test_recharges_that_come_with_expiries_are_counted() -> None:
    """Where an expiry and a recharge are due together, the recharge is counted by the job that makes recharges."""
    world = CommittedWorld(now="2026-11-01T12:00:00Z")
    world.put(starts_on="2026-11-01", rollover=False)

    world.at("2026-12-01T00:00:00Z")

    assert world.run_all()["recharge-commitments"] == 1
    assert world.run_all() == dict.fromkeys(CALENDAR_JOBS, 0)
    assert world.ledger()[1:] == [
        ("expiry", "2026-12-01T00:00:00Z", "1000", "0"),
        ("recharge", "2026-12-01T00:00:00Z", "0", "1000"),
    ]


def test_the_recharge_job_alone() -> None:
    """The recharge job takes away first what expires with the recharge."""
    world = CommittedWorld()
    world.put(rollover=False)
    world.at("2026-12-01T01:00:00Z").run_all()

    assert world.at("2026-12-10T00:00:00Z").run("recharge-commitments") == 1
    assert world.run("expire-credit") == 0

    assert [kind for kind, *_ in world.ledger()] == ["recharge", "expiry", "recharge"]
    assert world.committed() == "1000"
    assert world.differences() == []


def test_accounts_by_themselves() -> None:
    """A job counts the accounts for which it did something."""
    world = CommittedWorld()
    for account in ("other", "third"):
        world.put_account(account)
    for account, start in (("acme", "2026-11-15"), ("other", "2026-11-15"), ("third", "2026-11-16")):
        world.services.committing.put(account, SHARED_POOL, terms("10", start, "monthly", None, rollover=True), "me")

    assert world.at("2026-11-15T00:00:00Z").run("recharge-commitments") == 2
    assert world.at("2026-11-16T00:00:00Z").run("recharge-commitments") == 1


def test_what_is_due_counts_before_any_job() -> None:
    """Readers and events find the recharge that is due, whether or not a schedule has run."""
    world = CommittedWorld()
    world.put(starts_on="2026-11-20", amount="100")

    world.at("2026-11-20T00:00:00Z")
    assert (world.committed(), world.ledger()) == ("100", [])
    world.use("30")

    assert (world.committed(), world.ledger()) == ("70", [("recharge", "2026-11-20T00:00:00Z", "0", "100")])
    assert world.run("recharge-commitments") == 0
    assert world.differences() == []


def test_novembers_recharge_never_lowers_octobers_invoice() -> None:
    """However late October is closed, its invoice asks for all that November's recharge may not pay."""
    world = CommittedWorld("2026-10-20T12:00:00Z")
    world.put("100", "2026-11-01")
    world.use("40")
    world.at("2026-11-15T12:00:00Z").use("5")
    # in October, but taken in November, while October awaits its invoice
    world.use("7", time="2026-10-31T23:59:59Z")
    assert (world.committed(), world.committed("2026-11")) == ("0", "95")

    world.at("2026-12-20T12:00:00Z").run_all()

    october, november = (world.services.usage.invoice("acme", Period(2026, month)) for month in (10, 11))
    assert (october.total, november.total) == (47, 0)
    # November's and December's recharge less November's calls
    assert world.committed() == "195"
    assert world.differences() == []


@pytest.mark.parametrize(
    ("ends_on", "now", "last", "following"),
    [
        (None, "2026-11-19T23:59:59Z", None, date(2026, 11, 20)),
        (None, "2026-11-20T00:00:00Z", date(2026, 11, 20), date(2026, 12, 20)),
        ("2026-12-10", "2026-11-20T00:00:00Z", date(2026, 11, 20), None),
        ("2026-11-25", "2026-11-25T23:59:59Z", date(2026, 11, 20), None),
    ],
)
def test_what_the_tab_shows(ends_on: str | None, now: str, last: date | None, following: date | None) -> None:
    """The tab names what is committed, the last recharge day and the next, where there are such."""
    world = CommittedWorld()
    world.put("600", "2026-11-20", "monthly", ends_on)

    shown = world.at(now).services.usage.tab("acme").figures.pool(SHARED_POOL).commitment

    assert shown is not None
    assert (shown.amount, shown.frequency) == (Decimal(600), Frequency.MONTHLY)
    assert (shown.last_recharge_on, shown.next_recharge_on) == (last, following)


def test_what_the_tab_does_not_show() -> None:
    """After its end, or once it is deleted, a commitment is shown no more."""
    world = CommittedWorld()
    world.put(ends_on="2026-11-25")
    ended = world.at("2026-11-26T00:00:00Z").services.usage.tab("acme").figures.pool(SHARED_POOL)
    assert (ended.commitment, ended.committed) == (None, 0)

    world.put("70", pool="virtual_agent", starts_on="2026-11-26")
    world.delete("virtual_agent")

    deleted = world.services.usage.tab("acme").figures.pool("virtual_agent")
    assert (deleted.commitment, deleted.committed) == (None, 70)


def test_a_new_commitment_after_the_end_of_another() -> None:
    """Once a commitment has ended, the next recharges on its own first day, within what was the other's term too."""
    world = CommittedWorld()
    world.put(ends_on="2026-11-25")

    renewed = world.at("2026-11-26T12:00:00Z").put("300", "2026-11-26")

    assert (renewed.last_recharge_on, renewed.next_recharge_on) == (date(2026, 11, 26), date(2026, 12, 26))
    assert world.ledger()[1:] == [
        ("expiry", "2026-11-26T00:00:00Z", "1000", "0"),
        ("recharge", "2026-11-26T00:00:00Z", "0", "300"),
    ]


def test_the_same_again() -> None:
    """The same commitment put again books nothing, also once its credit is used."""
    world = CommittedWorld()
    before = world.put()
    world.use("700")

    assert world.put() == before
    assert world.at("2026-11-20T12:00:00Z").put() == before

    assert world.committed() == "300"
    assert len(world.ledger()) == 1
    assert world.differences() == []


def test_the_same_again_while_a_month_awaits_its_invoice() -> None:
    """Putting the same again gives no credit back that expired while the schedule slept."""
    world = CommittedWorld("2026-10-15T12:00:00Z")
    world.put(starts_on="2026-10-15", rollover=False)

    world.at("2026-11-20T12:00:00Z").put(starts_on="2026-10-15", rollover=False)
    for _ in range(2):
        world.run_all()

    assert world.committed() == "1000"
    assert world.ledger() == [
        ("recharge", "2026-10-15T00:00:00Z", "0", "1000"),
        ("expiry", "2026-11-15T00:00:00Z", "1000", "0"),
        ("recharge", "2026-11-15T00:00:00Z", "0", "1000"),
    ]


def test_a_raise() -> None:
    """A raise pays what is open at once; what it leaves counts with the rest."""
    world = CommittedWorld()
    world.put()
    world.use("1100")

    world.at("2026-11-25T08:00:00Z").put("1600")

    # 600 * 15 / 30 for 25 November to 9 December
    assert world.ledger()[1:] == [("recharge", "2026-11-25T08:00:00Z", "-100", "200")]
    world.put("1600")
    world.put("500")
    world.put("1600")
    assert len(world.ledger()) == 2
    assert world.differences() == []


def test_delete_and_put_again() -> None:
    """Deleted and put again on its recharge day a commitment keeps what it has; nothing comes twice."""
    world = CommittedWorld()
    world.put()
    world.delete()
    world.delete()
    world.put()

    assert (world.committed(), len(world.ledger())) == ("1000", 1)
    world.at("2026-12-10T00:00:00Z").run_all()
    world.run_all()
    assert world.committed() == "2000"
    assert world.differences() == []


def test_delete_ends_with_the_term() -> None:
    """What a deleted commitment leaves goes when the next recharge would have come."""
    world = CommittedWorld()
    world.put()
    world.use("300")
    world.delete()
    world.at("2026-12-01T01:00:00Z").run_all()

    assert world.at("2026-12-09T23:59:59Z").committed() == "700"
    assert world.at("2026-12-10T00:00:00Z").committed() == "0"
    assert world.run("expire-credit") == 1
    assert world.ledger()[1:] == [("expiry", "2026-12-10T00:00:00Z", "700", "0")]
    assert world.differences() == []


def test_a_pool_of_its_own() -> None:
    """A product sold apart has a commitment of its own, which pays for nothing else."""
    world = CommittedWorld()
    world.put("100", pool="virtual_agent")
    world.use("30", "virtual_agent")
    world.use("50", "call")

    figures = world.services.usage.tab("acme").figures
    own, shared = figures.pool("virtual_agent"), figures.pool(SHARED_POOL)
    assert (own.balance, shared.balance) == (70, -50)
    assert own.commitment is not None
    assert shared.commitment is None
    assert world.differences() == []


@pytest.mark.parametrize("pool", ["call", "screen_recording_storage", "no_such", "Contact_Center_Services", ""])
def test_pools_without_commitment(pool: str) -> None:
    """Credit is committed in the shared pool, and in those of products sold apart with commitment."""
    with pytest.raises(RefusedError) as refused:
        CommittedWorld().put(pool=pool)

    assert refused.value.code == "unknown_pool"


def test_a_product_without_commitment() -> None:
    """Whether a product of its own pool takes commitments is the product's setting."""
    world = CommittedWorld()
    hosting = Product("hosting", "Hosting", "day", Display("day", Decimal(1)), True, False, Meter.SUM)  # noqa: FBT003 - own pool, no commitment
    world.services.catalogue.put_product(hosting)
    with pytest.raises(RefusedError):
        world.put(pool="hosting")

    world.services.catalogue.put_product(replace(hosting, commit_available=True))

    assert world.put(pool="hosting").last_recharge_on == date(2026, 11, 10)


def test_unknown_accounts() -> None:
    """An account that does not exist has no commitments."""
    committing = CommittedWorld().services.committing

    with pytest.raises(RefusedError) as put:
        committing.put("nobody", SHARED_POOL, terms("1", "2026-11-10", "monthly", None, rollover=True), "me")
    with pytest.raises(RefusedError) as deleted:
        committing.delete("nobody", SHARED_POOL)

    assert (put.value.code, deleted.value.code) == ("not_found", "not_found")


def test_nothing_to_delete() -> None:
    """Where there never was a commitment there is none to delete."""
    with pytest.raises(RefusedError) as refused:
        CommittedWorld().delete()

    assert refused.value.code == "not_found"


def slept(rollover: bool = True) -> CommittedWorld:  # noqa: FBT001, FBT002 - the case
    """Return an account whose three recharges since November wait for the schedule."""
    world = CommittedWorld("2026-11-01T12:00:00Z")
    world.put(starts_on="2026-12-01", rollover=rollover)
    return world.at("2027-02-01T00:30:00Z")


RECHARGED = [
    ("recharge", "2026-12-01T00:00:00Z", "0", "1000"),
    ("recharge", "2027-01-01T00:00:00Z", "1000", "2000"),
    ("recharge", "2027-02-01T00:00:00Z", "2000", "3000"),
]


def test_concurrent_runs() -> None:
    """Two runs, the second at any step of the first, make each recharge once."""
    number = 0
    is_over = True
    while is_over:
        number += 1
        world = slept()
        one, other = world.another("a").jobs, world.another("b").jobs
        interruption = world.store.controller = Interruption(number, partial(other.run, "recharge-commitments"))

        assert one.run("recharge-commitments").failed == 0

        is_over = interruption.is_over
        world.store.settle()
        assert world.ledger() == RECHARGED
        assert world.differences() == []
    # at the least reading the index, the head, and the legs of the transaction
    assert number > 6


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.REQUEST_LOST])
@pytest.mark.parametrize("rollover", [True, False])
def test_a_run_that_is_cut_off(fault: Fault, rollover: bool) -> None:  # noqa: FBT001 - the case
    """A run that ends at any of its steps is finished by the next: each recharge once, each with its own date."""
    number, is_over, cut_off = 0, True, 0
    while is_over:
        number += 1
        world = slept(rollover)
        interruption = world.store.controller = Interruption(number, fault=fault)
        try:
            world.another("a").jobs.run("recharge-commitments")
        except (ClientCrashedError, OutcomeUnknownError):
            cut_off += 1
        is_over = interruption.is_over
        world.store.controller = Undisturbed()
        world.store.settle()

        for _ in range(4):
            world.run_all()

        made = [entry for entry in world.ledger() if entry[0] == "recharge"]
        assert [at for _, at, *_ in made] == [at for _, at, *_ in RECHARGED]
        assert world.committed("2027-02") == ("3000" if rollover else "1000")
        assert world.differences() == []
    assert number > 6
    assert cut_off > 0


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.CONTENTION])
def test_a_put_that_is_cut_off(fault: Fault) -> None:
    """A PUT sent again after it was cut off recharges today and grants a raise once."""
    number, is_over = 0, True
    while is_over:
        number += 1
        world = CommittedWorld()
        interruption = world.store.controller = Interruption(number, fault=fault)
        committing = world.another("a").committing
        for amount in ("1000", "1600", "1600"):
            wanted = terms(amount, "2026-11-10", "monthly", None, rollover=True)
            try:
                committing.put("acme", SHARED_POOL, wanted, "me")
            except ClientCrashedError:
                world.store.settle()
                committing.put("acme", SHARED_POOL, wanted, "me")
        is_over = interruption.is_over
        world.store.settle()

        # on the day of the recharge all of the raise
        assert [each[2:] for each in world.ledger()] == [("0", "1000"), ("1000", "1600")]
        assert world.differences() == []


def test_a_put_beside_another() -> None:
    """Two administrators who put the same at once agree on one recharge."""
    number, is_over = 0, True
    while is_over:
        number += 1
        world = CommittedWorld()
        wanted = terms("1000", "2026-11-10", "monthly", None, rollover=True)
        interruption = world.store.controller = Interruption(number, partial(put_as_b, world, wanted))

        world.another("a").committing.put("acme", SHARED_POOL, wanted, "a")

        is_over = interruption.is_over
        world.store.settle()
        put_as_b(world, wanted)
        assert world.ledger() == [("recharge", "2026-11-10T00:00:00Z", "0", "1000")]


def put_as_b(world: CommittedWorld, wanted: Terms) -> None:
    """Put a commitment as another process."""
    world.another("b").committing.put("acme", SHARED_POOL, wanted, "b")


def test_more_due_than_a_transaction_holds() -> None:
    """However much falls due together, an account goes on."""
    world = CommittedWorld()
    for number in range(100):
        gift = GrantRequest(SHARED_POOL, Decimal(1), date(2026, 11, 12), "gift")
        world.services.granting.grant("acme", gift, f"key {number}", "me")
    world.put(starts_on="2026-11-13")

    world.at("2026-11-13T00:00:00Z").run_all()
    world.use("1")

    assert world.committed() == "999"
    assert world.differences() == []


WAITING = Terms(Decimal("250.000000000001"), Frequency.ANNUAL, date(2024, 2, 29), date(2031, 2, 28), rollover=False)
RUNNING = Terms(Decimal(1000), Frequency.SEMIANNUAL, date(2026, 8, 31))


@pytest.mark.parametrize(
    "commitments",
    [
        (),
        (Commitment(SHARED_POOL, RUNNING, date(2026, 8, 31)),),
        (Commitment(SHARED_POOL, RUNNING, date(2026, 8, 31), is_deleted=True),),
        (
            Commitment(
                SHARED_POOL, RUNNING, date(2026, 9, 1), WAITING, date(2027, 2, 28), Decimal("1000.25"), is_deleted=False
            ),
            Commitment(
                "virtual_agent", WAITING, date(2026, 1, 1), None, date(2026, 2, 28), Decimal("250.000000000001")
            ),
        ),
    ],
)
def test_heads_keep_commitments(commitments: tuple[Commitment, ...]) -> None:
    """A head is read as it was written, commitments and all."""
    head = CommittedWorld().services.heads.load("acme")
    assert head is not None
    head = replace(head, state=replace(head.state, commitments=commitments))

    assert head == decode_head(encode_head(head))


def test_heads_are_found_when_a_recharge_is_due() -> None:
    """A head stands in the index of due work at the time of its next recharge."""
    world = CommittedWorld(timezone="Pacific/Kiritimati")
    world.put(starts_on="2026-11-20")

    item = world.store.get(Table.STATE, keys.head("acme"))

    assert item is not None
    assert item.due_at == parse_instant("2026-11-19T10:00:00Z")


def test_heads_of_before() -> None:
    """A head that was written before there were commitments has none."""
    world = CommittedWorld()
    world.use("5")
    head = world.services.heads.load("acme")
    item = world.store.get(Table.STATE, keys.head("acme"))
    assert item is not None
    assert item.body is not None
    inflated = zlib.decompressobj(wbits=-15, zdict=heads._DICTIONARY).decompress(item.body[1:])
    before = msgspec.msgpack.decode(inflated)[:9]

    body = item.body[:1] + _deflated(before)

    assert head == decode_head(replace(item, body=body))
    world.store.put(Table.STATE, replace(item, body=body))
    world.put("3")
    assert world.ledger() == [("recharge", "2026-11-10T00:00:00Z", "-5", "-2")]


def _deflated(packed: list[Any]) -> bytes:
    compressor = zlib.compressobj(wbits=-15, zdict=heads._DICTIONARY)
    return compressor.compress(msgspec.msgpack.encode(packed)) + compressor.flush()


def test_a_recharge_made_later_in_its_day() -> None:
    """Due at midnight and made at noon, it begins with the balance that what happened in between has left."""
    world = CommittedWorld()
    world.services.granting.grant("acme", GrantRequest(SHARED_POOL, Decimal(80), None, "welcome"), "k", "me")
    world.use("30")

    world.put("50")

    # 80 - 30 = 50, and then 50 more
    assert ("recharge", "2026-11-10T00:00:00Z", "50", "100") in world.ledger()
    assert world.differences() == []


def test_movements_of_one_instant_stand_as_they_came() -> None:
    """What a person raises after a grant of the same instant comes after it in the ledger."""
    world = CommittedWorld()
    world.put("50")
    world.services.granting.grant("acme", GrantRequest(SHARED_POOL, Decimal(100), None, "more"), "k", "me")
    world.put("80")

    assert [(kind, after) for kind, _, _, after in world.ledger()] == [
        ("recharge", "50"),
        ("grant", "150"),
        ("recharge", "180"),
    ]


def test_heads_do_not_grow() -> None:
    """Recharges of years leave no trace in the head but the credit that is left."""
    world = CommittedWorld("2024-01-31T12:00:00Z")
    world.put(starts_on="2024-01-31", rollover=False)
    for month in range(1, 25):
        world.at(f"{2024 + month // 12}-{month % 12 + 1:02}-28T12:00:00Z").run_all()

    head = world.services.heads.load("acme")
    assert isinstance(head, Head)
    assert (len(head.state.commitments), len(head.state.grants)) == (1, 1)
