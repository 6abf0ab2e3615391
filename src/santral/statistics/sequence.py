"""Sequences: alarms that watch one number after the other and keep a few sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Alarm: TypeAlias = Literal["up", "down"]


class Cusum:
    """Sums of how far values lie above and below their mean; an alarm starts both over.

    With k=0.5 and h=5, both in standard deviations, a process that stays as it is raises an alarm
    every 465 values on average, with h=4 every 168. A shift by one standard deviation is seen after
    about 10 and 8. Source: Page (1954), Biometrika 41:100; Montgomery, Introduction to Statistical
    Quality Control, section 9.1.
    """

    def __init__(self, mean: float, sd: float, k: float = 0.5, h: float = 5.0) -> None:
        if sd <= 0.0:
            raise ValueError("a sum in standard deviations needs one above 0")
        self._mean, self._sd, self._k, self._h = mean, sd, k, h
        self._above = self._below = 0.0

    def add(self, x: float) -> Alarm | None:
        """Take one value in; return in which direction the process has moved, if it has."""
        away = (x - self._mean) / self._sd
        self._above = max(0.0, self._above + away - self._k)
        self._below = max(0.0, self._below - away - self._k)
        if self._above <= self._h and self._below <= self._h:
            return None
        alarm: Alarm = "up" if self._above >= self._below else "down"
        self._above = self._below = 0.0
        return alarm

    def state(self) -> dict[str, float]:
        """Return the sums, for ``restore`` in another process."""
        return {"above": self._above, "below": self._below}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from what ``state`` returned."""
        self._above, self._below = state["above"], state["below"]


class PageHinkley:
    """Watches for a mean that moves, where the mean before is not known.

    ``delta`` is a move that is of no interest, ``threshold`` how much has to add up beyond it, both
    in units of the values. Source: Page (1954), Biometrika 41:100; Hinkley (1971), Biometrika 58:509.
    """

    def __init__(self, delta: float, threshold: float) -> None:
        self._delta, self._threshold = delta, threshold
        self._start()

    def add(self, x: float) -> Alarm | None:
        """Take one value in; return in which direction the mean has moved, if it has."""
        self._n += 1.0
        self._mean += (x - self._mean) / self._n
        self._up += x - self._mean - self._delta
        self._down += self._mean - x - self._delta
        self._lowest_up = min(self._lowest_up, self._up)
        self._lowest_down = min(self._lowest_down, self._down)
        is_up = self._up - self._lowest_up > self._threshold
        if not is_up and self._down - self._lowest_down <= self._threshold:
            return None
        self._start()
        return "up" if is_up else "down"

    def state(self) -> dict[str, float]:
        """Return the sums, for ``restore`` in another process."""
        return {
            "n": self._n,
            "mean": self._mean,
            "up": self._up,
            "down": self._down,
            "lowest_up": self._lowest_up,
            "lowest_down": self._lowest_down,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from what ``state`` returned."""
        self._n, self._mean = state["n"], state["mean"]
        self._up, self._down = state["up"], state["down"]
        self._lowest_up, self._lowest_down = state["lowest_up"], state["lowest_down"]

    def _start(self) -> None:
        self._n = self._mean = self._up = self._down = 0.0
        self._lowest_up = self._lowest_down = 0.0
