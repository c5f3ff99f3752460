"""The commands of `usage-tab` beside a running server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from chalicelib.bootstrap import build_services, open_store
from chalicelib.settings import Settings
from chalicelib.storage.accounts import Commit
from tests.e2e.client import assert_problem, event
from tests.e2e.importing import import_calls
from tests.e2e.samples import SETTINGS
from tests.e2e.server import Server


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.client import Client

TIME = "2021-01-20T11:00:00Z"


class TestServe:
    """`usage-tab serve`."""

    def test_it_tells_its_page_its_token_and_its_store(self, server: Server) -> None:
        """The page's address holds the token, and the token reaches everything at once."""
        assert server.page == f"{server.url}/#token={server.token}"
        assert server.url.startswith("http://127.0.0.1:")
        assert server.store.startswith("http://127.0.0.1:")
        assert server.client.get("/v1/products")["items"]

    def test_the_default_catalogue_is_there_from_the_start(self, client: Client) -> None:
        """Also without the demo a store knows the usual products."""
        products = {item["resource"]: item for item in client.get("/v1/products", limit="200")["items"]}

        assert {"call", "transcription", "message", "number", "dialer", "virtual_agent"} <= set(products)
        for resource in ("call", "transcription"):
            assert products[resource]["unit"] == "second"
            assert products[resource]["display"] == {"unit": "minute", "divisor": "60"}
        assert products["call"]["pool"] == "contact_center_services"
        assert (products["virtual_agent"]["pool"], products["virtual_agent"]["commit_available"]) == ("own", True)
        storage = products["screen_recording_storage"]
        assert (storage["unit"], storage["meter"], storage["pool"], storage["commit_available"]) == (
            "gigabyte",
            "daily_peak",
            "own",
            False,
        )

    def test_without_a_test_clock_there_is_none(self, home: Path) -> None:
        """Real time cannot be moved, and an event of now is taken."""
        with Server(home, "--no-demo", is_measured=True) as server:
            client = server.client
            for method, body in (("GET", None), ("PUT", {"now": "2999-01-01T00:00:00Z"})):
                assert_problem(client.ask(method, "/v1/test-clock", body), 404, "not_found")
            assert client.get("/health")["status"] == "ok"

    def test_the_test_clock_may_start_now(self, home: Path) -> None:
        """Without a start the test clock stands where the machine's stood."""
        with Server(home, "--no-demo", "--test-clock") as server:
            now = server.client.get("/v1/test-clock")
            assert now == server.client.get("/v1/test-clock")
            assert now["now"] > "2025"

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (["--test-clock", "tomorrow"], 2),
            (["--test-clock", "2021-01-01T00:00:00"], 2),
            (["--port", "70000"], 2),
            (["--store", "{store}", "--data", "folder"], 2),
            (["--port", "{port}", "--no-demo"], 1),
        ],
    )
    def test_what_cannot_be_served_is_said_in_a_line(self, server: Server, options: list[str], code: int) -> None:
        """Options that cannot be and a port that is taken end the command with a message, not with a trace."""
        filled = [word.format(store=server.store, port=server.url.rpartition(":")[2]) for word in options]
        done = server.command("serve", *filled)

        assert done.returncode == code
        assert "Error: " in done.stderr
        assert "Traceback" not in done.stderr


class TestToken:
    """`usage-tab token`."""

    def test_it_prints_a_token_and_nothing_else(self, server: Server, client: Client, account: str) -> None:
        """What is printed can be used as it is."""
        done = server.command("token", "--account", account, "--scope", "usage:read events:write")
        assert done.stderr == ""
        (token,) = done.stdout.splitlines()
        assert token.count(".") == 2

        assert client.get(f"/v1/accounts/{account}/usage", token=token)["account"]["id"] == account
        assert (
            client.post([event(account, "1", TIME, direction="inbound", resolution="answered")], token)["accepted"] == 1
        )
        assert client.ask("GET", f"/v1/accounts/{account}", token=token).status == 403

    def test_it_needs_a_scope(self, server: Server) -> None:
        """A token for nothing is a mistake."""
        done = server.command("token")
        assert (done.returncode, done.stdout) == (2, "")

    def test_it_needs_an_account_that_can_be(self, server: Server) -> None:
        """A token for an account that no service can have is a mistake, too."""
        done = server.command("token", "--account", "a b!", "--scope", "usage:read")
        assert (done.returncode, done.stdout) == (2, "")


