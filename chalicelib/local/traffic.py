"""
Made-up traffic of a contact centre: for the demo account and for simulations.

What begins within an hour is drawn from a generator of its own, seeded with the seed, the account and the hour. So the
same seed gives the same events, wherever a span of time begins: two adjoining spans give what one over both gives.
Nothing is kept but the events of the last hours, so a year streams as a day does. All is drawn as whole numbers.

How much happens in an hour follows a rhythm in the centre's own time zone: office hours with a dip at lunch, quiet
nights and weekends; bots and chats keep going in the evening, campaigns pause outside their hours. A call may be
transcribed, and then both events have one interaction id, as have the messages of a conversation. Phone numbers are
rented on the 1st of the month. Contact numbers are from ranges set aside for fiction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import HOUR, SECOND, Instant, format_instant, to_datetime
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import calendar
from chalicelib.domain.usage_events import UsageEvent


if TYPE_CHECKING:
    from datetime import datetime
    from fractions import Fraction

REACH_HOURS: Final = 2
"""The last event of an interaction comes less than this after the hour in which it begins."""

_SECONDS_IN_HOUR: Final = HOUR // SECOND
_PERCENT: Final = 100
_SWING_PERCENT: Final = 20
"""How far an hour's traffic may be off what its rhythm says."""


class Activity(Enum):
    """What goes on in a contact centre."""

    CALLS = "calls"
    CONVERSATIONS = "conversations"
    CHATS = "chats"
    EMAILS = "emails"
    BOT_SESSIONS = "bot_sessions"
    CAMPAIGN_RUNS = "campaign_runs"


class RentedNumber(Struct, frozen=True):
    """A phone number of the centre's own: its country and whether it is `local`, `mobile` or `toll_free`."""

    country_code: str
    type: str


class Centre(Struct, frozen=True):
    """
    A contact centre.

    *weekly* says how many of each activity begin in an ordinary week; *countries* are those of its customers, where one
    named twice is met twice as often.
    """

    account: str
    timezone: str
    weekly: Mapping[Activity, int]
    countries: tuple[str, ...]
    numbers: tuple[RentedNumber, ...] = ()


class Rhythm(Struct, frozen=True):
    """How likely something is: a weight for each hour of a working day, and in percent of these on other days."""

    hours: tuple[int, ...]
    saturday_percent: int
    sunday_percent: int

    def weight(self, local: datetime) -> int:
        """Return the weight of the hour that *local*, a time of the centre's zone, lies in."""
        day_percents = (*[_PERCENT] * 5, self.saturday_percent, self.sunday_percent)
        return self.hours[local.hour] * day_percents[local.weekday()]

    @property
    def week_weight(self) -> int:
        """Add up the weights of a week."""
        return sum(self.hours) * (5 * _PERCENT + self.saturday_percent + self.sunday_percent)


# fmt: off
_OFFICE: Final = Rhythm(
    (1, 1, 1, 1, 1, 1, 2, 6, 40, 85, 100, 95, 80, 55, 70, 90, 95, 85, 50, 20, 8, 4, 2, 1),
    saturday_percent=25, sunday_percent=10,
)
_ROUND_THE_CLOCK: Final = Rhythm(
    (6, 4, 3, 2, 2, 3, 8, 20, 45, 60, 65, 60, 70, 65, 55, 60, 65, 75, 85, 90, 80, 60, 35, 15),
    saturday_percent=80, sunday_percent=70,
)
_CAMPAIGN: Final = Rhythm(
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100, 0, 0, 80, 100, 100, 60, 0, 0, 0, 0, 0, 0),
    saturday_percent=0, sunday_percent=0,
)
# fmt: on

RHYTHMS: Final[Mapping[Activity, Rhythm]] = {
    Activity.CALLS: _OFFICE,
    Activity.CONVERSATIONS: _ROUND_THE_CLOCK,
    Activity.CHATS: _ROUND_THE_CLOCK,
    Activity.EMAILS: _OFFICE,
    Activity.BOT_SESSIONS: _ROUND_THE_CLOCK,
    Activity.CAMPAIGN_RUNS: _CAMPAIGN,
}


class _Plan(NamedTuple):
    """Contact numbers of a country: how they begin on land lines and on mobiles, and how many digits follow."""

    land_line: str
    land_line_digits: int
    mobile: str
    mobile_digits: int


