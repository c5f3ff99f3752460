"""What the application logs of a request, and what each kind of call measures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextvars import Context
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from chalice.test import Client
from msgspec.structs import replace

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.domain.instants import HOUR, SECOND, format_instant
from chalicelib.local.signing_key import ALL_SCOPES, SigningKey
from chalicelib.observability import MaskingFormatter, logger, one_call
from chalicelib.services.container import Services
from chalicelib.services.errors import BusyError
from chalicelib.storage.accounts import Commit
from tests.fakes.gateway import FakeGateway
from tests.fakes.memory_store import Fault
from tests.fakes.metrics import deploy, lines_of, totals_of
from tests.unit.events.test_outbox_stream import record
from tests.unit.services.card_world import CardWorld, copied
from tests.unit.services.world import Interruption, World


NUMBER = "+12065550100"


@pytest.fixture
def key(tmp_path: Any) -> SigningKey:
    """Give a key whose tokens the application takes."""
    return SigningKey.load_or_create(tmp_path)


@pytest.fixture
def world(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a service behind the application, on Lambda."""
    world = World()
    deploy(monkeypatch)
    app.use(world.services, TokenVerifier(KeySource.from_jwks(key.jwks())))
    yield world
    app._handed_over = None


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Give what the service's logger writes."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskingFormatter())
    underneath = logging.getLogger(logger().name)
    underneath.addHandler(handler)
    yield stream
    underneath.removeHandler(handler)


def lines(log: StringIO) -> list[dict[str, Any]]:
    """Return the lines logged."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def cloud_event(world: World, name: str, account: str = "acme", resource: str = "call") -> dict[str, Any]:
    """Return an event called *name* of this moment."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/voice",
        "type": resource,
        "subject": account,
        "time": format_instant(world.clock.now()),
        "data": {"quantity": "60"},
    }