class TestImport:
    """`usage-tab import`."""

    def test_rejected_lines_are_counted_and_named(
        self, server: Server, client: Client, account: str, tmp_path: Path
    ) -> None:
        """What can be taken is taken, and the exit code tells that something was not."""
        file = tmp_path / "calls.csv"
        file.write_text(
            "id,time,quantity,direction,resolution\n"
            f"1,{TIME},60,inbound,answered\n"
            f"2,{TIME},-60,inbound,answered\n"
            f"3,{TIME},60,sideways,\n"
            f"4,{TIME},30,inbound,answered\n"
        )

        done = import_calls(server, account, file)
        assert done.returncode == 1
        assert "2 accepted, 0 duplicates, 2 rejected" in done.stdout
        assert "invalid_event" in done.stdout
        assert "no_rate" in done.stdout
        assert client.product(account)["quantity"] == "90"

    def test_ndjson_and_csv_are_one_door(self, server: Server, client: Client, account: str, tmp_path: Path) -> None:
        """The same events as CloudEvents change nothing after the CSV."""
        events = [
            event(account, str(number), TIME, "60", direction="inbound", resolution="answered", source="/import")
            for number in range(3)
        ]
        lines, rows = tmp_path / "calls.ndjson", tmp_path / "calls.csv"
        lines.write_text("".join(f"{json.dumps(document)}\n" for document in events))
        rows.write_text(
            "id,time,quantity,direction,resolution\n"
            + "".join(f"{document['id']},{TIME},60,inbound,answered\n" for document in events)
        )

        assert import_calls(server, account, rows).stdout == "3 accepted, 0 duplicates, 0 rejected\n"
        assert import_calls(server, account, lines).stdout == "0 accepted, 3 duplicates, 0 rejected\n"
        assert client.product(account)["quantity"] == "180"

    def test_a_token_without_the_scope_is_a_message(self, server: Server, account: str, tmp_path: Path) -> None:
        """The import says what is wrong and imports nothing."""
        file = tmp_path / "calls.csv"
        file.write_text(f"id,time,quantity\n1,{TIME},60\n")
        token = server.token_for("usage:read")

        words = ["import", str(file), "--account", account, "--resource", "call", "--url", server.url]
        done = server.command(*words, "--token", token)
        assert done.returncode == 1
        assert "events:write" in done.stderr
        assert token not in done.stderr


class TestJob:
    """`usage-tab job`."""

    @pytest.mark.usefixtures("measured_processes")
    def test_a_job_runs_against_the_servers_store(self, start_server: Callable[..., Server]) -> None:
        """The month's invoice is issued by the command as by the schedule, once."""
        server = start_server("2021-01-20T12:00:00Z")
        server.client.put_account("acme", SETTINGS)
        server.client.move_clock("2021-02-01T01:00:00Z")
        before = server.client.get("/v1/accounts/acme/invoices")

        for words in (["--store", server.store], ["--store", server.store, "--at", "2021-02-01T00:00:00Z"]):
            done = server.command("job", "issue-invoices", *words)
            assert (done.returncode, done.stdout) == (0, "issue-invoices: 0 done, 0 failed, 0 left\n")
        done = server.command("job", "issue-invoices", USAGE_TAB_STORE=server.store)
        assert done.returncode == 0
        assert server.client.get("/v1/accounts/acme/invoices") == before

    def test_a_store_elsewhere_needs_a_gateway_and_a_bus(self, server: Server) -> None:
        """A payment of somebody else's store is never taken by the sandbox, nor a notification left in this log."""
        words = ["job", "settle-payments", "--store", "https://dynamodb.eu-west-1.amazonaws.com"]
        done = server.command(*words, USAGE_TAB_PAYMENT_GATEWAY="none")

        assert done.returncode == 2
        assert "USAGE_TAB_EVENT_BUS must be set" in done.stderr

    @pytest.mark.parametrize(
        "words",
        [
            ["tea-break"],
            ["issue-invoices", "--at", "2999-01-01T00:00:00Z"],
            ["issue-invoices", "--at", "soon"],
        ],
    )
    def test_what_cannot_run_is_said_in_a_line(self, server: Server, words: list[str]) -> None:
        """Unknown jobs, the future and times that are none end the command with a message."""
        done = server.command("job", *words, "--store", server.store)

        assert done.returncode != 0
        assert "Error: " in done.stderr
        assert "Traceback" not in done.stderr


