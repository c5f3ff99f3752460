"""The descriptions of the API as they were released, one file for each version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from app import app
from chalicelib import __version__
from chalicelib.api.openapi.document import describe


FOLDER: Final = Path(__file__).parents[1] / "docs" / "openapi"


def last_release() -> Any:
    """Return the description of the last version that was released."""
    return json.loads(max(FOLDER.glob("*.json"), key=lambda file: Version(file.stem)).read_text("utf-8"))


def record_release() -> None:
    """
    Keep the description as that of this version.

    Raises:
        FileExistsError: what was released stays as it was.
    """
    with (FOLDER / f"{__version__}.json").open("x", encoding="utf-8") as file:
        json.dump(_without_examples(describe(app)), file, indent=1, ensure_ascii=False)
        file.write("\n")


def _without_examples(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_examples(value) for name, value in part.items() if name != "examples"}
    return [_without_examples(value) for value in part] if isinstance(part, list) else part


if __name__ == "__main__":
    record_release()
