"""Whatever happens to an account: reports, series and explained interactions add up to its tab."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.instants import DAY, HOUR, MINUTE, Instant
from chalicelib.domain.series import Granularity
from chalicelib.domain.storage_peak import peak_due_at, window_period
from chalicelib.services.errors import RefusedError
from chalicelib.services.write_reports import ReportKind
from chalicelib.storage.pages import Pages
from chalicelib.storage.rollups import Rollups
from tests.unit.services.story import ACCOUNT, SHARED, STORAGE, Story, total, use


if TYPE_CHECKING:
    from chalicelib.domain.figures import ProductFigures
    from chalicelib.domain.periods import Period
    from chalicelib.storage.pages import Position

RESOURCES = ("call", "message", "virtual_agent", STORAGE)


class Batch(NamedTuple):
    """Uses of products, each some hours before they are sent together."""

    uses: list[tuple[str, int, int]]


class Credit(NamedTuple):
    """Promotional credit."""

    pool: str
    cents: int


class Wait(NamedTuple):
    """Some hours pass, or all until the next peak is charged; the schedules run at their end or are late."""

    hours: int | None
    run_jobs: bool


happenings = st.lists(
    st.builds(
        Batch,
        st.lists(
            st.tuples(
                st.sampled_from((*RESOURCES, STORAGE)),
                st.integers(0, 3000),
                st.integers(0, 30 * 24) | st.integers(0, 30),
            ),
            min_size=1,
            max_size=12,
        ),
    )
    | st.builds(Credit, st.sampled_from((SHARED, "virtual_agent", STORAGE)), st.integers(1, 4000))
    | st.builds(Wait, st.none() | st.integers(0, 20 * 24) | st.integers(0, 3), st.booleans()),
    min_size=3,
    max_size=14,
)
zones = st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati", "Africa/Cairo"])


def next_peak(story: Story) -> Instant:
    """Return when the next storage peak is charged."""
    calendar = story.services.accounts.get(ACCOUNT).calendar
    return peak_due_at(calendar, window_period(calendar, story.clock.now()))


def live(story: Story, history: list[Batch | Credit | Wait]) -> None:
    """Let everything happen, and read the months now and then."""
    for number, what in enumerate(history):
        if number % 2:
            roll_up(story)
        if isinstance(what, Wait):
            end = next_peak(story) if what.hours is None else story.clock.now() + what.hours * HOUR
            story.go_to(end, run_jobs=what.run_jobs)
        elif isinstance(what, Credit):
            story.grant(str(Decimal(what.cents).scaleb(-2)), what.pool)
        else:
            now = story.clock.now()
            story.take(
                *(
                    use(
                        f"{number}-{place}", now - hours * HOUR - place * MINUTE, str(Decimal(size).scaleb(-1)), product
                    )
                    for place, (product, size, hours) in enumerate(what.uses)
                )
            )


def roll_up(story: Story) -> None:
    """Read the month that the tab shows and the one before it as a process does that keeps the sums of a few events."""
    head = story.services.heads.load(ACCOUNT)
    assert head is not None
    rollups = Rollups(story.store, Pages(story.store, story.clock.now, 800 * DAY), events_min=3)
    for period in (head.state.oldest_open.previous, head.state.oldest_open):
        rollups.hourly_usage(head, period)


def explained(story: Story, resource: str, period: Period) -> list[Charge]:
    """Return all charges of a product that its list shows, three at a time."""
    charges: list[Charge] = []
    before: Position | None = None
    while True:
        page = story.services.explaining.explain(ACCOUNT, resource, period, 3, before)
        charges += [item.charge for item in page.items]
        before = page.rest
        if before is None:
            return charges


def assert_reports_add_up(story: Story, period: Period, products: dict[str, ProductFigures]) -> None:
    """Compare both reports with the tab."""
    cost = story.report(ReportKind.COST, period)
    transactions = story.report(ReportKind.TRANSACTIONS, period)
    for resource, row in products.items():
        assert total(cost, "Charged amount")[resource] == row.amount
        assert total(cost, "Quantity")[resource] == row.quantity
        assert total(transactions, "Transaction amount", Transaction_type="credit")[resource] == row.credits
        assert total(transactions, "Transaction amount", Transaction_type="debit")[resource] == row.to_be_invoiced
        assert not total(transactions, "Transaction amount", Transaction_type="free_units")[resource]
    assert {row["Usage type"] for row in (*cost, *transactions)} <= set(products)


def assert_series_add_up(story: Story, period: Period, products: dict[str, ProductFigures]) -> None:
    """Compare all series with the tab."""
    for granularity in Granularity:
        series = story.services.series.series(ACCOUNT, period, granularity)
        assert [shown.product.resource for shown in series.products] == list(products)
        for shown, row in zip(series.products, products.values(), strict=True):
            assert sum((bucket.amount for bucket in shown.buckets), Decimal(0)) == row.amount
            assert sum((bucket.quantity for bucket in shown.buckets), Decimal(0)) == row.quantity
            assert all(bucket.amount >= 0 for bucket in shown.buckets)


def assert_interactions_add_up(story: Story, period: Period, products: dict[str, ProductFigures]) -> None:
    """Compare the interactions of each product with its row."""
    for resource in RESOURCES:
        charges = explained(story, resource, period)
        assert {charge.event.resource for charge in charges} <= {resource}
        row = products.get(resource)
        for name, total_of in (("amount", "amount"), ("billed", "billed")):
            added = sum((charge.sign * getattr(charge, name) for charge in charges), Decimal(0))
            assert added == (getattr(row, total_of) if row else 0)
        taken = [charge.event.identity for charge in charges if charge.role in (Role.EVENT, Role.SAMPLE)]
        assert len(taken) == len(set(taken))


@settings(max_examples=80)
@given(zones, happenings)
def test_everything_adds_up_to_the_tab(zone: str, history: list[Batch | Credit | Wait]) -> None:
    """For every month, open, closing or invoiced, what is shown in detail is what the tab shows in sum."""
    story = Story(zone, "2026-10-20T12:00:00Z")
    live(story, history)

    month = story.services.usage.tab(ACCOUNT).figures.period.previous.previous
    seen = 0
    for _ in range(5):
        try:
            figures = story.services.usage.tab(ACCOUNT, month).figures
        except RefusedError:
            pass
        else:
            products = {product.resource: product for product in figures.products}
            assert_reports_add_up(story, month, products)
            assert_series_add_up(story, month, products)
            assert_interactions_add_up(story, month, products)
            seen += 1
        month = month.next
    assert seen
