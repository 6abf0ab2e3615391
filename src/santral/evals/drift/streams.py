"""Signals hour by hour: sums that see a small move that lasts before two windows differ by much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.evals.drift.monitor import Windows
from santral.evals.drift.requests.seen import Seen
from santral.evals.drift.signals import Signal
from santral.statistics.sequence import Alarm, Cusum, PageHinkley

BUCKET_US = 3_600_000_000
#: Requests that an hour needs, and hours that the reference needs. Chosen: a mean of fewer is noise.
_LEAST, _LEAST_BUCKETS = 5, 12
#: Of Page-Hinkley, in standard errors of an hour: a move that is of no interest, and what has to add up
#: beyond it. Measured: of 60 days without a move none raises an alarm, at 5 twelve of them do, for the
#: mean has to be learnt from the same hours; a move to 1.6 times is seen in 29 of 30 days.
_DELTA, _THRESHOLD = 0.5, 15.0


class Step(Struct, frozen=True):
    """An hour in which the sums of a signal passed their bound: since about then it lies elsewhere."""

    signal: str
    at_us: int
    alarm: Alarm
    mean: float  # of the hour
    usual: float  # of the reference; of the hours before, where there is none


class _Hour(Struct, frozen=True):
    start: int
    mean: float
    error: float  # standard error of the mean


def steps_of(
    signal: Signal,
    reference: Sequence[Seen],
    current: Sequence[Seen],
    windows: Windows,
    state: Mapping[str, Any] | None,
) -> tuple[list[Step], dict[str, Any]]:
    """Return the alarms of whole hours that were not looked at before, and the state to go on from.

    Against a reference of enough hours by CUSUM; without one by Page-Hinkley, which learns the mean.
    Means of hours that have many requests vary less, so each is taken in its own standard error.
    """
    before = dict(state or {})
    last = int(before.get("last_us", windows.since_us - 1))
    hours = [
        hour
        for hour in _hours(signal, current)
        if hour.start > last and hour.start + BUCKET_US <= windows.until_us
    ]
    usual = _hours(signal, reference)
    if len(usual) >= _LEAST_BUCKETS:
        return _against(signal.name, usual, hours, before)
    return _learning(signal.name, hours, before)


def _against(
    name: str, usual: list[_Hour], hours: list[_Hour], before: dict[str, Any]
) -> tuple[list[Step], dict[str, Any]]:
    means = np.array([hour.mean for hour in usual])
    mean, between = float(means.mean()), float(means.std(ddof=1))
    cusum = Cusum(0.0, 1.0)
    if "above" in before:
        cusum.restore(before)
    found: list[Step] = []
    for hour in hours:
        alarm = cusum.add((hour.mean - mean) / max(hour.error, between, 1e-12))
        if alarm is not None:
            found.append(Step(name, hour.start, alarm, hour.mean, mean))
    return found, {**cusum.state(), **_last(hours, before)}


def _learning(
    name: str, hours: list[_Hour], before: dict[str, Any]
) -> tuple[list[Step], dict[str, Any]]:
    if not hours:
        return [], before
    # what the values are counted from and in stays the same from look to look
    origin = float(before.get("origin", hours[0].mean))
    unit = float(before.get("unit", max(hours[0].error, 1e-12)))
    sums = PageHinkley(_DELTA, _THRESHOLD)
    if "lowest_up" in before:
        sums.restore(before)
    found: list[Step] = []
    for hour in hours:
        usual = origin + unit * sums.state()["mean"]
        alarm = sums.add((hour.mean - origin) / unit)
        if alarm is not None:
            found.append(Step(name, hour.start, alarm, hour.mean, usual))
    return found, {**sums.state(), "origin": origin, "unit": unit, **_last(hours, before)}


def _last(hours: list[_Hour], before: Mapping[str, Any]) -> dict[str, Any]:
    if hours:
        return {"last_us": hours[-1].start}
    return {name: before[name] for name in ("last_us",) if name in before}


def _hours(signal: Signal, seen: Sequence[Seen]) -> list[_Hour]:
    values: dict[int, list[float]] = {}
    for one in seen:
        value = signal.read(one)
        if isinstance(value, int | float):
            values.setdefault(one.at_us // BUCKET_US * BUCKET_US, []).append(float(value))
    return [
        _Hour(start, *_mean_and_error(np.array(side)))
        for start, side in sorted(values.items())
        if len(side) >= _LEAST
    ]


def _mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
