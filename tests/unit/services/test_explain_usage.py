"""From a row of the tab to its interactions."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.charges import Role
from chalicelib.domain.instants import SECOND
from chalicelib.domain.periods import Period
from chalicelib.services import explain_usage
from chalicelib.services.errors import RefusedError
from tests.unit.services.story import ACCOUNT, STORAGE, Story, use


if TYPE_CHECKING:
    from chalicelib.services.explain_usage import Explained, Explanations
    from chalicelib.storage.pages import Position


@pytest.fixture
def story() -> Story:
    """Give the account on 10 November 2026."""
    story = Story()
    story.go_to("2026-11-10T12:00:00Z")
    return story


def page(story: Story, resource: str = "call", limit: int = 50, before: Position | None = None) -> Explanations:
    """Return a page of the list of the month shown."""
    return story.services.explaining.explain(ACCOUNT, resource, None, limit, before)


def names(items: tuple[Explained, ...]) -> list[str]:
    """Return the ids of events."""
    return [item.charge.event.id for item in items]


class TestItems:
    """What is told of an interaction."""

    def test_how_it_was_charged(self, story: Story) -> None:
        """A call to Seattle of 121 s is billed as 126, 100 are free, 26 cost 0.0065, of which 0.005 is paid."""
        grant = story.grant("0.005")
        story.take(use("c", "2026-11-10T11:00:00Z", "121", number="12065550100"))

        (item,) = page(story).items
        charge = item.charge
        assert (charge.billed, charge.free, charge.amount) == (Decimal(126), Decimal(100), Decimal("0.0065"))
        assert [(paid.grant, paid.amount) for paid in charge.payments] == [(grant, Decimal("0.005"))]
        assert item.rate_row.description == "Calls to Seattle"
        assert charge.rate.row == 1
        assert charge.event.number == "1206"
        assert item.taken_at == story.clock.now()

    def test_samples_peaks_and_reversals(self, story: Story) -> None:
        """A storage product lists its samples and how the peak was charged and replaced, the last first."""
        story.take(use("s", "2026-11-09T11:00:00Z", "12", STORAGE))
        story.go_to("2026-11-28T01:00:00Z")
        story.take(use("t", "2026-11-20T11:00:00Z", "22", STORAGE))

        items = page(story, STORAGE).items
        assert [(item.charge.event.id, item.charge.role) for item in items] == [
            ("t", Role.PEAK),
            ("s", Role.REVERSAL),
            ("t", Role.SAMPLE),
            ("s", Role.PEAK),
            ("s", Role.SAMPLE),
        ]

    def test_a_peak_that_is_due_is_listed_as_it_is_going_to_be(self, story: Story) -> None:
        """Before the job has run the peak stands where its charge is going to be recorded, and comes once."""
        story.take(use("s", "2026-11-09T11:00:00Z", "12", STORAGE))
        story.go_to("2026-11-28T01:00:00Z", run_jobs=False)

        first = page(story, STORAGE, limit=1)
        assert first.items[0].charge.role is Role.PEAK
        story.go_to("2026-11-28T01:00:00Z")
        assert [item.charge.role for item in page(story, STORAGE, 1, first.rest).items] == [Role.SAMPLE]


class TestPaging:
    """Page by page, the last first."""

    @pytest.mark.parametrize("seed", range(8))
    def test_what_arrives_meanwhile_moves_nothing(self, story: Story, seed: int) -> None:
        """However events arrive between two pages, what was there at the beginning comes once, in order."""
        random = Random(seed)
        taken: list[str] = []

        def arrive() -> None:
            count = random.choice((1, 1, 1, 2, 7, 30, 120))
            story.clock.pass_by(random.choice((0, 1, 90)) * SECOND)
            batch = [f"{len(taken) + place}" for place in range(count)]
            now = story.clock.now()
            resources = [random.choice(("call", "call", "message")) for _ in batch]
            story.take(
                *(
                    use(name, now - count + int(name) - len(taken), "1", resource)
                    for name, resource in zip(batch, resources, strict=True)
                )
            )
            taken.extend(name if resource == "call" else "" for name, resource in zip(batch, resources, strict=True))

        for _ in range(12):
            arrive()
        expected = [name for name in reversed(taken) if name]
        seen: list[str] = []
        before = None
        while True:
            found = page(story, limit=random.choice((1, 5, 50)), before=before)
            seen += names(found.items)
            before = found.rest
            if before is None:
                break
            if random.random() < 0.5:
                arrive()
        assert seen == expected

    def test_a_page_does_not_read_the_month(self, story: Story) -> None:
        """The first page of a large month reads one page of events, whatever the month holds."""
        for number in range(30):
            now = story.clock.now()
            story.take(*(use(f"{number}-{place}", now - place) for place in range(100)))
            story.clock.pass_by(60 * SECOND)

        before = story.store.read_units
        assert len(page(story).items) == 50
        assert story.store.read_units - before < 12

    def test_a_rare_product_is_looked_for_in_steps(self, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
        """A list stops after many charges of other products, and goes on from there."""
        monkeypatch.setattr(explain_usage, "CHARGES_LOOKED_AT_MAX", 40)
        story.take(use("rare", "2026-11-10T10:00:00Z", resource="message"))
        story.take(*(use(f"c{place}", "2026-11-10T11:00:00Z") for place in range(100)))

        first = page(story, "message")
        second = page(story, "message", before=first.rest)
        third = page(story, "message", before=second.rest)
        assert [names(found.items) for found in (first, second, third)] == [[], [], ["rare"]]
        assert third.rest is None

    def test_a_list_goes_on_in_its_month(self, story: Story) -> None:
        """What was taken for the next month while this one awaits its invoice is not in this one's list."""
        story.take(use("a", "2026-11-10T11:00:00Z"))
        story.go_to("2026-12-01T00:30:00Z", run_jobs=False)
        story.take(use("b", "2026-12-01T00:10:00Z"), use("c", "2026-11-30T23:00:00Z"))

        assert names(page(story).items) == ["c", "a"]
        december = story.services.explaining.explain(ACCOUNT, "call", Period(2026, 12), 50)
        assert names(december.items) == ["b"]


class TestRefusals:
    """What there is no list of."""

    def test_an_unknown_product_is_not_found(self, story: Story) -> None:
        """There is a list of every product of the catalogue and of no other."""
        assert page(story, "chat").items == ()
        with pytest.raises(RefusedError) as refused:
            page(story, "fax")
        assert refused.value.code == "not_found"