_PLANS: Final = {
    "DE": _Plan("493023125", 3, "4917139200", 2),
    "FR": _Plan("3319900", 4, "33639980", 3),
    "GB": _Plan("442079460", 3, "447700900", 3),
    "US": _Plan("120655501", 2, "141555501", 2),
}

_TALK_SECONDS: Final = (8, 45, 80, 120, 165, 220, 290, 385, 540, 840, 1800)
_MESSAGE_GAP_SECONDS: Final = (4, 10, 18, 27, 38, 52, 70, 96, 140, 230, 400)
_SPEECH_CHARACTERS: Final = (60, 120, 180, 250, 330, 430, 560, 730, 980, 1400, 2600)
"""Deciles: a tenth of all values lies between any two neighbours. Short ones are many, and few are very long."""


class _Happening(NamedTuple):
    """An interaction that begins at *time*; *luck* decides all about it."""

    centre: Centre
    luck: Random
    time: Instant
    interaction_id: str

    def event(
        self, resource: str, source: str, after_seconds: int = 0, quantity: int = 1, **fields: str | None
    ) -> UsageEvent:
        """Return one use of a product in the course of the interaction."""
        return UsageEvent(
            account=self.centre.account,
            source=source,
            id=_new_id(self.luck),
            time=self.time + after_seconds * SECOND,
            resource=resource,
            quantity=Decimal(quantity),
            interaction_id=self.interaction_id,
            **fields,
        )

    def happens(self, percent: int) -> bool:
        return self.luck.randrange(_PERCENT) < percent

    def between(self, deciles: tuple[int, ...]) -> int:
        tenth = self.luck.randrange(len(deciles) - 1)
        return self.luck.randrange(deciles[tenth], deciles[tenth + 1])


