"""How often one thing may be said in a minute, in this process; bounded however many things there are."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from santral.errors import QuotaExceeded

#: Things that are remembered. Chosen: some megabytes; who comes back after so many others starts anew.
_MOST = 50_000
_MINUTE_S = 60.0


class Pace:
    """A bucket for each thing, which fills again within a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, moment

    def take(self, name: str, per_minute: int, what: str, setting: str) -> None:
        """Count one; ``what`` and ``setting`` say which bound it is.

        Raises:
            QuotaExceeded: it was said too often; says when to come back.
        """
        now = self._clock()
        level, seen = self._buckets.pop(name, (float(per_minute), now))
        level = min(per_minute, level + (now - seen) * per_minute / _MINUTE_S)
        is_free = level >= 1
        self._buckets[name] = (level - is_free, now)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if not is_free:
            raise QuotaExceeded(
                f"More than {per_minute} pieces of feedback came {what} in a minute "
                f"(feedback.{setting}).",
                retry_after_s=math.ceil((1 - level) * _MINUTE_S / per_minute),
                code="feedback_rate_limited",
            )
