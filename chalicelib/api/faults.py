"""Where the fault of a body lies that is JSON of another shape than asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.services.errors import Fault


if TYPE_CHECKING:
    from collections.abc import Iterator


_STEP: Final = re.compile(r"\.(?P<member>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any_member>\[\.\.\.\])")
_OF_MEMBER: Final = re.compile(r"(?:unknown|required) field `(.+)`")


def fault_of(error: msgspec.ValidationError, body: bytes, kind: Any) -> Fault:
    """
    Return the fault for which *body* is not of *kind*, with a JSON pointer (RFC 6901) to it.

    Raises:
        msgspec.DecodeError: where it is no JSON behind the fault.
    """
    message, _, path = str(error).partition(" - at `$")
    steps = [*_walk(path.rstrip("`"), msgspec.json.decode(body), kind), *_OF_MEMBER.findall(message)]
    return Fault("".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps), message)


def _walk(path: str, document: Any, kind: Any) -> Iterator[str]:
    """Follow a path as msgspec writes it, which does not say which member of a mapping it means."""
    node = document
    for step in _STEP.finditer(path):
        name = _faulty_member(document, node, kind) if step["any_member"] else step["member"] or step["index"]
        children = dict(enumerate(node)) if isinstance(node, list) else node
        child = int(name) if name and isinstance(node, list) else name
        if not isinstance(children, dict) or child not in children:
            return  # of two members of one name, the fault was in the one that does not count
        yield str(name)
        node = children[child]


def _faulty_member(document: Any, node: Any, kind: Any) -> str | None:
    """Return the member of *node*, a part of *document*, that is faulty also where it is the only one."""
    members: dict[str, Any] = dict(node) if isinstance(node, dict) else {}
    for name, member in members.items():
        node.clear()
        node[name] = member
        try:
            msgspec.convert(document, kind)
        except msgspec.ValidationError:
            return name
    return None
