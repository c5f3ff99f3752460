"""
A cold start of the packaged service, against a package that reads one item with a bare botocore client.

`python -m tests.bench.cold_start [ROUNDS]`. Both packages hold the same botocore and bytecode, lie in a clean folder,
and are run by the runtime client in turns, so that what else the machine does falls on both. The service is configured
as a deployed function is, secret and all; its first call shows the Usage tab of an account to a token. The other's
first call reads the account's item in the same store. On a busy machine the times on a processor say most. Modules are
those that are imported from the start of the interpreter to the answer.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.domain.instants import HOUR
from chalicelib.services.clocks import RealClock
from chalicelib.storage import keys
from chalicelib.storage.dynamo import DynamoItemStore
from infra.bundle import RUNTIME, BundleError, build, find_interpreter
from tests.bench.deployed import PAGES_TABLE, STATE_TABLE, Surroundings
from tests.bench.lambda_runtime import Function, fetch_client
from tests.bench.workload import ACCOUNT, BenchClock, Traffic, open_account, take
from tests.packages import own_architecture
from tests.stores import REGION, DynamoDBLocal


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.services.container import Services

ROUNDS: Final = 15
EVENTS: Final = 1_000

BARE: Final = f"""\
import botocore.session

client = botocore.session.get_session().create_client("dynamodb")


def handler(event, context):
    item = client.get_item(TableName="{STATE_TABLE}", Key=event, ConsistentRead=True)["Item"]
    return {{"statusCode": 200, "version": item["version"]["N"]}}
"""
BARE_EVENT: Final = dict(zip(("pk", "sk"), ({"S": part} for part in keys.head(ACCOUNT)), strict=True))
BARE_PACKAGES: Final = ("botocore", "dateutil", "jmespath", "six.py", "urllib3")

_IMPORTED: Final = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


class Package(NamedTuple):
    """What is measured: an unpacked package, how it is called first, and its environment."""

    name: str
    folder: Path
    handler: str
    event: Any
    environment: dict[str, str]


class Start(NamedTuple):
    """One cold start: until the function is ready for a call, then until it is ready for the next one."""

    init_ms: float
    init_cpu_ms: float
    first_ms: float
    first_cpu_ms: float
    peak_mb: float

    @property
    def total_ms(self) -> float:
        """Return how long both took."""
        return self.init_ms + self.first_ms

    @property
    def total_cpu_ms(self) -> float:
        """Return how long both took on a processor."""
        return self.init_cpu_ms + self.first_cpu_ms


class Runtime(NamedTuple):
    """What runs packages."""

    version: str
    interpreter: str
    client: Path

    @classmethod
    def found(cls) -> Runtime:
        """Return the runtime of the functions, or where this machine has none the one of this program."""
        version = RUNTIME
        try:
            interpreter = find_interpreter(version)
        except BundleError:
            version, interpreter = f"{sys.version_info[0]}.{sys.version_info[1]}", sys.executable
        return cls(version, interpreter, fetch_client(interpreter, version))

    def function(self, package: Package, **environment: str) -> Function:
        """Return a function that runs *package*."""
        environment = {**package.environment, **environment}
        return Function(self.interpreter, self.client, package.folder, package.handler, environment)


def main() -> None:
    """Measure and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    runtime = Runtime.found()
    with TemporaryDirectory() as scratch, DynamoDBLocal() as local:
        open_filled_store(local.endpoint)
        folder = Path(scratch)
        with Surroundings(folder, local.endpoint) as surroundings:
            packages = tuple(_packages(folder, runtime, surroundings))
            for package in packages:
                _start(runtime, package)  # the machine's own caches are warm for all that follow
            starts: dict[str, list[Start]] = {package.name: [] for package in packages}
            for _ in range(rounds):
                for package in packages:
                    starts[package.name].append(_start(runtime, package))
            modules = {package.name: imported(runtime, package) for package in packages}
    _report(runtime, starts, modules)


