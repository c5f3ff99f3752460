"""The git checkout that is packaged: which files belong to the project, and whether they are as they were committed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from pathlib import Path


class CheckoutError(Exception):
    """The folder is no git checkout, or not one to be packaged; the message says what is wrong."""


def project_files(root: Path, *paths: str) -> list[str]:
    """
    Return the project's files below *paths*, relative to *root*: those that git knows.

    In a copy without git they are all that are not hidden.

    Raises:
        CheckoutError: where a file is missing or reached through a symbolic link.
    """
    names = _tracked(root, paths) or _visible(root, paths)
    for name in names:
        file = root / name
        if not file.is_file():
            raise CheckoutError(f"{name} is missing: git knows it, but it is not in {root}")
        if file.resolve() != root.resolve() / name:
            raise CheckoutError(f"{name} is a symbolic link: what it leads to could be anything")
    return names


def _tracked(root: Path, paths: tuple[str, ...]) -> list[str]:
    try:
        listed = _git(root, "ls-files", "-z", "--", *paths)
    except CheckoutError:
        return []
    return [name for name in listed.split("\0") if name]


def _visible(root: Path, paths: tuple[str, ...]) -> list[str]:
    named = [root / path for path in paths]
    files = [file for path in named for file in (path, *path.rglob("*")) if not file.is_dir()]
    names = [file.relative_to(root) for file in files]
    return sorted(str(name) for name in names if not any(part.startswith((".", "__pycache__")) for part in name.parts))


def refuse_changes(root: Path) -> None:
    """
    Do nothing where *root* is as it was committed, so that what is deployed can be found and built again.

    Raises:
        CheckoutError: where it is not, or is in no git checkout.
    """
    if changes := _git(root, "status", "--porcelain").rstrip():
        raise CheckoutError(f"the checkout has changes that are not committed:\n{changes}")


def _git(root: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, cwd=root)  # noqa: S603, S607 - git is where the system has it
    except FileNotFoundError as error:
        raise CheckoutError("git is needed to tell which files belong to the project: install it") from error
    if run.returncode:
        raise CheckoutError(f"{root} must be a git checkout, which tells the project's files: {run.stderr.strip()}")
    return run.stdout
