"""Recorded events: their pages are there and listed in both indexes, each is counted once and rated right."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chalicelib.domain.instants import DAY, format_instant
from chalicelib.services.audit.findings import Kind, name_event
from chalicelib.services.audit.repeats import Repeats
from chalicelib.storage.pages import first_version_beyond_pages, name_page


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.charges import Charge
    from chalicelib.services.audit.findings import Findings
    from chalicelib.services.audit.look import Look
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.heads import Head, Span
    from chalicelib.storage.pages import ListedPage, Pages
    from chalicelib.storage.takings import Taking


class PageReader:
    """Reads the takings after an opening, in the order of charging, and checks the pages they are in on the way."""

    def __init__(self, pages: Pages, look: Look, findings: Findings) -> None:
        """Read *pages* as of *look*."""
        self._pages = pages
        self._look = look
        self._findings = findings
        self._known: set[bytes] = set()
        self._expected: dict[int, set[tuple[bytes, Span]]] = defaultdict(set)

    def takings(self, opening: Head) -> Iterator[Taking]:
        """Yield what was taken after *opening* and up to the head that was looked at."""
        head = self._look.head
        versions = range(opening.version + 1, first_version_beyond_pages(head))
        for page in self._pages.listed(opening, head, self._look.last_period):
            if page.version <= head.version:
                for taking in self._read(page, opening):
                    if taking.version in versions:
                        yield taking
        yield from (taking for taking in head.tail if taking.version > opening.version)

    def check_index_by_time(self, opening: Head) -> None:
        """Compare the index by event time with the pages read, on the days of their events."""
        for day, expected in sorted(self._expected.items()):
            listed = set(self._pages.listed_by_time(self._look.account, day))
            for page_id, span in sorted(expected - listed):
                where = f"events from {format_instant(span.first)} to {format_instant(span.last)}"
                self._findings.add(Kind.INDEX, f"page {page_id.hex()}", f"is not listed by time for its {where}")
            for page_id in sorted({page_id for page_id, _ in listed} - self._known):
                self._check_unlisted(page_id, opening)

    def _read(self, page: ListedPage, opening: Head) -> tuple[Taking, ...]:
        name = f"page {page.id.hex()}"
        self._known.add(page.id)
        takings = self._pages.read(self._look.account, page.id)
        if takings is None:
            self._findings.add(Kind.LOST_PAGE, name, "counts but is not in the store")
            return ()
        if page.is_named:
            return takings
        written = name_page(page.id, takings)
        if (page.at, page.version) != (written.at, written.version):
            self._findings.add(Kind.INDEX, name, f"is listed for version {page.version} but holds {written.version}")
        for period in written.periods:
            if period >= opening.state.oldest_open and period not in page.periods:
                self._findings.add(Kind.INDEX, name, f"is not listed by charge for {period}")
        for span in written.spans:
            self._expected[span.last // DAY].add((page.id, span))
        return takings

    def _check_unlisted(self, page_id: bytes, opening: Head) -> None:
        """Tell of a page that is listed by time but not by charge, unless that is because of its age."""
        takings = self._pages.read(self._look.account, page_id) or ()
        versions = range(opening.version + 1, first_version_beyond_pages(self._look.head))
        if any(taking.version in versions for taking in takings):
            self._findings.add(Kind.INDEX, f"page {page_id.hex()}", "is listed by time but not by charge")


class EventChecks:
    """Checks that hold of every event by itself."""

    def __init__(self, catalogue: Catalogue, look: Look, findings: Findings) -> None:
        """Judge by the rates of *catalogue*."""
        self._catalogue = catalogue
        self._calendar = look.head.state.account.calendar
        self._findings = findings
        self._repeats = Repeats(findings)

    def check(self, taking: Taking) -> None:
        """Check the events of a taking; takings come in the order of charging."""
        for charge in taking.charges:
            if charge.is_taken_event:
                self._repeats.check(charge.event, taking.at)
            self._check_rate(charge)

    def _check_rate(self, charge: Charge) -> None:
        event, rate = charge.event, charge.rate
        try:
            table = self._catalogue.table(rate.card, rate.revision)
        except KeyError:
            detail = f"is priced by {rate.card} of {rate.revision.effective_from}, whose rows are not in the store"
            self._findings.add(Kind.RATE, name_event(event), detail)
            return
        row = table.rows[rate.row] if rate.row < len(table.rows) else None
        if row is None or (row.price_per_increment, row.increment) != (rate.price_per_increment, rate.increment):
            self._findings.add(Kind.RATE, name_event(event), "is not priced as its rate row says")
            return
        is_number_kept = event.number is None or len(event.number) >= table.rated_digits(event.resource)
        if row.resource != event.resource or (is_number_kept and table.match(event) != rate):
            self._findings.add(Kind.RATE, name_event(event), f"is priced by row {rate.row}, which is not its own")
        elif self._calendar.start_of_day(rate.revision.effective_from) > event.time:
            detail = f"is older than its rate, which is in force from {rate.revision.effective_from}"
            self._findings.add(Kind.RATE, name_event(event), detail)
