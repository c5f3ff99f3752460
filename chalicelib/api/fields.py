"""
The kinds of values that bodies, parameters and answers are made of, as JSON Schema has them.

Decimals, days and times are read by the parsers of the domain, whose messages say what is wrong; the patterns here are
those parsers' rules in the words of a schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from chalicelib.domain.money import MONEY_DIGITS, MONEY_PATTERN, QUANTITY_PATTERN, unsigned_pattern


MINOR_DIGITS_MAX: Final = 4
"""The most decimals that the minor unit of a currency has."""

NAME_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
PERIOD_PATTERN: Final = r"^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])$"
DECIMAL_PATTERN: Final = r"^-?[0-9]+(\.[0-9]+)?$"
PAYMENT_PATTERN: Final = unsigned_pattern(MONEY_DIGITS, MINOR_DIGITS_MAX)

_PAYMENT: Final = {"type": "string", "pattern": PAYMENT_PATTERN}

Money = Annotated[str, Meta(description="An amount of money.", extra_json_schema={"pattern": MONEY_PATTERN})]
Quantity = Annotated[str, Meta(extra_json_schema={"pattern": QUANTITY_PATTERN})]
Payment = Annotated[Any, Meta(description="Money of whole minor units of the currency.", extra_json_schema=_PAYMENT)]
OptionalPayment = Annotated[
    Any,
    Meta(
        description="Money of whole minor units of the currency.",
        extra_json_schema={"anyOf": [_PAYMENT, {"type": "null"}]},
    ),
]
Decimal = Annotated[str, Meta(description="An exact decimal.", extra_json_schema={"pattern": DECIMAL_PATTERN})]
Name = Annotated[str, Meta(extra_json_schema={"pattern": NAME_PATTERN})]
Month = Annotated[str, Meta(description="A month such as 2026-11.", extra_json_schema={"pattern": PERIOD_PATTERN})]
Day = Annotated[str, Meta(description="A day such as 2026-11-22.", extra_json_schema={"format": "date"})]
Time = Annotated[str, Meta(description="An RFC 3339 time with an offset.", extra_json_schema={"format": "date-time"})]
Address = Annotated[str, Meta(extra_json_schema={"format": "uri"})]
