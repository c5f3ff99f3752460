"""What each operation takes and answers, as far as its route cannot tell: by the name of the handler."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from chalicelib.api.accounts import AccountBody
from chalicelib.api.commitments import CommitmentBody
from chalicelib.api.credit import IDEMPOTENCY_KEY_CHARACTERS_MAX, GrantBody
from chalicelib.api.fields import Day, Month, Name, Time
from chalicelib.api.jobs import ClockBody, RunBody
from chalicelib.api.openapi import answers
from chalicelib.api.parameters import LIMIT_DEFAULT, LIMIT_MAX
from chalicelib.api.problems import JSON
from chalicelib.api.products import ProductBody
from chalicelib.api.purchases import AutoRechargeBody, PurchaseBody
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.series import Granularity
from chalicelib.domain.usage_events import CloudEvent
from chalicelib.services.meter_events import EVENTS_MAX


if TYPE_CHECKING:
    from collections.abc import Mapping

CSV: Final = "text/csv"
EVENT: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
HTML: Final = "text/html"
CSS: Final = "text/css"

TAGS: Final = {
    "Usage": "What was used, what is left, and what will be invoiced.",
    "Invoices": "Issued invoices and the next one.",
    "Reports": "Prices and reports to download.",
    "Credit": "Promotional credit, committed credit and the ledger of every movement.",
    "Purchases": "Buying credit by card, once or whenever the balance falls below a threshold.",
    "Events": "The door for usage.",
    "Accounts": "Customers and their settings.",
    "Catalogue": "Products and rate cards.",
    "Operation": "Jobs, the test clock, webhooks and health.",
    "Pages": "What people look at in a browser, and this description.",
}

DESCRIPTION: Final = """\
Usage events go in, and at the moment one is accepted balances are true. Money and quantities are exact decimals in \
strings; JSON numbers are refused for them. Times are RFC 3339 in UTC, periods are calendar months of the account's \
time zone.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists are newest first and have a `cursor` to \
what follows, null at their end. A token of one account reaches that account alone: any other answers 404, and what is \
not an account's answers 403.\
"""


class Parameter(NamedTuple):
    """A parameter: where it stands, and the *kind* of its values."""

    name: str
    kind: Any
    description: str
    place: Literal["path", "query", "header"] = "query"
    is_required: bool = False
    default: Any = None


class Body(NamedTuple):
    """A request body: its *kinds* by content type."""

    kinds: dict[str, Any]
    is_required: bool = True


class Answer(NamedTuple):
    """An answer other than a problem: its *kinds* by content type, and the names of its own headers."""

    description: str
    kinds: Mapping[str, Any] = MappingProxyType({})
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """
    An operation.

    *scope* is None where no token is needed. *codes* are the problems of its own, besides those that `problem_codes`
    works out. A *revalidated* answer has an entity tag.
    """

    tag: str
    scope: str | None
    answers: dict[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    codes: tuple[str, ...] = ()
    description: str = ""
    is_revalidated: bool = False


class PriceRowBody(Struct):
    """
    A price for each `increment` of a product's unit, where all cells match; an empty or missing one matches anything.

    Members may also have the titles of the CSV's columns.
    """

    resource: Name
    currency: str
    price_per_increment: str
    increment: str
    description: str | None = None
    direction: str | None = None
    type: str | None = None
    resolutions: str | list[str] | None = None
    country_code: str | None = None
    category: str | None = None
    prefixes: str | list[str] | None = None
    unit_of_measure: str | None = None


class RateCardBody(Struct):
    """The rows of a rate card."""

    rows: Annotated[list[PriceRowBody], Meta(min_length=1)]


_Batch = Annotated[list[CloudEvent], Meta(min_length=1, max_length=EVENTS_MAX)]
_JobName = Literal[
    "expire-credit",
    "recharge-commitments",
    "compute-storage-peaks",
    "issue-invoices",
    "settle-payments",
    "sweep-outbox",
    "audit",
]

PATH_KINDS: Final[dict[str, tuple[Any, str]]] = {
    "account": (Name, "The account's id."),
    "resource": (Name, "The product's resource code."),
    "pool": (Name, "`contact_center_services`, or the resource code of a product with its own pool."),
    "period": (Month, "A calendar month."),
    "card": (Name, "The rate card's name."),
    "effective_from": (Day, "The day from which the version is in force."),
    "grant": (str, "The grant's id."),
    "purchase": (str, "The purchase's id."),
    "warning": (str, "The warning's id."),
    "file": (str, "The file's name, as an answer with 202 gave it."),
    "job": (_JobName, "The job's name."),
    "name": (str, "The file's name."),
}

_PERIOD: Final = Parameter("period", Month, "The month to show; without it the one that the tab shows.")
_LIMIT: Final = Parameter(
    "limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many items to show at once.", default=LIMIT_DEFAULT
)
_CURSOR: Final = Parameter("cursor", str, "Where the list goes on, as its last answer said.")
_KEY: Final = Parameter(
    "Idempotency-Key",
    Annotated[str, Meta(min_length=1, max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX)],
    "Names the request: sent again with the same body it gets its first answer again, and nothing happens twice.",
    place="header",
    is_required=True,
)
IF_NONE_MATCH: Final = Parameter("If-None-Match", str, "The entity tag of an answer that is at hand.", place="header")
_LIST: Final = (_LIMIT, _CURSOR)

_PREPARING: Final = Answer(
    "The report is being prepared as a file", {JSON: answers.PreparingReport}, ("Location", "Retry-After")
)
_REPORT: Final = {200: Answer("The report", {CSV: str}, ("Content-Disposition",)), 202: _PREPARING}


def _json(description: str, kind: Any, *headers: str) -> Answer:
    return Answer(description, {JSON: kind}, headers)


def _body(kind: Any) -> Body:
    return Body({JSON: kind})


OPERATIONS: Final[dict[str, Operation]] = {
    "get_usage": Operation(
        "Usage",
        "usage:read",
        {200: _json("The tab", answers.UsageTab)},
        (_PERIOD,),
        is_revalidated=True,
    ),
    "get_balances": Operation(
        "Usage",
        "usage:read",
        {200: _json("The balances", answers.Balances)},
        (Parameter("at", Time, "An instant: balances are shown as the service would have then. Without it, now."),),
        codes=("invalid_request", "gone"),
        is_revalidated=True,
    ),
    "get_series": Operation(
        "Usage",
        "usage:read",
        {200: _json("The series", answers.UsageSeries)},
        (_PERIOD, Parameter("granularity", Granularity, "How long a bucket is.", default="day")),
        codes=("invalid_request", "gone"),
        is_revalidated=True,
    ),
    "list_interactions": Operation(
        "Usage",
        "usage:read",
        {200: _json("The interactions", answers.InteractionList)},
        (_PERIOD, *_LIST),
        codes=("gone",),
    ),
    "post_dismiss": Operation("Usage", "usage:read", {200: _json("It is off the tab", answers.DismissedWarning)}),
    "list_invoices": Operation(
        "Invoices", "usage:read", {200: _json("The invoices", answers.InvoiceList)}, _LIST, is_revalidated=True
    ),
    "get_upcoming_invoice": Operation("Invoices", "usage:read", {200: _json("The next invoice", answers.Invoice)}),
    "get_invoice": Operation(
        "Invoices", "usage:read", {200: _json("The invoice", answers.Invoice)}, is_revalidated=True
    ),
    "get_prices": Operation(
        "Reports",
        "usage:read",
        {200: Answer("The prices", {CSV: str, JSON: answers.Prices})},
        (Parameter("on", Day, "The day on which they are in force; without it today."),),
        codes=("invalid_request",),
    ),
    "get_cost_report": Operation("Reports", "usage:read", _REPORT, (_PERIOD,), codes=("gone",)),
    "get_transactions_report": Operation("Reports", "usage:read", _REPORT, (_PERIOD,), codes=("gone",)),
    "get_report_file": Operation(
        "Reports",
        "usage:read",
        {200: _json("The file is there", answers.ReadyReport), 202: _PREPARING},
    ),
    "list_ledger": Operation(
        "Credit",
        "usage:read",
        {200: _json("The entries", answers.LedgerEntryList)},
        (
            Parameter("pool", str, "Only movements in this pool."),
            Parameter("kind", EntryKind, "Only movements of this kind."),
            Parameter("from", Day | Time, "The first day, in the account's time zone, or instant."),
            Parameter("to", Day | Time, "The last day or instant, included."),
            *_LIST,
        ),
    ),
    "post_grant": Operation(
        "Credit",
        "admin",
        {201: _json("The grant", answers.Grant)},
        (_KEY,),
        _body(GrantBody),
        ("invalid_request", "unknown_pool"),
    ),
    "post_void": Operation(
        "Credit", "admin", {200: _json("The grant, nothing of it left", answers.Grant)}, codes=("not_promotional",)
    ),
    "put_commitment": Operation(
        "Credit",
        "admin",
        {200: _json("The commitment", answers.Commitment)},
        body=_body(CommitmentBody),
        codes=("invalid_request", "unknown_pool"),
    ),
    "delete_commitment": Operation("Credit", "admin", {204: Answer("No more recharges")}),
    "post_purchase": Operation(
        "Purchases",
        "credits:write",
        {
            201: _json("The credit is bought", answers.Purchase),
            202: _json("The gateway has not told the outcome yet: ask for the purchase", answers.Purchase),
        },
        (_KEY,),
        _body(PurchaseBody),
        ("card_declined", "payment_method_not_card", "invalid_amount", "below_minimum"),
        "An amount is at least 100 in the account's currency.",
    ),
    "get_purchase": Operation("Purchases", "credits:write", {200: _json("The purchase", answers.Purchase)}),
    "get_auto_recharge": Operation(
        "Purchases", "credits:write", {200: _json("Auto recharge as it stands", answers.AutoRecharge)}
    ),
    "put_auto_recharge": Operation(
        "Purchases",
        "credits:write",
        {200: _json("Auto recharge as it stands", answers.AutoRecharge)},
        body=_body(AutoRechargeBody),
        codes=("invalid_request", "payment_method_not_card", "threshold_not_below_balance", "invalid_amount"),
        description="Whenever the balance falls below `threshold`, the smallest multiple of `amount` is paid that lifts"
        " it to the threshold, within `monthly_limit`.",
    ),
    "post_events": Operation(
        "Events",
        "events:write",
        {200: _json("What became of the events, even if all were rejected", answers.EventResults)},
        body=Body({EVENT: CloudEvent, BATCH: _Batch, JSON: CloudEvent | _Batch}),
        codes=("too_many_events",),
        description="The same event, by source, id and the instant of time, changes nothing however often it is sent.",
    ),
    "put_account": Operation(
        "Accounts",
        "admin",
        {200: _json("The account", answers.Account)},
        body=_body(AccountBody),
        codes=(
            "invalid_request",
            "fixed_by_usage",
            "unknown_currency",
            "unknown_timezone",
            "unknown_rate_card",
            "currency_mismatch",
            "unknown_resource",
        ),
    ),
    "get_account": Operation("Accounts", "admin", {200: _json("The account", answers.Account)}),
    "put_product": Operation(
        "Catalogue",
        "admin",
        {200: _json("The product", answers.Product)},
        body=_body(ProductBody),
        codes=("invalid_request", "product_in_use"),
    ),
    "list_products": Operation("Catalogue", "admin", {200: _json("The products", answers.ProductList)}, _LIST),
    "put_version": Operation(
        "Catalogue",
        "admin",
        {200: _json("The version", answers.RateCardVersion)},
        body=Body({CSV: str, JSON: RateCardBody | list[PriceRowBody]}),
        codes=("invalid_request", "invalid_rate_card", "fixed_by_usage"),
        description="CSV has a header of all columns. A version is in force from 00:00 of its date, in the zone of the"
        " account.",
    ),
    "list_jobs": Operation("Operation", "admin", {200: _json("The jobs", answers.JobList)}),
    "post_run": Operation(
        "Operation",
        "admin",
        {200: _json("The run", answers.JobRun)},
        body=Body({JSON: RunBody}, is_required=False),
        codes=("invalid_request", "not_found"),
    ),
    "get_test_clock": Operation(
        "Operation",
        "admin",
        {200: _json("Where it stands", answers.TestClock)},
        codes=("not_found",),
        description="Only where the test clock is switched on.",
    ),
    "put_test_clock": Operation(
        "Operation",
        "admin",
        {200: _json("Where it stands now", answers.MovedTestClock)},
        body=_body(ClockBody),
        codes=("invalid_request", "not_found", "clock_backwards"),
        description="Only where the test clock is switched on. It moves ten years at most.",
    ),
    "post_stripe_webhook": Operation(
        "Operation",
        None,
        {200: _json("It is taken", answers.Received)},
        (Parameter("Stripe-Signature", str, "Says who sent the body.", place="header"),),
        Body({JSON: Any}, is_required=False),
        ("not_found", "invalid_signature", "busy"),
        "Only where payments go through Stripe.",
    ),
    "get_health": Operation(
        "Operation",
        None,
        {
            200: _json("The service and its store are there", answers.Health),
            503: _json("The store is not there", answers.Health),
        },
    ),
    "get_page": Operation("Pages", None, {200: Answer("The page", {HTML: str})}),
    "get_file": Operation(
        "Pages",
        None,
        {200: Answer("The file", {"text/javascript": str, CSS: str, HTML: str, "image/svg+xml": str})},
        codes=("not_found",),
    ),
    "get_description": Operation("Pages", None, {200: _json("The description", dict[str, Any])}),
    "get_documentation": Operation("Pages", None, {200: Answer("The page", {HTML: str})}),
    "get_documentation_style": Operation("Pages", None, {200: Answer("The style sheet", {CSS: str})}),
}


def problem_codes(operation: Operation, path: str) -> tuple[str, ...]:
    """Return the codes of all problems that *operation* can answer with."""
    names = {parameter.name for parameter in operation.parameters}
    codes = {*operation.codes, "internal_error"}
    if operation.scope is not None:
        codes |= {"unauthenticated", "insufficient_scope", "too_many_requests", "busy"}
    if "{account}" in path:
        codes.add("not_found")
    if operation.body is not None:
        codes |= {"body_too_large", "malformed_body"}
    if "{period}" in path or "period" in names:
        codes.add("invalid_period")
    if "limit" in names:
        codes |= {"invalid_request", "invalid_cursor"}
    if "Idempotency-Key" in names:
        codes |= {"idempotency_key_required", "idempotency_key_reused", "invalid_request"}
    return tuple(sorted(codes))
