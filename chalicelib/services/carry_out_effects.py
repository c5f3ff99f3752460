"""
Carrying out what the outbox holds: notifications onto the event bus, payments to the gateway.

Called by the table's stream, by the process that committed where there is no stream, and by the sweeping schedule
behind both; each effect happens at least once, and whatever comes twice can be told by its id.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chalicelib.domain.instants import SECOND
from chalicelib.observability import Metric, measure


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.bus.event_bus import EventBus
    from chalicelib.domain.instants import Instant
    from chalicelib.services.take_payments import TakingPayments
    from chalicelib.storage.outbox import Effects, Outbox


_log = logging.getLogger(__name__)


class CarryingOutEffects:
    """Carries out effects of commits that count."""

    def __init__(self, outbox: Outbox, bus: EventBus, taking: TakingPayments) -> None:
        """Publish on *bus* and pay through *taking* what *outbox* holds."""
        self._outbox = outbox
        self._bus = bus
        self._taking = taking

    def carry_out(self, account: str, effects_id: str) -> bool:
        """
        Carry out the effects of one commit, and tell whether there was anything left to do.

        Raises:
            LookupError: where the effects, or what they speak of, are not to be seen yet; trying again helps.
        """
        effects = self._outbox.get(account, effects_id)
        if effects is None:
            message = f"account {account} has no effects {effects_id}"
            raise LookupError(message)
        if effects.is_done:
            return False
        self._do(effects)
        return True

    def subjects(self, until: Instant) -> Iterator[str]:
        """
        Yield the effects not carried out, of commits at or before *until*, as `account/effects`.

        How old the oldest is, is measured.
        """
        oldest = self._outbox.next_due_at()
        measure(Metric.OUTBOX_AGE, 0 if oldest is None else max(until - oldest, 0) // SECOND)
        for account, effects_id in self._outbox.due(until):
            yield f"{account}/{effects_id}"

    def sweep(self, subject: str, until: Instant) -> int:  # noqa: ARG002 - as every job's work
        """
        Carry out the effects *subject*, and count them.

        Raises:
            LookupError: where they are not to be seen any more.
        """
        account, _, effects_id = subject.partition("/")
        return int(self.carry_out(account, effects_id))

    def carry_out_now(self, effects: Effects) -> None:
        """Carry out effects just committed; what fails is left to the sweeping schedule."""
        try:
            self._do(effects)
        except Exception:  # noqa: BLE001 - the commit counts, whatever becomes of its effects
            _log.exception("effects %s of account %s are left to the sweep", effects.id, effects.account)

    def _do(self, effects: Effects) -> None:
        try:
            if effects.notifications:
                self._bus.publish(effects.notifications)
        finally:  # a bus that is down keeps no payment waiting
            if effects.payment is not None:
                self._taking.carry_on(effects.account, effects.payment)
        self._outbox.note_done(effects)
