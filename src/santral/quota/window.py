"""When a limit begins anew: calendar windows of a time zone, and windows that roll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from santral.quota.rule import WindowName

#: Lengths of rolling windows, in seconds; a month is thirty days.
LENGTH_S: dict[WindowName, int] = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_592_000,
}
#: Parts of a rolling window. What was used leaves when its whole part has left, so a window is up to
#: one part longer than it says and never lets more pass. Chosen: 3 % too strict at most.
PARTS = 30
#: Clocks and calendars are kept for so many (window, zone) pairs. Chosen.
_CALENDARS = 1024


class Calendar:
    """The running window of one kind in one time zone. Once a window has begun none before it runs."""

    __slots__ = ("_window", "_zone", "end", "start")

    def __init__(self, window: WindowName, time_zone: str) -> None:
        self._window: WindowName = window
        self._zone = ZoneInfo(time_zone)
        self.start, self.end = 0, 0  # seconds since 1970

    def at(self, now: float) -> int:
        """Return when the window that runs at ``now`` began."""
        if now >= self.end:
            self.start, self.end = span(self._window, self._zone, now)
        return self.start


@lru_cache(maxsize=_CALENDARS)
def calendar(window: WindowName, time_zone: str) -> Calendar:
    """Return the calendar that all rules with this window and zone share."""
    return Calendar(window, time_zone)


def part_s(window: WindowName) -> int:
    """Return the seconds of one part of a rolling window."""
    return max(1, LENGTH_S[window] // PARTS)


def span(window: WindowName, zone: ZoneInfo, now: float) -> tuple[int, int]:
    """Return when the calendar window around ``now`` begins and ends, in seconds since 1970.

    A day in which the clock is changed is 23 or 25 hours long. Weeks begin on Monday (ISO 8601).
    """
    if window in ("second", "minute", "hour"):
        return _clock_span(window, zone, now)
    here = datetime.fromtimestamp(now, zone)
    day = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window == "week":
        day = _on_day(day, -day.weekday())
        following = _on_day(day, 7)
    elif window == "month":
        day = day.replace(day=1)
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        following = _on_day(day, 1)
    return int(day.timestamp()), int(following.timestamp())


def _clock_span(window: WindowName, zone: ZoneInfo, now: float) -> tuple[int, int]:
    """Hours begin on the hour of the zone: some zones are half an hour off."""
    length = LENGTH_S[window]
    moment = datetime.fromtimestamp(now, UTC).astimezone(zone)
    offset = int((moment.utcoffset() or timedelta()).total_seconds()) % length
    start = int((now + offset) // length) * length - offset
    return start, start + length


def _on_day(day: datetime, days: int) -> datetime:
    """Return midnight some days later by the calendar, whatever the clocks do in between."""
    return (day.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=day.tzinfo)
