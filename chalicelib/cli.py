"""The command `usage-tab`: every command in a few lines; what it takes longer to import is imported when it runs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from chalicelib.domain.instants import Instant, NotAnInstantError, format_instant, parse_instant


if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.services.container import Services

_EVER: Final = 1 << 62

EARLIEST_START: Final = parse_instant("2000-01-01T00:00:00Z")


class InstantType(click.ParamType[Instant]):
    """A time on the command line: RFC 3339."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Instant:
        """Read the time."""
        if isinstance(value, int):
            return value
        try:
            return parse_instant(str(value))
        except NotAnInstantError as error:
            self.fail(str(error), param, ctx)


class StoreType(click.ParamType[str]):
    """Where a store is: the URL of a DynamoDB endpoint, or a word for one that is made for the occasion."""

    name = "store"

    def __init__(self, *words: str) -> None:
        """Allow *words* beside URLs."""
        self._words = words

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the URL."""
        text = str(value)
        if text in self._words:
            return text
        try:
            parts = urlsplit(text)
        except ValueError:
            self.fail(f"{text!r} is not a URL", param, ctx)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            self.fail(f"{text!r} is not the http or https URL of a DynamoDB endpoint", param, ctx)
        return text


_store_option = click.option(
    "--store",
    type=StoreType(),
    envvar="USAGE_TAB_STORE",
    required=True,
    metavar="URL",
    help="DynamoDB endpoint; `serve` prints its own.",
)


class CommandError(click.ClickException):
    """The command could not do its work; 1 is left for work that was done and found something."""

    exit_code = 2


class _Commands(click.Group):
    """A group whose commands tell in a line of settings that cannot be used and of a store that fails them."""

    def invoke(self, ctx: click.Context) -> object:
        from chalicelib.services.errors import BusyError  # noqa: PLC0415
        from chalicelib.settings import SettingsError  # noqa: PLC0415
        from chalicelib.storage.items import StoreError  # noqa: PLC0415

        try:
            return super().invoke(ctx)
        except (BusyError, SettingsError, StoreError) as error:
            raise CommandError(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="usage-tab")
def main() -> None:
    """Meter usage, burn down credit and issue invoices for a contact centre's Usage tab."""


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option(
    "--store",
    type=StoreType("embedded"),
    default="embedded",
    show_default=True,
    metavar="embedded|URL",
    help="Where to keep everything.",
)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the embedded store in this folder."
)
@click.option("--no-demo", is_flag=True, help="Start without the account `demo`.")
@click.option(
    "--test-clock",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[START]",
    help="Time stands still until moved.",
)
def serve(port: int, store: str, data: Path | None, no_demo: bool, test_clock: str | None) -> None:  # noqa: FBT001
    """Run the API, the page and the schedules on this machine."""
    from chalicelib.local.embedded import EmbeddedStoreError  # noqa: PLC0415
    from chalicelib.local.serve import serve as run  # noqa: PLC0415
    from chalicelib.services.clocks import RealClock  # noqa: PLC0415

    if data is not None and store != "embedded":
        message = "--data keeps the embedded store; it says nothing with --store URL"
        raise click.UsageError(message)
    start = None
    if test_clock is not None:
        start = InstantType().convert(test_clock, None, None) if test_clock else RealClock().now()
        if start < EARLIEST_START:
            message = f"the test clock starts at {format_instant(EARLIEST_START)} or later"
            raise click.UsageError(message)
    try:
        run(
            port=port,
            store_url=None if store == "embedded" else store,
            data=data,
            with_demo=not no_demo,
            test_clock=start,
            say=_say,
        )
    except (EmbeddedStoreError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--account", help="A token that reaches this account alone.")
@click.option("--scope", required=True, help="Scopes, separated by spaces.")
def token(account: str | None, scope: str) -> None:
    """Print a token that the local server accepts."""
    from chalicelib.domain.names import is_name  # noqa: PLC0415
    from chalicelib.local.signing_key import ALL_SCOPES, SigningKey  # noqa: PLC0415

    scopes = scope.split()
    unknown = [name for name in scopes if name not in ALL_SCOPES]
    if unknown:
        message = f"there is no scope {unknown[0]!r}, but {', '.join(ALL_SCOPES)}"
        raise click.UsageError(message)
    if account is not None and not is_name(account):
        raise click.BadParameter("must match [A-Za-z0-9_-]{1,64}", param_hint="--account")
    _say(SigningKey.load_or_create().issue_token(scopes, account_id=account))


@main.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", required=True, help="Whose usage the rows of a CSV are; NDJSON says it itself.")
@click.option("--resource", required=True, help="The product the rows of a CSV used.")
@click.option("--url", required=True, help="Address of the API.")
@click.option("--token", required=True, envvar="USAGE_TAB_TOKEN", help="A token with the scope events:write.")
@click.option("--source", default="/import", show_default=True, help="Source of the events of a CSV file.")
@click.option("--batch", default=1000, show_default=True, type=click.IntRange(1, 1000), help="Events in one request.")
def import_(  # noqa: PLR0913 - the options of the command
    file: Path, account: str, resource: str, url: str, token: str, source: str, batch: int
) -> None:
    """Post the events of a CSV or NDJSON FILE; running it again changes nothing."""
    from chalicelib.local.importer import ImportFailedError, import_file  # noqa: PLC0415

    try:
        summary = import_file(
            file, account=account, resource=resource, url=url, token=token, source=source, batch=batch
        )
    except ImportFailedError as error:
        raise click.ClickException(str(error)) from error
    _say(summary.text())
    sys.exit(1 if summary.rejected else 0)


@main.command()
@click.argument("name")
@click.option("--at", type=InstantType(), help="As of when; by default now.")
@_store_option
def job(name: str, at: Instant | None, store: str) -> None:
    """
    Run the job NAME once against a store.

    Where that is not on this machine, settings must say where its payments and notifications go.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from chalicelib.services.errors import RefusedError  # noqa: PLC0415

    _require_outside(store)
    jobs = _services(store).jobs
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        try:
            run = jobs.run(name, at, lambda accounts: bar.update(task, completed=accounts))
        except RefusedError as error:
            raise click.ClickException(error.detail) from error
    _say(f"{run.job}: {run.done} done, {run.failed} failed, {run.left} left")
    for failure in run.failures:
        _say(f"failed: {failure.subject}: {failure.reason}")
    sys.exit(1 if run.failed else 0)


@main.command()
@click.option(
    "--queue",
    envvar="USAGE_TAB_EVENT_DEAD_LETTERS",
    metavar="URL",
    help="The dead letters of the stream.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would become of them, and change nothing.")
@_store_option
def replay(queue: str | None, store: str, dry_run: bool) -> None:  # noqa: FBT001 - a flag of the command
    """
    Put dead letters back once the cause is mended: events of the stream, and work of jobs.

    Events are judged as of their arrival at the stream. Ends with 1 where any letter is left; safe to run again.
    """
    from chalicelib.bus.dead_letters import DeadLettersUnavailableError  # noqa: PLC0415
    from chalicelib.bus.work_queue import QueueUnavailableError  # noqa: PLC0415
    from chalicelib.local.replay import NothingToReplayError, replay_dead_letters  # noqa: PLC0415
    from chalicelib.settings import Settings  # noqa: PLC0415

    settings = replace(Settings.from_environment(), event_dead_letters=queue)
    try:
        is_none_left = replay_dead_letters(settings, _services(store, has_stream=True), _say, is_trial=dry_run)
    except NothingToReplayError as error:
        raise click.UsageError(str(error)) from error
    except (DeadLettersUnavailableError, QueueUnavailableError) as error:
        raise CommandError(str(error)) from error
    sys.exit(0 if is_none_left else 1)


@main.command()
@click.option("--account", help="Audit this account alone.")
@_store_option
def audit(account: str | None, store: str) -> None:
    """
    Compute everything anew from events and ledger, and compare it with what is served.

    Ends with 1 where there are differences, with 2 where it could not look. What only may be wrong is a warning.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    from chalicelib.services.errors import RefusedError  # noqa: PLC0415

    services = _services(store)
    accounts = [account] if account else sorted(services.heads.due(_EVER))
    differences = warnings = 0
    for name in track(accounts, "auditing", transient=True, console=Console(stderr=True)):
        try:
            findings = services.auditing.audit(name)
        except RefusedError as error:
            raise CommandError(error.detail) from error
        for finding in findings:
            _say(f"{name}: {'warning: ' if finding.is_warning else ''}{finding}")
        warned = sum(finding.is_warning for finding in findings)
        differences += len(findings) - warned
        warnings += warned
    told = f", {warnings} warnings" if warnings else ""
    _say(f"{len(accounts)} accounts audited, {differences} differences{told}")
    sys.exit(1 if differences else 0)


@main.command()
@click.argument("account")
@_store_option
def inspect(account: str, store: str) -> None:
    """Print the state of an ACCOUNT as its head holds it."""
    from chalicelib.services.inspect_account import inspect_account  # noqa: PLC0415

    shown = inspect_account(_services(store).heads, account)
    if shown is None:
        message = f"there is no account {account!r}"
        raise click.ClickException(message)
    _say(json.dumps(shown, indent=2, ensure_ascii=False))


@main.command()
@click.option("--accounts", default=5, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--months", default=12, show_default=True, type=click.IntRange(1, 120))
@click.option("--events", default=100, show_default=True, type=click.IntRange(1), help="About so many a month each.")
@click.option("--seed", default="1", show_default=True, help="The same seed gives the same totals.")
@click.option("--start", default="2026-01-01", show_default=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE")
@click.option("--store", default="embedded", show_default=True, metavar="embedded|URL", help="Where to keep it all.")
def simulate(accounts: int, months: int, events: int, seed: str, start: datetime, store: str) -> None:  # noqa: PLR0913 - the options of the command
    """Let a made-up fleet live through a year of a test clock; exit 1 if anything does not add up."""
    from chalicelib.local.embedded import EmbeddedStoreError  # noqa: PLC0415
    from chalicelib.local.simulation.run import months_from, run_simulation  # noqa: PLC0415
    from chalicelib.local.simulation.simulate import Plan  # noqa: PLC0415

    span = months_from(start.date(), months)
    if span.start < EARLIEST_START:
        message = f"the simulation starts at {format_instant(EARLIEST_START)} or later"
        raise click.UsageError(message)
    plan = Plan(seed, accounts, events, span)
    try:
        holds = run_simulation(plan, store)
    except EmbeddedStoreError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if holds else 1)


def _services(store: str, *, has_stream: bool = False) -> Services:
    """
    Wire the services over a store, on its test clock where it has one.

    With *has_stream*, effects are left to whoever looks after the outbox: this process may know no gateway and no bus.
    """
    from chalicelib.bootstrap import build_services, open_store  # noqa: PLC0415
    from chalicelib.settings import Settings  # noqa: PLC0415
    from chalicelib.storage.operations import StoredTestClock  # noqa: PLC0415

    settings = replace(Settings.from_environment(), store=store)
    tables = open_store(settings)
    has_test_clock = StoredTestClock(tables).read() is not None
    return build_services(replace(settings, test_clock=has_test_clock), tables, has_stream=has_stream)


def _require_outside(store: str) -> None:
    """Refuse what is taken for granted on one machine: that the sandbox takes payments and the log notifications."""
    from chalicelib.settings import LOOPBACK_HOSTS  # noqa: PLC0415

    missing = [name for name in ("USAGE_TAB_PAYMENT_GATEWAY", "USAGE_TAB_EVENT_BUS") if not os.environ.get(name)]
    if missing and urlsplit(store).hostname not in LOOPBACK_HOSTS:
        message = f"{' and '.join(missing)} must be set for a store that is not on this machine"
        raise click.UsageError(message)


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()
