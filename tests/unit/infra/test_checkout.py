"""Which files are packaged, and from what state of a checkout."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from infra.checkout import CheckoutError, project_files, refuse_changes


if TYPE_CHECKING:
    from pathlib import Path


def git(root: Path, *arguments: str) -> None:
    """Call git as somebody with a name."""
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *somebody, *arguments], cwd=root, check=True, capture_output=True)  # noqa: S607 - git is where the system has it


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a checkout with a program and a module, committed."""
    (tmp_path / "library").mkdir()
    (tmp_path / "app.py").touch()
    (tmp_path / "library" / "module.py").touch()
    (tmp_path / ".gitignore").write_text(".env\n")
    git(tmp_path, "init")
    git(tmp_path, "add", "app.py", "library", ".gitignore")
    git(tmp_path, "commit", "--message", "Begin")
    return tmp_path


def test_what_git_knows(checkout: Path) -> None:
    """What is ignored, and what nobody has added, is not the project's."""
    (checkout / "library" / ".env").write_text("KEY=secret")
    (checkout / "library" / "scratch.py").touch()

    assert project_files(checkout, "app.py", "library") == ["app.py", "library/module.py"]


def test_symbolic_links(checkout: Path) -> None:
    """They are refused, though git knows them: what they lead to is outside."""
    (checkout / "library" / "link.py").symlink_to(checkout / "app.py")
    git(checkout, "add", "library/link.py")

    with pytest.raises(CheckoutError, match=r"library/link\.py is a symbolic link"):
        project_files(checkout, "library")


def test_a_missing_file(checkout: Path) -> None:
    """It is named."""
    (checkout / "library" / "module.py").unlink()

    with pytest.raises(CheckoutError, match=r"library/module\.py is missing"):
        project_files(checkout, "library")


def test_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy without git the project's files are those that are not hidden, and nobody can tell what has changed."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "library" / "__pycache__").mkdir(parents=True)
    for name in ("app.py", "library/module.py", "library/.env", "library/__pycache__/module.pyc"):
        (tmp_path / name).touch()

    assert project_files(tmp_path, "app.py", "library") == ["app.py", "library/module.py"]
    with pytest.raises(CheckoutError, match="must be a git checkout"):
        refuse_changes(tmp_path)


def test_changes_are_refused(checkout: Path) -> None:
    """What is committed, and what is ignored, is no change; a new file and an edited one are, and are named."""
    (checkout / ".env").touch()
    refuse_changes(checkout)

    (checkout / "app.py").write_text("edited")
    (checkout / "new.py").touch()
    with pytest.raises(CheckoutError, match=r"not committed:\n M app\.py\n\?\? new\.py"):
        refuse_changes(checkout)
