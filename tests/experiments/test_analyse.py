from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.simulated import DESIGN, units

from santral.experiments.analyse import ALPHA, Design, analyse

SCORE = "score:helpful"


def test_peeking_at_a_comparison_of_equals_alarms_no_oftener_than_stated() -> None:
    rng = np.random.default_rng(1)
    trials, looks, alarms = 300, range(200, 2001, 200), 0
    for _ in range(trials):
        seen = units(2000, rng)
        verdicts = [
            analyse(seen.where(np.arange(2000) < n), DESIGN, [SCORE]).comparisons[0].verdict
            for n in looks
        ]
        alarms += any(verdict in ("better", "worse") for verdict in verdicts)
    assert alarms / trials <= ALPHA  # the interval holds at all looks together


def test_an_effect_that_is_there_is_found() -> None:
    rng = np.random.default_rng(2)
    found = sum(
        analyse(units(2000, rng, lift=0.08), DESIGN, [SCORE]).comparisons[0].verdict == "better"
        for _ in range(40)
    )
    # of 6000 answers 0.08 more are about 6 standard errors away; an always-valid interval needs 3
    assert found >= 36


def test_units_that_fell_otherwise_than_meant_stop_every_reading() -> None:
    rng = np.random.default_rng(3)
    skewed = [
        analyse(units(10_000, rng, shares={"plain": 0.52, "new": 0.48}), DESIGN, []).is_readable
        for _ in range(40)
    ]
    even = [analyse(units(10_000, rng), DESIGN, []).is_readable for _ in range(40)]
    # 52 to 48 at 10 000 are four standard errors: chi-square above 10.8 in three of four
    assert skewed.count(False) >= 24
    assert even.count(False) <= 1


def test_the_time_before_takes_out_the_variance_that_it_explains() -> None:
    rng = np.random.default_rng(4)
    habits = rng.normal(0.0, 100.0, size=4000)
    drawn = units(4000, rng, before=habits, pull=1.0)
    costs, once = drawn.sums["cost_usd"] / drawn.requests, np.ones(4000)
    seen = replace(drawn, sums={"cost_usd": costs}, counts={"cost_usd": once})
    before = replace(
        seen,
        sums={"cost_usd": 1000.0 + habits},
        counts={"cost_usd": np.ones(4000)},
    )
    plain = analyse(seen, DESIGN, ["cost_usd"]).comparisons[0]
    adjusted = analyse(seen, DESIGN, ["cost_usd"], before).comparisons[0]
    # costs are 1000 + habit + noise of equal variance: rho^2 is a half, and 1 - rho^2 is left
    assert adjusted.variance_kept == pytest.approx(0.5, abs=0.03)
    narrower = (adjusted.high - adjusted.low) / (plain.high - plain.low)
    assert narrower == pytest.approx(np.sqrt(adjusted.variance_kept), abs=0.03)
    assert adjusted.difference == pytest.approx(0.0, abs=4 * 100e-9 / np.sqrt(1000))


def test_units_that_saw_two_arms_are_counted_and_in_no_number() -> None:
    rng = np.random.default_rng(5)
    seen = units(400, rng)
    names = seen.units.copy()
    names[0], other = names[1], seen.arms.copy()
    other[0], other[1] = "plain", "new"
    found = analyse(replace(seen, units=names, arms=other), DESIGN, [SCORE])
    assert found.crossed_units == 1
    assert found.units == 398


def test_few_units_are_not_read_and_rates_without_an_event_are_not_certain() -> None:
    rng = np.random.default_rng(6)
    few = analyse(units(150, rng, lift=0.4), DESIGN, [SCORE]).comparisons[0]
    assert few.verdict == "too_few"
    errors = analyse(units(1000, rng), DESIGN, ["error_rate"]).comparisons[0]
    assert errors.verdict == "undecided"
    assert errors.low < 0.0 < errors.high


def test_primary_comparisons_are_adjusted_together() -> None:
    rng = np.random.default_rng(7)
    design = Design(
        control="plain", shares=DESIGN.shares, primary=(SCORE, "cost_usd"), expected_units=2000
    )
    found = analyse(units(2000, rng, lift=0.08), design, [SCORE, "cost_usd", "error_rate"])
    score, cost, errors = found.comparisons
    assert score.p_adjusted == pytest.approx(min(1.0, 2 * score.p))
    assert cost.p_adjusted >= cost.p
    assert errors.p_adjusted == errors.p
    assert (score.rated, score.control_rated) == (1.0, 1.0)
