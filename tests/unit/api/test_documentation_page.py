"""The page that shows the description shows all of it, and needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from app import app
from chalicelib.api.openapi.document import describe
from chalicelib.api.openapi.page import page, render


class Reader(HTMLParser):
    """Takes a page apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        attributes = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(attributes)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Give the page, taken apart."""
    return Reader(page(app))


def test_everything_is_on_it(reader: Reader) -> None:
    """Operations, parameters, answers, problems and shapes are all there, each once."""
    document = describe(app)
    text = " ".join(reader.texts)

    assert len(reader.ids) == len(set(reader.ids))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"] in reader.ids
            assert f"{method.upper()} {path}" in text
            for parameter in operation.get("parameters", ()):
                assert parameter["name"] in reader.texts
    for name, schema in document["components"]["schemas"].items():
        assert f"schema-{name}" in reader.ids
        assert set(schema.get("properties", ())) <= set(reader.texts)
    assert "payment_method_not_card" in reader.texts


def test_every_link_leads_somewhere(reader: Reader) -> None:
    """Links within the page have a target, all others are files of this service."""
    within = {link[1:] for link in reader.links if link.startswith("#")}
    others = {link for link in reader.links if not link.startswith("#")}

    assert within <= set(reader.ids)
    assert others == {"openapi.json", "docs/style.css", "console/icon.svg"}


def test_it_needs_no_script_and_no_style_of_its_own(reader: Reader) -> None:
    """What the service's policy would forbid is not there."""
    assert not {"script", "style", "iframe", "img"} & set(reader.tags)
    assert not [name for name in reader.attributes if name == "style" or name.startswith("on")]


def test_texts_are_escaped() -> None:
    """Whatever a description says, it is text."""
    document = json.loads(json.dumps(describe(app)).replace("The tab", "<b>&amp;`<i>`"))

    reader = Reader(render(document))
    assert not {"b", "i"} & set(reader.tags)
    assert re.search(r"<b>&amp;", "".join(reader.texts))
