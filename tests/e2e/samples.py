"""What tests bill: an account, price rows, and calls: the shared quarter of them where it is at hand, else made up."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from tests.e2e.client import event


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.e2e.client import Client

NOW: Final = "2021-01-31T22:00:00Z"
"""Where the clock of the server that tests share stands, and never moves."""

SHARED: Final = Path(__file__).parents[3] / "shared" / "data"
QUARTER: Final = ("2021-01", "2021-02", "2021-03")
CALLS: Final = 1200
SEED: Final = 20210101

CARD_HEADER: Final = (
    "Resource,Description,Direction,Type,Resolutions,Country code,Category,Prefixes,"
    "Price per increment,Increment,Unit of measure,Currency"
)
CARD: Final = f"""{CARD_HEADER}
call,"Inbound, answered",inbound,,answered,,,,0.00150000,6,second,EUR
call,"Inbound, missed or voicemail",inbound,,missed;voicemail,,,,0,6,second,EUR
call,"Inbound, toll-free number",inbound,,answered,,tollfree,,0.00390000,6,second,EUR
call,Call monitoring,,monitor,,,,,0.0002,60,second,EUR
call,Germany,outbound,,,DE,,,0.0145152,60,second,EUR
call,"Germany, mobile",outbound,,,DE,,4915;4916;4917,0.04385664,60,second,EUR
call,"Germany, service numbers",outbound,,,DE,premium,49900,0.99,7,second,EUR
call,Rest of the world,outbound,,,,,,1,60,second,EUR
"""
"""The rows of inbound calls are those that the shared card begins with."""

SIMPLE_CARD: Final = f"""{CARD_HEADER}
call,Calls,,,,,,,0.06,60,second,EUR
message,Messages,,,,,,,0.0075,1,message,EUR
transcription,Transcription,,,,,,,1,3,second,EUR
virtual_agent,Sessions,,,,,,,0.5,1,session,EUR
"""
"""One price for each product, to reckon with by hand."""


SETTINGS: Final[Mapping[str, Any]] = {
    "name": "Acme",
    "currency": "EUR",
    "timezone": "UTC",
    "payment_method": {"type": "invoice"},
    "rate_card": "standard",
}
"""An account without free units that pays by invoice."""

SIMPLE: Final[Mapping[str, Any]] = {**SETTINGS, "rate_card": "simple"}
"""The same, with prices to reckon with by hand."""


def pays_by_card(card: str = "tok_ok") -> dict[str, Any]:
    """Return the settings of an account that pays by the *card* of that token, with prices to reckon with by hand."""
    return {**SIMPLE, "payment_method": {"type": "credit_card", "token": card}}


def put_rate_cards(client: Client) -> None:
    """Put the cards `standard` and `simple`, which most tests price by."""
    client.put_rate_card("standard", "2020-01-01", CARD)
    client.put_rate_card("simple", "2020-01-01", SIMPLE_CARD)


@dataclass(frozen=True)
class Sample:
    """A rate card and calls, both as CSV; the calls stand in the order of their times."""

    card: Path
    calls: Path

    def rows(self) -> list[dict[str, str]]:
        """Return the calls."""
        with self.calls.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def rows_of(self, month: str, timezone: str = "UTC") -> list[dict[str, str]]:
        """Return the calls of a month of *timezone*, `2021-01`."""
        return [row for row in self.rows() if local_month(row["time"], timezone) == month]

    def rows_before_now(self) -> list[dict[str, str]]:
        """Return the calls that the clock of the shared server has seen of its month."""
        return [row for row in self.rows_of(NOW[:7]) if row["time"] <= NOW]

    def write_month(self, path: Path, month: str, timezone: str = "UTC") -> Path:
        """Write the calls of a month to a file of their own."""
        return write_rows(path, self.rows_of(month, timezone))


def local_month(time: str, timezone: str) -> str:
    """Return the month that a calendar in *timezone* shows at an instant."""
    return f"{datetime.fromisoformat(time).astimezone(ZoneInfo(timezone)):%Y-%m}"


def start_of_next_month(month: str, timezone: str) -> datetime:
    """Return the first instant after a month of *timezone*, in UTC."""
    year, number = int(month[:4]), int(month[5:])
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def written(moment: datetime) -> str:
    """Write an instant as the API does, in whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write calls as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_events(rows: Iterable[Mapping[str, str]], account: str, source: str = "/import") -> list[dict[str, Any]]:
    """Turn calls into the events that importing them posts."""
    return [
        event(
            account,
            row["id"],
            row["time"],
            row["quantity"],
            source=source,
            **{name: cell for name, cell in row.items() if name not in {"id", "time", "quantity"} and cell},
        )
        for row in rows
    ]


