"""The zip that functions run, unpacked and run by the runtime's Python."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.bundle import ROOT, RUNTIME, SERVICES, BundleError, build, find_interpreter
from infra.checkout import project_files
from infra.package import main
from tests.packages import own_architecture, packaged, python_for_functions, runtime_python
from tests.templates import of_type


UPLOAD_BYTES_MAX = 50 * 1024 * 1024
UNPACKED_BYTES_MAX = 250 * 1024 * 1024
"""What Lambda takes."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what lies in /var/task of a function."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(packaged()) as content:
        content.extractall(folder)
    return folder


def run(folder: Path, program: str) -> str:
    """Run *program* in *folder* by the runtime's Python, without this machine's packages, and return what it says."""
    python, _ = python_for_functions()
    command = [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"]
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "PATH": os.environ["PATH"]}
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return finished.stdout


def test_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packaged again, elsewhere and under another umask, the zip is the same byte for byte, beside a template."""
    runtime_python()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    first = packaged()
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "left.txt").touch()
    umask = os.umask(0o077)
    try:
        options = ["--stage", "prod", "--architecture", own_architecture(), "--folder", str(folder), "--at-once"]
        told = CliRunner().invoke(main, options, catch_exceptions=False)
    finally:
        os.umask(umask)

    assert sorted(path.name for path in folder.iterdir()) == ["deployment.zip", "sam.json"]
    assert _hash(folder / "deployment.zip") == _hash(first)
    assert _hash(first) in told.output
    functions = of_type(json.loads((folder / "sam.json").read_text())["Resources"], "AWS::Serverless::Function")
    assert {function["CodeUri"] for function in functions.values()} == {"./deployment.zip"}
    assert {tuple(function["Architectures"]) for function in functions.values()} == {(own_architecture(),)}
    assert functions["APIHandler"]["DeploymentPreference"] == {"Enabled": False}


def test_no_such_stage(tmp_path: Path) -> None:
    """The command refuses a stage that is not there before it builds anything."""
    told = CliRunner().invoke(main, ["--stage", "nowhere", "--folder", str(tmp_path / "package")])

    assert told.exit_code == 1
    assert "there is no stage 'nowhere'" in told.output
    assert not (tmp_path / "package").exists()


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_size() -> None:
    """Lambda takes it, with much to spare, and so it loads soon."""
    with zipfile.ZipFile(packaged()) as content:
        unpacked_bytes = sum(entry.file_size for entry in content.infolist())

    assert packaged().stat().st_size < UPLOAD_BYTES_MAX / 2
    assert unpacked_bytes < UNPACKED_BYTES_MAX / 2


def test_everything_is_there(unpacked: Path) -> None:
    """All modules load, from bytecode and without this machine's packages; the services that are called are known."""
    program = """
import importlib, json, pkgutil
import app, chalicelib, botocore.session
names = [module.name for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib.")]
modules = [importlib.import_module(name) for name in names]
session = botocore.session.get_session()
for service in SERVICES:
    session.create_client(service, aws_access_key_id="a", aws_secret_access_key="b")
print(json.dumps([names, sorted({module.__cached__ for module in modules})]))
""".replace("SERVICES", repr(sorted(SERVICES)))

    names, bytecode = json.loads(run(unpacked, program))

    own = {
        ".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")
        for name in project_files(ROOT, "chalicelib")
        if name.endswith(".py")
    }
    assert {"chalicelib", *names} == {
        name for name in own if name != "chalicelib.cli" and not name.startswith("chalicelib.local")
    }
    assert all((unpacked / file).is_file() for file in bytecode)


def test_nothing_of_the_workshop(unpacked: Path) -> None:
    """What only serves this machine is not in it: command line, embedded store, tests, Chalice's own commands."""
    assert sorted(path.name for path in (unpacked / "chalice").glob("*.py")) == ["__init__.py", "app.py"]
    for name in (
        "bin",
        "infra",
        "tests",
        "click",
        "ministack",
        "pip",
        "boto3",
        "chalicelib/local",
        "chalicelib/cli.py",
    ):
        assert not (unpacked / name).exists()


def test_bytecode_is_trusted(unpacked: Path) -> None:
    """It is loaded without a look at the source: its flags say unchecked, by hash."""
    files = list(unpacked.rglob("*.pyc"))

    assert len(files) > 500
    assert {int.from_bytes(file.read_bytes()[4:8], "little") for file in files} == {0b01}


def test_the_other_interpreters_bytecode_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the runtime's Python there is no zip, but a word about how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "")

    with pytest.raises(BundleError, match=f"Python {RUNTIME} is needed .*pyenv install {RUNTIME}"):
        find_interpreter()


def test_a_dependency_that_cannot_be_had(tmp_path: Path) -> None:
    """Then there is no zip either, but what pip says."""
    _, version = python_for_functions()
    (tmp_path / "requirements.txt").write_text("./no-such-package\n")

    with pytest.raises(BundleError, match="cannot be installed:"):
        build(tmp_path / "x.zip", "arm64", version, requirements=tmp_path / "requirements.txt")
