from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from tests.experiments.conftest import NOW, settings
from tests.experiments.simulated import ARMS, units

from santral.experiments.analyse import Analysis, Design, analyse
from santral.experiments.bandit import ArmValue, best_probabilities, top_two_weights
from santral.experiments.look import Act, decide, first_step
from santral.experiments.made import Now, StoredExperiment, parse_settings
from santral.experiments.policy_value import LEAST_EFFECTIVE, policy_values

SCORE = "score:helpful"
START_S = NOW.timestamp()
HOUR = 3600.0


def stored(**changes: Any) -> StoredExperiment:
    asked = parse_settings({"salt": "s", **settings(**changes)})
    made = StoredExperiment(
        tenant_id="*", name="tone", state="running", config=asked, now=Now(),
        description="", created_by="test", created_at=NOW, started_at=NOW,
    )  # fmt: skip
    return replace(made, now=first_step(made, START_S))


def shown(n: int = 2000, seed: int = 1, **changes: Any) -> Analysis:
    design = Design(control="plain", shares=ARMS, expected_units=2000)
    metrics = [SCORE, "cost_usd", "error_rate"]
    return analyse(units(n, np.random.default_rng(seed), **changes), design, metrics)


def act(one: StoredExperiment, found: Analysis, after_s: float = 2 * HOUR) -> Act | None:
    return decide(one, found, START_S + after_s, np.random.default_rng(0))


def test_harm_that_is_shown_stops_with_its_evidence() -> None:
    guard = {"metric": SCORE, "margin": 0.02}
    done = act(stored(guards=[guard]), shown(lift=-0.15))
    assert done is not None
    assert done.kind == "stopped"
    assert done.evidence["arm"] == "new"
    assert done.evidence["high"] < -0.02 * done.evidence["control"]
    assert act(stored(guards=[guard]), shown(lift=0.15)) is None
    assert act(stored(guards=[guard]), shown(60, lift=-0.5)) is None  # too few to be read


def test_looking_often_at_arms_that_are_equal_stops_no_oftener_than_stated() -> None:
    rng, guard = np.random.default_rng(8), {"metric": SCORE, "margin": 0.0}
    one = stored(guards=[guard])
    design = Design(control="plain", shares=ARMS, expected_units=2000)
    trials, stopped = 200, 0
    for _ in range(trials):
        seen = units(2000, rng)
        looks = (seen.where(np.arange(2000) < n) for n in range(200, 2001, 200))
        stopped += any(act(one, analyse(look, design, [SCORE])) is not None for look in looks)
    assert stopped / trials <= 0.05


def test_a_bound_is_of_the_arm_itself() -> None:
    assert act(stored(guards=[{"metric": "cost_usd", "bound": 0.9e-6}]), shown()) is not None
    assert act(stored(guards=[{"metric": "cost_usd", "bound": 1.2e-6}]), shown()) is None
    least = {"metric": SCORE, "bound": 0.6}  # of a score it is the least
    assert act(stored(guards=[least]), shown()) is not None
    assert act(stored(guards=[{"metric": SCORE, "bound": 0.4}]), shown()) is None


def test_a_broken_sample_ratio_stops() -> None:
    done = act(
        stored(guards=[{"metric": SCORE, "margin": 0.5}]), shown(shares={"plain": 0.6, "new": 0.4})
    )
    assert done is not None
    assert done.evidence["reason"] == "sample_ratio"


def test_a_ramp_waits_for_time_and_units_and_for_what_must_hold() -> None:
    ramp = [{"share": 0.1, "min_hours": 1, "min_units": 500}, {"share": 1.0}]
    one = stored(ramp=ramp)
    assert act(one, shown(), after_s=0.5 * HOUR) is None
    assert act(one, shown(800)) is None
    done = act(one, shown())
    assert done is not None
    assert (done.kind, done.now.share, done.now.step) == ("ramped", 1.0, 1)
    assert act(replace(one, now=done.now), shown(), after_s=99 * HOUR) is None  # the last step
    strict = {"metric": SCORE, "margin": 0.01, "must_hold": True}
    assert act(stored(ramp=ramp, guards=[strict]), shown()) is None  # not shown yet
    loose = {"metric": SCORE, "margin": 0.3, "must_hold": True}
    assert act(stored(ramp=ramp, guards=[loose]), shown()) is not None


