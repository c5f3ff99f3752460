"""The one place that knows all concrete parts and wires them together."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.config import Config

from chalicelib.api.tokens import TokenVerifier
from chalicelib.aws_clients import AwsClient, soon_given_up
from chalicelib.bus.event_bus import LogBus
from chalicelib.domain.instants import DAY, MINUTE
from chalicelib.files.local import LocalReportFiles
from chalicelib.observability import configure_logs
from chalicelib.payments.closed import ClosedGateway
from chalicelib.payments.sandbox import SandboxGateway
from chalicelib.services.audit import Auditing
from chalicelib.services.audit_by_night import AuditingByNight
from chalicelib.services.buy_credit import BuyingCredit
from chalicelib.services.carry_out_due import CarryingOutDue
from chalicelib.services.carry_out_effects import CarryingOutEffects
from chalicelib.services.changes import Changes
from chalicelib.services.clocks import Clock, RealClock, StartableClock
from chalicelib.services.commit_credit import Committing
from chalicelib.services.container import Services
from chalicelib.services.dismiss_warnings import DismissingWarnings
from chalicelib.services.explain_usage import ExplainingUsage
from chalicelib.services.grant_credit import GrantingCredit
from chalicelib.services.issue_invoices import IssuingInvoices
from chalicelib.services.manage_accounts import AccountManagement
from chalicelib.services.manage_catalogue import CatalogueManagement
from chalicelib.services.meter_events import Metering
from chalicelib.services.move_test_clock import MovingTestClock
from chalicelib.services.provide_reports import ProvidingReports, hand_over_by
from chalicelib.services.read_months import ReadingMonths
from chalicelib.services.receive_webhooks import ReceivingWebhooks
from chalicelib.services.run_jobs import Job, Jobs
from chalicelib.services.set_auto_recharge import SettingAutoRecharge
from chalicelib.services.settle_payments import SettlingPayments
from chalicelib.services.show_past_balances import ShowingPastBalances
from chalicelib.services.show_usage import ShowingUsage
from chalicelib.services.take_payments import TakingPayments
from chalicelib.services.usage_series import ShowingSeries
from chalicelib.services.write_reports import WritingReports
from chalicelib.settings import LOOPBACK_HOSTS, NO_GATEWAY, STRIPE, Settings
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.catalogue import Catalogue
from chalicelib.storage.dynamo import DynamoItemStore
from chalicelib.storage.operations import Heartbeats, SandboxDrawer, StoredTestClock
from chalicelib.storage.outbox import Outbox
from chalicelib.storage.pages import Pages
from chalicelib.storage.payments import Payments
from chalicelib.storage.records import Records
from chalicelib.storage.rollups import Rollups


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.bus.dead_letters import DeadBatch, DeadEvents, DeadLetters, DeadWork
    from chalicelib.bus.event_bus import EventBus
    from chalicelib.bus.work_queue import WorkQueue
    from chalicelib.files.report_files import ReportFiles
    from chalicelib.payments.gateway import Gateway
    from chalicelib.storage.items import ItemStore

JOB_INTERVAL: Final = 15 * MINUTE
"""Local midnights and their graces all fall on quarters of an hour in UTC."""

_DAYS_IN_MONTH_MAX: Final = 31


def open_store(settings: Settings) -> DynamoItemStore:
    """Return the DynamoDB tables that *settings* name; nothing is sent yet."""
    return DynamoItemStore(settings.store, settings.region, settings.state_table, settings.pages_table)


def open_gateway(settings: Settings, store: ItemStore, pause: Callable[[float], None]) -> Gateway:
    """Return the payment gateway that *settings* name."""
    if settings.payment_gateway == STRIPE:
        from chalicelib.payments.stripe import StripeGateway  # noqa: PLC0415 - only where it is used

        return StripeGateway(settings.stripe_api_key or "")
    if settings.payment_gateway == NO_GATEWAY:
        return ClosedGateway()
    return SandboxGateway(SandboxDrawer(store), pause, settings.sandbox_latency_ms)


def open_event_bus(settings: Settings) -> EventBus:
    """Return the event bus that *settings* name: the log where they name none."""
    if settings.event_bus is None:
        return LogBus()
    from chalicelib.bus.eventbridge import EventBridgeBus  # noqa: PLC0415 - only where it is used

    return EventBridgeBus(_client("events", settings), settings.event_bus)


def open_work_queue(settings: Settings) -> WorkQueue | None:
    """Return the queue that *settings* name, None where they name none."""
    return None if settings.work_queue is None else _sqs_queue(settings, settings.work_queue)


def open_report_queue(settings: Settings) -> WorkQueue | None:
    """Return the queue of reports that *settings* name, None where they name none."""
    return None if settings.report_queue is None else _sqs_queue(settings, settings.report_queue)


def _sqs_queue(settings: Settings, url: str) -> WorkQueue:
    from chalicelib.bus.sqs import SqsWorkQueue  # noqa: PLC0415 - only where it is used

    return SqsWorkQueue(_client("sqs", settings, url), url, settings.dead_letters or "")


def open_event_dead_letters(settings: Settings) -> DeadEvents | None:
    """Return the dead letters of the stream that *settings* name, None where they name none."""
    url = settings.event_dead_letters
    if url is None:
        return None
    from chalicelib.bus.sqs_dead_letters import SqsDeadEvents  # noqa: PLC0415 - only where it is used

    return SqsDeadEvents(cache(lambda service: _client(service, settings, url)), url, settings.report_bucket)


def open_given_up_batches(settings: Settings) -> DeadLetters[DeadBatch] | None:
    """Return the batches of the stream that Lambda has given up, None where *settings* do not name their queue."""
    url = settings.metering_dead_letters
    if url is None:
        return None
    from chalicelib.bus.given_up_batches import GivenUpBatches  # noqa: PLC0415 - only where it is used

    return GivenUpBatches(cache(lambda service: _client(service, settings, url)), url)


def open_dead_work(settings: Settings) -> DeadLetters[DeadWork] | None:
    """Return the dead letters of the work queue that *settings* name, None where they name none."""
    url = settings.dead_letters
    if url is None:
        return None
    from chalicelib.bus.sqs_dead_letters import SqsDeadLetters, read_work  # noqa: PLC0415 - only where it is used

    return SqsDeadLetters(cache(lambda service: _client(service, settings, url)), url, read_work)


def _client(service: str, settings: Settings, url: str = "") -> AwsClient:
    """
    Return a client of an AWS service that gives up soon: what it has not done, a schedule does.

    Where *url* is on this machine, so is the service, and takes any credentials.
    """
    parts = urlsplit(url)
    local: dict[str, str] = {}
    if parts.hostname in LOOPBACK_HOSTS:
        local = {
            "endpoint_url": f"{parts.scheme}://{parts.netloc}",
            "aws_access_key_id": "local",
            "aws_secret_access_key": "local",
        }
    return AwsClient(service, settings.region, soon_given_up(), **local)


def open_report_files(settings: Settings, real_clock: Clock) -> ReportFiles:
    """Return the bucket for large reports that *settings* name: this machine's disk where they name none."""
    if settings.report_bucket is None:
        return LocalReportFiles(real_clock.now)
    from chalicelib.files.s3 import S3ReportFiles  # noqa: PLC0415 - only where it is used

    # A link is signed for the host of the bucket in its own region: another would answer with a redirection.
    config = Config(
        signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    )
    return S3ReportFiles(AwsClient("s3", settings.region, config), settings.report_bucket, real_clock.now)


