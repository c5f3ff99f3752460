"""Reports as people download them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from chalicelib.domain.commitments import Frequency, Terms
from chalicelib.domain.periods import Period
from chalicelib.services.errors import BusyError, RefusedError
from chalicelib.services.write_reports import ReportKind
from chalicelib.storage import keys
from chalicelib.storage.items import Table
from tests.unit.services.story import ACCOUNT, SHARED, STORAGE, Story, total, use


NOVEMBER = Period(2026, 11)
COST, TRANSACTIONS = ReportKind


@pytest.fixture
def story() -> Story:
    """Give the account on 10 November 2026."""
    story = Story()
    story.go_to("2026-11-10T12:00:00Z")
    return story


def content(story: Story, kind: ReportKind = COST) -> str:
    """Return the report of the month shown."""
    text = story.services.reports.report(ACCOUNT, kind, None).content
    assert text is not None
    return text


class TestFormat:
    """What the file looks like."""

    def test_a_report_to_the_letter(self, story: Story) -> None:
        """The first 100 s are free: of 126 s billed 26 cost 0.0065; the file has a mark, CRLF and all columns."""
        story.take(
            use("c", "2026-11-10T11:00:00Z", "121", number="12065550100", direction="outbound", interaction_id="i-1")
        )

        assert content(story) == (
            "\ufeffInteraction ID,Charge time,Occurred at,Usage type,Rate description,Subtype,Direction,Resolution,"
            "Contact number,Contact number country,Quantity,Unit of measure,Charged amount,Currency\r\n"
            "i-1,2026-11-10T12:00:00Z,2026-11-10T11:00:00Z,call,Calls to Seattle,,outbound,,"
            "1206****,,121,second,0.0065,EUR\r\n"
        )

    def test_a_month_without_usage_is_its_header(self, story: Story) -> None:
        """There is a report of nothing."""
        assert content(story, TRANSACTIONS).count("\r\n") == 1

    def test_hostile_texts_are_cells(self, story: Story) -> None:
        """Quotes, commas, line ends and formulas stay within their cells, none runs, and numbers stay numbers."""
        texts = ["=cmd|' /C calc'!A0", 'a"b,c', "one\r\ntwo", "-2+3", "\t=1", ' "=1']
        story.take(
            *(
                use(str(place), "2026-11-10T11:00:00Z", "0.5", "message", interaction_id=text, type=text)
                for place, text in enumerate(texts)
            )
        )

        rows = story.report()
        assert sorted(row["Interaction ID"] for row in rows) == sorted(
            ["'=cmd|' /C calc'!A0", 'a"b,c', "one\r\ntwo", "'-2+3", "'\t=1", "' \"=1"]
        )
        assert [row["Subtype"] for row in rows] == [row["Interaction ID"] for row in rows]
        assert {row["Rate description"] for row in rows} == {"'=Messages"}
        assert {row["Quantity"] for row in rows} == {"0.5"}

    def test_no_full_number_is_anywhere(self, story: Story) -> None:
        """Of a contact number only the digits that rate are left."""
        story.take(use("c", "2026-11-10T11:00:00Z", number="12065550100"))

        for kind in ReportKind:
            assert "5550100" not in content(story, kind)


class TestTransactions:
    """Who paid what."""

    def test_credit_that_comes_later_pays_a_debit(self, story: Story) -> None:
        """A message costs 0.50 of which 0.20 is paid; 0.10 that comes later pays of the debit and names its entry."""
        first = story.grant("0.20")
        story.take(use("m", "2026-11-10T11:00:00Z", resource="message"))
        story.go_to("2026-11-11T12:00:00Z")
        later = story.grant("0.10")

        rows = story.report(TRANSACTIONS)
        assert [(row["Transaction type"], row["Transaction amount"]) for row in rows] == [
            ("free_units", "0.00"),
            ("credit", "0.20"),
            ("debit", "0.30"),
            ("credit", "0.10"),
            ("debit", "-0.10"),
        ]
        assert [row["Charged amount"] for row in rows] == ["0.50", "0.50", "0.50", "0.00", "0.00"]
        entries = [entry for _, entry in story.services.records.ledger(ACCOUNT)]
        named = [entry.id for entry in entries if entry.grant == later]
        assert [row["Rate description"] for row in rows[3:]] == named * 2
        assert first != later
        assert rows[3]["Charge time"] == "2026-11-11T12:00:00Z"
        assert len(story.report(COST)) == 1

    def test_a_recharge_that_is_due_shows_before_its_job_has_run(self, story: Story) -> None:
        """The report agrees with the tab, which carries out for its reader what is due."""
        terms = Terms(Decimal("0.20"), Frequency.ANNUAL, starts_on=date(2026, 11, 12))
        story.services.committing.put(ACCOUNT, SHARED, terms, actor="test")
        story.take(use("m", "2026-11-10T11:00:00Z", resource="message"))
        story.go_to("2026-11-13T12:00:00Z", run_jobs=False)

        before = story.report(TRANSACTIONS)
        assert total(before, "Transaction amount", Transaction_type="credit") == {"message": Decimal("0.20")}
        assert total(before, "Transaction amount", Transaction_type="debit") == {"message": Decimal("0.30")}
        story.go_to("2026-11-13T12:00:00Z")
        after = story.report(TRANSACTIONS)
        assert [row["Rate description"] for row in after] == [row["Rate description"] for row in before]

    def test_a_peak_that_is_outdone_after_credit_paid_for_it(self, story: Story) -> None:
        """12 GB cost 1.00, paid by credit that came later; 22 GB then cost 2.00, of which it still pays 1.00."""
        story.take(use("s", "2026-11-09T11:00:00Z", "12", STORAGE))
        story.go_to("2026-11-28T01:00:00Z")
        story.grant("1", STORAGE)
        story.take(use("t", "2026-11-20T11:00:00Z", "22", STORAGE))

        rows = story.report(TRANSACTIONS)
        assert [(row["Quantity"], row["Transaction type"], row["Transaction amount"]) for row in rows] == [
            ("12", "free_units", "0.00"),
            ("12", "debit", "1.00"),
            ("0", "credit", "1.00"),
            ("0", "debit", "-1.00"),
            ("-12", "free_units", "0.00"),
            ("-12", "credit", "-1.00"),
            ("22", "free_units", "0.00"),
            ("22", "credit", "1.00"),
            ("22", "debit", "1.00"),
        ]
        assert [row["Charged amount"] for row in story.report(COST)] == ["1.00", "-1.00", "2.00"]


class TestMonths:
    """Which months there are reports of."""

    def test_a_late_event_is_in_the_month_that_it_is_charged_in(self, story: Story) -> None:
        """An event of November that comes in December belongs to December's report."""
        story.go_to("2026-12-02T12:00:00Z")
        story.take(use("late", "2026-11-20T11:00:00Z"))

        assert [row["Occurred at"] for row in story.report()] == ["2026-11-20T11:00:00Z"]
        assert story.report(COST, NOVEMBER) == []

    @pytest.mark.parametrize("period", [Period(2026, 10), Period(2026, 12)])
    def test_there_is_none_of_other_months(self, story: Story, period: Period) -> None:
        """A month before the account or in the future is not found, here as for the tab."""
        for ask in (story.services.reports.report, lambda *_: story.services.usage.tab(ACCOUNT, period)):
            with pytest.raises(RefusedError) as refused:
                ask(ACCOUNT, COST, period)
            assert refused.value.code == "not_found"

    def test_usage_that_is_not_kept_is_gone(self, story: Story) -> None:
        """After the months that usage is kept its reports are gone, though the invoice stays."""
        story.take(use("c", "2026-11-10T11:00:00Z"))
        story.go_to("2028-11-29T00:00:00Z")
        assert len(story.report(COST, NOVEMBER)) == 1

        story.go_to("2028-12-29T00:00:00Z")
        with pytest.raises(RefusedError) as refused:
            story.services.reports.report(ACCOUNT, COST, NOVEMBER)
        assert refused.value.code == "gone"
        assert story.services.usage.tab(ACCOUNT, NOVEMBER).figures.products

    def test_a_report_that_does_not_add_up_is_not_handed_out(self, story: Story) -> None:
        """Where something that paid cannot be seen yet, the account is looked at again, and then found busy."""
        story.take(use("m", "2026-11-10T11:00:00Z", resource="message"))
        story.grant("0.10")
        lower, upper = keys.ledger_range(None, None)
        (item,) = story.store.query(Table.STATE, keys.account_partition(ACCOUNT), lower, upper)
        entry = {**msgspec.json.decode((item.body or b"")[1:]), "settled": []}
        story.store.put(Table.STATE, replace(item, body=b"\x01" + msgspec.json.encode(entry)))

        with pytest.raises(BusyError):
            story.services.reports.report(ACCOUNT, TRANSACTIONS, None)
