"""The audit on AWS's own DynamoDB Local, through the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from chalicelib.bootstrap import open_store
from chalicelib.cli import main
from chalicelib.domain.instants import SECOND
from chalicelib.settings import Settings
from chalicelib.storage.accounts import Commit
from tests.tracing import untraced
from tests.unit.services.histories import ACCOUNT, History


if TYPE_CHECKING:
    from click.testing import Result

ACCOUNTS: Final = (ACCOUNT, "initech")


class Shop:
    """Two accounts in a store of their own, of which one has had two busy months, and what an audit said of them."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "USAGE_TAB_STORE": endpoint,
            "USAGE_TAB_STATE_TABLE": "audit-state",
            "USAGE_TAB_PAGES_TABLE": "audit-pages",
        }
        settings = Settings.from_environment(self.environment)
        self.store = open_store(settings)
        self.store.create_tables()
        self.history = History(6, self.store, ACCOUNTS, settings)
        self.history.play_two_months(batch=240)
        self.taken = self.history.taken
        self.audited = self.audit()

    def audit(self, *options: str) -> Result:
        """Audit as an operator does."""
        return CliRunner().invoke(main, ["audit", *options], env=self.environment)


@pytest.fixture(scope="module")
def shop(dynamodb_local: str) -> Shop:
    """Give the two accounts; what a test does to one of them, the others find."""
    with untraced():
        return Shop(dynamodb_local)


def test_accounts_in_order(shop: Shop) -> None:
    """Ten thousand events and all that moves credit, and nothing to say of it."""
    assert shop.taken > 10_000
    assert (shop.audited.exit_code, shop.audited.stdout) == (0, "2 accounts audited, 0 differences\n")


def test_a_warning_alone_is_no_difference(shop: Shop) -> None:
    """An event that may have been stamped again is told, and the audit ends with 0."""
    history = shop.history
    (event,) = history.events(1, SECOND, "initech")
    history.take(event, replace(event, time=event.time - SECOND))

    done = shop.audit("--account", "initech")
    first, last = done.stdout.splitlines()
    assert done.exit_code == 0
    assert first.startswith(f"initech: warning: restamped event: event {event.id} of /voice at 2026-12-03T")
    assert last == "1 accounts audited, 0 differences, 1 warnings"


def test_differences(shop: Shop) -> None:
    """A grant that is there twice ends the audit with 1 and says so."""
    heads = shop.history.services.heads
    head = heads.load(ACCOUNT)
    assert head is not None
    grant = head.state.grants[0]
    heads.commit(head, Commit(replace(head.state, grants=(*head.state.grants, grant))))

    done = shop.audit()
    assert done.exit_code == 1
    assert f"{ACCOUNT}: booked twice: head: grant {grant.id} is there 2 times" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("2 accounts audited, ")