def build_services(  # noqa: PLR0913 - the parts that differ from one running system to another
    settings: Settings,
    store: ItemStore,
    real_clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Clock | None = None,
    gateway: Gateway | None = None,
    bus: EventBus | None = None,
    work_queue: WorkQueue | None = None,
    report_files: ReportFiles | None = None,
    report_queue: WorkQueue | None = None,
    event_dead_letters: DeadEvents | None = None,
    *,
    has_stream: bool = False,
) -> Services:
    """
    Wire the services over *store*.

    They go by *clock*, else by the test clock of the store where *settings* switch it on, else by the real one. What a
    commit causes outside the store is carried out at once, unless the store *has_stream* that brings it to a function.
    """
    real_clock = real_clock or RealClock()
    stored_clock = StoredTestClock(store) if settings.test_clock else None
    clock = clock or (StartableClock(stored_clock, real_clock) if stored_clock else real_clock)
    pages = Pages(store, real_clock.now, settings.retention_months * _DAYS_IN_MONTH_MAX * DAY)
    heads = Accounts(store, pages)
    records = Records(store)
    payments = Payments(store)
    outbox = Outbox(store, real_clock.now)
    catalogue = Catalogue(store, real_clock.now)
    changes = Changes(heads, clock, real_clock, pause)
    accounts = AccountManagement(heads, changes, catalogue, clock)
    taking = TakingPayments(heads, changes, payments, gateway or open_gateway(settings, store, pause), clock)
    effects = CarryingOutEffects(outbox, bus or open_event_bus(settings), taking)
    if not has_stream:
        changes.on_effects = effects.carry_out_now
    has_webhooks = settings.payment_gateway == STRIPE
    carrying_out = CarryingOutDue(changes)
    settling = SettlingPayments(heads, payments, changes, taking)
    issuing = IssuingInvoices(changes, catalogue)
    auditing = Auditing(heads, pages, records, payments, catalogue, clock, pause)
    by_night = AuditingByNight(heads, auditing)
    jobs = Jobs(
        (
            Job("expire-credit", JOB_INTERVAL, heads.due, carrying_out.expire),
            Job("recharge-commitments", JOB_INTERVAL, heads.due, carrying_out.recharge),
            Job("compute-storage-peaks", JOB_INTERVAL, heads.due, carrying_out.charge_peaks),
            Job("issue-invoices", JOB_INTERVAL, heads.due, issuing.issue_due),
            Job("settle-payments", JOB_INTERVAL, settling.subjects, settling.settle),
            Job("sweep-outbox", JOB_INTERVAL, effects.subjects, effects.sweep),
            Job("audit", DAY, by_night.subjects, by_night.audit),
        ),
        (heads.next_due_at, payments.next_due_at, outbox.next_due_at),
        Heartbeats(store),
        clock,
        real_clock,
        work_queue,
    )
    months = ReadingMonths(heads, pages, records, catalogue, clock)
    reports = ProvidingReports(
        WritingReports(months, catalogue),
        report_files or open_report_files(settings, real_clock),
        None if report_queue is None else hand_over_by(report_queue, clock),
    )
    return Services(
        store=store,
        clock=clock,
        heads=heads,
        records=records,
        accounts=accounts,
        catalogue=CatalogueManagement(store, catalogue, clock),
        metering=Metering(changes, pages, catalogue),
        granting=GrantingCredit(changes, records, catalogue),
        committing=Committing(changes, catalogue),
        buying=BuyingCredit(accounts, changes, records, payments, taking, real_clock, pause),
        auto_recharge=SettingAutoRecharge(heads, changes, clock),
        webhooks=ReceivingWebhooks(settings.stripe_webhook_secret, taking) if has_webhooks else None,
        effects=effects,
        usage=ShowingUsage(heads, records, catalogue, clock),
        past_balances=ShowingPastBalances(heads, pages, catalogue, clock),
        explaining=ExplainingUsage(months, catalogue),
        series=ShowingSeries(months, Rollups(store, pages)),
        reports=reports,
        warnings=DismissingWarnings(changes),
        jobs=jobs,
        work_queue=work_queue,
        event_dead_letters=event_dead_letters,
        auditing=auditing,
        test_clock=None if stored_clock is None else MovingTestClock(stored_clock, jobs.without_queue()),
    )


def connect(settings: Settings) -> tuple[Services, TokenVerifier | None]:
    """Wire the services as *settings* say, for a deployed function; most see no tokens."""
    configure_logs()
    queue = open_work_queue(settings)
    report_queue = open_report_queue(settings)
    store = open_store(settings)
    services = build_services(
        settings,
        store,
        work_queue=queue,
        report_queue=report_queue,
        event_dead_letters=open_event_dead_letters(settings),
        has_stream=True,
    )
    has_keys = settings.jwks_url is not None or settings.jwks_file is not None
    return services, TokenVerifier.from_settings(settings) if has_keys else None
