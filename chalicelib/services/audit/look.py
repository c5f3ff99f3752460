"""What is read of an account for one audit, all as of one head."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.card_payments import CardPayment
from chalicelib.domain.instants import DAY, Instant
from chalicelib.domain.invoice import Invoice
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.periods import Period
from chalicelib.domain.usage_events import AHEAD_MAX
from chalicelib.storage.heads import Head
from chalicelib.storage.takings import Taking


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.payments import Payments
    from chalicelib.storage.records import Records


EXPIRY_MARGIN: Final = DAY
"""Pages this close to the end of their time may vanish while an audit runs."""


class Booking(Struct, frozen=True):
    """A ledger entry by the version of the head it came with and its place in that commit."""

    version: int
    place: int
    entry: LedgerEntry


class Look(Struct, frozen=True):
    """
    An account as of *head*.

    *snapshots* and *bookings* are in the order of their versions; what was written after the head is not among them.
    All usage taken after *opening* is still kept; it is None where no snapshot is that young.
    """

    head: Head
    snapshots: tuple[Head, ...]
    bookings: tuple[Booking, ...]
    invoices: dict[Period, Invoice]
    payments: tuple[CardPayment, ...]
    opening: Head | None

    @property
    def account(self) -> str:
        """Return whose account it is."""
        return self.head.state.account.id

    @property
    def first_period(self) -> Period:
        """Return the month the account began in."""
        return min((*self.invoices, self.head.state.oldest_open))

    @property
    def last_period(self) -> Period:
        """Return the latest month anything can be charged in."""
        state = self.head.state
        return max((*state.periods, state.current_period(state.at + AHEAD_MAX)))

    @property
    def entries(self) -> list[LedgerEntry]:
        """Return all ledger entries, in the order in which they were booked."""
        return [booking.entry for booking in self.bookings]


def look_at(head: Head, accounts: Accounts, records: Records, payments: Payments, kept_since: Instant) -> Look:
    """Read what there is of the account of *head*, all of whose usage since an instant is kept."""
    account = head.state.account.id
    bookings = sorted(
        (Booking(*records.commit_of(position), entry) for position, entry in records.ledger(account)),
        key=lambda booking: (booking.version, booking.place),
    )
    snapshots = tuple(one for one in accounts.snapshots(account) if one.version <= head.version)
    safe_since = kept_since + EXPIRY_MARGIN
    return Look(
        head=head,
        snapshots=snapshots,
        bookings=tuple(booking for booking in bookings if booking.version <= head.version),
        invoices={invoice.period: invoice for _, invoice in records.invoices(account)},
        payments=tuple(payments.all(account)),
        opening=next((one for one in snapshots if one.state.at >= safe_since), None),
    )


def commits_in(takings: Iterable[Taking]) -> Iterator[Taking]:
    """Put the parts of each commit's taking, which may lie in several pages, together again."""
    for version, parts in groupby(takings, key=lambda taking: taking.version):
        first, *others = parts
        charges = (*first.charges, *(charge for part in others for charge in part.charges))
        yield Taking(first.nonce, version, first.at, charges)
