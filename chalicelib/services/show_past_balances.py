"""Balances as of any time: what the service would have answered then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.due import carry_out_due
from chalicelib.domain.figures import PoolFigures, figures_of
from chalicelib.domain.instants import Instant, format_instant
from chalicelib.domain.usage_events import AHEAD_MAX
from chalicelib.domain.waterfall import replay_charges
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account


if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.products import Product
    from chalicelib.domain.state import AccountState
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.heads import Head
    from chalicelib.storage.pages import Pages


class ShowingPastBalances:
    """
    Tells the balances of a time that is over.

    It starts from the last snapshot up to then and adds the charges taken since, which are all that changed the account
    in between; what was due by then without being recorded is carried out for the reader, as it was for readers then.
    """

    def __init__(self, accounts: Accounts, pages: Pages, catalogue: Catalogue, clock: Clock) -> None:
        """Look *accounts* and *pages* up."""
        self._accounts = accounts
        self._pages = pages
        self._catalogue = catalogue
        self._clock = clock

    def balances(self, account: str, at: Instant) -> tuple[tuple[PoolFigures, ...], str]:
        """
        Return the figures of every pool as of *at*, and the currency they are in.

        Raises:
            RefusedError: `not_found` for an unknown account or a time before it, `invalid_request` for one to come,
                `gone` for one before the usage that is kept.
        """
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        now = max(head.state.at, self._clock.now())
        if at > now:
            detail = f"must not be after now, {format_instant(now)}"
            raise RefusedError("invalid_request", f"at {detail}", (Fault("/at", detail),))
        products = {resource: entry.product for resource, entry in self._catalogue.products(fresh=True).items()}
        state = head.state if at >= head.state.at else self._state_at(head, products, at, now)
        state, _ = carry_out_due(state, at, at)
        return figures_of(state, state.oldest_open, products, at).pools, state.account.currency

    def _state_at(self, head: Head, products: Mapping[str, Product], at: Instant, now: Instant) -> AccountState:
        account = head.state.account.id
        snapshot = self._accounts.snapshot(account, at)
        if snapshot is None:
            detail = f"account {account!r} began after {format_instant(at)}"
            raise RefusedError("not_found", detail)
        if snapshot.state.at < self._pages.kept_since(now):
            raise RefusedError("gone", "usage of that time is not kept any more")
        return self._replay(snapshot, head, products, at)

    def _replay(self, snapshot: Head, head: Head, products: Mapping[str, Product], at: Instant) -> AccountState:
        # Samples of a month's last days are of the next one.
        last = head.state.account.calendar.period_of(at + AHEAD_MAX).next
        taken = self._pages.taken_between(snapshot, head, at, max(last, snapshot.state.oldest_open))
        in_order = sorted(taken, key=lambda taking: taking.version)
        charges = (charge for taking in in_order for charge in taking.charges)
        return replay_charges(snapshot.state, charges, products, at)
