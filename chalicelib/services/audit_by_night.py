"""The nightly audit: a rolling part of the accounts, so that each has its turn; a small fleet is audited whole."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from chalicelib.domain.instants import DAY
from chalicelib.observability import Metric, count


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.instants import Instant
    from chalicelib.services.audit import Auditing
    from chalicelib.storage.accounts import Accounts

ACCOUNTS_MIN: Final = 100
"""Accounts of other nights are audited, too, until so many have been."""

DIFFERENCES_NAMED_MAX: Final = 3


class DifferencesFoundError(Exception):
    """What is served is not what the events and the ledger say."""


class AuditingByNight:
    """The work of the job `audit`: its subjects are accounts."""

    def __init__(self, accounts: Accounts, auditing: Auditing) -> None:
        """Audit *accounts*."""
        self._accounts = accounts
        self._auditing = auditing

    def subjects(self, until: Instant) -> Iterator[str]:
        """Yield the accounts whose turn it is on the UTC day of *until*."""
        tonight, others = self._accounts.of_night(until // DAY)
        audited = 0
        for account in tonight:
            audited += 1
            yield account
        yield from islice(others, max(ACCOUNTS_MIN - audited, 0))

    def audit(self, account: str, until: Instant) -> int:  # noqa: ARG002 - as every job's work
        """
        Audit an account, and count it.

        Raises:
            DifferencesFoundError: where there are any; warnings are none.
        """
        findings = [finding for finding in self._auditing.audit(account) if not finding.is_warning]
        count(Metric.ACCOUNTS_AUDITED)
        count(Metric.AUDIT_DIFFERENCES, len(findings))
        if findings:
            named = "; ".join(map(str, findings[:DIFFERENCES_NAMED_MAX]))
            message = f"{len(findings)} differences: {named}"
            raise DifferencesFoundError(message)
        return 1
