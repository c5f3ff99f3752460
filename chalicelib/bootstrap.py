"""The one place that knows all concrete parts and wires them together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chalicelib.api.tokens import TokenVerifier
from chalicelib.domain.instants import DAY, MINUTE
from chalicelib.services.audit import Auditing
from chalicelib.services.carry_out_due import CarryingOutDue
from chalicelib.services.changes import Changes
from chalicelib.services.clocks import Clock, RealClock
from chalicelib.services.commit_credit import Committing
from chalicelib.services.container import Services
from chalicelib.services.grant_credit import GrantingCredit
from chalicelib.services.issue_invoices import IssuingInvoices
from chalicelib.services.manage_accounts import AccountManagement
from chalicelib.services.manage_catalogue import CatalogueManagement
from chalicelib.services.meter_events import Metering
from chalicelib.services.move_test_clock import MovingTestClock
from chalicelib.services.run_jobs import Job, Jobs
from chalicelib.services.show_usage import ShowingUsage
from chalicelib.settings import Settings
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.catalogue import Catalogue
from chalicelib.storage.dynamo import DynamoItemStore
from chalicelib.storage.operations import Heartbeats, StoredTestClock
from chalicelib.storage.pages import Pages
from chalicelib.storage.records import Records


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.storage.items import ItemStore

CALENDAR_JOB_INTERVAL: Final = 15 * MINUTE
"""Local midnights and their graces all fall on quarters of an hour in UTC."""

_DAYS_IN_MONTH_MAX: Final = 31


def open_store(settings: Settings) -> DynamoItemStore:
    """Return the DynamoDB tables that *settings* name; nothing is sent yet."""
    return DynamoItemStore(settings.store, settings.region, settings.state_table, settings.pages_table)


def build_services(
    settings: Settings,
    store: ItemStore,
    real_clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Clock | None = None,
) -> Services:
    """
    Wire the services over *store*.

    They go by *clock*, else by the test clock of the store where *settings* switch it on, else by the real one.
    """
    real_clock = real_clock or RealClock()
    stored_clock = StoredTestClock(store) if settings.test_clock else None
    clock = clock or stored_clock or real_clock
    pages = Pages(store, real_clock.now, settings.retention_months * _DAYS_IN_MONTH_MAX * DAY)
    heads = Accounts(store, pages)
    records = Records(store)
    catalogue = Catalogue(store, real_clock.now)
    changes = Changes(heads, clock, real_clock, pause)
    carrying_out = CarryingOutDue(changes)
    jobs = Jobs(
        (
            Job("expire-credit", CALENDAR_JOB_INTERVAL, carrying_out.expire),
            Job("recharge-commitments", CALENDAR_JOB_INTERVAL, carrying_out.recharge),
            Job("issue-invoices", CALENDAR_JOB_INTERVAL, IssuingInvoices(changes, catalogue).issue_due),
        ),
        heads,
        Heartbeats(store),
        clock,
        real_clock,
    )
    return Services(
        store=store,
        clock=clock,
        heads=heads,
        records=records,
        accounts=AccountManagement(heads, changes, catalogue, clock),
        catalogue=CatalogueManagement(store, catalogue, clock),
        metering=Metering(changes, pages, catalogue),
        granting=GrantingCredit(changes, records, catalogue),
        committing=Committing(changes, catalogue),
        usage=ShowingUsage(heads, records, catalogue, clock),
        jobs=jobs,
        auditing=Auditing(heads, pages, records, catalogue),
        test_clock=None if stored_clock is None else MovingTestClock(stored_clock, jobs),
    )


def connect() -> tuple[Services, TokenVerifier]:
    """Wire the services as the environment says, for a deployed function."""
    settings = Settings.from_environment()
    return build_services(settings, open_store(settings)), TokenVerifier.from_settings(settings)
