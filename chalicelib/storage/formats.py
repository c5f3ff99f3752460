"""
How an item says in which format its body is written: by the first byte.

Readers know the formats they can read and refuse any other, so that a process of an earlier version, which may still
run beside a later one, never reads half of an item and writes it back without the rest.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec


JSON_FORMAT: Final = 1
"""Of records: JSON follows, with the members of the value's class and decimals as text."""

T = TypeVar("T")


class UnknownFormatError(ValueError):
    """The bytes were written by a later version of the project."""


def with_format(content: bytes) -> bytes:
    """Write the body of a record."""
    return bytes([JSON_FORMAT]) + content


def without_format(body: bytes | None, what: str) -> bytes:
    """
    Return what `with_format` was given; *what* it is goes into the error.

    Raises:
        UnknownFormatError: for a format of a later version, or nothing at all.
    """
    require_format(body, JSON_FORMAT, what)
    return (body or b"")[1:]


def require_format(body: bytes | None, known: int, what: str) -> None:
    """
    Make sure that *body* begins with the *known* format; *what* it is goes into the error.

    Raises:
        UnknownFormatError: where it does not.
    """
    written = (body or b"\0")[0]
    if written != known:
        message = f"{what} of format {written}"
        raise UnknownFormatError(message)


def encode_record(value: object) -> bytes:
    """Write *value* as the body of a record."""
    return with_format(msgspec.json.encode(value))


def decode_record(body: bytes | None, kind: type[T]) -> T:
    """
    Read a value of *kind* from the body of a record.

    Raises:
        UnknownFormatError: for a format of a later version.
    """
    return msgspec.json.decode(without_format(body, kind.__name__), type=kind)
