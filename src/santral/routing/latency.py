"""How long a deployment lets callers wait: a moving average that believes bad news at once."""

from __future__ import annotations

import math

#: Seconds after which an observation has lost two thirds of its weight. Chosen: a deployment six
#: times slower than its neighbour is tried again after two minutes, at the price of one slow answer.
DECAY_S = 60.0


class PeakEwma:
    """A peak-sensitive, exponentially decaying average of seconds.

    A value above the average replaces it, one below pulls it down by how long ago the last one came;
    without observations it decays towards zero, so that what was slow is tried again.
    Source: Finagle's peak EWMA load metric (twitter/finagle, PeakEwma.scala).
    """

    __slots__ = ("_seconds", "_stamp")

    def __init__(self) -> None:
        self._seconds = -1.0  # nothing observed
        self._stamp = 0.0

    @property
    def is_cold(self) -> bool:
        """Whether nothing was ever observed."""
        return self._seconds < 0

    def observe(self, now: float, seconds: float) -> None:
        """Note that a caller waited ``seconds``."""
        weight = math.exp(-max(0.0, now - self._stamp) / DECAY_S)
        if seconds > self._seconds * weight:  # also when nothing was observed
            self._seconds = seconds
        else:
            # answers in quick succession hardly age, and yet must be believed: at least a tenth
            weight = min(weight, 0.9)
            self._seconds = self._seconds * weight + seconds * (1 - weight)
        self._stamp = now

    def read(self, now: float) -> float:
        """Return the average as of ``now``; 0 when nothing was observed."""
        if self._seconds < 0:
            return 0.0
        return self._seconds * math.exp(-max(0.0, now - self._stamp) / DECAY_S)