class TestAudit:
    """`usage-tab audit`."""

    def test_all_accounts_are_audited(self, start_server: Callable[..., Server]) -> None:
        """Without an account every one is audited, and what is in order ends with 0."""
        server = start_server("2021-01-20T12:00:00Z")
        for account in ("acme", "initech"):
            server.client.put_account(account, {**SETTINGS, "rate_card": "simple"})
            server.client.grant(account, "0.1", "k")
            server.client.take(*(event(account, str(number), TIME) for number in range(20)))
        server.client.move_clock("2021-02-10T12:00:00Z")
        server.client.take(event("acme", "late", TIME))

        done = server.command("audit", "--store", server.store)
        assert (done.returncode, done.stdout) == (0, "2 accounts audited, 0 differences\n")

    @pytest.mark.parametrize(
        ("changes", "named"),
        [({"quantity": 1}, "quantity"), ({"amount": 1}, "amount"), ({"free": 1}, "free"), ({"credits": 1}, "credit")],
    )
    def test_a_figure_that_the_events_do_not_bear_out_is_found(
        self, server: Server, client: Client, name: str, changes: dict[str, Any], named: str
    ) -> None:
        """One unit too many in the served state ends the audit with 1 and the difference."""
        client.put_account(name, {**SETTINGS, "rate_card": "simple"})
        client.take(*(event(name, str(number), TIME) for number in range(10)))
        spoil(server, name, changes)

        done = server.audit(name)
        assert done.returncode == 1
        assert named in done.stdout
        assert "1 accounts audited" in done.stdout

    def test_an_account_that_does_not_exist_is_a_message(self, server: Server) -> None:
        """A mistyped account is not an account in order."""
        done = server.audit("nobody")
        assert done.returncode == 2
        assert "Error: " in done.stderr


def spoil(server: Server, account: str, changes: dict[str, Any]) -> None:
    """Add to figures of the account's one product, past all rules."""
    settings = Settings.from_environment({"USAGE_TAB_STORE": server.store, "USAGE_TAB_TEST_CLOCK": "1"})
    heads = build_services(settings, open_store(settings)).heads
    head = heads.load(account)
    assert head is not None
    ((period, usage),) = head.state.periods.items()
    row = usage.products["call"]
    wrong = replace(row, **{figure: getattr(row, figure) + extra for figure, extra in changes.items()})
    heads.commit(head, Commit(head.state.with_usage(period, replace(usage, products={"call": wrong}))))


class TestInspect:
    """`usage-tab inspect`."""

    def test_it_shows_an_account_without_its_secrets(self, server: Server, client: Client, name: str) -> None:
        """Settings, usage and credit are readable; the card is not."""
        card = {"type": "credit_card", "token": "tok_secret"}
        client.put_account(name, {**SETTINGS, "rate_card": "simple", "payment_method": card})
        client.grant(name, "1", "k")
        client.take(event(name, "1", TIME))

        done = server.command("inspect", name, "--store", server.store)
        shown = json.loads(done.stdout)
        assert done.returncode == 0
        assert shown["account"] == name
        assert shown["periods"]["2021-01"]["call"]["amount"] == "0.06"
        assert [grant["remaining"] for grant in shown["grants"]] == ["0.94"]
        assert "tok_secret" not in done.stdout

    def test_an_account_that_does_not_exist_is_a_message(self, server: Server) -> None:
        """There is nothing to show of nobody."""
        done = server.command("inspect", "nobody", "--store", server.store)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Error: " in done.stderr


@pytest.mark.parametrize("words", [["job", "issue-invoices"], ["audit"], ["inspect", "acme"]], ids=" ".join)
def test_a_store_that_is_not_there_is_a_message(server: Server, words: list[str]) -> None:
    """An operator who mistypes the address of the store reads so in a line."""
    done = server.command(*words, "--store", "http://127.0.0.1:9")

    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "token", "import", "job", "audit", "inspect"])
def test_every_command_explains_itself(server: Server, command: str) -> None:
    """Help is a sentence and the options."""
    done = server.command(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: usage-tab {command}")


@pytest.mark.parametrize("command", ["serve", "audit"])
def test_a_store_that_is_no_address_is_a_message(server: Server, command: str) -> None:
    """What is no URL is told so, before anything is tried."""
    done = server.command(command, "--store", "nonsense")

    assert done.returncode == 2
    assert "'nonsense' is not the http or https URL of a DynamoDB endpoint" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_a_message(server: Server) -> None:
    """It is told before anything else is done."""
    port = server.url.rpartition(":")[2]
    done = server.command("serve", "--port", port, "--store", server.store)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port} cannot be used" in done.stderr


def test_a_scope_that_there_is_not_is_a_message(server: Server) -> None:
    """A mistyped scope would make a token that does nothing."""
    done = server.command("token", "--scope", "usage:read admn")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no scope 'admn'" in done.stderr
