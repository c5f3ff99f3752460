"""Doing to simulated accounts what people do; what the service refuses is counted by its code."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from chalicelib.domain.money import format_money
from chalicelib.local.simulation.fleet import Buy, Commit, Dismiss, EndCommitment, Give, Recharge, Reset, TakeBack
from chalicelib.services.errors import RefusedError
from chalicelib.services.grant_credit import GrantRequest


if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.local.simulation.fleet import Deed
    from chalicelib.services.container import Services

ACTOR: Final = "simulation"


class Deeds:
    """Carries deeds out."""

    def __init__(self, services: Services) -> None:
        """Do them through *services*."""
        self._services = services
        self._gifts: dict[tuple[str, str], str] = {}
        self.refused: Counter[str] = Counter()
        self.dismissed = 0

    def carry_out(self, account: Account, deed: Deed) -> None:
        """Do *deed* to *account* as of now."""
        try:
            self._do(account, deed)
        except RefusedError as refused:
            self.refused[refused.code] += 1

    def _do(self, account: Account, deed: Deed) -> None:
        services = self._services
        match deed:
            case Commit():
                services.committing.put(account.id, deed.pool, deed.terms, ACTOR)
            case EndCommitment():
                services.committing.delete(account.id, deed.pool)
            case Give():
                self._give(account, deed)
            case TakeBack():
                if (account.id, deed.name) in self._gifts:
                    services.granting.void(account.id, self._gifts[account.id, deed.name], ACTOR)
            case Buy():
                amount = format_money(deed.amount, account.currency)
                services.buying.purchase(account.id, amount, deed.name, ACTOR)
            case Recharge():
                services.auto_recharge.put(account.id, deed.rule, is_enabled=deed.rule is not None)
            case Reset():
                services.accounts.put(deed.account)
            case Dismiss():
                self._dismiss(account)

    def _give(self, account: Account, gift: Give) -> None:
        today = account.calendar.date_of(self._services.clock.now())
        expires_on = None if gift.days is None else today + timedelta(days=gift.days)
        request = GrantRequest(gift.pool, gift.amount, expires_on, "goodwill")
        granted = self._services.granting.grant(account.id, request, gift.name, ACTOR)
        self._gifts[account.id, gift.name] = granted.id

    def _dismiss(self, account: Account) -> None:
        for warning in self._services.usage.tab(account.id).warnings:
            self._services.warnings.dismiss(account.id, warning.id)
            self.dismissed += 1
