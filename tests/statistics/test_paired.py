"""Paired comparison: published examples, error rates and power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from santral.statistics.paired import (
    compare_paired,
    detectable_difference,
    examples_needed,
    mcnemar,
    wilcoxon,
)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def pairs(both: int, only_base: int, only_head: int, neither: int) -> tuple[list[int], list[int]]:
    base = [1] * both + [1] * only_base + [0] * only_head + [0] * neither
    head = [1] * both + [0] * only_base + [1] * only_head + [0] * neither
    return base, head


def test_mcnemar_is_the_approval_of_the_president() -> None:
    # Agresti (1990), p. 350, as R's ?mcnemar.test: chi-squared = 16.818, p-value = 4.115e-05.
    assert mcnemar(150, 86) == pytest.approx(4.115e-05, abs=5e-9)


def test_mcnemar_is_exact_for_few() -> None:
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)  # binom.test(1, 10): 0.02148
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == 1.0


def test_wilcoxon_is_hollander_and_wolfe() -> None:
    # Depression of nine patients, Hollander and Wolfe (1973), p. 29, as R's ?wilcox.test: V = 40, p = 0.03906.
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    assert wilcoxon(after - before) == pytest.approx(0.03906, abs=5e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_wilcoxon_counts_every_choice_of_signs(values: list[int]) -> None:
    data = np.array([v for v in values if v], float)
    if not len(data):
        assert wilcoxon(values) == 1.0
        return
    ranks = stats.rankdata(np.abs(data))
    sums = [
        ranks[np.array(signs)].sum() for signs in itertools.product((False, True), repeat=len(data))
    ]
    found = ranks[data > 0].sum()
    lower = np.mean([s <= found + 1e-9 for s in sums])
    upper = np.mean([s >= found - 1e-9 for s in sums])
    assert wilcoxon(values) == pytest.approx(min(1.0, 2 * min(lower, upper)))


@pytest.mark.parametrize("n", [10, 30, 50])
def test_wilcoxon_is_scipys_exact(n: int) -> None:
    data = rng(n).normal(0.2, size=n)
    assert wilcoxon(data) == pytest.approx(stats.wilcoxon(data, method="exact")[1], rel=1e-9)


def test_wilcoxon_is_scipys_approximation_with_ties() -> None:
    data = rng(3).integers(-4, 6, size=300)
    expected = stats.wilcoxon(data, method="approx", correction=False)[1]
    assert wilcoxon(data) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=40))
@settings(max_examples=12, deadline=None)
def test_changing_sides_changes_the_sign_alone(values: list[float]) -> None:
    base, head = np.zeros(len(values)), np.array(values)
    there, back = compare_paired(base, head, rng=rng()), compare_paired(head, base, rng=rng())
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p)
    assert (there.worse, there.better) == (back.better, back.worse)


def test_differences_that_are_nearly_nothing_have_an_interval() -> None:
    tiny = [0.0] * 5 + [2.5043119360173315e-132]
    assert compare_paired(np.zeros(6), tiny, rng=rng()).interval.high < 1e-130


def test_newcombes_interval_of_shares() -> None:
    # Newcombe (1998), Statistics in Medicine 17:2635, method 10 on the table 20, 12, 2, 16.
    found = compare_paired(*pairs(20, 12, 2, 16), is_binary=True, rng=rng())
    assert found.difference == pytest.approx(-0.2)
    assert (found.interval.low, found.interval.high) == (
        pytest.approx(-0.3292, abs=5e-5),
        pytest.approx(-0.0562, abs=5e-5),
    )
    assert (found.worse, found.better, found.method) == (12, 2, "mcnemar")


def test_newcombes_interval_of_airways() -> None:
    # Airways of 21 children before and after a transplantation: Fagerland, Lydersen and Laake (2014),
    # Statistics in Medicine 33:2850, square-and-add: -0.507 to -0.026.
    found = compare_paired(*pairs(1, 7, 1, 12), is_binary=True, rng=rng())
    assert (found.interval.low, found.interval.high) == (
        pytest.approx(-0.507, abs=5e-4),
        pytest.approx(-0.026, abs=5e-4),
    )


def test_equal_shares_leave_room_for_a_difference() -> None:
    few = compare_paired(*pairs(10, 0, 0, 0), is_binary=True, rng=rng()).interval
    many = compare_paired(*pairs(1000, 0, 0, 0), is_binary=True, rng=rng()).interval
    assert few.low < -0.2
    assert -0.01 < many.low < 0.0


def test_families_are_worth_as_many_pairs_as_they_are() -> None:
    base, head = pairs(20, 8, 2, 10)
    copied = [np.repeat(side, 6) for side in (base, head)]
    families = [index // 6 for index in range(240)]
    once = compare_paired(base, head, is_binary=True, rng=rng())
    honest = compare_paired(*copied, clusters=families, is_binary=True, rng=rng())
    assert honest.method == "clustered_t"
    assert honest.interval.low == pytest.approx(once.interval.low, abs=0.01)
    assert honest.se == pytest.approx(once.se)


def test_sizes_are_those_of_textbooks() -> None:
    # Cohen (1988): 32 pairs (34 with Student's t) show half a standard deviation with power 0.8.
    assert examples_needed(1.0, 0.5) == 32
    assert detectable_difference(1.0, 32) == pytest.approx(0.4953, abs=5e-5)
    assert detectable_difference(1.0, 0) == math.inf
    with pytest.raises(ValueError, match="difference of 0"):
        examples_needed(1.0, 0.0)


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 numbers of base face 1 of head"):
        compare_paired([1, 2], [1], rng=rng())
    with pytest.raises(ValueError, match="no values"):
        compare_paired([], [], rng=rng())


def test_equal_systems_raise_no_more_alarms_than_stated() -> None:
    draw, alarms, left_out = rng(7), {"yes or no": 0, "numbers": 0}, 0
    for _ in range(400):
        yes = draw.uniform(size=(2, 60)) < draw.uniform(0.5, 1.0, size=60)
        alarms["yes or no"] += mcnemar(
            int((yes[0] & ~yes[1]).sum()), int((yes[1] & ~yes[0]).sum())
        ) <= 0.05  # fmt: skip
        found = compare_paired(*yes.astype(float), is_binary=True, rng=draw)
        left_out += not found.interval.holds(0.0)
        alarms["numbers"] += wilcoxon(draw.standard_t(3, size=40)) <= 0.05
    # 400 draws of 5 % lie below 8.75 % in 999 of 1,000 cases.
    assert max(alarms.values()) <= 35, alarms
    assert left_out <= 35


@pytest.mark.parametrize("n", [8, 15, 40])
def test_intervals_of_differences_hold_also_for_few_pairs(n: int) -> None:
    draw, held = rng(n), 0
    for _ in range(250):
        data = draw.beta(2, 1, size=n) - draw.beta(2, 1, size=n)
        held += compare_paired(np.zeros(n), data, rng=draw).interval.holds(0.0)
    assert held >= 0.9 * 250


def test_the_stated_difference_is_found_with_the_stated_power() -> None:
    draw, n = rng(9), 50
    difference = detectable_difference(1.0, n)
    found = sum(wilcoxon(draw.normal(difference, 1.0, size=n)) <= 0.05 for _ in range(600))
    assert 0.73 <= found / 600 <= 0.86
