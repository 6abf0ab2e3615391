"""Windows: days of 23 and 25 hours, zones half an hour off, months and weeks as calendars have them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.quota.rule import WindowName
from santral.quota.window import LENGTH_S, PARTS, Calendar, calendar, part_s, span

HOUR_S, DAY_S = 3600, 86_400
ZONES = (
    "UTC",
    "Europe/Istanbul",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",  # its clocks change at midnight
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",  # has left out a day
    "Pacific/Kiritimati",
)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def window(name: WindowName, moment: int, zone: str) -> tuple[str, str]:
    start, end = span(name, ZoneInfo(zone), moment)
    here = ZoneInfo(zone)
    return (
        datetime.fromtimestamp(start, here).isoformat(),
        datetime.fromtimestamp(end, here).isoformat(),
    )


@pytest.mark.parametrize(
    ("name", "moment", "zone", "start", "end"),
    [
        ("day", "2026-11-22T12:00", "UTC", "2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("day", "2026-11-22T22:30", "Europe/Istanbul",
         "2026-11-22T00:00:00+03:00", "2026-11-23T00:00:00+03:00"),
        ("day", "2026-03-29T12:00", "Europe/Berlin",
         "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("day", "2026-10-25T12:00", "Europe/Berlin",
         "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("day", "2026-03-08T12:00", "America/Havana",
         "2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"),
        ("day", "2011-12-29T12:00", "Pacific/Apia",
         "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"),
        ("week", "2026-11-22T12:00", "UTC", "2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("week", "2026-11-23T00:00", "UTC", "2026-11-23T00:00:00+00:00", "2026-11-30T00:00:00+00:00"),
        ("week", "2027-01-01T12:00", "Europe/Istanbul",
         "2026-12-28T00:00:00+03:00", "2027-01-04T00:00:00+03:00"),
        ("week", "2026-03-29T12:00", "Europe/Berlin",
         "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("month", "2028-02-29T12:00", "UTC", "2028-02-01T00:00:00+00:00", "2028-03-01T00:00:00+00:00"),
        ("month", "2026-02-28T23:59", "Europe/Istanbul",
         "2026-02-01T00:00:00+03:00", "2026-03-01T00:00:00+03:00"),
        ("month", "2026-12-31T23:59", "UTC", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("month", "2026-03-31T12:00", "Europe/Berlin",
         "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        ("hour", "2026-11-22T12:20", "Asia/Kolkata",
         "2026-11-22T12:00:00+05:30", "2026-11-22T13:00:00+05:30"),
        ("hour", "2026-11-22T12:20", "Asia/Kathmandu",
         "2026-11-22T12:00:00+05:45", "2026-11-22T13:00:00+05:45"),
        ("minute", "2026-11-22T12:20", "Asia/Kolkata",
         "2026-11-22T12:20:00+05:30", "2026-11-22T12:21:00+05:30"),
    ],
)  # fmt: skip
def test_windows_begin_and_end_where_people_there_say(
    name: WindowName, moment: str, zone: str, start: str, end: str
) -> None:
    assert window(name, at(moment, zone), zone) == (start, end)


def test_a_day_on_which_the_clock_is_changed_has_23_or_25_hours() -> None:
    for day, hours in (
        ("2026-03-29T12:00", 23),
        ("2026-10-25T12:00", 25),
        ("2026-06-01T12:00", 24),
    ):
        start, end = span("day", ZoneInfo("Europe/Berlin"), at(day, "Europe/Berlin"))
        assert end - start == hours * HOUR_S


def test_both_hours_that_are_called_two_lie_in_the_same_day() -> None:
    first = at("2026-10-25T02:30", "Europe/Berlin")
    days = {span("day", ZoneInfo("Europe/Berlin"), first + s) for s in (0, HOUR_S)}
    hours = {span("hour", ZoneInfo("Europe/Berlin"), first + s) for s in (0, HOUR_S)}
    assert (len(days), len(hours)) == (1, 2)


moments = st.floats(at("2009-01-01T00:00"), at("2040-01-01T00:00"), allow_nan=False)
names = st.sampled_from(["minute", "hour", "day", "week", "month"])


@given(names, st.sampled_from(ZONES), moments)
def test_the_window_that_runs_has_begun_and_not_ended(
    name: WindowName, zone: str, now: float
) -> None:
    start, end = span(name, ZoneInfo(zone), now)
    assert start <= now < end
    assert end - start <= LENGTH_S[name] + DAY_S + HOUR_S


@given(names, st.sampled_from([z for z in ZONES if z != "Australia/Lord_Howe"]), moments)
def test_windows_touch(name: WindowName, zone: str, now: float) -> None:
    here = ZoneInfo(zone)
    start, end = span(name, here, now)
    assert span(name, here, end)[0] == end
    assert span(name, here, start) == (start, end)
    assert span(name, here, start - 1)[1] == start


@given(moments)
def test_days_touch_where_clocks_change_by_half_an_hour(now: float) -> None:
    here = ZoneInfo("Australia/Lord_Howe")
    _, end = span("day", here, now)
    assert span("day", here, end)[0] == end


@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(ZONES),
    st.lists(st.floats(-400 * DAY_S, 400 * DAY_S), min_size=1, max_size=30),
)
def test_once_a_window_has_begun_none_before_it_runs(
    name: WindowName, zone: str, steps: list[float]
) -> None:
    made, now, last = Calendar(name, zone), float(at("2026-11-22T12:00")), 0
    for step in steps:
        now += step
        start = made.at(now)
        assert start >= last
        assert made.end > now
        last = start


def test_all_rules_of_a_window_and_zone_share_a_calendar() -> None:
    assert calendar("day", "UTC") is calendar("day", "UTC")
    assert calendar("day", "UTC") is not calendar("day", "Europe/Istanbul")


def test_a_part_is_a_thirtieth_of_its_window() -> None:
    for name in ("minute", "hour", "day", "week", "month"):
        assert part_s(name) * PARTS == LENGTH_S[name]
    assert part_s("second") == 1


def test_a_month_that_rolls_is_thirty_days() -> None:
    assert timedelta(seconds=LENGTH_S["month"]) == timedelta(days=30)
