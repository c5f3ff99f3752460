"""The server killed in the middle of its work, and stopped in order: nothing that it answered is lost."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from chalicelib.bootstrap import open_store
from chalicelib.domain.instants import parse_instant
from chalicelib.settings import Settings
from chalicelib.storage.payments import Payments
from tests.e2e.client import Client, batches, event, expect
from tests.e2e.importing import import_calls, import_words
from tests.e2e.samples import NOW, SETTINGS, as_events, pays_by_card, put_rate_cards, write_rows
from tests.e2e.server import Server
from tests.oracle.billing import bill


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chalicelib.domain.card_payments import CardPayment
    from tests.e2e.samples import Sample

FREE_SECONDS = "5000"
POSTERS = 4
CALLS_MAX = 400


@contextlib.contextmanager
def running(home: Path, store: str, name: str, **environment: str) -> Iterator[Server]:
    """Run a server over a *store* that outlives it, in tables of its own."""
    tables = {"USAGE_TAB_STATE_TABLE": f"{name}-state", "USAGE_TAB_PAGES_TABLE": f"{name}-pages"}
    options = ["--no-demo", "--test-clock", NOW, "--store", store]
    with Server(home, *options, environment={**tables, **environment}) as server:
        put_rate_cards(server.client)
        yield server


@pytest.fixture
def durable(home: Path, dynamodb_local: str, name: str) -> Iterator[Server]:
    """Give a server whose store outlives it."""
    with running(home, dynamodb_local, name) as server:
        yield server


@pytest.fixture
def patient(home: Path, dynamodb_local: str, name: str) -> Iterator[Server]:
    """Give one whose payment gateway takes its time."""
    with running(home, dynamodb_local, name, USAGE_TAB_SANDBOX_LATENCY_MS="3000") as server:
        yield server


@pytest.fixture
def calls(plain: Sample, tmp_path: Path) -> Path:
    """Give a file of calls of one month."""
    return write_rows(tmp_path / "calls.csv", plain.rows_before_now()[:CALLS_MAX])


def put_customer(server: Server, sample: Sample) -> None:
    """Create the customer whose calls these are."""
    server.client.put_rate_card("quarter", "2020-01-01", sample.card.read_text(encoding="utf-8"))
    free_units = {"call": {"quantity": FREE_SECONDS, "per": "account"}}
    server.client.put_account("acme", {**SETTINGS, "rate_card": "quarter", "free_units": free_units})


def assert_billed(server: Server, sample: Sample, calls: Path) -> None:
    """Check the customer's figures against the calculation apart and against the records."""
    months: dict[str, Any] = bill(calls, sample.card, "UTC", {"call": FREE_SECONDS})
    line = months["2021-01"]["lines"]["call"]
    row = server.client.product("acme")
    assert row["free_units"]["used"] == line["free_units_used"]
    for member in ("quantity", "billed_quantity", "amount", "to_be_invoiced"):
        assert row[member] == line[member]
    audit = server.audit("acme")
    assert audit.returncode == 0, audit


class Posters:
    """Threads that post batches until there are none left or nobody answers, and keep what was answered."""

    def __init__(self, server: Server, events: Sequence[Any], size: int) -> None:
        self.accepted: list[Any] = []
        self._waiting: queue.SimpleQueue[Sequence[Any]] = queue.SimpleQueue()
        for batch in batches(events, size):
            self._waiting.put(batch)
        self._answers = threading.Semaphore(0)
        self._address = server.url, server.token
        self._threads = [threading.Thread(target=self._post) for _ in range(POSTERS)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int) -> None:
        """Wait for so many more answers."""
        for _ in range(answers):
            assert self._answers.acquire(timeout=60)

    def join(self) -> list[Any]:
        """Wait until all have ended and return the events that were answered with `accepted`."""
        for thread in self._threads:
            thread.join()
        return self.accepted

    def _post(self) -> None:
        with Client(*self._address) as client:
            while True:
                try:
                    batch = self._waiting.get_nowait()
                    counts = client.post(batch)
                except (queue.Empty, urllib3.exceptions.HTTPError):
                    return
                others = {result["index"] for result in counts["results"]}
                self.accepted += [event for index, event in enumerate(batch) if index not in others]
                self._answers.release()


def test_a_killed_server_has_kept_all_that_it_answered(durable: Server, plain: Sample, calls: Path) -> None:
    """Killed again and again under load, the server knows every event it accepted, and counts each once."""
    put_customer(durable, plain)
    events = as_events(plain.rows_before_now()[:CALLS_MAX], "acme")
    answered: list[Any] = []

    for size, answers in ((5, 6), (3, 17), (1, 40)):
        known = {event["id"] for event in answered}
        posters = Posters(durable, [event for event in events if event["id"] not in known], size)
        posters.wait_for(answers)
        durable.kill()
        answered += posters.join()
        durable.start()
        for batch in batches(answered, 1000):
            assert durable.client.post(batch)["duplicates"] == len(batch)

    assert 0 < len(answered) < len(events)
    imported = import_calls(durable, "acme", calls)
    assert imported.returncode == 0, imported
    assert_billed(durable, plain, calls)


