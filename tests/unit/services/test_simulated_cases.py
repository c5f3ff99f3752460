"""What the simulation found, each reduced to its smallest case."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from chalicelib.bootstrap import build_services
from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import COLUMNS
from chalicelib.domain.rate_card_upload import Line
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.services.container import Services
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.settings import Settings
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


STORAGE = "screen_recording_storage"


@pytest.fixture
def clock() -> FixedClock:
    """Give a clock that stands at the 2nd of May."""
    return FixedClock(parse_instant("2026-05-02T12:00:00Z"))


@pytest.fixture
def services(clock: FixedClock) -> Services:
    """Give services with an account that has ten free gigabytes a month."""
    services = build_services(Settings(), MemoryStore(), clock=clock)
    blank = dict.fromkeys(COLUMNS, "")
    row = {**blank, "Resource": STORAGE, "Price per increment": "2", "Increment": "1", "Currency": "USD"}
    services.catalogue.put_rate_card("standard", date(2026, 1, 1), [Line("/rows/0", "row 1", row)])
    free = {STORAGE: FreeUnits(Decimal(10), Per.ACCOUNT)}
    method = PaymentMethod(PaymentType.INVOICE)
    services.accounts.put(Account("acme", "Acme", "USD", "Etc/UTC", method, "standard", 1, free))
    return services


def _sample(services: Services, time: str, quantity: str) -> None:
    event = UsageEvent("acme", "/s", time, parse_instant(time), STORAGE, Decimal(quantity))
    assert services.metering.take([event])[0].code is None


def test_a_peak_is_no_difference(services: Services, clock: FixedClock) -> None:
    """A sample, the peak it became and a reversal are one event, and add up to what is served."""
    _sample(services, "2026-05-02T10:00:00Z", "50")
    clock.set(parse_instant("2026-05-28T01:00:00Z"))
    services.jobs.run("compute-storage-peaks")
    assert services.auditing.audit("acme") == []
    _sample(services, "2026-05-27T10:00:00Z", "60")
    assert services.auditing.audit("acme") == []


def test_the_close_charges_a_peak_that_was_missed(services: Services, clock: FixedClock) -> None:
    """Where the 28th was missed, the close charges the peak, though that uses up free units."""
    _sample(services, "2026-05-02T10:00:00Z", "50")
    clock.set(parse_instant("2026-06-01T02:00:00Z"))
    run = services.jobs.run("issue-invoices")
    assert (run.done, run.failed) == (1, 0)
    assert services.usage.invoice("acme", Period(2026, 5)).total == 80


def test_expired_credit_has_no_row(services: Services, clock: FixedClock) -> None:
    """A pool whose last credit is over shows no row in a month that awaits its invoice behind another."""
    request = GrantRequest(STORAGE, Decimal(30), date(2026, 6, 2), "goodwill")
    services.granting.grant("acme", request, "key", "me")
    clock.set(parse_instant("2026-07-16T02:00:00Z"))
    june = services.usage.tab("acme", Period(2026, 6)).figures
    services.jobs.run("issue-invoices")
    assert services.usage.invoice("acme", Period(2026, 6)).figures == june
