"""The made-up traffic of a contact centre."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest

from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant, parse_instant, to_datetime
from chalicelib.domain.usage_events import decode_cloud_event, read_usage_event
from chalicelib.local.traffic import Activity, Centre, RentedNumber, cloud_event, concentrate, traffic


if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.domain.usage_events import UsageEvent

NEW_YORK = Centre(
    account="acme",
    timezone="America/New_York",
    weekly={
        Activity.CALLS: 400,
        Activity.CONVERSATIONS: 60,
        Activity.CHATS: 50,
        Activity.EMAILS: 50,
        Activity.BOT_SESSIONS: 80,
        Activity.CAMPAIGN_RUNS: 40,
    },
    countries=("US", "US", "GB", "FR", "DE", "BR"),
    numbers=(RentedNumber("US", "local"), RentedNumber("US", "toll_free")),
)
# Four weeks from a Monday, with the end of daylight saving time on 1 November among them.
START = parse_instant("2026-10-12T04:00:00Z")
END = parse_instant("2026-11-09T05:00:00Z")


@dataclass
class Month:
    """The events of four weeks, drawn once."""

    events: list[UsageEvent]

    def of(self, resource: str) -> list[UsageEvent]:
        """Return the events of one product."""
        return [event for event in self.events if event.resource == resource]

    def by_hour(self, resource: str) -> Counter[int]:
        """Count the events of a product by the hour of the day in New York."""
        return Counter(local(event.time).hour for event in self.of(resource))


def local(instant: Instant) -> datetime:
    """Return the wall time in New York."""
    return to_datetime(instant).astimezone(ZoneInfo("America/New_York"))


@pytest.fixture(scope="module")
def month() -> Month:
    """Give four weeks' traffic."""
    return Month(list(traffic(NEW_YORK, "seed", START, END)))


class TestSeed:
    """What the same seed gives."""

    def test_same_seed(self, month: Month) -> None:
        """The same seed gives the same events."""
        assert list(traffic(NEW_YORK, "seed", START, END)) == month.events

    def test_other_seed(self) -> None:
        """Another seed gives others."""
        span = (START, START + DAY)

        assert list(traffic(NEW_YORK, "seed", *span)) != list(traffic(NEW_YORK, "other", *span))

    @pytest.mark.parametrize("cut", [START + 9 * DAY, START + 10 * HOUR + 17 * MINUTE + 3 * SECOND])
    def test_adjoining_spans(self, month: Month, cut: Instant) -> None:
        """Two adjoining spans give what one over both gives, wherever the cut is."""
        before = list(traffic(NEW_YORK, "seed", START, cut))
        after = list(traffic(NEW_YORK, "seed", cut, END))

        assert before
        assert before + after == month.events

    def test_in_order(self, month: Month) -> None:
        """Events come in the order of their times, within the span."""
        assert all(earlier.time <= later.time for earlier, later in pairwise(month.events))
        assert month.events[0].time >= START
        assert month.events[-1].time < END

    def test_ids_differ(self, month: Month) -> None:
        """No two events have one id."""
        assert len({event.id for event in month.events}) == len(month.events)


class TestRhythm:
    """When things happen."""

    def test_quiet_nights(self, month: Month) -> None:
        """There is far more at eleven in the morning than at three in the night, in the centre's own zone."""
        calls = month.by_hour("call")

        assert calls[11] > 20 * calls[3]

    def test_lunch_dip(self, month: Month) -> None:
        """Fewer call at lunch than before and after."""
        calls = month.by_hour("call")

        assert calls[13] < calls[11]
        assert calls[13] < calls[15]

    def test_quiet_weekends(self, month: Month) -> None:
        """A Sunday has less than a Saturday, and that less than any working day."""
        calls = Counter(local(event.time).weekday() for event in month.of("call"))

        assert calls[6] < calls[5] < min(calls[day] for day in range(5)) / 2

    def test_bots_in_the_evening(self, month: Month) -> None:
        """Virtual agents are busy when the office is closed."""
        assert month.by_hour("virtual_agent")[20] > month.by_hour("virtual_agent")[9]

    def test_campaigns_pause(self, month: Month) -> None:
        """Campaigns begin within their hours, from ten on working days; none ends in the night or on a weekend."""
        ends = [local(event.time) for event in month.of("dialer")]

        assert {end.hour for end in ends} <= set(range(10, 19))
        assert {end.weekday() for end in ends} == set(range(5))

    def test_volume(self, month: Month) -> None:
        """As many calls begin in a week as the centre is said to have, give or take a tenth."""
        assert 4 * 400 * 9 // 10 < len(month.of("call")) < 4 * 400 * 11 // 10

    def test_numbers_once_a_month(self, month: Month) -> None:
        """Numbers are rented when the month begins in the centre's zone, each once."""
        rented = month.of("number")

        assert [event.time - parse_instant("2026-11-01T04:00:00Z") for event in rented] == [0, SECOND]
        assert [event.type for event in rented] == ["local", "toll_free"]

    def test_numbers_where_hours_are_off(self) -> None:
        """A month that begins within an hour of UTC has its numbers, too."""
        kolkata = Centre("acme", "Asia/Kolkata", {}, ("US",), (RentedNumber("IN", "local"),))
        first, last = parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-04-01T00:00:00Z")

        assert [event.time for event in traffic(kolkata, "seed", first, last)] == [
            parse_instant("2026-01-31T18:30:00Z"),
            parse_instant("2026-02-28T18:30:00Z"),
            parse_instant("2026-03-31T18:30:00Z"),
        ]


