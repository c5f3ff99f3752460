"""The engine wired over a store of the test's own, with parts that a test may replace."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.instants import DAY
from chalicelib.domain.rate_card import RateRow, Revision
from chalicelib.services.audit import Auditing
from chalicelib.services.changes import Changes
from chalicelib.services.grant_credit import GrantingCredit
from chalicelib.services.issue_invoices import IssuingInvoices
from chalicelib.services.manage_accounts import AccountManagement
from chalicelib.services.meter_events import Metering
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.catalogue import CardEntry, Catalogue, RevisionEntry, write_card
from chalicelib.storage.pages import Pages
from chalicelib.storage.payments import Payments
from chalicelib.storage.records import Records


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.services.clocks import Clock
    from chalicelib.storage.items import ItemStore

CARD: Final = "standard"
CARD_REVISION: Final = Revision(date(2026, 1, 1), 1)
_RETENTION: Final = 800 * DAY


class Engine:
    """The services of one process; *accounts* and *changes* may be others than the real ones."""

    def __init__(  # noqa: PLR0913 - the parts of an engine
        self,
        store: ItemStore,
        clock: Clock,
        real_clock: Clock,
        pause: Callable[[float], None],
        accounts: type[Accounts] = Accounts,
        changes: type[Changes] = Changes,
    ) -> None:
        self.store = store
        self.clock = clock
        self.pages = Pages(store, real_clock.now, _RETENTION)
        self.heads = accounts(store, self.pages)
        self.catalogue = Catalogue(store, real_clock.now)
        self.records = Records(store)
        self.changes = changes(self.heads, clock, real_clock, pause)
        self.metering = Metering(self.changes, self.pages, self.catalogue)
        self.invoices = IssuingInvoices(self.changes, self.catalogue)
        self.accounts = AccountManagement(self.heads, self.changes, self.catalogue, clock)
        self.granting = GrantingCredit(self.changes, self.records, self.catalogue)
        self.auditing = Auditing(self.heads, self.pages, self.records, Payments(store), self.catalogue, clock, pause)

    def put_card(self, prices: Mapping[str, Decimal]) -> None:
        """Put a rate card that asks a price for each unit of some products."""
        rows = [
            RateRow(resource, resource, None, None, (), None, None, (), price, Decimal(1), "unit", "USD")
            for resource, price in prices.items()
        ]
        self.catalogue.keep_rows(CARD, CARD_REVISION, rows)
        revision = RevisionEntry(*CARD_REVISION, self.clock.now(), len(rows))
        put = write_card(CardEntry(CARD, "USD", (revision,)))
        self.store.put(put.table, put.item, put.condition)

    def put_account(self, account: str) -> None:
        """Put an account that pays by invoice, in UTC."""
        method = PaymentMethod(PaymentType.INVOICE)
        self.accounts.put(Account(account, account.title(), "USD", "Etc/UTC", method, CARD, 1, {}))
