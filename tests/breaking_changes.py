"""
What a new description of the API breaks for clients that were written by an old one.

A client's request that was right must still be right, and an answer must still be one that the client knows. So what is
sent may grow wider, and what is answered narrower, never the other way. Problems may get new codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Way = Literal["sent", "answered"]

_AT_LEAST: Final = ("minimum", "minLength", "minItems", "minProperties")
_AT_MOST: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_MAY_GROW: Final = "code"


def breaking_changes(released: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return every change from the *released* OpenAPI document to the *current* one that can break a client."""
    return list(dict.fromkeys(_Comparison(released, current).changes()))


class _Comparison:
    def __init__(self, released: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        self._released = released
        self._current = current
        self._compared: set[tuple[str, str, Way]] = set()

    def changes(self) -> Iterator[str]:
        for path, methods in self._released["paths"].items():
            for method, old in methods.items():
                where = f"{method.upper()} {path}"
                new = self._current["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{where} is gone"
                else:
                    yield from self._operation(where, old, new)

    def _operation(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        for member in ("operationId", "security"):
            if old.get(member) != new.get(member):
                yield f"{where}: {member} was {old.get(member)} and is {new.get(member)}"
        yield from self._parameters(where, _by_name(old), _by_name(new))
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            if status not in new["responses"]:
                yield f"{where}: the answer {status} is gone"
            else:
                yield from self._response(f"{where} {status}", response, new["responses"][status])

    def _parameters(self, where: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[str]:
        for key, parameter in new.items():
            if parameter.get("required") and not old.get(key, {}).get("required"):
                yield f"{where}: {_named(key)} is required now"
        for key, parameter in old.items():
            if key not in new:
                yield f"{where}: {_named(key)} is gone"
            else:
                yield from self._schema(f"{where}: {_named(key)}", parameter["schema"], new[key]["schema"], "sent")

    def _body(self, where: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{where}: a body is required now"
        if old is not None:
            yield from self._contents(f"{where}: the body", old, new or {}, "sent")

    def _response(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        for name, header in old.get("headers", {}).items():
            was_required = _resolved(self._released, header).get("required")
            if name not in new.get("headers", {}):
                yield f"{where}: the header {name} is gone"
            elif was_required and not _resolved(self._current, new["headers"][name]).get("required"):
                yield f"{where}: the header {name} may be missing now"
        yield from self._contents(where, old, new, "answered")

    def _contents(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], way: Way) -> Iterator[str]:
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: {kind} is gone"
            else:
                yield from self._schema(f"{where} {kind}", content["schema"], new["content"][kind]["schema"], way)

    def _schema(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], way: Way) -> Iterator[str]:
        if "$ref" in old:
            pair = (repr(old), repr(new), way)
            if pair in self._compared:
                return
            self._compared.add(pair)
        old, new = _resolved(self._released, old), _resolved(self._current, new)
        olds, news = _choices(old), _choices(new)
        if len(olds) == len(news) == 1:
            yield from self._plain(where, old, new, way)
            return
        wide, narrow = (news, olds) if way == "sent" else (olds, news)
        for place, one in enumerate(narrow):
            pairs = [(one, other) if way == "sent" else (other, one) for other in wide]
            if not any(self._fits(*pair, way) for pair in pairs):
                yield f"{where}: choice {place + 1} is {'not taken any more' if way == 'sent' else 'new'}"

    def _fits(self, old: Mapping[str, Any], new: Mapping[str, Any], way: Way) -> bool:
        trial = _Comparison(self._released, self._current)
        trial._compared = set(self._compared)
        return not list(trial._schema("", old, new, way))

    def _plain(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], way: Way) -> Iterator[str]:
        wide, narrow = (new, old) if way == "sent" else (old, new)
        yield from _values(where, wide, narrow, way)
        yield from _limits(where, wide, narrow)
        if way == "sent" and old.get("default") != new.get("default"):
            yield f"{where}: the default was {old.get('default')} and is {new.get('default')}"
        for name in set(wide.get("required", ())) - set(narrow.get("required", ())):
            yield f"{where}.{name} {'is required now' if way == 'sent' else 'may be missing now'}"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}.{name} is gone"
            elif not (name == _MAY_GROW and _is_problem(where)):
                yield from self._schema(f"{where}.{name}", schema, new["properties"][name], way)
        for member in ("items", "additionalProperties"):
            if member not in old and member not in new:
                continue
            one, other = old.get(member, {}), new.get(member, {})
            if isinstance(one, dict) and isinstance(other, dict):
                yield from self._schema(f"{where}[]", one, other, way)
            elif (wide.get(member, {}) is False) and narrow.get(member, {}) is not False:
                yield f"{where}: other members are not taken any more"


def _values(where: str, wide: Mapping[str, Any], narrow: Mapping[str, Any], way: Way) -> Iterator[str]:
    wide_types, narrow_types = _types(wide), _types(narrow)
    if wide_types and not narrow_types <= wide_types | ({"integer"} if "number" in wide_types else set()):
        yield f"{where}: the type changed"
    elif wide_types and not narrow_types:
        yield f"{where}: the type is {'narrower' if way == 'sent' else 'wider'} now"
    wide_values, narrow_values = _enumerated(wide), _enumerated(narrow)
    if wide_values is not None and narrow_values is None:
        yield f"{where}: the values are {'limited now' if way == 'sent' else 'not limited any more'}"
    elif wide_values is not None and narrow_values is not None:
        for value in sorted(map(str, narrow_values - wide_values)):
            yield f"{where}: the value {value} is {'not taken any more' if way == 'sent' else 'new'}"


def _limits(where: str, wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> Iterator[str]:
    for name in ("pattern", "format"):
        if name in wide and wide[name] != narrow.get(name):
            yield f"{where}: the {name} changed"
    for name in _AT_LEAST:
        if name in wide and (name not in narrow or narrow[name] < wide[name]):
            yield f"{where}: {name} changed"
    for name in _AT_MOST:
        if name in wide and (name not in narrow or narrow[name] > wide[name]):
            yield f"{where}: {name} changed"


def _by_name(operation: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    return {(one["in"], one["name"]): one for one in operation.get("parameters", ())}


def _named(key: tuple[str, str]) -> str:
    return f"the {key[0]} parameter {key[1]}"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Follow a reference; what stands beside it narrows it."""
    if "$ref" not in schema:
        return dict(schema)
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    properties = {**found.get("properties", {}), **beside.pop("properties", {})}
    return {**found, **beside, **({"properties": properties} if properties else {})}


def _choices(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _enumerated(schema: Mapping[str, Any]) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _is_problem(where: str) -> bool:
    """Tell whether a place is the answer with an error: `GET /path 404 application/problem+json`."""
    return where.endswith("application/problem+json")
