"""The stages, as `stages.toml` describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chalicelib.settings import PRODUCTION, SANDBOX


FILE: Final = Path(__file__).with_name("stages.toml")

_Count = Annotated[int, Meta(ge=1)]


class StageError(ValueError):
    """There is no such stage, or it cannot be deployed as it is described; the message says what is wrong."""


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage; the file says what each field is."""

    region: str
    architecture: Literal["arm64", "x86_64"]
    payment_gateway: Literal["sandbox", "stripe"]
    test_clock: bool
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]
    retention_months: _Count
    report_retention_days: _Count
    metering_shards: _Count
    requests_per_second: _Count
    requests_burst: _Count
    console_origins: tuple[str, ...]
    web_acl: bool
    gateway_log_role: bool
    reserves_concurrency: bool
    retains_data: bool
    rollout: str | None = None
    name: str = ""


def read_stage(name: str, file: Path = FILE) -> Stage:
    """
    Read the stage *name*.

    Raises:
        StageError: where there is none, a field is wrong, or production would play with money or time.
    """
    try:
        stages = msgspec.toml.decode(file.read_bytes(), type=dict[str, Stage])
    except msgspec.ValidationError as error:
        raise StageError(f"{file.name}: {error}") from error
    if name not in stages:
        raise StageError(f"there is no stage {name!r}: {file.name} has {', '.join(stages)}")
    stage = msgspec.structs.replace(stages[name], name=name)
    if name == PRODUCTION and (stage.payment_gateway == SANDBOX or stage.test_clock):
        raise StageError(f"{file.name}: {name} can have neither the sandbox of payments nor the test clock")
    return stage
