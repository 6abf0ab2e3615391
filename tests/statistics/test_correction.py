"""Correction of a judge's rate by people's labels."""

from __future__ import annotations

import numpy as np
import pytest

from santral.statistics.correction import prediction_powered, rogan_gladen


def test_rogan_gladen_is_the_formula() -> None:
    # 30 % seem to pass, at a sensitivity of 0.80 and a specificity of 0.90: (0.30 - 0.10) / 0.70 do.
    found = rogan_gladen(0.30, 1000, 0.80, 0.90, 10**9, 10**9)
    assert found.value == pytest.approx(0.2857, abs=5e-5)
    assert found.se == pytest.approx(np.sqrt(0.3 * 0.7 / 1000) / 0.7)


def test_a_perfect_judge_needs_no_correction() -> None:
    assert rogan_gladen(0.42, 100, 1.0, 1.0, 50, 50).value == pytest.approx(0.42)


def test_a_coin_cannot_be_corrected() -> None:
    with pytest.raises(ValueError, match="no better than a coin"):
        rogan_gladen(0.5, 100, 0.5, 0.5, 50, 50)


def test_rates_stay_shares() -> None:
    found = rogan_gladen(0.02, 100, 0.9, 0.9, 50, 50)
    assert (found.value, found.interval.low) == (0.0, 0.0)


def test_what_was_never_labelled_is_not_known() -> None:
    found = rogan_gladen(0.5, 100, 0.9, 0.9, 0, 50)
    assert (found.interval.low, found.interval.high) == (0.0, 1.0)


def test_prediction_powered_is_the_paper() -> None:
    judge, seen, people = [1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]
    found = prediction_powered(judge, seen, people)
    assert found.value == pytest.approx(0.75 - 0.25)
    assert found.se == pytest.approx(np.sqrt(0.25 / 4 + 0.25 / 4))
    with pytest.raises(ValueError, match="labelled 2 answers, people 1"):
        prediction_powered(judge, [1.0, 0.0], [1.0])


def test_both_hold_the_truth_where_the_judge_flatters() -> None:
    rng, draws, held, flattered = np.random.default_rng(1), 400, {"rg": 0, "pp": 0}, 0
    for _ in range(draws):
        truth = rng.uniform(size=1200) < 0.6
        judged = np.where(truth, rng.uniform(size=1200) < 0.95, rng.uniform(size=1200) < 0.3)
        seen, rest = slice(0, 200), slice(200, None)
        flattered += judged.mean() > 0.65
        powered = prediction_powered(judged[rest], judged[seen], truth[seen])
        held["pp"] += powered.interval.holds(0.6)
        passed, failed = judged[seen][truth[seen]], judged[seen][~truth[seen]]
        corrected = rogan_gladen(
            judged[rest].mean(), 1000, passed.mean(), 1 - failed.mean(), len(passed), len(failed)
        )
        held["rg"] += corrected.interval.holds(0.6)
    assert flattered > 0.95 * draws
    assert min(held.values()) >= 0.91 * draws, held
