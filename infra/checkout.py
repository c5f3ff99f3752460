"""The git checkout that is packaged: which files belong to the project, and whether they are as they were committed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from pathlib import Path


class CheckoutError(Exception):
    """The folder is no git checkout, or not one to be packaged; the message says what is wrong."""


def tracked_files(root: Path, *paths: str) -> list[str]:
    """
    Return the files below *paths* that git knows, relative to *root*; what else lies there is not the project's.

    Raises:
        CheckoutError: where *root* is in no git checkout, or a file is missing or reached through a symbolic link.
    """
    names = [name for name in _git(root, "ls-files", "-z", "--", *paths).split("\0") if name]
    for name in names:
        file = root / name
        if not file.is_file():
            raise CheckoutError(f"{name} is missing: git knows it, but it is not in {root}")
        if file.resolve() != root.resolve() / name:
            raise CheckoutError(f"{name} is a symbolic link: what it leads to could be anything")
    return names


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
