"""Signals hour by hour: sums that see a small move that lasts before two windows differ by much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from santral.evals.drift.monitor import Windows
from santral.evals.drift.requests.seen import Seen
from santral.evals.drift.signals import Signal
from santral.statistics.sequence import Alarm, Cusum

BUCKET_US = 3_600_000_000
#: Requests that an hour needs, and hours that the reference needs. Chosen: a mean of fewer is noise.
_LEAST, _LEAST_BUCKETS = 5, 12


class Step(Struct, frozen=True):
    """An hour in which the sums of a signal passed their bound: since about then it lies elsewhere."""

    signal: str
    at_us: int
    alarm: Alarm
    mean: float  # of the hour
    usual: float  # of the reference


def steps_of(
    signal: Signal,
    reference: Sequence[Seen],
    current: Sequence[Seen],
    windows: Windows,
    state: Mapping[str, Any] | None,
) -> tuple[list[Step], dict[str, Any]]:
    """Return the alarms of whole hours that were not looked at before, and the state to go on from.

    Means of hours that have many requests vary less, so each is taken in its own standard error.
    """
    usual = _buckets(signal, reference)
    before = dict(state or {})
    if len(usual) < _LEAST_BUCKETS:
        return [], before
    values = np.concatenate(list(usual.values()))
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    between = float(np.std([side.mean() for side in usual.values()], ddof=1))
    cusum = Cusum(0.0, 1.0)
    if "above" in before:
        cusum.restore(before)
    last = int(before.get("last_us", windows.since_us - 1))
    found: list[Step] = []
    for start, side in sorted(_buckets(signal, current).items()):
        if start <= last or start + BUCKET_US > windows.until_us:
            continue
        noise = float(max(spread / np.sqrt(len(side)), between, 1e-12))
        alarm = cusum.add((float(side.mean()) - mean) / noise)
        if alarm is not None:
            found.append(Step(signal.name, start, alarm, float(side.mean()), mean))
        last = start
    return found, {**cusum.state(), "last_us": last}


def _buckets(signal: Signal, seen: Sequence[Seen]) -> dict[int, np.ndarray[Any, Any]]:
    values: dict[int, list[float]] = {}
    for one in seen:
        value = signal.read(one)
        if isinstance(value, int | float):
            values.setdefault(one.at_us // BUCKET_US * BUCKET_US, []).append(float(value))
    return {start: np.array(side) for start, side in values.items() if len(side) >= _LEAST}
