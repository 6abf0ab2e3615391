"""Hidden items with a known answer, and what they say of raters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from santral.db.engine import Connection
from santral.review.item import Item, Task
from santral.review.label import Value
from santral.review.queue import Queue
from santral.review.rating import store
from santral.statistics.interval import Interval, wilson

#: How far a step of a scale may be from a known mean. Specified: half a step.
_NEAR = 0.5


class Accuracy(Struct, frozen=True, kw_only=True):
    """How often a rater said of gold what is known of it."""

    rater: str
    right: int
    n: int
    interval: Interval | None  # Wilson; None without gold

    @property
    def share(self) -> float | None:
        """The share that was right; None without gold."""
        return self.right / self.n if self.n else None


async def accuracies(conn: Connection, queue: Queue) -> dict[str, Accuracy]:
    """Return every rater's accuracy on the gold of a queue, since it was last counted anew."""
    counted: dict[str, list[bool]] = {}
    for task, item in await store.gold_of(conn, queue.tenant_id, queue.name):
        if _counts(queue, task):
            counted.setdefault(task.rater, []).append(is_right(task.labels or {}, item))
    return {
        rater: Accuracy(
            rater=rater, right=sum(hits), n=len(hits), interval=wilson(sum(hits), len(hits))
        )
        for rater, hits in counted.items()
    }


def is_right(labels: Mapping[str, Value], item: Item) -> bool:
    """Whether a rater said all that is known of a gold item; a step of a scale is right when it is
    the nearest one to what is known."""
    return all(_is_same(labels.get(name), value) for name, value in (item.gold or {}).items())


def is_surely_low(queue: Queue, accuracy: Accuracy | None) -> bool:
    """Whether a rater's accuracy is below the floor of the queue, by the whole of its interval."""
    settings = queue.settings
    if not settings.gold_floor or accuracy is None or accuracy.interval is None:
        return False
    return accuracy.n >= settings.gold_least and accuracy.interval.high < settings.gold_floor


def _is_same(said: Value | None, known: Value) -> bool:
    if isinstance(said, str) or isinstance(known, str) or said is None:
        return said == known
    return abs(said - known) <= _NEAR


def _counts(queue: Queue, task: Task) -> bool:
    since = queue.settings.gold_since.get(task.rater)
    if since is None or task.submitted_at is None:
        return True
    return task.submitted_at >= datetime.fromisoformat(since)