def test_a_bandit_moves_weights_by_what_was_seen_and_keeps_its_floor() -> None:
    bandit = {"metric": SCORE, "floor": 0.1, "min_units": 100}
    one = stored(bandit=bandit)
    design = Design(control="plain", shares=ARMS, has_moving_weights=True)
    found = analyse(units(2000, np.random.default_rng(1), lift=0.2), design, [SCORE])
    done = act(one, found)
    assert done is not None
    assert done.kind == "weighted"
    assert done.now.weights is not None
    assert min(done.now.weights.values()) >= 0.1
    assert sum(done.now.weights.values()) == pytest.approx(1.0)
    assert found.mismatch_p is None


def test_top_two_sampling_finds_the_best_of_four_and_keeps_the_floor() -> None:
    rng, truth, floor = np.random.default_rng(3), {"a": 0.50, "b": 0.52, "c": 0.60, "d": 0.45}, 0.05
    found = 0
    for _ in range(20):
        wins = dict.fromkeys(truth, 0.0)
        seen = dict.fromkeys(truth, 0.0)
        weights = dict.fromkeys(truth, 0.25)
        values: dict[str, ArmValue] = {}
        for _ in range(30):
            for arm, rate in truth.items():
                n = int(400 * weights[arm])
                seen[arm] += n
                wins[arm] += rng.binomial(n, rate)
            means = {arm: wins[arm] / seen[arm] for arm in truth}
            values = {
                arm: ArmValue(mean=mean, se=float(np.sqrt(mean * (1 - mean) / seen[arm])))
                for arm, mean in means.items()
            }
            weights = top_two_weights(values, floor, rng)
            assert min(weights.values()) >= floor - 1e-12
        best = best_probabilities(values, rng)
        found += max(best, key=lambda arm: best[arm]) == "c"
    assert found >= 19


def test_estimates_weighed_by_propensities_are_right_where_weights_moved() -> None:
    rng = np.random.default_rng(9)
    # the first half saw 'new' with 0.5, the second with 0.1, and everything was better then
    early, late = units(4000, rng), units(4000, rng, shares={"plain": 0.9, "new": 0.1})
    better = {SCORE: np.minimum(late.sums[SCORE] + 1, late.counts[SCORE])}
    late = changed(late, sums={**late.sums, **better})
    both = changed(
        early,
        units=np.concatenate([early.units, late.units]),
        arms=np.concatenate([early.arms, late.arms]),
        is_holdout=np.concatenate([early.is_holdout, late.is_holdout]),
        first_us=np.concatenate([early.first_us, late.first_us]),
        requests=np.concatenate([early.requests, late.requests]),
        propensities=np.concatenate([early.propensities, late.propensities]),
        sums={SCORE: np.concatenate([early.sums[SCORE], late.sums[SCORE]])},
        counts={SCORE: np.concatenate([early.counts[SCORE], late.counts[SCORE]])},
    )
    plain, new = policy_values(both, SCORE, ["plain", "new"])
    assert plain.snips is not None
    assert new.snips is not None
    assert new.dr is not None
    assert new.se is not None
    naive = (both.sums[SCORE] / both.counts[SCORE])[both.arms == "new"].mean()
    assert abs(new.snips - plain.snips) < 4 * new.se < abs(naive - plain.snips) + 4 * new.se
    assert abs(naive - plain.snips) > 0.05  # what the plain means would have said
    assert new.dr == pytest.approx(new.snips, abs=0.03)
    few = policy_values(both, SCORE, ["nobody"])[0]
    assert (few.snips, few.effective < LEAST_EFFECTIVE) == (None, True)
