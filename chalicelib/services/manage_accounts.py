"""Creating, replacing and reading accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.money import minor_digits
from chalicelib.domain.periods import calendar, is_timezone
from chalicelib.domain.state import AccountState
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import Fault, RefusedError
from chalicelib.storage.accounts import Accounts, LostRaceError


if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.catalogue import Catalogue


class AccountManagement:
    """What administrators do to accounts."""

    def __init__(self, accounts: Accounts, changes: Changes, catalogue: Catalogue, clock: Clock) -> None:
        """Manage *accounts*, checked against *catalogue*."""
        self._accounts = accounts
        self._changes = changes
        self._catalogue = catalogue
        self._clock = clock

    def get(self, account: str) -> Account:
        """
        Return an account's settings.

        Raises:
            RefusedError: `not_found`.
        """
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        return head.state.account

    def put(self, account: Account) -> Account:
        """
        Create or replace an account as a whole.

        Raises:
            RefusedError: `unknown_currency`, `unknown_timezone`, `unknown_rate_card`, `currency_mismatch`,
                `unknown_resource`, or `fixed_by_usage` for another currency or zone once there was usage.
            BusyError: where the account is too busy.
        """
        self._check(account)
        if self._replace(account) is None:
            self._create(account)
        return account

    def _create(self, account: Account) -> None:
        now = self._clock.now()
        before = calendar(account.timezone).period_of(now).previous
        try:
            self._accounts.create(AccountState(account, now, invoiced_through=before))
        except LostRaceError:
            self._replace(account)

    def _replace(self, account: Account) -> Account | None:
        def decide(situation: Situation) -> Decision[Account]:
            state = situation.state
            _check_fixed(state, account)
            if state.account == account:
                return Decision(account)
            auto = state.auto_recharge
            if account.payment_method.type is not PaymentType.CREDIT_CARD and auto.is_enabled:
                auto = auto.switched_off()
            return Decision(account, replace(state, account=account, auto_recharge=auto))

        return self._changes.apply(account.id, new_nonce(), decide)

    def _check(self, account: Account) -> None:
        if minor_digits(account.currency) is None:
            raise _refused("unknown_currency", "/currency", f"{account.currency!r} is not a currency of ISO 4217")
        if not is_timezone(account.timezone):
            raise _refused("unknown_timezone", "/timezone", f"{account.timezone!r} is not a zone of the IANA database")
        card = self._catalogue.card(account.rate_card)
        if card is None:
            raise _refused("unknown_rate_card", "/rate_card", f"there is no rate card {account.rate_card!r}")
        if card.currency != account.currency:
            raise _refused(
                "currency_mismatch",
                "/currency",
                f"the account is in {account.currency}, its rate card {card.card} in {card.currency}",
            )
        products = self._catalogue.products(fresh=True)
        for resource in account.free_units:
            if resource not in products:
                pointer = f"/free_units/{resource}"
                raise _refused("unknown_resource", pointer, f"there is no product {resource!r}")


def unknown_account(account: str) -> RefusedError:
    """Return the refusal of a request about an account that does not exist."""
    return RefusedError("not_found", f"there is no account {account!r}")


def _refused(code: str, pointer: str, detail: str) -> RefusedError:
    return RefusedError(code, detail, (Fault(pointer, detail),))


def _check_fixed(state: AccountState, account: Account) -> None:
    if not state.is_used:
        return
    if account.currency != state.account.currency:
        raise _refused("fixed_by_usage", "/currency", "the currency is fixed once there is usage or credit")
    if account.timezone != state.account.timezone:
        raise _refused("fixed_by_usage", "/timezone", "the time zone is fixed once there is usage or credit")