def shared_sample() -> Sample | None:
    """Return the shared sample, None where there is none."""
    sample = Sample(SHARED / "rate-card.csv", SHARED / "calls-2021-q1.csv")
    return sample if sample.card.exists() and sample.calls.exists() else None


def plain_sample(folder: Path) -> Sample:
    """
    Make up a quarter like the shared one: inbound calls, the missed ones of no length.

    All that costs anything has one price, so that it does not matter which of the calls the free units cover.
    """
    dice = random.Random(SEED)
    rows = []
    for number, time in enumerate(_times(dice), start=1):
        is_missed = dice.random() < 0.2
        rows.append(
            {
                "id": f"P{number:05d}",
                "time": time,
                "quantity": "0" if is_missed else str(dice.randint(1, 400)),
                "direction": "inbound",
                "resolution": "missed" if is_missed else "answered",
                "type": "",
            }
        )
    return _sample(folder, rows)


def varied_sample(folder: Path) -> Sample:
    """Make up a quarter of calls of every kind the card knows, with lengths that are no whole seconds."""
    dice = random.Random(SEED + 1)
    rows = []
    for number, time in enumerate(_times(dice), start=1):
        quantity = dice.choice([str(dice.randint(0, 600)), f"{dice.randint(0, 99)}.{dice.randint(1, 999_999_999):09d}"])
        rows.append({"id": f"V{number:05d}", "time": time, "quantity": quantity, **_fields(dice)})
    return _sample(folder, rows)


def _fields(dice: random.Random) -> dict[str, str]:
    inbound = {"direction": "inbound", "country_code": "", "number": ""}
    outbound = {"direction": "outbound", "resolution": "answered", "category": "", "type": ""}
    kinds = (
        {**inbound, "resolution": "answered", "category": "", "type": ""},
        {**inbound, "resolution": "voicemail", "category": "", "type": ""},
        {**inbound, "resolution": "answered", "category": "tollfree", "type": ""},
        {**inbound, "resolution": "", "category": "", "type": "monitor"},
        {**outbound, "country_code": "DE", "number": f"+4930{dice.randint(1_000_000, 9_999_999)}"},
        {**outbound, "country_code": "DE", "number": f"49{dice.choice((151, 160, 175))}{dice.randint(10**6, 10**7)}"},
        {**outbound, "country_code": "DE", "category": "premium", "number": f"+49900{dice.randint(10**6, 10**7)}"},
        {**outbound, "country_code": "FR", "number": f"+33{dice.randint(10**8, 10**9 - 1)}"},
    )
    chosen = dice.choice(kinds)
    return {name: chosen[name] for name in ("direction", "resolution", "type", "country_code", "number", "category")}


def _times(dice: random.Random) -> list[str]:
    start = datetime(2021, 1, 1, 9, tzinfo=UTC)
    span = int((datetime(2021, 3, 31, 12, tzinfo=UTC) - start).total_seconds())
    seconds = sorted(dice.randrange(span) for _ in range(CALLS))
    return [written(start + timedelta(seconds=second)) for second in seconds]


def _sample(folder: Path, rows: list[dict[str, str]]) -> Sample:
    folder.mkdir(exist_ok=True)
    card = folder / "rate-card.csv"
    card.write_text(CARD, encoding="utf-8")
    return Sample(card, write_rows(folder / "calls.csv", rows))
