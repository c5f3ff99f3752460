"""The zip that functions run, built once for all processes that test it, and again once anything in it changes."""

from __future__ import annotations

import fcntl
import hashlib
import platform
from pathlib import Path

import chalice
import pytest

from infra.bundle import ARCHITECTURES, ROOT, BundleError, build, find_interpreter


FOLDER = ROOT / "build" / "tested-packages"


def own_architecture() -> str:
    """Return what Lambda calls the architecture of this machine, on which the zip can run."""
    return next(name for name, wheels in ARCHITECTURES.items() if wheels == platform.machine())


def packaged(architecture: str | None = None) -> Path:
    """Return the zip for an *architecture*, by default this machine's; without the runtime's Python, skip the test."""
    architecture = architecture or own_architecture()
    runtime_python()
    FOLDER.mkdir(parents=True, exist_ok=True)
    bundle = FOLDER / f"{architecture}-{_content()}.zip"
    with (FOLDER / f"{architecture}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not bundle.exists():
            unfinished = bundle.with_suffix(".unfinished")
            build(unfinished, architecture)
            unfinished.replace(bundle)
    return bundle


def runtime_python() -> str:
    """Return a Python of the functions' runtime; without one, skip the test."""
    try:
        return find_interpreter()
    except BundleError as error:
        pytest.skip(str(error))


def _content() -> str:
    files = [
        *(ROOT / name for name in ("app.py", "requirements.txt", "infra/bundle.py")),
        *sorted(
            file for file in (ROOT / "chalicelib").rglob("*") if file.is_file() and "__pycache__" not in file.parts
        ),
    ]
    digest = hashlib.sha256(chalice.__version__.encode())
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
