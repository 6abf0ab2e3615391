"""Intervals: published values, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from santral.statistics.interval import (
    bootstrap,
    bootstrap_mean,
    clopper_pearson,
    clustered_mean,
    wilson,
)

# Spatial perception of 26 neurologically impaired children, test A: Efron and Tibshirani (1993), table 14.1.
CHILDREN = [
    48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41,
]  # fmt: skip


def test_wilson_is_newcombes_table() -> None:
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    for successes, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(successes, n)
        assert (found.low, found.high) == (
            pytest.approx(low, abs=5e-5),
            pytest.approx(high, abs=5e-5),
        )


def test_clopper_pearson_is_newcombes_table() -> None:
    # The same table, method 5.
    for successes, n, low, high in (
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ):
        found = clopper_pearson(successes, n)
        assert (found.low, found.high) == (
            pytest.approx(low, abs=5e-5),
            pytest.approx(high, abs=5e-5),
        )


def test_shares_of_nothing_may_be_anything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert wilson(20, 20).high == 1.0
    assert clopper_pearson(20, 20).high == 1.0


def test_a_mean_of_lone_values_has_students_interval() -> None:
    # Student (1908), Biometrika 6:20: additional hours of sleep, difference of two drugs; as R's t.test(extra).
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = clustered_mean(sleep)
    assert found.value == pytest.approx(1.58)
    assert found.value / found.se == pytest.approx(4.0621, abs=5e-5)
    assert (found.interval.low, found.interval.high) == (
        pytest.approx(0.7001142, abs=1e-6),
        pytest.approx(2.4598858, abs=1e-6),
    )


def test_values_that_are_copied_tell_no_more() -> None:
    rng = np.random.default_rng(1)
    alone = rng.normal(size=40)
    copied = np.repeat(alone, 5)
    families = [f"family {index // 5}" for index in range(200)]
    naive, honest, once = (
        clustered_mean(copied),
        clustered_mean(copied, families),
        clustered_mean(alone),
    )
    assert honest.se == pytest.approx(once.se)
    assert honest.clusters == 40
    assert naive.se < 0.5 * honest.se


def test_one_value_says_nothing_of_others() -> None:
    found = clustered_mean([3.0])
    assert (found.value, found.se, found.interval.high) == (3.0, math.inf, math.inf)
    with pytest.raises(ValueError, match="no values"):
        clustered_mean([])


def test_the_bootstrap_is_efrons_example() -> None:
    assert np.var(CHILDREN) == pytest.approx(171.5, abs=0.05)  # it is the book's data
    found = bootstrap(CHILDREN, np.var, np.random.default_rng(1), resamples=20_000, level=0.9)
    # Table 14.2: BCa with 2,000 resamples (115.8, 259.6); ABC, without any, (116.7, 260.9).
    assert found.low == pytest.approx(116.3, abs=2.5)
    assert found.high == pytest.approx(260.3, abs=4.0)


def test_the_bootstrap_draws_whole_clusters() -> None:
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(size=30), 20)
    families = np.repeat(np.arange(30), 20).tolist()
    alone = bootstrap(values, np.mean, np.random.default_rng(3))
    together = bootstrap(values, np.mean, np.random.default_rng(3), clusters=families)
    assert together.high - together.low > 3.5 * (alone.high - alone.low)


@pytest.mark.parametrize("families", [None, [index // 3 for index in range(60)]])
def test_a_mean_is_drawn_as_any_statistic(families: list[int] | None) -> None:
    values = np.random.default_rng(6).exponential(size=60)
    slow = bootstrap(values, np.mean, np.random.default_rng(1), clusters=families, resamples=8000)
    fast = bootstrap_mean(values, np.random.default_rng(2), clusters=families, resamples=8000)
    assert fast.low == pytest.approx(slow.low, abs=0.012)
    assert fast.high == pytest.approx(slow.high, abs=0.012)


def test_a_statistic_without_spread_is_a_point() -> None:
    found = bootstrap([2.0] * 9, np.mean, np.random.default_rng(4))
    assert (found.low, found.high) == (2.0, 2.0)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    n, draws = 40, 300
    is_held = {"t": 0, "bca": 0, "wilson": 0}
    for _ in range(draws):
        skewed = rng.exponential(size=n)
        is_held["t"] += clustered_mean(skewed).interval.holds(1.0)
        is_held["bca"] += bootstrap_mean(skewed, rng, resamples=400).holds(1.0)
        is_held["wilson"] += wilson(int(rng.binomial(n, 0.9)), n).holds(0.9)
    # 300 draws of 95 % lie above 91 % in 999 of 1,000 cases; skewed data cost about 2 points.
    assert min(is_held.values()) >= 0.895 * draws, is_held