def traffic(centre: Centre, seed: str, start: Instant, end: Instant) -> Iterator[UsageEvent]:
    """Yield the events of *centre* from *start*, included, to *end*, excluded, in the order of their times."""
    pending: list[tuple[Instant, str, UsageEvent]] = []
    for hour in range(start // HOUR - REACH_HOURS, -(-end // HOUR)):
        while pending and pending[0][0] < hour * HOUR:
            yield heappop(pending)[2]
        for event in _begun_within(centre, seed, hour):
            if start <= event.time < end:
                heappush(pending, (event.time, event.id, event))
    while pending:
        yield heappop(pending)[2]


def concentrate(centre: Centre, start: Instant, end: Instant, weeks: Fraction) -> Centre:
    """
    Return *centre* as busy as it must be for the traffic of *weeks* ordinary weeks to come from *start* to *end*.

    What never happens in that span stays as it is.
    """
    zone = ZoneInfo(centre.timezone)
    hours = range(start // HOUR, -(-end // HOUR))
    weekly = dict(centre.weekly)
    for activity, volume in centre.weekly.items():
        rhythm = RHYTHMS[activity]
        weight = sum(
            rhythm.weight(_local(zone, hour)) * (min(end, (hour + 1) * HOUR) - max(start, hour * HOUR))
            for hour in hours
        )
        if weight:
            weekly[activity] = int(volume * weeks * rhythm.week_weight * HOUR / weight)
    return replace(centre, weekly=weekly)


def cloud_event(event: UsageEvent) -> dict[str, Any]:
    """Return *event* as the CloudEvents JSON that a metering system posts."""
    data = {
        "quantity": format_decimal(event.quantity),
        "direction": event.direction,
        "resolution": event.resolution,
        "country_code": event.country_code,
        "number": None if event.number is None else f"+{event.number}",
        "category": event.category,
        "type": event.type,
        "interaction_id": event.interaction_id,
    }
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.resource,
        "subject": event.account,
        "time": format_instant(event.time),
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _begun_within(centre: Centre, seed: str, hour: int) -> Iterator[UsageEvent]:
    luck = Random(f"{seed}/{centre.account}/{hour}")  # noqa: S311 - made-up traffic, to be drawn again
    local = _local(ZoneInfo(centre.timezone), hour)
    yield from _rentals(centre, luck, hour)
    for activity, happen in _HAPPENINGS.items():
        for _ in range(_how_many(centre.weekly.get(activity, 0), RHYTHMS[activity], local, luck)):
            time = hour * HOUR + luck.randrange(_SECONDS_IN_HOUR) * SECOND
            yield from happen(_Happening(centre, luck, time, _new_id(luck)))


def _how_many(weekly: int, rhythm: Rhythm, local: datetime, luck: Random) -> int:
    swing = luck.randint(_PERCENT - _SWING_PERCENT, _PERCENT + _SWING_PERCENT)
    whole, rest = divmod(weekly * rhythm.weight(local) * swing, rhythm.week_weight * _PERCENT)
    return whole + (luck.randrange(rhythm.week_weight * _PERCENT) < rest)


def _rentals(centre: Centre, luck: Random, hour: int) -> Iterator[UsageEvent]:
    months = calendar(centre.timezone)
    month_start = months.start_of(months.period_of((hour + 1) * HOUR - 1))
    if month_start < hour * HOUR:
        return
    for position, number in enumerate(centre.numbers):
        rental = _Happening(centre, luck, month_start, _new_id(luck))
        yield rental.event("number", "/numbers", position, country_code=number.country_code, type=number.type)


def _call(call: _Happening) -> Iterator[UsageEvent]:
    direction, resolution = _call_outcome(call)
    country = call.luck.choice(call.centre.countries)
    category = "mobile" if call.happens(60) else "landline"
    seconds = {"answered": call.between(_TALK_SECONDS), "voicemail": call.luck.randint(10, 60)}.get(resolution, 0)
    yield call.event(
        "call",
        "/voice",
        seconds,
        seconds,
        direction=direction,
        resolution=resolution,
        country_code=country,
        number=_contact_number(call.luck, country, category),
        category=category,
    )
    if resolution == "answered" and call.happens(55):
        lag = call.luck.randint(20, 180)
        yield call.event("transcription", "/speech", seconds + lag, seconds, direction=direction)


def _call_outcome(call: _Happening) -> tuple[str, str]:
    chance = call.luck.randrange(_PERCENT)
    if call.happens(65):
        return "inbound", "answered" if chance < 86 else "missed" if chance < 95 else "voicemail"  # noqa: PLR2004 - shares
    return "outbound", "answered" if chance < 70 else "no_answer" if chance < 90 else "busy"  # noqa: PLR2004 - shares


def _conversation(conversation: _Happening) -> Iterator[UsageEvent]:
    luck = conversation.luck
    channel = "sms" if conversation.happens(40) else "whatsapp"
    country = luck.choice(conversation.centre.countries)
    number = _contact_number(luck, country, "mobile")
    seconds = 0
    for position in range(luck.randint(2, 8)):
        yield conversation.event(
            "message",
            "/messaging",
            seconds,
            direction="outbound" if position % 2 else "inbound",
            country_code=country,
            number=number,
            type=channel,
        )
        seconds += conversation.between(_MESSAGE_GAP_SECONDS)


def _chat(chat: _Happening) -> Iterator[UsageEvent]:
    yield chat.event("chat", "/messaging", chat.between(_TALK_SECONDS), direction="inbound")


def _email(email: _Happening) -> Iterator[UsageEvent]:
    yield email.event("email", "/messaging", direction="inbound" if email.happens(55) else "outbound")


def _bot_session(session: _Happening) -> Iterator[UsageEvent]:
    channel = "voice" if session.happens(45) else "chat"
    seconds = session.between(_TALK_SECONDS)
    yield session.event("virtual_agent", "/bots", seconds, type=channel)
    if channel == "voice":
        yield session.event("text_to_speech", "/bots", seconds, session.between(_SPEECH_CHARACTERS))


def _campaign_run(run: _Happening) -> Iterator[UsageEvent]:
    seconds = run.luck.randint(600, 3000)
    yield run.event("dialer", "/dialer", seconds, seconds, direction="outbound")


_HAPPENINGS: Final[Mapping[Activity, Callable[[_Happening], Iterator[UsageEvent]]]] = {
    Activity.CALLS: _call,
    Activity.CONVERSATIONS: _conversation,
    Activity.CHATS: _chat,
    Activity.EMAILS: _email,
    Activity.BOT_SESSIONS: _bot_session,
    Activity.CAMPAIGN_RUNS: _campaign_run,
}


def _contact_number(luck: Random, country: str, category: str) -> str | None:
    plan = _PLANS.get(country)
    if plan is None:
        return None
    begin, digits = (
        (plan.mobile, plan.mobile_digits) if category == "mobile" else (plan.land_line, plan.land_line_digits)
    )
    return f"{begin}{luck.randrange(10**digits):0{digits}d}"


def _new_id(luck: Random) -> str:
    return str(UUID(int=luck.getrandbits(128), version=4))


def _local(zone: ZoneInfo, hour: int) -> datetime:
    return to_datetime(hour * HOUR).astimezone(zone)