def test_an_import_outlives_the_server(durable: Server, plain: Sample, calls: Path) -> None:
    """An import goes on by itself once a killed server is back, and may then be run again."""
    put_customer(durable, plain)
    importer = durable.begin(*import_words(durable, "acme", calls, "--batch", "4"))
    while not durable.client.usage("acme")["products"]:
        assert importer.poll() is None
    durable.kill()
    durable.start()

    with importer:
        out, err = importer.communicate(timeout=120)
    assert importer.returncode == 0, (out, err)
    again = import_calls(durable, "acme", calls)
    assert again.stdout.startswith("0 accepted,")
    assert_billed(durable, plain, calls)


def test_a_close_that_was_killed_half_way_is_caught_up(durable: Server) -> None:
    """Killed between the invoices of many customers, the close goes on where it was and bills each once."""
    customers = [f"customer-{number}" for number in range(12)]
    for customer in customers:
        durable.client.put_account(customer, {**SETTINGS, "rate_card": "simple"})
        durable.client.grant(customer, "1", "k", expires_on="2021-02-10")
        durable.client.take(event(customer, "1", "2021-01-20T11:00:00Z", "1200"))
    mover = threading.Thread(target=_move_until_killed, args=(durable.url, durable.token))
    mover.start()
    while not any(durable.client.get(f"/v1/accounts/{customer}/invoices")["items"] for customer in customers):
        assert mover.is_alive()
    durable.kill()
    mover.join()

    durable.start().client.move_clock("2021-03-01T01:00:00Z")
    for customer in customers:
        invoices = durable.client.get(f"/v1/accounts/{customer}/invoices")["items"]
        assert [(invoice["period"], invoice["total"]) for invoice in invoices] == [
            ("2021-02", "0.00"),
            ("2021-01", "0.20"),
        ]
        assert [entry["kind"] for entry in durable.client.ledger(customer)] == ["invoice", "grant"]
        assert durable.client.balance(customer) == "0.00"
    done = durable.command("audit", "--store", durable.store)
    assert (done.returncode, done.stdout) == (0, "12 accounts audited, 0 differences\n")


def _move_until_killed(url: str, token: str) -> None:
    with Client(url, token) as client, contextlib.suppress(urllib3.exceptions.HTTPError):
        client.move_clock("2021-03-01T01:00:00Z")


def stored_payment(server: Server, name: str) -> CardPayment | None:
    """Return the one payment that is not settled, as the store holds it, None where there is none yet."""
    settings = Settings(store=server.store, state_table=f"{name}-state", pages_table=f"{name}-pages")
    payments = Payments(open_store(settings))
    (key, *others) = [*payments.due(parse_instant(NOW)), None]
    assert others in ([], [None])
    stored = None if key is None else payments.get(*key)
    return None if stored is None else stored.payment


def _buy_until_killed(url: str, token: str) -> None:
    with Client(url, token) as client, contextlib.suppress(urllib3.exceptions.HTTPError):
        client.buy("acme", "100", "k")


@pytest.mark.parametrize("is_announced", [False, True], ids=["before it has a name there", "before it is charged"])
def test_a_purchase_that_was_killed_half_way(patient: Server, name: str, *, is_announced: bool) -> None:
    """Killed while the gateway works, the purchase is paid and booked once, by the schedule."""
    patient.client.put_account("acme", pays_by_card())
    buyer = threading.Thread(target=_buy_until_killed, args=(patient.url, patient.token))
    buyer.start()
    while (payment := stored_payment(patient, name)) is None or (payment.gateway_id is not None) != is_announced:
        assert buyer.is_alive()
    patient.kill()
    buyer.join()
    payment = stored_payment(patient, name)
    assert payment is not None
    assert (payment.gateway_id is not None) == is_announced

    client = patient.start(USAGE_TAB_SANDBOX_LATENCY_MS="0").client
    assert client.balance("acme") == "0.00"
    assert client.run_job("settle-payments")["done"] == 1
    bought = expect(201, client.buy("acme", "100", "k")).json
    assert bought == {"id": payment.id, "amount": "100.00", "status": "succeeded", "balance": "100.00"}
    assert client.run_job("settle-payments")["done"] == 0
    assert client.balance("acme") == "100.00"
    assert [(entry["kind"], entry["cause"]) for entry in client.ledger("acme")] == [("purchase", payment.id)]
    done = patient.command("audit", "--account", "acme", "--store", patient.store)
    assert done.returncode == 0, done