class TestEvents:
    """What happens."""

    def test_whole_quantities(self, month: Month) -> None:
        """Every quantity is a whole number, and none was ever a float."""
        assert all(event.quantity == int(event.quantity) for event in month.events)
        assert all(isinstance(cloud_event(event)["data"]["quantity"], str) for event in month.events)

    def test_products(self, month: Month) -> None:
        """All activities show up."""
        assert {event.resource for event in month.events} == {
            "call",
            "chat",
            "dialer",
            "email",
            "message",
            "number",
            "text_to_speech",
            "transcription",
            "virtual_agent",
        }

    def test_durations(self, month: Month) -> None:
        """Calls are short more often than long: the mean is well above the median, and few are very long."""
        seconds = sorted(int(event.quantity) for event in month.of("call") if event.resolution == "answered")
        median, mean = seconds[len(seconds) // 2], sum(seconds) // len(seconds)

        assert 180 < median < 270
        assert mean * 5 > median * 6
        assert seconds[-1] > 1200

    def test_not_answered(self, month: Month) -> None:
        """Calls that nobody answers are usage of no seconds."""
        missed = [event for event in month.of("call") if event.resolution in {"missed", "no_answer", "busy"}]

        assert missed
        assert not any(event.quantity for event in missed)

    def test_transcriptions(self, month: Month) -> None:
        """A transcription follows an answered call, of which it has the interaction and the length."""
        calls = {event.interaction_id: event for event in month.of("call")}
        followed = [
            (calls[event.interaction_id], event) for event in month.of("transcription") if event.interaction_id in calls
        ]

        assert len(followed) > len(month.of("transcription")) - 3
        for call, transcription in followed:
            assert call.resolution == "answered"
            assert call.quantity == transcription.quantity
            assert 20 * SECOND <= transcription.time - call.time <= 180 * SECOND

    def test_conversations(self, month: Month) -> None:
        """The messages of a conversation have one interaction id and one contact."""
        conversations: dict[str | None, set[tuple[str | None, str | None]]] = {}
        for event in month.of("message"):
            conversations.setdefault(event.interaction_id, set()).add((event.number, event.type))

        assert len(conversations) < len(month.of("message")) / 3
        assert all(len(contacts) == 1 for contacts in conversations.values())

    def test_contact_numbers(self, month: Month) -> None:
        """Numbers are of their country; of a country without numbers for fiction there are none."""
        begin = {"US": "1", "GB": "44", "FR": "33", "DE": "49", "BR": None}
        for call in month.of("call"):
            prefix = begin[call.country_code or ""]

            assert (call.number is None) if prefix is None else (call.number or "").startswith(prefix)

    def test_cloud_events(self, month: Month) -> None:
        """As CloudEvents they are read as what they are."""
        for event in month.events[:500]:
            assert read_usage_event(decode_cloud_event(msgspec.json.encode(cloud_event(event)))) == event


class TestConcentrate:
    """Making a centre as busy as it must be."""

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-11-02T02:00:00Z", "2026-11-02T04:30:00Z"),
            ("2026-11-01T04:00:00Z", "2026-11-20T12:00:00Z"),
        ],
    )
    def test_as_much_as_asked(self, start: str, end: str) -> None:
        """Two and a half hours of a Sunday night and twenty days both come to about two weeks' bot sessions."""
        span = (parse_instant(start), parse_instant(end))
        busy = concentrate(NEW_YORK, *span, Fraction(2))
        sessions = [event for event in traffic(busy, "seed", *span) if event.resource == "virtual_agent"]

        assert 120 < len(sessions) < 200

    def test_what_never_happens(self) -> None:
        """Where a span has no time for campaigns, none are made up."""
        span = (parse_instant("2026-11-01T05:00:00Z"), parse_instant("2026-11-01T09:00:00Z"))
        busy = concentrate(NEW_YORK, *span, Fraction(2))

        assert busy.weekly[Activity.CAMPAIGN_RUNS] == 40
        assert not [event for event in traffic(busy, "seed", *span) if event.resource == "dialer"]
