"""What the files of the page must keep to, whoever changes them."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import chain

import pytest


BYTES_MAX = 100_000
TEXTS = {file.name: file.read_text("utf-8") for file in files("chalicelib").joinpath("console").iterdir()}
CATALOGUE = [
    entry.split("\n")
    for entry in TEXTS["messages.js"].partition("CATALOGUE = `\n")[2].partition("\n`;")[0].split("\n\n")
]


def test_the_page_is_small() -> None:
    """All files of the page together stay within their budget, as they are written."""
    assert sum(len(text.encode()) for text in TEXTS.values()) < BYTES_MAX


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry[0])
def test_every_text_is_there_in_three_languages(entry: list[str]) -> None:
    """An entry has a key and three texts with the same values to fill in."""
    _, *texts = entry

    assert len(texts) == 3
    assert all(texts)
    assert len({tuple(sorted(re.findall(r"\{\w+\}", text))) for text in texts}) == 1


def test_no_text_stands_twice() -> None:
    """A key names one text."""
    keys = [entry[0] for entry in CATALOGUE]

    assert len(keys) == len(set(keys))


def test_every_text_that_is_asked_for_is_there() -> None:
    """Keys written out in the modules are in the catalogue."""
    asked = chain.from_iterable(re.findall(r"""text\("([\w.]+)\"""", text) for text in TEXTS.values())

    assert set(asked) <= {entry[0] for entry in CATALOGUE}
