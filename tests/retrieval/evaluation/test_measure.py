"""Measures of rankings: values worked out by hand from trec_eval's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.retrieval.evaluation import measure
from santral.retrieval.evaluation.estimate import difference, estimate

GAINS = [0.0, 3.0, 0.0, 1.0, 2.0]
FOUND = [0, 1, 0, 1, 1]
IDEAL = [3.0, 2.0, 1.0, 1.0]


def test_ndcg_takes_the_gain_as_it_is_and_log2_of_the_place_plus_one() -> None:
    found = 3 / math.log2(3) + 1 / math.log2(5) + 2 / math.log2(6)
    best = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert measure.ndcg(GAINS, IDEAL, 10) == pytest.approx(found / best)
    assert measure.ndcg(GAINS, IDEAL, 2) == pytest.approx(
        (3 / math.log2(3)) / (3 + 2 / math.log2(3))
    )


def test_the_worked_example_of_the_textbook() -> None:
    # Source: https://en.wikipedia.org/wiki/Discounted_cumulative_gain: relevance 3 2 3 0 1 2, with two
    # more documents of 3 and 2 that were not found: DCG 6.861, IDCG at 6 8.740, nDCG 0.785.
    gains = [3.0, 2.0, 3.0, 0.0, 1.0, 2.0]
    assert measure.ndcg(gains, [*gains, 3.0, 2.0], 6) == pytest.approx(0.785, abs=5e-4)


def test_recall_precision_rank_and_average_precision() -> None:
    assert measure.recall(FOUND, 4, 2) == 0.25
    assert measure.recall(FOUND, 4, 5) == 0.75
    assert measure.precision(GAINS, 5) == 0.6
    assert measure.precision([1.0], 5) == 0.2  # places that were not filled count, as in trec_eval
    assert measure.reciprocal_rank(GAINS, 10) == 0.5
    assert measure.reciprocal_rank(GAINS, 1) == 0
    assert measure.average_precision(GAINS, 4) == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 4)


def test_context_precision_rewards_helpful_passages_that_come_first() -> None:
    assert measure.context_precision([True, False, True]) == pytest.approx((1 + 2 / 3) / 2)
    assert measure.context_precision([False, True, True]) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert measure.context_precision([False, False]) == 0
    assert measure.context_precision([]) == 0


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=12), st.integers(1, 12))
def test_measures_stay_between_0_and_1_and_the_best_order_is_1(
    gains: list[float], cut: int
) -> None:
    ideal = [gain for gain in gains if gain]
    if not ideal:
        return
    best = sorted(gains, reverse=True)
    assert measure.ndcg(best, ideal, cut) == pytest.approx(1)
    assert measure.average_precision(best, len(ideal)) == pytest.approx(1)
    for value in (
        measure.ndcg(gains, ideal, cut),
        measure.recall([int(gain > 0) for gain in gains], len(ideal), cut),
        measure.precision(gains, cut),
        measure.reciprocal_rank(gains, cut),
        measure.average_precision(gains, len(ideal)),
    ):
        assert 0 <= value <= 1 + 1e-9


def test_an_interval_holds_the_mean_and_narrows_with_questions() -> None:
    few, many = estimate([0.0, 1.0] * 10), estimate([0.0, 1.0] * 500)
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    # Of a share of a half, 1.96 standard errors to both sides.
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(1000), rel=0.1)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        found = estimate(rng.binomial(1, 0.3, 80).astype(float).tolist(), 300)
        held += found.low <= 0.3 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_no_question_and_one_question_tell_nothing_of_others() -> None:
    assert estimate([]).n == 0
    one = estimate([0.4])
    assert (one.low, one.mean, one.high) == (0.4, 0.4, 0.4)


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    easy = [0.1, 0.9, 0.2, 0.8, 0.15, 0.95] * 10
    better = [value + 0.02 for value in easy]
    found = difference(better, easy)
    assert found.mean == pytest.approx(0.02)
    assert found.high - found.low < 1e-9
    with pytest.raises(ValueError, match="same questions"):
        difference([1.0], [1.0, 0.0])
