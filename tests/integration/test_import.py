"""Importing the sample files into the service itself, over the embedded store."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.bootstrap import build_services, open_store
from chalicelib.domain.instants import parse_instant
from chalicelib.local.importer import ImportFailedError, import_file
from chalicelib.local.server import LocalServer
from chalicelib.local.signing_key import SigningKey
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.local.importer import Summary

EVENTS = Path(__file__).parents[2] / "events"
NOW = parse_instant("2026-11-22T15:00:00Z")


class Service:
    """The service, asked as its users do, with the sample account in it."""

    def __init__(self, url: str, key: SigningKey) -> None:
        """Put the rate card and the account."""
        self.url = url
        self._key = key
        self.send("PUT", "/v1/rate-cards/standard/versions/2026-01-01", "rate-card.csv")
        self.send("PUT", "/v1/accounts/acme", "account.json")

    def token(self, scope: str, account: str | None = None) -> str:
        """Return a token with one scope."""
        return self._key.issue_token([scope], account_id=account)

    def send(self, method: str, path: str, sample: str, **headers: str) -> dict[str, Any]:
        """Send a sample file and return the answer."""
        scope = "events:write" if path == "/v1/events" else "admin"
        return self._ask(path, scope, method=method, data=(EVENTS / sample).read_bytes(), headers=headers)

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        """Ask for something of the account's."""
        return self._ask(f"/v1/accounts/acme/{path}", "usage:read", headers=headers)

    def _ask(self, path: str, scope: str, **options: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", **options)
        request.add_header("Authorization", f"Bearer {self.token(scope)}")
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def run_import(self, file: Path, token: str | None = None) -> Summary:
        """Import a file."""
        token = token or self.token("events:write")
        return import_file(file, account="acme", resource="call", url=self.url, token=token, batch=5)


@pytest.fixture
def service(embedded_store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Give the service over tables of its own, on the afternoon of the samples."""
    name = request.node.name
    settings = Settings(store=embedded_store, state_table=f"{name}-state", pages_table=f"{name}-pages")
    store = open_store(settings)
    store.create_tables()
    key = SigningKey.load_or_create(tmp_path)
    services = build_services(settings, store, clock=FixedClock(NOW))
    app.use(services, TokenVerifier(KeySource.from_jwks(key.jwks())))
    with LocalServer(app) as server:
        yield Service(server.url, key)


def test_twice(service: Service) -> None:
    """The sample file is imported once, however often: the second time everything is a duplicate."""
    first = service.run_import(EVENTS / "calls.csv")
    tab = service.get("usage")
    second = service.run_import(EVENTS / "calls.csv")

    assert first.text() == "8 accepted, 0 duplicates, 0 rejected"
    assert second.text() == "0 accepted, 8 duplicates, 0 rejected"
    assert service.get("usage")["products"] == tab["products"]


def test_charged(service: Service) -> None:
    """
    The sample's calls cost what the sample card says.

    24 + 0 + 101 + 2 inbound increments of 6 seconds at 0.001; 2 minutes to the United States at 0.01, 2 to a British
    mobile at 0.03, 1 to a British land line at 0.012 and 1 to France at 0.3: 0.127 + 0.392. A missed call is free.
    """
    service.run_import(EVENTS / "calls.csv")
    (calls,) = service.get("usage")["products"]

    assert calls["resource"] == "call"
    assert calls["quantity"] == "1001.5"
    assert calls["billed_quantity"] == "1122"
    assert calls["amount"] == "0.519"


def test_ndjson(service: Service) -> None:
    """The sample events go to the products that they name."""
    assert service.run_import(EVENTS / "events.ndjson").accepted == 4
    quantities = {row["resource"]: row["quantity"] for row in service.get("usage")["products"]}
    assert quantities == {"message": "2", "number": "1", "virtual_agent": "1"}


def test_rejected_lines(service: Service, tmp_path: Path) -> None:
    """What the service does not take is named by its line, the rest counts."""
    file = tmp_path / "calls.csv"
    file.write_text(
        "id,time,quantity,direction\n"
        "a,2026-11-22T09:00:00Z,6,inbound\n"
        "b,2026-09-22T09:00:00Z,6,inbound\n"
        "c,2026-11-22T09:00:02Z,-6,inbound\n"
        "d,2026-11-22T09:00:03Z,6,sideways\n"
        ",2026-11-22T09:00:04Z,6,inbound\n"
        "a,2026-11-22T09:00:00Z,7,inbound\n"
    )
    summary = service.run_import(file)

    assert (summary.accepted, summary.duplicates, summary.rejected) == (1, 0, 5)
    assert [(rejection.line, rejection.code) for rejection in sorted(summary.first_rejections)] == [
        (3, "too_old"),
        (4, "invalid_event"),
        (5, "no_rate"),
        (6, "invalid_event"),
        (7, "conflict"),
    ]


def test_samples(service: Service) -> None:
    """
    The single event, the batch and the grant are taken as they are.

    95 seconds to the United States are 2 minutes at 0.01; 200 inbound seconds 34 increments at 0.001, and, transcribed,
    4 minutes of which one is free at 0.024; the message is free: 0.02 + 0.034 + 0.072 = 0.126 of 100.
    """
    assert service.send("POST", "/v1/events", "event.json")["accepted"] == 1
    assert service.send("POST", "/v1/events", "batch.json")["accepted"] == 3
    granted = service.send("POST", "/v1/accounts/acme/credits/grants", "grant.json", **{"Idempotency-Key": "1"})
    tab = service.get("usage")
    free_units = {row["resource"]: row["free_units"] for row in tab["products"]}

    assert (granted["amount"], granted["remaining"]) == ("100.00", "99.874")
    assert tab["contact_center_services"]["balance"] == "99.874"
    assert tab["last_event_at"] == "2026-11-22T14:03:11Z"
    assert free_units["message"] == {"included": "200", "used": "1", "remaining": "199"}
    assert free_units["transcription"] == {"included": "60", "used": "60", "remaining": "0"}


def test_rate_card_samples(service: Service) -> None:
    """The rate card is the same as CSV and as JSON."""
    service.send("PUT", "/v1/rate-cards/standard/versions/2026-06-01", "rate-card.json")
    cards = [service.get(f"rate-card?on={day}", Accept="application/json") for day in ("2026-05-31", "2026-06-01")]

    assert [card["effective_from"] for card in cards] == ["2026-01-01", "2026-06-01"]
    assert cards[0]["rows"] == cards[1]["rows"]
    assert len(cards[0]["rows"]) == 11


def test_token_of_another_account(service: Service) -> None:
    """A token of another account imports nothing, line by line."""
    summary = service.run_import(EVENTS / "calls.csv", service.token("events:write", account="globex"))

    assert summary.rejected_by_code == {"unknown_account": 8}


def test_token_without_the_scope(service: Service) -> None:
    """A token that may not post events ends the import."""
    with pytest.raises(ImportFailedError, match="answered 403, the token may not post events"):
        service.run_import(EVENTS / "calls.csv", service.token("usage:read"))
