"""`make deploy`, `make outputs` and `make destroy`: put what was packaged on AWS, find it, and take it off again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from infra.bundle import ROOT
from infra.checkout import CheckoutError, refuse_changes
from infra.environment import exports
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
@click.option("--replace-data", is_flag=True, help="Allow replacing or removing what holds data.")
def deploy(name: str, folder: Path, *, replace_data: bool) -> None:
    """Bring a stage to what was packaged for it; one that retains its data takes only what is committed."""
    stage = read_stage(name)
    if stage.retains_data:
        refuse_changes(ROOT)
    _stack(stage).deploy(folder / "sam.json", folder / "deployment.zip", replaces_data=replace_data)


@main.command()
@click.option("--stage", "name", required=True, help="As infra/stages.toml names it.")
@click.option("--yes", is_flag=True, help="Do not ask; not for a stage that retains its data.")
def destroy(name: str, *, yes: bool) -> None:
    """Delete a stage with all it holds, but for what it keeps."""
    stage = read_stage(name)
    if stage.retains_data and yes:
        raise click.UsageError(f"{name} retains its data: --yes will not do, its name must be typed in")
    stack = _stack(stage)
    if stage.retains_data:
        if click.prompt(f"Type the stage's name to delete the stack {stack.name}") != name:
            raise click.Abort
    elif not yes:
        click.confirm(f"Delete the stack {stack.name}?", abort=True)
    for resource in stack.destroy():
        click.echo(f"kept {resource}")


@main.command()
@click.option("--stage", "name", required=True, help="As infra/stages.toml names it.")
def outputs(name: str) -> None:
    """Print what a stage's stack tells of itself."""
    for output, value in _stack(read_stage(name)).outputs().items():
        click.echo(f"{output} {value}")


@main.command()
@click.option("--stage", "name", required=True, help="As infra/stages.toml names it.")
def environment(name: str) -> None:
    """Print lines for a shell, by which `usage-tab` finds a stage's resources."""
    stage = read_stage(name)
    for line in exports(_stack(stage).outputs(), stage.region):
        click.echo(line)


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
