"""`make package`: the template of a stage, and the zip of its functions beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from infra.bundle import ARCHITECTURES, ROOT, BundleError, build
from infra.chalice_template import CODE
from infra.stages import StageError, read_stage
from infra.template import template


if TYPE_CHECKING:
    from infra.stages import Stage

FOLDER = ROOT / "build" / "package"


def package(stage: Stage, folder: Path) -> tuple[Path, Path]:
    """
    Leave the template of *stage* and its zip in *folder*, and nothing else, and return where they are.

    Raises:
        BundleError: where the zip cannot be built.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bundle = folder / CODE
    build(bundle, stage.architecture)
    sam = folder / "sam.json"
    sam.write_text(json.dumps(template(stage), indent=2, sort_keys=True) + "\n")
    return sam, bundle


@click.command()
@click.option("--stage", "name", default="dev", show_default=True, help="As infra/stages.toml names it.")
@click.option("--architecture", type=click.Choice(list(ARCHITECTURES)), help="Another than the stage's.")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="Where to leave both.")
@click.option("--at-once", is_flag=True, help="Let all calls go to the new version, whatever alarms say: for a fix.")
def main(name: str, architecture: str | None, folder: Path, *, at_once: bool) -> None:
    """Leave the template of a stage, and the zip of its functions, in a folder."""
    try:
        stage = read_stage(name)
        if architecture:
            stage = replace(stage, architecture=architecture)
        if at_once:
            stage = replace(stage, rollout=None)
        sam, bundle = package(stage, folder)
    except (StageError, BundleError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{sam}: {sam.stat().st_size:,} bytes")
    click.echo(f"{bundle}: {bundle.stat().st_size:,} bytes, SHA-256 {hashlib.sha256(bundle.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
