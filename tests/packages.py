"""The zip that functions run, built once for all processes that test it, and again once anything in it changes."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import sys
from pathlib import Path

import chalice
import pytest

from infra.bundle import ARCHITECTURES, ROOT, RUNTIME, BundleError, build, find_interpreter
from infra.checkout import project_files


FOLDER = ROOT / "build" / "tested-packages"


def own_architecture() -> str:
    """Return what Lambda calls the architecture of this machine, on which the zip can run."""
    return next(name for name, wheels in ARCHITECTURES.items() if wheels == platform.machine())


def packaged(architecture: str | None = None) -> Path:
    """Return the zip for an *architecture*, by default this machine's, and for the Python that can run it here."""
    _, version = python_for_functions()
    return packaged_for(version, architecture)


def packaged_for(version: str, architecture: str | None = None) -> Path:
    """Return the zip for a *version* of Python and an *architecture*, by default this machine's."""
    architecture = architecture or own_architecture()
    FOLDER.mkdir(parents=True, exist_ok=True)
    bundle = FOLDER / f"{architecture}-{version}-{_content()}.zip"
    with (FOLDER / f"{architecture}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not bundle.exists():
            unfinished = bundle.with_suffix(".unfinished")
            build(unfinished, architecture, version)
            unfinished.replace(bundle)
    return bundle


def runtime_python() -> str:
    """Return a Python of the functions' runtime; without one, skip the test."""
    try:
        return find_interpreter()
    except BundleError as error:
        pytest.skip(str(error))


def python_for_functions() -> tuple[str, str]:
    """Return a Python that can run functions on this machine, and its version: the runtime's where there is one."""
    try:
        return find_interpreter(), RUNTIME
    except BundleError:
        return sys.executable, f"{sys.version_info.major}.{sys.version_info.minor}"


def _content() -> str:
    files = project_files(ROOT, "app.py", "requirements.txt", "infra/bundle.py", "infra/checkout.py", "chalicelib")
    digest = hashlib.sha256(chalice.__version__.encode())
    for name in files:
        digest.update(name.encode())
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()[:16]
