"""What holds for every instant and every zone."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.instants import format_instant, parse_instant, to_datetime
from chalicelib.domain.periods import calendar, is_timezone
from tests.oracle import billing
from tests.unit.domain.builders import at


thorough = settings(deadline=None, max_examples=150)


@thorough
@given(st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds")), st.integers(-1439, 1439))
def test_instants_written_are_read_back(local: str, offset: int) -> None:
    """A time with any offset is an instant that can be written and read again, or it is refused."""
    hours, minutes = divmod(abs(offset), 60)
    text = f"{local}{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"
    try:
        instant = parse_instant(text)
    except ValueError:
        assert not "0001-01-02" < local < "9999-12-30"
    else:
        assert instant == parse_instant(format_instant(instant))


# Until 2011 one zone turned its clocks back from 0:01, so that a month began twice.
recent_instants = st.integers(at("2012-01-01T00:00:00Z"), at("2037-12-31T00:00:00Z"))
all_zones = st.sampled_from(sorted(filter(is_timezone, available_timezones())))


@thorough
@given(all_zones, recent_instants)
def test_the_month_on_the_wall(timezone: str, instant: int) -> None:
    """An instant belongs to the month that a calendar on the wall shows."""
    zone = calendar(timezone)
    on_the_wall = billing.Account(timezone, {}).month_of(to_datetime(instant))

    assert on_the_wall == zone.period_of(instant)
    assert zone.start_of(zone.period_of(instant)) <= instant < zone.end_of(zone.period_of(instant))


@thorough
@given(all_zones, st.dates(date(2012, 1, 1), date(2037, 12, 31)))
def test_the_first_instant_of_a_day(timezone: str, day: date) -> None:
    """A day begins where the instant before still has an earlier date, and ends where the next begins."""
    zone = calendar(timezone)
    start = zone.start_of_day(day)

    assert zone.date_of(start - 1) < day <= zone.date_of(start)
    assert zone.end_of_day(day) == zone.start_of_day(day + timedelta(days=1))
