"""The one file that says what differs between the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.stages import FILE, StageError, read_stage
from tests.templates import STAGES


if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", STAGES)
def test_stages(name: str) -> None:
    """There are three, each in one place."""
    assert read_stage(name).name == name


def test_another() -> None:
    """One that is not there is refused, with those that are."""
    with pytest.raises(StageError, match=r"no stage 'test': stages\.toml has dev, staging, prod"):
        read_stage("test")


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('architecture = "arm64"', 'architecture = "arm"', "architecture"),
        ("metering_shards = 4", "metering_shards = 0", "metering_shards"),
        ("metering_shards = 4", "shards = 4", "shards"),
        ("log_retention_days = 365", "log_retention_days = 364", "log_retention_days"),
        ('payment_gateway = "stripe"', 'payment_gateway = "sandbox"', "neither the sandbox of payments nor"),
        ("test_clock = false", "test_clock = true", "neither the sandbox of payments nor the test clock"),
    ],
)
def test_what_is_refused(tmp_path: Path, before: str, after: str, problem: str) -> None:
    """A stage with a wrong field is, and one of production that would play with money or time."""
    production = FILE.read_text().partition("[prod]")[2]
    assert before in production
    file = tmp_path / "stages.toml"
    file.write_text("[prod]" + production.replace(before, after))

    with pytest.raises(StageError, match=problem):
        read_stage("prod", file)
