"""What a function imports before its first answer: every module is a part of a cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from infra.bundle import ROOT
from tests.bench.cold_start import open_filled_store
from tests.bench.deployed import Surroundings
from tests.bench.lambda_runtime import ENVIRONMENT
from tests.bench.workload import ACCOUNT


if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, sys

before = set(sys.modules) | set(sys.stdlib_module_names)

def imported():
    names = (name for name in sys.modules if name.partition(".")[0] not in before)
    return [name for name in names if not name.startswith("_sysconfigdata")]  # Python's own, named by the platform

import app
loaded = imported()
answer = app.app(json.load(sys.stdin), None)
print(json.dumps([answer["statusCode"], loaded, imported()]))
"""

BUDGET = {
    "_cffi_backend": 1,
    "_openssl": 2,
    "app": 1,
    "aws_lambda_powertools": 45,
    "botocore": 80,
    "certifi": 2,
    "chalice": 2,
    "chalicelib": 145,
    "cryptography": 55,
    "dateutil": 12,
    "jmespath": 10,
    "jwt": 12,
    "msgspec": 14,
    "pynamodb": 25,
    "six": 3,
    "typing_extensions": 1,
    "ulid": 3,
    "urllib3": 32,
}
"""Modules of each package until the tab is shown, with a little room; those of Python itself come with these."""

NEVER = ("boto3", "chalicelib.cli", "chalicelib.local", "chalicelib.payments.stripe", "requests", "stripe")
NOT_AT_FIRST = ("chalicelib.bus.sqs", "chalicelib.files.s3", "cryptography", "jwt")
"""Needed by some calls or some functions, and loaded by them."""


@pytest.fixture(scope="module")
def imported(dynamodb_local: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Give what is imported with the program, and what is once it has shown a tab to a token."""
    open_filled_store(dynamodb_local, events=10)
    folder: Path = tmp_path_factory.mktemp("key")
    with Surroundings(folder, dynamodb_local) as surroundings:
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=json.dumps(surroundings.request("GET", "/v1/accounts/{account}/usage", ACCOUNT)),
            env={**surroundings.environment, **ENVIRONMENT, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
    status, with_the_program, at_last = json.loads(run.stdout.splitlines()[-1])
    assert status == 200
    return with_the_program, at_last


def test_within_the_budget(imported: tuple[list[str], list[str]]) -> None:
    """No package brings more modules than it may, and none comes that nobody has counted."""
    modules = defaultdict(list)
    for name in imported[1]:
        modules[name.partition(".")[0]].append(name)

    assert modules.keys() >= {"botocore", "chalicelib", "jwt"}
    assert {package: names for package, names in modules.items() if len(names) > BUDGET.get(package, 0)} == {}


def test_only_what_is_needed(imported: tuple[list[str], list[str]]) -> None:
    """What other calls need is not loaded for this one, and what only some calls need not with the program."""
    assert [name for name in imported[1] if _is_of(name, NEVER)] == []
    assert [name for name in imported[0] if _is_of(name, NOT_AT_FIRST)] == []


def _is_of(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
