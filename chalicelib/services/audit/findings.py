"""What an audit finds: a difference of some kind in some place, or something to be warned of."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.instants import format_instant


if TYPE_CHECKING:
    from chalicelib.domain.usage_events import UsageEvent


NAMED_MAX: Final = 20
"""Findings of one kind that are named one by one; of more only the number is told."""


class Kind(Enum):
    """What is wrong, in the order in which it is told."""

    LOST_PAGE = "lost page"
    INDEX = "index of pages"
    COUNTED_TWICE = "counted twice"
    USAGE = "usage"
    RATE = "rate"
    CHARGE = "charge"
    CREDIT = "credit"
    BOOKED_TWICE = "booked twice"
    WALLET = "wallet"
    LEDGER = "ledger"
    COMMITMENT = "commitment"
    INVOICE = "invoice"
    PAYMENT = "payment"
    AUTO_RECHARGE = "auto recharge"
    SNAPSHOT = "snapshot"
    RESTAMPED = "restamped event"


class Finding(Struct, frozen=True):
    """Something found: of *subject* holds *detail*, which is wrong. Two of one kind and subject are the same."""

    kind: Kind
    subject: str
    detail: str

    @property
    def is_warning(self) -> bool:
        """Tell whether it only may be wrong: a producer may give one id to several events."""
        return self.kind is Kind.RESTAMPED

    @property
    def key(self) -> tuple[Kind, str]:
        """Return what stays the same when it is found again."""
        return self.kind, self.subject

    def __str__(self) -> str:
        """Write it as a sentence."""
        return f"{self.kind.value}: {self.subject} {self.detail}"


class Findings:
    """Collects what is found, each once, and of each kind not too many."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._found: dict[tuple[Kind, str], Finding] = {}
        self._count: Counter[Kind] = Counter()

    def add(self, kind: Kind, subject: str, detail: str) -> None:
        """Note that of *subject* holds *detail*."""
        finding = Finding(kind, subject, detail)
        if finding.key in self._found:
            return
        self._count[kind] += 1
        if self._count[kind] <= NAMED_MAX:
            self._found[finding.key] = finding

    def all(self) -> list[Finding]:
        """Return what was found by its kind; of a kind found too often the first and the number of the others."""
        more = [
            Finding(kind, "others:", f"{count - NAMED_MAX} more")
            for kind, count in self._count.items()
            if count > NAMED_MAX
        ]
        order = list(Kind)
        return sorted([*self._found.values(), *more], key=lambda finding: order.index(finding.kind))


def name_event(event: UsageEvent) -> str:
    """Name an event as findings do."""
    return f"event {event.id} of {event.source} at {format_instant(event.time)}"
