"""The template, judged by the linter of CloudFormation and by a scanner of policies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Final

import pytest

from infra.bundle import ROOT
from tests.templates import cloudformation, sam


REASONS: Final = ROOT / "infra" / "checkov.json"
CHECKOV: Final = "checkov==3.3.30"


def test_the_linter_has_nothing_to_say(tmp_path: Path) -> None:
    """Every property is one that AWS knows, of the right kind, and everything referred to is there."""
    templates = []
    for stage in ("dev", "prod"):
        templates.append(tmp_path / f"{stage}.json")
        templates[-1].write_text(json.dumps(sam(stage), indent=1))
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [linter, "--regions", "eu-west-1", "--include-checks", "I", "--", *templates]

    linted = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (linted.stdout, linted.returncode) == ("", 0), linted.stderr


@pytest.fixture(scope="module")
def checkov() -> Path:
    """Give the scanner, in an environment of its own: it wants older packages than the emulator."""
    home = ROOT / "build" / CHECKOV
    scanner = home / "bin" / "checkov"
    if not (home / ".installed").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin" / "python", "-m", "pip", "install", "--quiet", CHECKOV], check=True)
        (home / ".installed").touch()
    return scanner


def test_the_scanner_finds_what_is_justified(checkov: Path, tmp_path: Path) -> None:
    """Every check of production that fails has its reason in a file, and every reason is still needed."""
    packaged = tmp_path / "production.json"
    packaged.write_text(json.dumps(cloudformation("prod"), indent=1))
    command = [checkov, "--file", packaged, "--framework", "cloudformation", "--output", "json", "--quiet"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    scanned = subprocess.run(
        [*command, "--skip-download", "--compact"], capture_output=True, text=True, check=False, env=environment
    )

    report: dict[str, Any] = json.loads(scanned.stdout)
    failed: dict[str, list[str]] = {}
    for check in report["results"]["failed_checks"]:
        failed.setdefault(check["check_id"], []).append(check["resource"])
    assert report["summary"]["passed"] > 100
    assert not report["summary"]["parsing_errors"]
    reasons = json.loads(REASONS.read_text())
    assert {name: resources for name, resources in failed.items() if name not in reasons} == {}
    assert reasons.keys() <= failed.keys()
    assert all(len(reason) > 40 for reason in reasons.values())
