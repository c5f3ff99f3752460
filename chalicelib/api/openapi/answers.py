"""The shapes of what the service answers with. Nothing is encoded by them: tests hold every answer against them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.api.fields import Address, Day, Decimal, Month, Name, Time
from chalicelib.domain.accounts import PaymentType, Per
from chalicelib.domain.auto_recharge import AutoRechargeStatus
from chalicelib.domain.card_payments import PaymentStatus
from chalicelib.domain.commitments import Frequency
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.products import Meter
from chalicelib.domain.series import Granularity
from chalicelib.services.show_usage import PeriodStatus


Count = Annotated[int, Meta(ge=0)]
Pool = Annotated[
    str, Meta(description="`contact_center_services`, or the resource code of a product with its own pool.")
]
Cursor = Annotated[str | None, Meta(description="Where the list goes on: the parameter `cursor` of the next request.")]


class Fault(Struct):
    """One thing that is wrong."""

    pointer: Annotated[str, Meta(description="An RFC 6901 pointer into what was sent.")]
    detail: str


class Problem(Struct):
    """An error, as RFC 9457 has it. More codes may come: go by the status where you do not know one."""

    type: Address
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="A sentence for people.")]
    code: str
    errors: list[Fault] | UnsetType = UNSET


class PaymentMethod(Struct):
    """How an account pays; the card's token is never shown."""

    type: PaymentType


class FreeUnits(Struct):
    """Units of a product that every month includes."""

    quantity: Decimal
    per: Per


class Account(Struct):
    """An account's settings."""

    id: Name
    name: str
    currency: str
    timezone: str
    payment_method: PaymentMethod
    rate_card: Name
    agents: Count
    free_units: Annotated[dict[str, FreeUnits], Meta(description="By resource code.")]


class Display(Struct):
    """The unit people read: a quantity divided by `divisor`, in `unit`."""

    unit: str
    divisor: Decimal


class Product(Struct):
    """Something metered."""

    resource: Name
    name: str
    unit: str
    display: Display
    pool: Literal["contact_center_services", "own"]
    commit_available: bool
    meter: Meter


class ProductList(Struct):
    """A page of the catalogue."""

    items: list[Product]
    cursor: Cursor


class RateCardVersion(Struct):
    """A version of a rate card that was put; `revision` counts how often one was put for its date."""

    rate_card: Name
    effective_from: Day
    revision: Count
    rows: Count


class PriceRow(Struct):
    """A price for each `increment` of a product's unit, where all cells match; an empty one matches anything."""

    resource: Name
    description: str
    direction: str
    type: str
    resolutions: Annotated[str, Meta(description="Several are separated by `;`.")]
    country_code: str
    category: str
    prefixes: Annotated[str, Meta(description="Leading digits of a number; several are separated by `;`.")]
    price_per_increment: Decimal
    increment: Decimal
    unit_of_measure: str
    currency: str


class Prices(Struct):
    """The rows of a rate card in force on a day."""

    rate_card: Name
    effective_from: Day
    rows: list[PriceRow]


EventCode = Literal[
    "invalid_event",
    "unknown_account",
    "unknown_resource",
    "too_old",
    "in_future",
    "duplicate",
    "conflict",
    "no_rate",
]


class EventResult(Struct):
    """What became of an event that was not accepted."""

    index: Annotated[Count, Meta(description="Its place in the batch, from 0.")]
    status: Literal["duplicate", "rejected"]
    code: EventCode
    detail: str


class EventResults(Struct):
    """How many events were accepted, and what became of the others, by index."""

    accepted: Count
    duplicates: Count
    rejected: Count
    results: list[EventResult]


class Credits(Struct):
    """Credit left, by how it came."""

    committed: Decimal
    purchased: Decimal
    promotional: Decimal


class PoolBalance(Struct):
    """A pool of credit: `balance` is what is left of it less what is to be invoiced."""

    pool: Pool
    balance: Decimal
    credits: Credits
    to_be_invoiced: Decimal


class Balances(Struct):
    """The balance of every pool."""

    balances: list[PoolBalance]


