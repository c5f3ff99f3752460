"""Auditing accounts, and looking again at what seems wrong before it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.domain.money import exact
from chalicelib.services.audit.events import EventChecks, PageReader
from chalicelib.services.audit.findings import Finding, Findings
from chalicelib.services.audit.ledger import check_invoices, check_ledger, check_snapshots
from chalicelib.services.audit.look import commits_in, look_at
from chalicelib.services.audit.payments import check_payments
from chalicelib.services.audit.recount import Recount
from chalicelib.services.audit.replay import Replay
from chalicelib.services.manage_accounts import unknown_account


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services.audit.look import Look
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.heads import Head
    from chalicelib.storage.pages import Pages
    from chalicelib.storage.payments import Payments
    from chalicelib.storage.records import Records


LOOKS: Final = 3
"""What is told all of so many looks have found: the legs of a transaction become visible one by one."""

PAUSE_SECONDS: Final = 1


class Auditing:
    """Audits accounts, one at a time."""

    def __init__(  # noqa: PLR0913 - all that is kept of an account
        self,
        accounts: Accounts,
        pages: Pages,
        records: Records,
        payments: Payments,
        catalogue: Catalogue,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """Audit *accounts*; by the service's *clock* usage grows old, and *pause* waits some seconds between looks."""
        self._accounts = accounts
        self._pages = pages
        self._records = records
        self._payments = payments
        self._catalogue = catalogue
        self._clock = clock
        self._pause = pause

    def audit(self, account: str) -> list[Finding]:
        """
        Return what is wrong, or may be, with an account; nothing for one that is in order.

        What is read of an account that changes meanwhile may not belong together: what seems wrong is looked at again.

        Raises:
            RefusedError: `not_found` for an unknown account.
        """
        found = self._look(account)
        for _ in range(LOOKS - 1):
            if all(finding.is_warning for finding in found):
                break
            self._pause(PAUSE_SECONDS)
            before = {finding.key for finding in found}
            found = [finding for finding in self._look(account) if finding.key in before]
        return found

    @exact
    def _look(self, account: str) -> list[Finding]:
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        kept_since = self._pages.kept_since(max(head.state.at, self._clock.now()))
        look = look_at(head, self._accounts, self._records, self._payments, kept_since)
        findings = Findings()
        check_snapshots(look, findings)
        if look.opening is not None:
            self._check_usage(look, look.opening, findings)
        check_ledger(look, findings)
        check_invoices(look, findings)
        check_payments(look, findings)
        return findings.all()

    def _check_usage(self, look: Look, opening: Head, findings: Findings) -> None:
        products = {resource: entry.product for resource, entry in self._catalogue.products(fresh=True).items()}
        reader = PageReader(self._pages, look, findings)
        events = EventChecks(self._catalogue, look, findings)
        recount = Recount(look, opening)
        replay = Replay(look, opening, products, findings)
        for taking in commits_in(reader.takings(opening)):
            events.check(taking)
            recount.add(taking.charges)
            replay.take(taking)
        replay.finish()
        recount.compare(findings)
        reader.check_index_by_time(opening)
