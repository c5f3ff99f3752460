"""`make deploy` and `make destroy`: put what was packaged on AWS, and take it off again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from infra.bundle import ROOT
from infra.checkout import CheckoutError, refuse_changes
from infra.package import FOLDER
from infra.stacks import Stack, StackError
from infra.stages import StageError, read_stage


if TYPE_CHECKING:
    from infra.stages import Stage


@click.group()
def main() -> None:
    """Deploy or destroy a stage, with the credentials that botocore finds."""


@main.command()
@click.option("--stage", "name", required=True, help="As infra/stages.toml names it.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), default=FOLDER, help="Where the package lies.")
def deploy(name: str, folder: Path) -> None:
    """Bring a stage to what was packaged for it; one that retains its data takes only what is committed."""
    stage = read_stage(name)
    if stage.retains_data:
        refuse_changes(ROOT)
    _stack(stage).deploy(folder / "sam.json", folder / "deployment.zip")


@main.command()
@click.option("--stage", "name", required=True, help="As infra/stages.toml names it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(name: str, *, yes: bool) -> None:
    """Delete a stage with all it holds, but for what it keeps."""
    stack = _stack(read_stage(name))
    if not yes:
        click.confirm(f"Delete the stack {stack.name}?", abort=True)
    for resource in stack.destroy():
        click.echo(f"kept {resource}")


def _stack(stage: Stage) -> Stack:
    return Stack(stage, get_session(), click.echo)


def run() -> None:
    """Run the command; what AWS refuses is told in a line."""
    try:
        main(standalone_mode=True)
    except (CheckoutError, StageError, StackError, BotoCoreError, ClientError) as error:
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    run()
