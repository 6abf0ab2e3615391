"""Shift: distances against scipy's, and how often chance raises an alarm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from santral.statistics.shift import (
    auc,
    domain_auc,
    jensen_shannon,
    ks,
    mmd2,
    mmd_test,
    permutation_p,
    psi,
    psi_of_classes,
    total_variation,
    wasserstein,
)

NUMBERS = st.lists(st.floats(-100, 100), min_size=2, max_size=60)


@settings(max_examples=50, deadline=None)
@given(NUMBERS, NUMBERS)
def test_distances_of_numbers_are_scipys(x: list[float], y: list[float]) -> None:
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-9)
    assert ks(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp")[0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_distances_of_classes_are_scipys(x: list[str], y: list[str]) -> None:
    p, q = ([side.count(c) / len(side) for c in "abcd"] for side in (x, y))
    # scipy's root of a difference of nearly equal numbers is good to seven digits
    assert jensen_shannon(x, y) == pytest.approx(
        distance.jensenshannon(p, q, 2), abs=1e-7, nan_ok=True
    )
    assert total_variation(x, y) == pytest.approx(
        sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
    )


def test_psi_is_the_textbook_sum() -> None:
    then = ["a"] * 10_000 + ["b"] * 20_000 + ["c"] * 40_000 + ["d"] * 30_000
    now = ["a"] * 12_000 + ["b"] * 21_000 + ["c"] * 40_000 + ["d"] * 27_000
    expected = sum(
        (q - p) * np.log(q / p) for p, q in ((0.1, 0.12), (0.2, 0.21), (0.4, 0.4), (0.3, 0.27))
    )
    assert psi_of_classes(then, now).value == pytest.approx(expected, rel=1e-3)


def test_the_threshold_of_psi_follows_the_data() -> None:
    rng = np.random.default_rng(1)
    few = psi(rng.normal(size=100), rng.normal(size=100))
    many = psi(rng.normal(size=50_000), rng.normal(size=50_000))
    assert few.threshold == pytest.approx(stats.chi2.ppf(0.95, 9) * 0.02)
    assert few.threshold > 0.2 > 0.1 > many.threshold  # the customary limits fit neither
    moved = psi(rng.normal(size=50_000), rng.normal(0.05, size=50_000))
    assert moved.value < 0.01
    assert moved.p < 0.001


@pytest.mark.parametrize("n", [200, 2000])
def test_psi_raises_no_more_alarms_than_stated(n: int) -> None:
    rng = np.random.default_rng(n)
    alarms = sum(psi(rng.normal(size=n), rng.normal(size=n)).p <= 0.05 for _ in range(400))
    assert 0.02 <= alarms / 400 <= 0.085


def test_values_that_are_all_alike_have_no_bins() -> None:
    assert psi([1.0] * 5, [1.0] * 5).p == 1.0
    with pytest.raises(ValueError, match="no values on one side"):
        psi([], [1.0])


def test_mmd_is_near_zero_and_grows() -> None:
    rng = np.random.default_rng(2)
    x, same, moved = (
        rng.normal(size=(200, 8)),
        rng.normal(size=(200, 8)),
        rng.normal(0.6, size=(200, 8)),
    )
    assert abs(mmd2(x, same)) < 0.01
    assert mmd2(x, moved) > 0.05


def test_mmd_is_the_sum_over_all_pairs() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(5, 2)), rng.normal(1.0, size=(4, 2))
    every = np.vstack((x, y))
    width = np.median(distance.pdist(every, "sqeuclidean"))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / width))

    within = [
        np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])
        for s in (x, y)
    ]
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert mmd2(x, y) == pytest.approx(sum(within) - 2 * across)


def test_a_classifier_tells_apart_what_differs_and_nothing_else() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 16))
    assert domain_auc(x, rng.normal(size=(300, 16)), rng) == pytest.approx(0.5, abs=0.08)
    assert domain_auc(x, rng.normal(0.5, size=(300, 16)), rng) > 0.85
    assert auc([1, 2, 3], [2, 3, 4]) == pytest.approx(
        stats.mannwhitneyu([2, 3, 4], [1, 2, 3])[0] / 9
    )


def test_sessions_that_move_together_are_permuted_together() -> None:
    rng, alarms, naive = np.random.default_rng(5), 0, 0
    for _ in range(120):
        sessions = [rng.normal(level, 0.3, size=8) for level in rng.normal(size=24)]
        alarms += permutation_p(ks, sessions[:12], sessions[12:], rng, 99) <= 0.05
        rows = [row.reshape(1) for session in sessions for row in session]
        naive += permutation_p(ks, rows[:96], rows[96:], rng, 39) <= 0.05
    assert alarms / 120 <= 0.11
    assert naive / 120 > 0.25  # rows alone would cry wolf


def test_a_shift_of_sessions_is_found() -> None:
    rng = np.random.default_rng(6)
    old = [rng.normal(level, 0.3, size=8) for level in rng.normal(0, 0.5, size=20)]
    new = [rng.normal(level, 0.3, size=8) for level in rng.normal(1, 0.5, size=20)]
    assert permutation_p(wasserstein, old, new, rng, 199) == pytest.approx(0.005)
    with pytest.raises(ValueError, match="both sides need a session"):
        permutation_p(ks, [], new, rng)


def test_the_test_of_mmd_says_what_permutations_of_it_say() -> None:
    rng = np.random.default_rng(1)
    then = [rng.normal(size=(rng.integers(2, 5), 3)) for _ in range(20)]
    now = [rng.normal(size=(rng.integers(2, 5), 3)) + 0.4 for _ in range(25)]
    value, p = mmd_test(then, now, np.random.default_rng(2), 199)
    assert value == pytest.approx(mmd2(np.vstack(then), np.vstack(now)))
    assert p == permutation_p(mmd2, then, now, np.random.default_rng(2), 199)