@pytest.mark.usefixtures("world")
class TestLines:
    """The log of requests."""

    def test_one_line_a_request(self, key: SigningKey, log: StringIO) -> None:
        """It says what was asked, by the route, and what came of it; its request id is the answer's."""
        with Client(app) as client:
            headers = {"Authorization": f"Bearer {key.issue_token(ALL_SCOPES)}"}
            answer = client.http.get("/v1/accounts/acme/usage?period=2026-11", headers=headers)
            other = client.http.get("/health")

        first, second = lines(log)
        assert (first["method"], first["route"]) == ("GET", "/v1/accounts/{account}/usage")
        assert (first["status"], first["account"], first["level"]) == (200, "acme", "INFO")
        assert first["ms"] > 0
        assert first["request_id"] == answer.headers["X-Request-Id"]
        assert second["request_id"] == other.headers["X-Request-Id"] != first["request_id"]
        assert (second["route"], "account" in second) == ("/health", False)

    def test_no_secret(self, key: SigningKey, log: StringIO) -> None:
        """Neither the token, nor the query, nor what is no account's name is in the log."""
        token = key.issue_token(ALL_SCOPES)
        with Client(app) as client:
            headers = {"Authorization": f"Bearer {token}"}
            client.http.get(f"/v1/accounts/{NUMBER}/usage?secret=hidden-in-the-query", headers=headers)

        (line,) = lines(log)
        assert line["status"] == 404
        assert "account" not in line
        assert not any(secret in log.getvalue() for secret in (token, NUMBER, NUMBER[1:], "hidden", "Bearer"))

    def test_who_calls(self, key: SigningKey, log: StringIO) -> None:
        """A customer's token is named by its account, also where that asks for another's."""
        token = key.issue_token(["usage:read"], account_id="acme")
        with Client(app) as client:
            client.http.get("/v1/accounts/beta/usage", headers={"Authorization": f"Bearer {token}"})

        (line,) = lines(log)
        assert (line["account"], line["caller"], line["status"]) == ("beta", "acme", 404)

    def test_quiet_elsewhere(
        self, monkeypatch: pytest.MonkeyPatch, log: StringIO, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """On a person's machine requests are not logged, and nothing is printed."""
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
        with Client(app) as client:
            client.http.get("/health")

        assert log.getvalue() == ""
        assert capsys.readouterr().out == ""


class TestEvents:
    """What is measured where usage comes in."""

    def test_verdicts_and_delay(self, world: World, key: SigningKey, capsys: pytest.CaptureFixture[str]) -> None:
        """One line says how many were accepted and known, and how old they were when they counted."""
        one, two = cloud_event(world, "e-1"), cloud_event(world, "e-2")
        sample = cloud_event(world, "e-3", resource="screen_recording_storage")
        headers = {"Authorization": f"Bearer {key.issue_token(ALL_SCOPES)}"}
        world.clock.pass_by(4 * SECOND)
        with Client(app) as client:
            client.http.post("/v1/events", headers=headers, body=json.dumps([one, two, one]).encode())
            printed = capsys.readouterr().out
            bad = [
                cloud_event(world, "e-4", account="nobody"),
                cloud_event(world, "e-5", resource="nothing"),
                cloud_event(world, "e-6", resource="nothing"),
                {"id": "e-7"},
                sample,
            ]
            client.http.post("/v1/events", headers=headers, body=json.dumps(bad).encode())

        assert len(lines_of(printed)) == 1
        assert totals_of(printed) == {
            ("EventsAccepted",): 2,
            ("EventsDuplicate",): 1,
            ("EventToVisible",): 8000,
        }
        assert totals_of(capsys.readouterr().out) == {
            ("EventsRejected",): 5,
            ("EventsRejected", "unknown_account"): 1,
            ("EventsRejected", "unknown_resource"): 2,
            ("EventsRejected", "invalid_event"): 1,
            ("EventsRejected", "no_rate"): 1,
        }

    def test_a_lost_race(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """A commit that another process was faster with is a conflict, and begun again; the other's is its own."""
        world.use("1")
        mine = world.another("a")
        before_its_put = Interruption(6, lambda: Context().run(world.use, "1"))
        world.disturb(before_its_put)
        with one_call():
            world.use("1", services=mine)

        assert before_its_put.taken[5] == "put"
        assert totals_of(capsys.readouterr().out) == {("Conflicts",): 1, ("Retries",): 1, ("EventToVisible",): 0}

    def test_a_change_given_up(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Where the store cannot be reached, the change is counted as busy."""
        world.disturb(Interruption(1, fault=Fault.UNAVAILABLE))
        with one_call(), pytest.raises(BusyError):
            world.use("1", services=world.another("a"))

        assert totals_of(capsys.readouterr().out) == {("Busy",): 1}

    @pytest.mark.usefixtures("world")
    def test_a_read_measures_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A request that changes nothing writes no metric."""
        with Client(app) as client:
            client.http.get("/health")

        assert lines_of(capsys.readouterr().out) == []


@pytest.mark.usefixtures("world")
class TestJobs:
    """What is measured of schedules and their work."""

    def test_a_heartbeat(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Every run counts itself, by the name of its job; the sweep says that nothing waits."""
        with Client(app) as client:
            event = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
            client.lambda_.invoke("expire_credit", event)
            client.lambda_.invoke("sweep_outbox", event)

        assert totals_of(capsys.readouterr().out) == {
            ("JobRuns", "expire-credit"): 1,
            ("JobRuns", "sweep-outbox"): 1,
            ("OutboxAge",): 0,
        }

    def test_what_audits_find(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Accounts audited and differences found; an account that does not add up is failed work."""
        world.put_account("other")
        world.use("5")
        head = world.services.heads.load("acme")
        assert head is not None
        (period, usage), *_ = head.state.periods.items()
        wrong = replace(usage.products["call"], amount=Decimal(6))
        state = head.state.with_usage(period, replace(usage, products={"call": wrong}))
        world.services.heads.commit(head, Commit(state))

        with Client(app) as client:
            event = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
            client.lambda_.invoke("audit", event)

        totals = totals_of(capsys.readouterr().out)
        assert totals.pop(("AuditDifferences",)) > 0
        assert totals == {
            ("AccountsAudited",): 2,
            ("WorkDone", "audit"): 1,
            ("WorkFailed",): 1,
            ("WorkFailed", "audit"): 1,
            ("JobRuns", "audit"): 1,
        }


@pytest.mark.usefixtures("world")
class TestMoney:
    """What is measured of payments and of what they cause."""

    @pytest.fixture
    def card(self, capsys: pytest.CaptureFixture[str]) -> CardWorld:
        """Give an account that pays by card, behind the application, its effects left to the stream."""
        card = copied()
        self.services: Services = card.another("a", has_stream=True)
        capsys.readouterr()
        return card

    def test_results(self, card: CardWorld, capsys: pytest.CaptureFixture[str]) -> None:
        """A payment is counted by what came of it, once: asked for again it is not."""
        with one_call():
            card.buy(key="first", services=self.services)
            card.buy(key="first", services=self.services)
        card.pay_with("tok_declined")
        with one_call():
            card.buy(key="second", services=self.services)

        assert totals_of(capsys.readouterr().out) == {("Payments", "succeeded"): 1, ("Payments", "failed"): 1}

    def test_outcomes_that_are_not_known(self, capsys: pytest.CaptureFixture[str]) -> None:
        """They are counted whenever the gateway is asked in vain; every run says how old the oldest is."""
        card = copied("tok_error")
        card.gateway = FakeGateway(processing_answers=1)
        services = card.another("a")
        with one_call():
            card.buy(services=services)
        asked_at_once = totals_of(capsys.readouterr().out)
        card.clock.pass_by(40 * SECOND)
        with one_call():
            services.jobs.run("settle-payments")
        asked_again = totals_of(capsys.readouterr().out)
        card.clock.pass_by(60 * SECOND)
        with one_call():
            services.jobs.run("settle-payments")
        not_asked_yet = totals_of(capsys.readouterr().out)
        card.clock.pass_by(HOUR)
        with one_call():
            services.jobs.run("settle-payments")

        assert asked_at_once == {("Payments", "pending"): 1}
        assert asked_again == {("Payments", "pending"): 1, ("PaymentAge",): 40}
        assert not_asked_yet == {("PaymentAge",): 100}
        assert totals_of(capsys.readouterr().out) == {
            ("Payments", "succeeded"): 1,
            ("PaymentAge",): 0,
            ("WorkDone", "settle-payments"): 1,
        }

    def test_effects(self, card: CardWorld, capsys: pytest.CaptureFixture[str]) -> None:
        """The sweep says how long the oldest effect waits; the stream counts what it did and what it could not do."""
        card.buy(services=self.services)
        card.clock.pass_by(90 * SECOND)
        with one_call():
            subjects = list(self.services.effects.subjects(card.clock.now()))
        app.use(self.services, None)  # type: ignore[arg-type]
        account, effects = subjects[0].split("/")
        records = [record(f"account#{account}", f"outbox#{name}") for name in (effects, "none")]
        with Client(app) as client:
            client.lambda_.invoke("carry_out_effects", {"Records": records})

        assert totals_of(capsys.readouterr().out) == {
            ("OutboxAge",): 90,
            ("EffectsDone",): 1,
            ("EffectsFailed",): 1,
        }
