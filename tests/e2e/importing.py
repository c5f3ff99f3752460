"""Importing files with the command line, as an operator does."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.e2e.server import Server


def import_words(server: Server, account: str, file: Path, *options: str) -> list[str]:
    """Return the words of the command that imports a *file* of calls."""
    address = ["--url", server.url, "--token", server.token]
    return ["import", str(file), "--account", account, "--resource", "call", *address, *options]


def import_calls(server: Server, account: str, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Import a *file* of calls and return what the command said."""
    return server.command(*import_words(server, account, file, *options))
