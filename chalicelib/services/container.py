"""All services of one running system, wired; made by `bootstrap`, used by the API, the events and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from chalicelib.bus.dead_letters import DeadEvents
    from chalicelib.bus.work_queue import WorkQueue
    from chalicelib.services.audit import Auditing
    from chalicelib.services.buy_credit import BuyingCredit
    from chalicelib.services.carry_out_effects import CarryingOutEffects
    from chalicelib.services.clocks import Clock
    from chalicelib.services.commit_credit import Committing
    from chalicelib.services.dismiss_warnings import DismissingWarnings
    from chalicelib.services.explain_usage import ExplainingUsage
    from chalicelib.services.grant_credit import GrantingCredit
    from chalicelib.services.manage_accounts import AccountManagement
    from chalicelib.services.manage_catalogue import CatalogueManagement
    from chalicelib.services.meter_events import Metering
    from chalicelib.services.move_test_clock import MovingTestClock
    from chalicelib.services.provide_reports import ProvidingReports
    from chalicelib.services.receive_webhooks import ReceivingWebhooks
    from chalicelib.services.run_jobs import Jobs
    from chalicelib.services.set_auto_recharge import SettingAutoRecharge
    from chalicelib.services.show_past_balances import ShowingPastBalances
    from chalicelib.services.show_usage import ShowingUsage
    from chalicelib.services.usage_series import ShowingSeries
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.items import ItemStore
    from chalicelib.storage.records import Records


@dataclass(frozen=True)
class Services:
    """
    The services.

    *test_clock* is None where time is real, *webhooks* where the gateway sends none,
    *work_queue* where jobs do all by themselves, *event_dead_letters* where no stream is read.
    """

    store: ItemStore
    clock: Clock
    heads: Accounts
    records: Records
    accounts: AccountManagement
    catalogue: CatalogueManagement
    metering: Metering
    granting: GrantingCredit
    committing: Committing
    buying: BuyingCredit
    auto_recharge: SettingAutoRecharge
    webhooks: ReceivingWebhooks | None
    effects: CarryingOutEffects
    usage: ShowingUsage
    past_balances: ShowingPastBalances
    explaining: ExplainingUsage
    series: ShowingSeries
    reports: ProvidingReports
    warnings: DismissingWarnings
    jobs: Jobs
    work_queue: WorkQueue | None
    event_dead_letters: DeadEvents | None
    auditing: Auditing
    test_clock: MovingTestClock | None
