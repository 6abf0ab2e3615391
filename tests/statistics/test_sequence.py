"""Sequences: run lengths as tables have them."""

from __future__ import annotations

import numpy as np
import pytest

from santral.statistics.sequence import Cusum, PageHinkley


def mean_run(h: float, moved: float, runs: int, seed: int) -> float:
    rng, lengths = np.random.default_rng(seed), []
    for _ in range(runs):
        watch, length = Cusum(0.0, 1.0, h=h), 0
        for x in rng.normal(moved, 1.0, size=20_000).tolist():
            length += 1
            if watch.add(x):
                break
        lengths.append(length)
    return float(np.mean(lengths))


@pytest.mark.parametrize(
    ("h", "moved", "expected", "runs"),
    # Montgomery (2009), Introduction to Statistical Quality Control, table 9.3, two-sided with k = 0.5.
    [(5.0, 0.0, 465, 700), (4.0, 0.0, 168, 700), (5.0, 1.0, 10.4, 700), (4.0, 1.0, 8.38, 700)],
)
def test_runs_are_as_long_as_in_the_table(
    h: float, moved: float, expected: float, runs: int
) -> None:
    assert mean_run(h, moved, runs, seed=1) == pytest.approx(expected, rel=0.12)


def test_alarms_say_where_to() -> None:
    up, down = Cusum(10.0, 2.0), Cusum(10.0, 2.0)
    assert [up.add(16.0) for _ in range(3)] == [None, None, "up"]
    assert [down.add(4.0) for _ in range(3)] == [None, None, "down"]
    assert up.state() == {"above": 0.0, "below": 0.0}
    with pytest.raises(ValueError, match="above 0"):
        Cusum(0.0, 0.0)


def test_page_hinkley_sees_a_mean_that_moves() -> None:
    rng = np.random.default_rng(2)
    watch = PageHinkley(delta=0.2, threshold=25.0)
    assert not any(watch.add(x) for x in rng.normal(5.0, 1.0, size=500).tolist())
    alarms = [watch.add(x) for x in rng.normal(6.5, 1.0, size=60).tolist()]
    assert [a for a in alarms if a] == ["up"]
    falling = PageHinkley(delta=0.2, threshold=25.0)
    assert "down" in [falling.add(x) for x in [5.0] * 100 + [3.0] * 40]


@pytest.mark.parametrize("make", [lambda: Cusum(0.0, 1.0), lambda: PageHinkley(0.1, 10.0)])
def test_another_process_goes_on(make) -> None:
    values = np.random.default_rng(3).normal(0.4, 1.0, size=200).tolist()
    whole, first, second = make(), make(), make()
    expected = [whole.add(x) for x in values]
    found = [first.add(x) for x in values[:90]]
    second.restore(first.state())
    assert found + [second.add(x) for x in values[90:]] == expected
