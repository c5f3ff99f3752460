"""What a simulation prints: totals, money by currency, what was told, what the jobs cost, and the invariants."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.table import Table

from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import ZERO, exact, format_money
from chalicelib.local.simulation.checks import INVARIANTS
from chalicelib.local.simulation.simulate import EVENTS, PEOPLE
from chalicelib.payments.gateway import PaymentState


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from rich.console import Console

    from chalicelib.local.simulation.checks import Books, Findings
    from chalicelib.local.simulation.simulate import Cost, Outcome
    from chalicelib.payments.sandbox import SandboxPayment

VIOLATIONS_SHOWN_MAX: Final = 20
DETAIL_CHARACTERS_MAX: Final = 500
WIDTH_MIN: Final = 100

_LOSES_ANSWERS: Final = "tok_error"
_BOUGHT: Final = (EntryKind.PURCHASE, EntryKind.AUTO_RECHARGE)


class Money(NamedTuple):
    """What became of money in one currency: *granted* is promotional credit, *taken_back* of it was voided."""

    charged: Decimal = ZERO
    invoiced: Decimal = ZERO
    committed: Decimal = ZERO
    granted: Decimal = ZERO
    bought: Decimal = ZERO
    expired: Decimal = ZERO
    taken_back: Decimal = ZERO

    def plus(self, other: Money) -> Money:
        """Return both together."""
        return Money(*(one + another for one, another in zip(self, other, strict=True)))


class Payments(NamedTuple):
    """How many payments succeeded, were declined, or left their outcome open at first and were settled later."""

    succeeded: int
    declined: int
    settled_later: int


class Totals(NamedTuple):
    """What a simulation comes to: the same for the same seed, whatever the store."""

    accounts: int
    sent: int
    answers: dict[str, int]
    refused: dict[str, int]
    dismissed: int
    jobs_done: dict[str, int]
    published: dict[str, int]
    invoices: int
    payments: Payments
    money: dict[str, Money]


def totals_of(outcome: Outcome) -> Totals:
    """Add up what came of a simulation."""
    return Totals(
        accounts=len(outcome.books),
        sent=outcome.sent,
        answers=dict(outcome.answers),
        refused=dict(outcome.refused),
        dismissed=outcome.dismissed,
        jobs_done=dict(outcome.jobs_done),
        published=dict(outcome.published),
        invoices=sum(len(books.invoices) for books in outcome.books),
        payments=_payments(outcome.payments),
        money=_money(outcome.books),
    )


def print_report(outcome: Outcome, console: Console) -> None:
    """Print all tables, and the first of the violations in full."""
    totals = totals_of(outcome)
    for table in (
        _fleet_table(outcome, totals),
        _money_table(totals),
        _told_table(totals),
        _cost_table(outcome),
        _invariant_table(outcome.findings),
    ):
        console.print(table)
    for violation in outcome.findings.violations[:VIOLATIONS_SHOWN_MAX]:
        detail = violation.detail[:DETAIL_CHARACTERS_MAX]
        console.print(f"{violation.invariant}: {violation.subject}: {detail}", markup=False, highlight=False)
    left = len(outcome.findings.violations) - VIOLATIONS_SHOWN_MAX
    if left > 0:
        console.print(f"... and {left} more")


def _payments(payments: Sequence[SandboxPayment]) -> Payments:
    states = Counter(payment.outcome.state for payment in payments)
    lost = [payment for payment in payments if payment.request.token == _LOSES_ANSWERS]
    settled_later = sum(payment.outcome.state is PaymentState.SUCCEEDED for payment in lost)
    return Payments(states[PaymentState.SUCCEEDED], states[PaymentState.DECLINED], settled_later)


@exact
def _money(all_books: Iterable[Books]) -> dict[str, Money]:
    money: dict[str, Money] = defaultdict(Money)
    for books in all_books:
        money[books.currency] = money[books.currency].plus(_money_of(books))
    return dict(sorted(money.items()))


def _money_of(books: Books) -> Money:
    moved: dict[EntryKind, Decimal] = defaultdict(lambda: ZERO)
    for entry in books.entries:
        moved[entry.kind] += entry.amount
    return Money(
        charged=sum((row.amount for figures in books.figures for row in figures.products), ZERO),
        invoiced=sum((invoice.total for invoice in books.invoices), ZERO),
        committed=moved[EntryKind.RECHARGE],
        granted=moved[EntryKind.GRANT],
        bought=sum((moved[kind] for kind in _BOUGHT), ZERO),
        expired=-moved[EntryKind.EXPIRY],
        taken_back=-moved[EntryKind.VOID],
    )


def _fleet_table(outcome: Outcome, totals: Totals) -> Table:
    table = Table("Fleet", title=f"seed {outcome.plan.seed}", title_justify="left")
    table.add_column("", justify="right")
    answers = dict(totals.answers)
    accepted, duplicates = answers.pop("accepted", 0), answers.pop("duplicate", 0)
    units = [cost.units for cost in outcome.costs.values()]
    writes, reads = sum(used.write_units for used in units), sum(used.read_units for used in units)
    posting = outcome.costs[EVENTS].units
    each = max(accepted, 1)
    for name, value in (
        ("accounts", f"{totals.accounts:,}"),
        ("days", f"{outcome.plan.span.days:,}"),
        ("events sent", f"{totals.sent:,}"),
        ("  accepted", f"{accepted:,}"),
        ("  duplicates", f"{duplicates:,}"),
        ("  rejected", f"{sum(answers.values()):,} ({_listed(answers)})"),
        ("invoices", f"{totals.invoices:,}"),
        ("payments succeeded", f"{totals.payments.succeeded:,}"),
        ("  of unknown outcome at first", f"{totals.payments.settled_later:,}"),
        ("payments declined", f"{totals.payments.declined:,}"),
        ("requests refused", f"{sum(totals.refused.values()):,} ({_listed(totals.refused)})"),
        ("write units", f"{writes:,}"),
        ("  per event, of posting", f"{posting.write_units / each:.3f}"),
        ("  per event, of all", f"{writes / each:.3f}"),
        ("read units", f"{reads:,.1f}"),
        ("  per event, of posting", f"{posting.read_units / each:.3f}"),
        ("  per event, of all", f"{reads / each:.3f}"),
    ):
        table.add_row(name, value)
    return table


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _money_table(totals: Totals) -> Table:
    table = Table("Money")
    for currency in totals.money:
        table.add_column(currency, justify="right")
    for name in Money._fields:
        amounts = (format_money(getattr(money, name), currency) for currency, money in totals.money.items())
        table.add_row(name.replace("_", " "), *amounts)
    return table


def _told_table(totals: Totals) -> Table:
    table = Table("Published")
    table.add_column("", justify="right")
    for name, count in sorted(totals.published.items()):
        table.add_row(name, f"{count:,}")
    table.add_row("warnings dismissed", f"{totals.dismissed:,}")
    return table


def _cost_table(outcome: Outcome) -> Table:
    table = Table("What the service did")
    for column in ("runs", "done", "seconds", "ms a run", "write units", "read units"):
        table.add_column(column, justify="right")
    for name, cost in outcome.costs.items():
        done = "" if name in {EVENTS, PEOPLE} else f"{outcome.jobs_done[name]:,}"
        table.add_row(name, f"{cost.runs:,}", done, *_cost_cells(cost))
    return table


def _cost_cells(cost: Cost) -> tuple[str, ...]:
    milliseconds = 1000 * cost.seconds / max(cost.runs, 1)
    units = cost.units
    return f"{cost.seconds:.1f}", f"{milliseconds:.1f}", f"{units.write_units:,}", f"{units.read_units:,.1f}"


def _invariant_table(findings: Findings) -> Table:
    table = Table("Invariant")
    for column in ("checked", "violated"):
        table.add_column(column, justify="right")
    violated = Counter(violation.invariant for violation in findings.violations)
    for name in INVARIANTS:
        table.add_row(name, f"{findings.checked[name]:,}", f"{violated[name]:,}")
    return table