class TabAccount(Struct):
    """Whose tab it is."""

    id: Name
    name: str
    currency: str
    timezone: str
    payment_method: PaymentType


class TabPeriod(Struct):
    """The month that is shown, in the account's time zone."""

    id: Month
    starts_at: Time
    ends_at: Time
    status: PeriodStatus


class CommittedCredit(Struct):
    """What is committed; amount and frequency are there where it is active."""

    status: Literal["active", "not_purchased", "not_available"]
    amount: Decimal | UnsetType = UNSET
    frequency: Frequency | UnsetType = UNSET


class CommittedCreditPeriod(Struct):
    """The days of the last recharge and of the next."""

    last_recharge_on: Day | None
    next_recharge_on: Day | None


class AutoRechargeSwitch(Struct):
    """Whether auto recharge can be switched on, and is."""

    available: bool
    enabled: bool


class ManageCredits(Struct):
    """What the account can do to get more credit."""

    one_time_purchase: bool
    auto_recharge: AutoRechargeSwitch


class LowCreditWarning(Struct):
    """A warning of low credit; `level` is in per cent of the expected monthly credit."""

    id: str
    level: Count
    message: str


class SharedPool(Struct):
    """The pool of the products that are not sold apart."""

    balance: Decimal
    credits: Credits
    to_be_invoiced: Decimal
    committed_credit: CommittedCredit
    committed_credit_period: CommittedCreditPeriod | None
    manage_credits: ManageCredits
    warnings: list[LowCreditWarning]


class UsedFreeUnits(Struct):
    """Free units of a product in the month."""

    included: Decimal
    used: Decimal
    remaining: Decimal


class Peak(Struct):
    """The day with the highest usage."""

    on: Day
    quantity: Decimal


class ProductUsage(Struct):
    """What a product used in the month; `included_in` names the shared pool where the product draws on that."""

    resource: Name
    name: str
    unit: str
    display: Display
    quantity: Decimal
    billed_quantity: Decimal
    free_units: UsedFreeUnits | None
    amount: Decimal
    credits_applied: Decimal
    to_be_invoiced: Decimal
    balance: Decimal
    included_in: Literal["contact_center_services"] | None
    committed_credit: CommittedCredit
    committed_credit_period: CommittedCreditPeriod | None
    peak: Peak | UnsetType = UNSET


class UsageTab(Struct):
    """The Usage tab."""

    account: TabAccount
    period: TabPeriod
    as_of: Time
    last_event_at: Time | None
    contact_center_services: SharedPool
    products: list[ProductUsage]


class DismissedWarning(Struct):
    """A warning that is off the tab."""

    id: str
    dismissed: Literal[True]


class InvoiceLine(Struct):
    """A product on an invoice; `to_be_invoiced` is exact, `total` rounded half-up to the minor unit."""

    resource: Name
    name: str
    quantity: Decimal
    billed_quantity: Decimal
    free_units_used: Decimal
    amount: Decimal
    credits_applied: Decimal
    to_be_invoiced: Decimal
    total: Decimal


class Invoice(Struct):
    """The invoice of a month; `total` is the sum of the lines."""

    id: str
    period: Month
    status: Literal["issued", "upcoming"]
    issued_at: Time
    currency: str
    total: Decimal
    lines: list[InvoiceLine]


class InvoiceList(Struct):
    """A page of the invoices."""

    items: list[Invoice]
    cursor: Cursor


class AppliedRate(Struct):
    """The row of the rate card that priced an interaction; rows count from 1."""

    rate_card: Name
    effective_from: Day
    revision: Count
    row: Annotated[int, Meta(ge=1)]
    description: str
    price_per_increment: Decimal
    increment: Decimal
    unit_of_measure: str


class AppliedCredit(Struct):
    """What a grant paid of an interaction."""

    grant: str
    amount: Decimal


