"""What the deployed function installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """Give the pinned version of each package."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_dependency_is_pinned(pins: dict[str, str]) -> None:
    """Each runtime dependency has a pin that its bounds allow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"] if not line.startswith("chalice")]

    assert wanted
    for requirement in wanted:
        assert requirement.specifier.contains(pins[requirement.name])


def test_nothing_of_chalice(pins: dict[str, str]) -> None:
    """Chalice adds its own runtime to the package; its command line has no place there."""
    assert not pins.keys() & {"chalice", "click", "inquirer", "pip", "pyyaml", "setuptools", "wheel", "boto3"}


def test_nothing_of_the_machine() -> None:
    """The file names the command that makes it, and no path and no address."""
    text = (ROOT / "requirements.txt").read_text()

    assert "make requirements" in text
    assert not re.search(r"--|://|file:|/\w+/", text)
