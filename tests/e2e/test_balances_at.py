"""`GET /balances?at=`: whatever the service answered at some time, it answers for that time ever after."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.bootstrap import open_store
from chalicelib.domain.instants import parse_instant
from chalicelib.settings import Settings
from chalicelib.storage.operations import StoredTestClock
from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import NOW, pays_by_card


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Answer, Client
    from tests.e2e.server import Server

SHARED = "contact_center_services"
START = "2021-01-30T10:00:00Z"


def ask(client: Client, account: str, at: str) -> Answer:
    """Ask for the balances of a time."""
    return client.ask("GET", f"/v1/accounts/{account}/balances", query={"at": at})


def let_time_pass(server: Server, now: str) -> None:
    """Move the clock while no schedule runs, as if they were all broken."""
    clock = StoredTestClock(open_store(Settings(store=server.store)))
    assert clock.move(clock.now(), parse_instant(now))


class Story:
    """An account whose balances are asked for, and kept, at every turn of its story."""

    def __init__(self, server: Server, account: str) -> None:
        self.server = server
        self.client = server.client
        self.account = account
        self.answers: dict[str, Any] = {}

    def keep(self) -> None:
        """Keep what the service answers now."""
        now = self.client.get("/v1/test-clock")["now"]
        self.answers[now] = self.client.get(f"/v1/accounts/{self.account}/balances")

    def go_on(self, now: str, *, with_schedules: bool = True) -> None:
        """Move the clock, and keep what is answered on arrival."""
        if with_schedules:
            self.client.move_clock(now)
        else:
            let_time_pass(self.server, now)
        self.keep()

    def call(self, *quantities: int, at: str, resource: str = "call") -> None:
        """Take events of a time in one request."""
        name = f"{resource}-{self.client.get('/v1/test-clock')['now']}-{at}"
        self.client.take(
            *(
                event(self.account, f"{name}-{index}", at, str(quantity), resource)
                for index, quantity in enumerate(quantities)
            )
        )

    def commit_credit(self, pool: str, **terms: object) -> None:
        """Put a commitment."""
        body = {"frequency": "monthly", "starts_on": "2021-01-30", **terms}
        expect(200, self.client.ask("PUT", f"/v1/accounts/{self.account}/commitments/{pool}", body))

    @property
    def last(self) -> dict[str, Any]:
        """The balances kept last, by pool."""
        *_, answer = self.answers.values()
        return {balance["pool"]: balance for balance in answer["balances"]}


def tell_january(story: Story) -> None:
    """Live through two days of January: usage, credit of every kind, and a payment whose answer is lost."""
    client, account = story.client, story.account
    story.keep()
    for minute, seconds in enumerate((60, 61, 0, 7200), start=1):
        story.go_on(f"2021-01-30T10:{minute:02d}:00Z")
        story.call(seconds, at="2021-01-30T09:59:30.25Z")
        story.keep()
    story.go_on("2021-01-30T10:05:00Z")
    story.call(*range(60, 60 * 61, 60), at="2021-01-30T10:00:00Z")
    story.keep()
    story.go_on("2021-01-30T10:06:00Z")
    client.grant(account, "20", "expires", expires_on="2021-01-31")
    story.keep()
    story.go_on("2021-01-30T10:07:00Z")
    story.commit_credit(SHARED, amount="100")
    story.keep()
    story.go_on("2021-01-30T10:08:00Z")
    story.commit_credit(SHARED, amount="130")
    story.keep()
    story.go_on("2021-01-30T10:09:00Z")
    story.commit_credit("virtual_agent", amount="4", rollover=False)
    story.call(3, 4, at="2021-01-30T10:09:00Z", resource="virtual_agent")
    story.keep()
    story.go_on("2021-01-30T10:10:00Z")
    voided = client.grant(account, "7", "void")["id"]
    story.keep()
    story.go_on("2021-01-30T10:11:00Z")
    expect(200, client.ask("POST", f"/v1/accounts/{account}/credits/grants/{voided}/void"))
    story.keep()
    story.go_on("2021-01-30T10:12:00Z")
    expect(201, client.buy(account, "100.50", "purchase"))
    story.keep()
    story.go_on("2021-01-30T10:13:00Z")
    client.put_account(account, pays_by_card("tok_error"))
    expect(202, client.buy(account, "111", "pending"))
    story.keep()
    story.go_on("2021-01-30T10:15:00Z")
    assert story.last[SHARED]["credits"]["purchased"] == "211.50"
    story.go_on("2021-01-30T10:16:00Z")
    client.put_account(account, pays_by_card())
    expect(200, client.put_auto_recharge(account, threshold="10", amount="25"))
    story.call(60 * 6000, at="2021-01-30T10:16:00Z")
    assert len(client.ledger(account, kind="auto_recharge")) == 1
    story.keep()


def tell_of_a_close(story: Story) -> None:
    """Let January end: credit expires, events come in the grace and after it, and the invoice is issued in time."""
    story.go_on("2021-01-31T23:59:59.999999Z")
    story.call(60 * 1000, at="2021-01-31T23:00:00Z")
    story.keep()
    story.go_on("2021-02-01T00:00:00Z")
    story.go_on("2021-02-01T00:10:00Z")
    story.call(60 * 500, at="2021-01-31T23:59:00Z")
    story.call(60 * 50, at="2021-02-01T00:05:00Z")
    story.keep()
    story.go_on("2021-02-01T00:14:00Z")
    story.client.grant(story.account, "1.000000000001", "in the grace")
    story.keep()
    story.go_on("2021-02-01T01:00:00Z")
    story.go_on("2021-02-01T01:05:00Z")
    story.call(60 * 3, at="2021-01-31T23:30:00Z")
    story.keep()
    story.client.invoice(story.account, "2021-01")


def tell_of_a_late_close(story: Story) -> None:
    """Let February end while no schedule runs, and usage of both months go on; then let everything be caught up."""
    client, account = story.client, story.account
    story.go_on("2021-02-20T12:00:00Z")
    client.grant(account, "30", "expires after the month", expires_on="2021-03-01")
    story.call(60 * 2000, at="2021-02-20T11:00:00Z")
    story.keep()
    story.go_on("2021-02-28T23:00:00Z", with_schedules=False)
    story.call(60 * 700, at="2021-02-28T22:00:00Z")
    story.keep()
    story.go_on("2021-03-01T00:30:00Z", with_schedules=False)
    story.go_on("2021-03-01T05:00:00Z", with_schedules=False)
    story.call(60 * 10, at="2021-02-28T23:00:00Z")
    story.call(60 * 20, at="2021-03-01T04:00:00Z")
    story.keep()
    story.go_on("2021-03-02T09:00:00Z", with_schedules=False)
    story.call(2, at="2021-03-02T08:00:00Z", resource="virtual_agent")
    story.keep()
    expect(201, client.buy(account, "150", "before the close"))
    story.keep()
    story.go_on("2021-03-02T09:01:00Z", with_schedules=False)
    client.run_job("issue-invoices")
    story.keep()
    story.go_on("2021-03-02T09:02:00Z")
    story.call(60 * 30, at="2021-02-27T23:00:00Z")
    story.keep()
    client.invoice(account, "2021-02")
    story.go_on("2021-03-31T12:00:00Z")
    expect(204, client.ask("DELETE", f"/v1/accounts/{account}/commitments/{SHARED}"))
    story.keep()
    story.go_on("2021-04-01T02:00:00Z")


def a_moment_later(at: str) -> str:
    """Return the instant half a second later."""
    return (datetime.fromisoformat(at) + timedelta(milliseconds=500)).isoformat()


def test_a_story_told_again(start_server: Callable[..., Server]) -> None:
    """After events, grants, commitments, purchases, a void and three month ends, every answer is given again."""
    server = start_server(START)
    client = server.client
    client.put_account("acme", pays_by_card())
    story = Story(server, "acme")
    tell_january(story)
    tell_of_a_close(story)
    tell_of_a_late_close(story)
    client.move_clock("2021-05-03T00:00:00Z")

    assert len(story.answers) > 30
    for at, answer in story.answers.items():
        assert (at, expect(200, ask(client, "acme", at)).json) == (at, answer)
    # nothing falls due within a moment, unless it is the last of a month
    for at, answer in story.answers.items():
        if not at.startswith("2021-01-31T23:59:59"):
            assert (at, expect(200, ask(client, "acme", a_moment_later(at))).json) == (at, answer)
    assert server.audit("acme").returncode == 0
    assert_problem(ask(client, "acme", "2021-01-30T09:59:59.999999Z"), 404, "not_found")
    assert_problem(ask(client, "acme", "2020-12-31T00:00:00Z"), 404, "not_found")


def test_now_is_a_time_like_others(client: Client, name: str) -> None:
    """The balances as of now are those of now, however the time is written."""
    client.put_account(name, pays_by_card())
    client.grant(name, "10", "k")
    client.take(event(name, "c", "2021-01-31T21:00:00Z", "600"))
    now = client.get(f"/v1/accounts/{name}/balances")

    for at in (NOW, "2021-01-31T22:00:00.000000Z", "2021-02-01T03:30:00+05:30", "2021-01-31t22:00:00z"):
        assert expect(200, ask(client, name, at)).json == now


@pytest.mark.parametrize(
    "at",
    ["", "now", "2021-01-31", "2021-01-31T22:00:00", "2021-02-30T00:00:00Z", "1612130400", "2021-01-31T22Z"],
)
def test_times_that_are_none(client: Client, account: str, at: str) -> None:
    """What is no time with an offset is refused."""
    answer = ask(client, account, at)

    assert_problem(answer, 422, "invalid_request")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/at"]


@pytest.mark.parametrize("at", ["2021-01-31T22:00:00.000001Z", "2021-02-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_times_to_come(client: Client, account: str, at: str) -> None:
    """Nobody knows the balances of a time to come."""
    answer = ask(client, account, at)

    assert_problem(answer, 422, "invalid_request")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/at"]


@pytest.mark.parametrize("at", ["2021-01-31T21:59:59.999999Z", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_before_the_account(client: Client, account: str, at: str) -> None:
    """Before an account began it had no balances, and one that never began has none."""
    assert_problem(ask(client, account, at), 404, "not_found")
    assert_problem(ask(client, "nobody", at), 404, "not_found")