class Interaction(Struct):
    """An interaction and how it was charged. Figures of a reversal are negative."""

    id: str
    source: str
    kind: Literal["event", "sample", "peak", "reversal"]
    time: Time
    taken_at: Time
    late: bool
    interaction_id: str | None
    direction: str | None
    resolution: str | None
    country_code: str | None
    number: Annotated[str | None, Meta(description="The leading digits that rating needs, and asterisks.")]
    category: str | None
    type: str | None
    quantity: Decimal
    billed_quantity: Decimal
    rate: AppliedRate
    increments: Decimal
    free_units: Decimal
    amount: Decimal
    credits: list[AppliedCredit]
    to_be_invoiced: Decimal


class InteractionList(Struct):
    """A page of a product's interactions; it may be short, or empty, and still have a cursor."""

    items: list[Interaction]
    cursor: Cursor


class Bucket(Struct):
    """An hour, named by its first instant, a day or a month."""

    bucket: str
    quantity: Decimal
    amount: Decimal


class ProductSeries(Struct):
    """What a product used over time."""

    resource: Name
    name: str
    unit: str
    buckets: list[Bucket]


class UsageSeries(Struct):
    """Usage per hour, day or month of the account's time zone."""

    period: Month
    granularity: Granularity
    timezone: str
    currency: str
    as_of: Time
    products: list[ProductSeries]


class PreparingReport(Struct):
    """A report that is being prepared as a file: ask again at `poll`."""

    status: Literal["preparing"]
    poll: Address


class ReadyReport(Struct):
    """A report that is there as a file: anyone who knows `url` can fetch it until `expires_at`."""

    status: Literal["ready"]
    url: Address
    expires_at: Time


class Commitment(Struct):
    """Credit that is committed in a pool."""

    pool: Pool
    amount: Decimal
    frequency: Frequency
    starts_on: Day
    ends_on: Day | None
    rollover: bool
    last_recharge_on: Day | None
    next_recharge_on: Day | None


class Grant(Struct):
    """Promotional credit."""

    id: str
    pool: Pool
    amount: Decimal
    remaining: Decimal
    expires_on: Day | None


class LedgerEntry(Struct):
    """A movement of credit: `amount` is `balance_after` less `balance_before`. `at` says when it was due."""

    id: str
    at: Time
    recorded_at: Time
    kind: EntryKind
    pool: Pool
    amount: Decimal
    balance_before: Decimal
    balance_after: Decimal
    cause: str
    actor: str
    expires_on: Day | None


class LedgerEntryList(Struct):
    """A page of the ledger."""

    items: list[LedgerEntry]
    cursor: Cursor


class Purchase(Struct):
    """
    What became of a purchase.

    `reason` is the gateway's for one that failed, `balance` null for one that did not succeed.
    """

    id: str
    amount: Decimal
    status: PaymentStatus
    balance: Decimal | None
    reason: str | UnsetType = UNSET


class AutoRecharge(Struct):
    """Auto recharge as it stands. Pending payments count in `spent_this_month`."""

    enabled: bool
    threshold: Decimal | None
    amount: Decimal | None
    monthly_limit: Decimal | None
    status: AutoRechargeStatus
    failures: Count
    spent_this_month: Decimal


class Received(Struct):
    """A webhook was taken."""

    received: Literal[True]


class JobFailure(Struct):
    """What a job could not do, and why."""

    subject: str
    reason: str


class JobRun(Struct):
    """One run of a job: how many subjects are done, failed, and left for a later run."""

    job: str
    at: Time
    done: Count
    failed: Count
    left: Count
    failures: list[JobFailure] | UnsetType = UNSET


class LastRun(Struct):
    """The last run of a job, begun and ended by the machine's clock."""

    at: Time
    started_at: Time
    ended_at: Time
    done: Count
    failed: Count
    left: Count
    failures: list[JobFailure]


class Job(Struct):
    """When a job ran last and runs next."""

    job: str
    last_run: LastRun | None
    next_run_at: Time


class JobList(Struct):
    """All jobs."""

    items: list[Job]
    cursor: None


class TestClock(Struct):
    """Where the test clock stands."""

    now: Time


class MovedTestClock(Struct):
    """Where the test clock stands now, and the jobs that ran on the way, in order."""

    now: Time
    jobs: list[JobRun]


class Health(Struct):
    """Whether the service and its store are there."""

    status: Literal["ok", "unavailable"]
    store: Literal["ok", "unavailable"]
