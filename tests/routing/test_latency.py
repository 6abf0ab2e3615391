"""Bad news counts at once, good news slowly, and old news less and less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.routing.latency import DECAY_S, PeakEwma


def test_a_peak_is_believed_at_once() -> None:
    made = PeakEwma()
    made.observe(0.0, 0.2)
    made.observe(1.0, 9.0)
    assert made.read(1.0) == 9.0


def test_better_values_pull_it_down_step_by_step() -> None:
    made = PeakEwma()
    made.observe(0.0, 9.0)
    readings = []
    for second in range(1, 40):
        made.observe(float(second), 1.0)
        readings.append(made.read(float(second)))
    assert readings == sorted(readings, reverse=True)
    assert readings[0] > 7
    assert readings[-1] < 1.5


def test_without_observations_it_fades() -> None:
    made = PeakEwma()
    assert made.is_cold
    made.observe(0.0, 3.0)
    assert not made.is_cold
    assert made.read(DECAY_S) == pytest.approx(3.0 / 2.718281828, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60)), min_size=1, max_size=30))
def test_it_never_leaves_what_was_observed(steps: list[tuple[float, float]]) -> None:
    made, now = PeakEwma(), 0.0
    for wait, seconds in steps:
        now += wait
        made.observe(now, seconds)
        assert 0 <= made.read(now) <= max(value for _, value in steps)
