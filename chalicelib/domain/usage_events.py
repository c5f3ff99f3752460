"""Usage events: reading CloudEvents, their identity, and what makes two of them the same."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chalicelib.domain.instants import DAY, MINUTE, Instant, NotAnInstantError, parse_instant
from chalicelib.domain.money import QUANTITY_PATTERN, NotADecimalError, parse_quantity


ID_BYTES_MAX: Final = 128
SOURCE_BYTES_MAX: Final = 256
FIELD_BYTES_MAX: Final = 64
AGE_MAX: Final = 35 * DAY
AHEAD_MAX: Final = 5 * MINUTE

HIDDEN_DIGITS: Final = 4
"""Last digits of a contact number that are never kept."""

E164: Final = r"\+?[0-9]{1,15}"
_E164: Final = re.compile(E164)

_Field = Annotated[str, Meta(extra_json_schema={"maxLength": FIELD_BYTES_MAX})]
"""The limits in what schemas say are those that `read_usage_event` checks, with better messages, in bytes."""

Identity = tuple[str, str, Instant]
"""Source, id and instant: with the account, what makes an event the same event."""


class InvalidEventError(ValueError):
    """The event cannot be read; *pointer* names the member, the message says why."""

    def __init__(self, pointer: str, message: str) -> None:
        """Keep the RFC 6901 *pointer* beside the message."""
        super().__init__(message)
        self.pointer = pointer


class UsageEvent(Struct, frozen=True, gc=False):
    """
    One use of a product, as it was metered.

    *quantity* is in the product's unit; *number* holds digits only. The fields from *direction* to *type* are
    those that rate rows match on.
    """

    account: str
    source: str
    id: str
    time: Instant
    resource: str
    quantity: Decimal
    direction: str | None = None
    resolution: str | None = None
    country_code: str | None = None
    number: str | None = None
    category: str | None = None
    type: str | None = None
    interaction_id: str | None = None

    @property
    def identity(self) -> Identity:
        """Return what, within an account, tells this event from every other."""
        return self.source, self.id, self.time

    def agrees_with(self, recorded: UsageEvent) -> bool:
        """Tell whether this is *recorded* sent again; its number counts as far as it was kept."""
        return (
            self.resource == recorded.resource
            and self.quantity == recorded.quantity
            and self.direction == recorded.direction
            and self.resolution == recorded.resolution
            and self.country_code == recorded.country_code
            and self.category == recorded.category
            and self.type == recorded.type
            and _number_agrees(self.number, recorded.number)
        )


def _number_agrees(number: str | None, kept: str | None) -> bool:
    if number is None or kept is None:
        return number is kept
    return number.startswith(kept)


def kept_number(number: str | None, rated_digits: int) -> str | None:
    """Return the leading digits that rating by *rated_digits* needs, never the last four."""
    if number is None:
        return None
    return number[: min(rated_digits, max(len(number) - HIDDEN_DIGITS, 0))]


class UsageData(Struct, frozen=True, gc=False):
    """What was used: a quantity in the product's unit, and the fields that rate rows match on."""

    quantity: Annotated[str, Meta(extra_json_schema={"pattern": QUANTITY_PATTERN})]
    direction: _Field | None = None
    resolution: _Field | None = None
    country_code: _Field | None = None
    number: Annotated[str, Meta(extra_json_schema={"pattern": rf"^(?:{E164})?$"})] | None = None
    category: _Field | None = None
    type: _Field | None = None
    interaction_id: Annotated[str, Meta(extra_json_schema={"maxLength": ID_BYTES_MAX})] | None = None


class CloudEvent(Struct, frozen=True, gc=False):
    """A CloudEvents 1.0 JSON event, its members' types checked and nothing else."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": ID_BYTES_MAX})]
    source: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": SOURCE_BYTES_MAX})]
    type: Annotated[str, Meta(description="The product's resource code.", extra_json_schema={"minLength": 1})]
    subject: Annotated[str, Meta(description="The account.", extra_json_schema={"minLength": 1})]
    time: Annotated[
        str, Meta(description="An RFC 3339 time with an offset.", extra_json_schema={"format": "date-time"})
    ]
    data: UsageData


_event_decoder: Final = msgspec.json.Decoder(CloudEvent)


def split_events(body: bytes) -> list[msgspec.Raw]:
    """
    Return the JSON of each event of *body*, as it stands there: of the one that it is, or of those in its array.

    Raises:
        InvalidEventError: where it is not JSON, or neither an object nor an array of at least one element.
    """
    try:
        raw = msgspec.json.decode(body, type=msgspec.Raw)
        first = bytes(raw).lstrip()[:1]
        bodies = msgspec.json.decode(raw, type=list[msgspec.Raw]) if first == b"[" else [raw]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("", f"is not JSON: {error}") from error
    if first not in (b"[", b"{") or not bodies:
        raise InvalidEventError("", "is neither an event nor a batch of at least one")
    return bodies


def decode_cloud_event(raw: bytes | msgspec.Raw) -> CloudEvent:
    """
    Read the JSON of one CloudEvents event.

    Raises:
        InvalidEventError: where a member is missing or of another type.
    """
    try:
        return _event_decoder.decode(raw)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise InvalidEventError(path.rstrip("`").replace(".", "/"), message) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("", str(error)) from error


def read_usage_event(event: CloudEvent) -> UsageEvent:
    """
    Turn a CloudEvents event into usage.

    Raises:
        InvalidEventError: for an empty or overlong member, a quantity that is no decimal within the limits, a time
            without offset, or a number that is not E.164.
    """
    data = event.data
    _check_text("/id", event.id, ID_BYTES_MAX)
    _check_text("/source", event.source, SOURCE_BYTES_MAX)
    _check_text("/type", event.type)
    _check_text("/subject", event.subject)
    return UsageEvent(
        account=event.subject,
        source=event.source,
        id=event.id,
        time=_read_time(event.time),
        resource=event.type,
        quantity=_read_quantity(data.quantity),
        direction=_read_field("direction", data.direction),
        resolution=_read_field("resolution", data.resolution),
        country_code=_read_field("country_code", data.country_code),
        number=_read_number(data.number),
        category=_read_field("category", data.category),
        type=_read_field("type", data.type),
        interaction_id=_read_field("interaction_id", data.interaction_id, ID_BYTES_MAX),
    )


def _read_field(name: str, text: str | None, bytes_max: int = FIELD_BYTES_MAX) -> str | None:
    if not text:
        return None
    _check_text(f"/data/{name}", text, bytes_max)
    return text


def _read_number(text: str | None) -> str | None:
    if not text:
        return None
    if not _E164.fullmatch(text):
        raise InvalidEventError("/data/number", "must be an E.164 number: at most 15 digits, + in front or not")
    return text.lstrip("+")


def _check_text(pointer: str, text: str, bytes_max: int = sys.maxsize) -> None:
    if not text:
        raise InvalidEventError(pointer, "must not be empty")
    if len(text) * 4 > bytes_max and len(text.encode()) > bytes_max:
        raise InvalidEventError(pointer, f"must have at most {bytes_max} bytes")


def _read_time(text: str) -> Instant:
    try:
        return parse_instant(text)
    except NotAnInstantError as error:
        raise InvalidEventError("/time", str(error)) from error


def _read_quantity(text: str) -> Decimal:
    try:
        return parse_quantity(text)
    except NotADecimalError as error:
        raise InvalidEventError("/data/quantity", str(error)) from error
