"""The description as a page: plain HTML that needs no script."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from chalicelib.api.openapi.document import REQUEST, description


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalice.app import Chalice

_CODE: Final = re.compile(r"`([^`]+)`")
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API {version}</title>
<link rel="icon" href="console/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="docs/style.css">
</head>
<body>
<a class="skip-link" href="#content">Skip to the description</a>
<header><p><strong>{title} API</strong> {version}</p><p><a href="openapi.json">openapi.json</a></p></header>
<nav aria-label="Operations">{contents}</nav>
<main id="content" tabindex="-1">
<h1>{title} API</h1>
{description}
{groups}
<section aria-labelledby="schemas">
<h2 id="schemas">Schemas</h2>
{schemas}
</section>
</main>
</body>
</html>
"""


@cache
def page(app: Chalice) -> str:
    """Return the page on *app*'s routes, written once."""
    return render(json.loads(description(app)))


def render(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI *document* as a page."""
    operations = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations[operation["tags"][0]].append((f"{method.upper()} {path}", operation))
    tags = [tag for tag in document["tags"] if tag["name"] in operations]
    return _PAGE.format(
        title=escape(document["info"]["title"]),
        version=escape(document["info"]["version"]),
        description=_paragraphs(document["info"]["description"]),
        contents="".join(_contents(tag["name"], operations[tag["name"]]) for tag in tags),
        groups="\n".join(_group(tag, operations[tag["name"]]) for tag in tags),
        schemas="\n".join(_named_schema(name, one) for name, one in document["components"]["schemas"].items()),
    )


def _contents(tag: str, operations: Iterable[tuple[str, Any]]) -> str:
    links = "".join(
        f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
        for _, operation in operations
    )
    return f"<h2>{escape(tag)}</h2><ul>{links}</ul>"


def _group(tag: Mapping[str, str], operations: Iterable[tuple[str, Any]]) -> str:
    anchor = f"tag-{tag['name'].lower()}"
    articles = "\n".join(_operation(request, operation) for request, operation in operations)
    return (
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{escape(tag["name"])}</h2>\n'
        f"{_paragraphs(tag['description'])}\n{articles}\n</section>"
    )


def _operation(request: str, operation: Mapping[str, Any]) -> str:
    anchor = operation["operationId"]
    scopes = [scope for one in operation["security"] for of_scheme in one.values() for scope in of_scheme]
    token = f"A token with the scope <code>{escape(scopes[0])}</code>." if scopes else "No token is needed."
    parts = [
        f'<article aria-labelledby="{anchor}">',
        f'<h3 id="{anchor}">{escape(operation["summary"])}</h3>',
        f'<p class="request"><code>{escape(request)}</code></p>',
        _paragraphs(operation.get("description", "")),
        f"<p>{token}</p>",
        _parameters(operation.get("parameters", ())),
        _body(operation.get("requestBody")),
        _answers(operation["responses"]),
        *_examples(operation["responses"]),
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            escape(one["in"]) + (", required" if one["required"] else ""),
            f"{_kind(one['schema'])}{_line(one['description'])}",
        )
        for one in parameters
    ]
    return _table("Parameters", ("Name", "Where", "What"), rows)


def _body(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    rows = [(f"<code>{escape(kind)}</code>", _kind(content["schema"])) for kind, content in body["content"].items()]
    return _table("Request body" if body["required"] else "Request body, optional", ("Content type", "What"), rows)


def _answers(responses: Mapping[str, Any]) -> str:
    rows = []
    for status, response in responses.items():
        kinds = [
            f"<code>{escape(kind)}</code> {_kind(content['schema'])}"
            for kind, content in response.get("content", {}).items()
        ]
        headers = ", ".join(f"<code>{escape(name)}</code>" for name in response["headers"])
        rows.append((escape(status), f"{_text(response['description'])}{''.join(map(_block, kinds))}", headers))
    return _table("Answers", ("Status", "What", "Headers"), rows)


def _examples(responses: Mapping[str, Any]) -> Iterator[str]:
    for status, response in responses.items():
        for content in response.get("content", {}).values():
            for name, example in content.get("examples", {}).items():
                yield (
                    f"<details><summary>Example: {escape(name.replace('_', ' '))}, {escape(status)}</summary>"
                    f"<pre>{_request(example[REQUEST])}</pre><pre>{_shown(example['value'])}</pre></details>"
                )


def _request(request: Mapping[str, Any]) -> str:
    lines = [
        f"{request['method']} {request['target']}",
        *(f"{name}: {value}" for name, value in request.get("headers", {}).items()),
    ]
    body = f"\n\n{_shown(request['body'])}" if "body" in request else ""
    return escape("\n".join(lines)) + body


def _shown(value: Any) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _named_schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(member)}</code>" + ("" if member in required else ", optional"),
            f"{_kind(one)}{_line(one.get('description', ''))}",
        )
        for member, one in schema.get("properties", {}).items()
    ]
    members = _table(f"Members of {name}", ("Name", "What"), rows) if rows else f"<p>{_kind(schema)}</p>"
    return (
        f'<article aria-labelledby="schema-{name}">\n<h3 id="schema-{name}">{escape(name)}</h3>\n'
        f"{_paragraphs(schema.get('description', ''))}\n{members}\n</article>"
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what values a schema takes, in words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        codes = schema.get("properties", {}).get("code", {}).get("enum", ())
        return f'<a href="#schema-{name}">{name}</a>' + _values(codes)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_kind(choice) for choice in choices)
    if "enum" in schema or "const" in schema:
        return _values(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    kind = escape(schema.get("format") or schema.get("type") or "anything")
    limits = [f"{word} {schema[name]}" for name, word in _LIMITS.items() if name in schema]
    pattern = f" <code>{escape(schema['pattern'])}</code>" if "pattern" in schema else ""
    return ", ".join([kind, *limits]) + pattern


_LIMITS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
    "default": "by default",
}


def _values(values: Iterable[Any]) -> str:
    return " " + ", ".join(f"<code>{escape(json.dumps(one).strip(chr(34)))}</code>" for one in values) if values else ""


def _table(caption: str, titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
        if body
        else ""
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part)


def _line(text: str) -> str:
    return f"<br>{_text(text)}" if text else ""


def _block(markup: str) -> str:
    return f"<br>{markup}"


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
