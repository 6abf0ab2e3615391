"""A clock that is set by hand, and decisions that must not pause."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from santral.quota.window import calendar

T = TypeVar("T")

#: A Sunday noon.
START = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400


class Clock:
    """A clock that is set by hand. Calendars forget other tests: they never go back."""

    def __init__(self, now: float = START) -> None:
        calendar.cache_clear()
        self.now = now

    def __call__(self) -> float:
        return self.now


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a decision that must not pause: a pause would let another one in between."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the limiter paused in the middle of a decision")
