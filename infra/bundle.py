"""
The zip that every function runs: the project, its pinned dependencies, and the part of Chalice that answers calls.

The same commit gives the same bytes, whatever the path, the clock, the umask and the interpreter of the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import chalice

from infra.checkout import CheckoutError, project_files


ROOT: Final = Path(__file__).parents[1]
ARCHITECTURES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
"""What Lambda calls an architecture, and what wheels call it."""
RUNTIME: Final = "3.13"

SERVICES: Final = frozenset({"dynamodb", "events", "s3", "secretsmanager", "sqs"})
"""Services that functions call; botocore describes hundreds, which would be a third of the zip."""

_LIBC: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux2014")
_OF_PROJECT: Final = ("app.py", "chalicelib")
_DEVELOPMENT: Final = ("chalicelib/cli.py", "chalicelib/local/")
_OF_CHALICE: Final = ("__init__.py", "app.py")
_NOT_REPRODUCIBLE: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_FILE: Final = 0o100644 << 16
_FUNCTION_FOLDER: Final = "/var/task"


class BundleError(Exception):
    """The zip cannot be built; the message says what is missing and how to get it."""


def build(
    target: Path, architecture: str, version: str = RUNTIME, requirements: Path = ROOT / "requirements.txt"
) -> None:
    """
    Write the zip for an *architecture* (see `ARCHITECTURES`) and a *version* of Python to *target*.

    It holds the pinned *requirements*.

    Raises:
        BundleError: where there is no interpreter of that version, a dependency cannot be had, or git cannot tell the
            project's files.
    """
    interpreter = find_interpreter(version)
    with TemporaryDirectory() as folder:
        content = Path(folder)
        _install_dependencies(content, architecture, version, requirements)
        _copy_project(content)
        _compile(content, interpreter)
        _zip(content, target)


def find_interpreter(version: str = RUNTIME) -> str:
    """
    Return an interpreter of the functions' *version*: only that can write the bytecode they load.

    Raises:
        BundleError: where there is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        sys.executable,
        shutil.which(f"python{version}"),
        *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"))),
    ]
    for candidate in candidates:
        if candidate and _version(candidate) == version:
            return candidate
    raise BundleError(
        f"Python {version} is needed to compile for the functions' runtime: install python{version} so that it is on "
        f"the PATH, for instance with `pyenv install {version}`, `uv python install {version}` or the system's packages"
    )


def _version(interpreter: str) -> str:
    # A shim of pyenv is there for versions that are not switched on, and fails.
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = subprocess.run([interpreter, "-I", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - found above
    return run.stdout.strip()


def _install_dependencies(content: Path, architecture: str, version: str, requirements: Path) -> None:
    platforms = [f"--platform={libc}_{ARCHITECTURES[architecture]}" for libc in _LIBC]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--requirement", str(requirements), "--target", str(content), "--no-deps", "--no-compile"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    if run.returncode:
        raise BundleError(f"the dependencies for {architecture} cannot be installed:\n{run.stderr}")
    shutil.rmtree(content / "bin", ignore_errors=True)
    for name in _NOT_REPRODUCIBLE:
        for file in content.glob(f"*.dist-info/{name}"):
            file.unlink()
    for service in (content / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)


def _copy_project(content: Path) -> None:
    for name in _files_of_project():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, content / name)
    (content / "chalice").mkdir()
    for name in _OF_CHALICE:
        shutil.copyfile(Path(chalice.__file__).with_name(name), content / "chalice" / name)


def _files_of_project() -> list[str]:
    try:
        files = project_files(ROOT, *_OF_PROJECT)
    except CheckoutError as error:
        raise BundleError(str(error)) from error
    return [name for name in files if not name.startswith(_DEVELOPMENT)]


def _compile(content: Path, interpreter: str) -> None:
    """Add bytecode that is loaded without a look at the source's time: it halves a cold start."""
    command = [
        *(interpreter, "-I", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(content), "-p", _FUNCTION_FOLDER, str(content)),
    ]
    subprocess.run(command, check=True)  # noqa: S603 - as above


def _zip(content: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bundle:
        for file in sorted(path for path in content.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(content).as_posix(), _EARLIEST)
            entry.external_attr = _FILE
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, file.read_bytes())