def open_filled_store(endpoint: str, events: int = EVENTS) -> tuple[Services, Traffic]:
    """Open an account in the store at *endpoint*, let it use its products by some *events*, and return its traffic."""
    store = DynamoItemStore(endpoint, REGION, STATE_TABLE, PAGES_TABLE)
    store.create_tables()
    clock = BenchClock(RealClock().now() - HOUR)  # it runs ahead: no event is to be of the future
    services, traffic = open_account(store, clock), Traffic(clock, seed=1)
    take(services, traffic.batch(events))
    return services, traffic


def unpack_service(folder: Path, runtime: Runtime) -> Path:
    """Package the service for this machine and unpack it into *folder*, as it lies on Lambda."""
    bundle, task = folder / "deployment.zip", folder / "service"
    build(bundle, own_architecture(), runtime.version)
    with zipfile.ZipFile(bundle) as content:
        content.extractall(task)
    return task


def _packages(folder: Path, runtime: Runtime, surroundings: Surroundings) -> Iterator[Package]:
    service, bare = unpack_service(folder, runtime), folder / "bare"
    for name in BARE_PACKAGES:
        source = service / name
        if source.is_dir():
            shutil.copytree(source, bare / name)
        else:
            shutil.copyfile(source, bare / name)
    (bare / "bare.py").write_text(BARE)
    only = ["-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([runtime.interpreter, "-I", "-m", "compileall", *only, str(bare / "bare.py")], check=True)
    subprocess.run([runtime.interpreter, "-I", "-m", "compileall", *only, str(bare / "six.py")], check=True)
    yield Package("bare botocore", bare, "bare.handler", BARE_EVENT, surroundings.environment)
    tab = surroundings.request("GET", "/v1/accounts/{account}/usage", ACCOUNT)
    yield Package("usage-tab", service, "app.app", tab, surroundings.environment)


def _start(runtime: Runtime, package: Package) -> Start:
    with runtime.function(package) as function:
        init = function.used()
        _call(function, package)
        used = function.used()
    return Start(
        init.seconds * 1e3,
        init.cpu_seconds * 1e3,
        (used.seconds - init.seconds) * 1e3,
        (used.cpu_seconds - init.cpu_seconds) * 1e3,
        used.peak_mb,
    )


def _call(function: Function, package: Package) -> None:
    answer = function.call(package.event)
    if answer["statusCode"] != 200:
        raise RuntimeError(f"{package.name} answers {answer}: {function.log}")


def imported(runtime: Runtime, package: Package) -> set[str]:
    """Return the names of all modules that are imported until the first call is answered."""
    with runtime.function(package, PYTHONPROFILEIMPORTTIME="1") as function:
        _call(function, package)
        return set(_IMPORTED.findall(function.log))


def _report(runtime: Runtime, starts: dict[str, list[Start]], modules: dict[str, set[str]]) -> None:
    rounds = len(next(iter(starts.values())))
    columns = ("init", "first call", "total", "init", "first call", "total", "peak", "modules")
    out = sys.stdout
    out.write(f"medians of {rounds} starts, Python {runtime.version}; milliseconds, then on a processor; MB\n")
    out.write(f"{'':16}" + "".join(f"{column:>12}" for column in columns) + "\n")
    rows = {name: _medians(measured, modules[name]) for name, measured in starts.items()}
    for name, row in rows.items():
        out.write(f"{name:16}" + "".join(f"{value:>12.0f}" for value in row) + "\n")
    bare, service = rows.values()
    out.write(f"{'ratio':16}" + "".join(f"{ours / its:>12.2f}" for its, ours in zip(bare, service, strict=True)) + "\n")


def _medians(starts: list[Start], modules: set[str]) -> tuple[float, ...]:
    return (
        *(statistics.median(values) for values in zip(*(_row(start) for start in starts), strict=True)),
        len(modules),
    )


def _row(start: Start) -> tuple[float, ...]:
    return (
        *(start.init_ms, start.first_ms, start.total_ms),
        *(start.init_cpu_ms, start.first_cpu_ms, start.total_cpu_ms, start.peak_mb),
    )


if __name__ == "__main__":
    main()