def test_a_charge_whose_answer_was_lost_with_the_server(patient: Server) -> None:
    """Charged but not booked when the server was killed, the credit is booked once by the schedule."""
    patient.client.put_account("acme", pays_by_card("tok_error"))
    pending = expect(202, patient.client.buy("acme", "100", "k")).json
    patient.kill()

    client = patient.start(USAGE_TAB_SANDBOX_LATENCY_MS="0").client
    assert client.balance("acme") == "0.00"
    client.move_clock("2021-01-31T22:15:00Z")
    assert expect(201, client.buy("acme", "100", "k")).json["id"] == pending["id"]
    assert [entry["amount"] for entry in client.ledger("acme")] == ["100.00"]


def test_an_auto_recharge_that_was_killed_half_way(patient: Server, name: str) -> None:
    """Killed while auto recharge pays, the charge that caused it counts and the credit is booked once."""
    patient.client.put_account("acme", pays_by_card())
    patient.client.grant("acme", "100", "opening")
    expect(200, patient.client.put_auto_recharge("acme", threshold="50", amount="100"))
    poster = threading.Thread(target=_post_until_killed, args=(patient.url, patient.token))
    poster.start()
    while stored_payment(patient, name) is None:
        assert poster.is_alive()
    patient.kill()
    poster.join()

    client = patient.start(USAGE_TAB_SANDBOX_LATENCY_MS="0").client
    assert client.balance("acme") == "40.00"
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"
    client.move_clock("2021-01-31T22:15:00Z")
    assert client.balance("acme") == "140.00"
    assert [entry["kind"] for entry in client.ledger("acme")] == ["auto_recharge", "grant"]
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"
    client.move_clock("2021-01-31T22:30:00Z")
    assert client.balance("acme") == "140.00"


def _post_until_killed(url: str, token: str) -> None:
    with Client(url, token) as client, contextlib.suppress(urllib3.exceptions.HTTPError):
        client.post([event("acme", "1", "2021-01-31T20:00:00Z", "60000")])


def test_a_server_stopped_under_load_has_kept_all_that_it_answered(
    home: Path, plain: Sample, calls: Path, tmp_path: Path
) -> None:
    """With `--data`, a server that is asked to stop finishes what runs and keeps everything in the folder."""
    options = ["--no-demo", "--test-clock", NOW, "--data", str(tmp_path / "data")]
    with Server(home, *options) as server:
        put_customer(server, plain)
        posters = Posters(server, as_events(plain.rows_before_now()[:CALLS_MAX], "acme"), 10)
        posters.wait_for(5)
        assert server.stop() == 0
        answered = posters.join()

        server.start()
        assert server.client.post(answered)["duplicates"] == len(answered)
        assert import_calls(server, "acme", calls).returncode == 0
        assert_billed(server, plain, calls)


def test_a_folder_holds_everything_over_a_restart(home: Path, tmp_path: Path) -> None:
    """Accounts, cards, products, usage, credit, invoices, keys and the clock are found again."""
    options = ["--no-demo", "--test-clock", NOW, "--data", str(tmp_path / "data")]
    with Server(home, *options) as server:
        client = server.client
        put_rate_cards(server.client)
        client.put_account("acme", {**SETTINGS, "rate_card": "simple"})
        client.ask("PUT", "/v1/products/fax", {"name": "Faxes", "unit": "page"})
        client.take(event("acme", "1", "2021-01-20T11:00:00Z", "90"))
        client.move_clock("2021-02-03T12:00:00Z")
        grant = client.grant("acme", "10", "k", expires_on="2021-02-28")
        client.take(event("acme", "2", "2021-02-03T11:00:00Z", "30"))
        before, token = everything(client), server.token
        assert server.stop() == 0

        server.start()
        assert everything(server.client) == before
        assert server.client.get("/v1/accounts/acme", token=token)["id"] == "acme"
        assert server.client.get("/v1/test-clock") == {"now": "2021-02-03T12:00:00Z"}
        assert server.client.grant("acme", "10", "k", expires_on="2021-02-28") == grant
        assert server.client.post([event("acme", "1", "2021-01-20T11:00:00Z", "90")])["duplicates"] == 1
        assert server.audit("acme").returncode == 0


def everything(client: Client) -> list[Any]:
    """Return all that there is to read of the customer and of the catalogue."""
    account = "/v1/accounts/acme"
    paths = (
        account,
        *(f"{account}/{name}" for name in ("usage", "balances", "ledger", "invoices", "invoices/2021-01")),
    )
    return [client.get(path) for path in (*paths, "/v1/products", "/v1/jobs")]


def test_a_folder_belongs_to_one_server_at_a_time(home: Path, tmp_path: Path) -> None:
    """A second server on the same folder says so and leaves the first alone."""
    with Server(home, "--no-demo", "--data", str(tmp_path / "data")) as server:
        second = server.command("serve", "--port", "0", "--no-demo", "--data", str(tmp_path / "data"))

        assert second.returncode == 1
        assert second.stderr.startswith("Error: ")
        assert server.client.get("/health")["status"] == "ok"
