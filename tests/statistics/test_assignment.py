"""Assignment: sample ratio, CUPED, ratios of sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.statistics.assignment import cuped, ratio_of_means, sample_ratio


def test_ratios_of_published_mismatches() -> None:
    # Kohavi, Tang and Xu (2020), Trustworthy Online Controlled Experiments, chapter 3: 821,588 against
    # 815,482 users of an even split: p = 1.8e-6.
    assert sample_ratio([821_588, 815_482], [0.5, 0.5]) == pytest.approx(1.8e-6, rel=0.03)


def test_uneven_shares_are_expected_unevenly() -> None:
    assert sample_ratio([100, 900], [1, 9]) == 1.0
    assert sample_ratio([5200, 4800], [0.5, 0.5]) < 0.001
    assert sample_ratio([0, 0], [0.5, 0.5]) == 1.0
    assert sample_ratio([90, 10], [1.0, 0.0]) == 0.0  # nobody should have seen it
    with pytest.raises(ValueError, match="every count needs a share"):
        sample_ratio([1], [0.5, 0.5])


def test_even_splits_are_seldom_suspected() -> None:
    rng = np.random.default_rng(1)
    counts = rng.multinomial(10_000, [0.2, 0.3, 0.5], size=2000)
    p = np.array([sample_ratio(row.tolist(), [0.2, 0.3, 0.5]) for row in counts])
    assert (p < 0.001).mean() <= 0.005
    assert 0.03 <= (p < 0.05).mean() <= 0.07


def test_cuped_takes_out_what_the_past_explains() -> None:
    rng, rho = np.random.default_rng(2), 0.8
    before = rng.normal(10, 2, size=20_000)
    after = rho * (before - 10) + 2 * np.sqrt(1 - rho**2) * rng.normal(size=20_000) + 12
    adjusted, theta, left = cuped(after, before)
    assert theta == pytest.approx(rho, abs=0.02)
    assert left == pytest.approx(1 - rho**2, abs=0.02)
    assert adjusted.mean() == pytest.approx(after.mean())
    assert left == pytest.approx(1 - np.corrcoef(after, before)[0, 1] ** 2)


def test_a_past_without_spread_changes_nothing() -> None:
    adjusted, theta, left = cuped([1.0, 2.0], [5.0, 5.0])
    assert (adjusted.tolist(), theta, left) == ([1.0, 2.0], 0.0, 1.0)
    assert cuped([], [])[2] == 1.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 10)), min_size=2, max_size=50))
def test_units_with_one_request_each_are_a_mean(rows: list[tuple[float, float]]) -> None:
    top = [row[0] for row in rows]
    found = ratio_of_means(top, [1.0] * len(top))
    assert found.value == pytest.approx(np.mean(top))
    assert found.se == pytest.approx(np.std(top, ddof=1) / np.sqrt(len(top)))


def test_ratios_hold_the_truth_where_units_are_unlike() -> None:
    rng, held, naive = np.random.default_rng(3), 0, 0
    for _ in range(400):
        requests = rng.geometric(0.2, size=150)
        level = rng.normal(2.0, 1.0, size=150)
        costs = requests * level + rng.normal(size=150)
        held += ratio_of_means(costs, requests).interval.holds(2.0)
        each = np.repeat(level, requests)
        naive += abs(each.mean() - 2.0) < 1.96 * each.std() / np.sqrt(len(each))
    assert held >= 0.9 * 400
    assert naive < 0.75 * 400


def test_nothing_cannot_be_divided_by() -> None:
    with pytest.raises(ValueError, match="something to divide by"):
        ratio_of_means([1.0], [0.0])
