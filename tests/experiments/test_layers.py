from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.experiments import ExperimentConfig, LayerConfig
from santral.experiments.assign import assign, place
from santral.experiments.experiment import Experiment

UNITS = [f"user-{n}" for n in range(10_000)]
LAYERS = {"models": LayerConfig(holdout=0.1)}


def experiment(name: str = "tone", share: float | None = None, **changes: Any) -> Experiment:
    variants = {"a": {"weight": 1}, "b": {"weight": 1}}
    config = ExperimentConfig.model_validate({"salt": "s", "variants": variants, **changes})
    return Experiment.from_config(name, config, LAYERS, share=share)


def inside(of: Experiment) -> set[str]:
    return {unit for unit in UNITS if place(of, unit) == "in"}


@given(st.floats(0.01, 0.99), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_experiments_of_one_layer_never_share_a_unit(cut: float, one: float, other: float) -> None:
    left = experiment("left", layer="models", segment=[0.0, cut], share=one)
    right = experiment("right", layer="models", segment=[cut, 1.0], share=other)
    places = [(place(left, unit), place(right, unit)) for unit in UNITS[:300]]
    assert ("in", "in") not in places
    assert all((a == "holdout") == (b == "holdout") for a, b in places)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_ramp_only_adds_units_and_they_keep_their_arm(one: float, other: float) -> None:
    few, more = (experiment(share=share) for share in sorted((one, other)))
    units = UNITS[:300]
    before = {unit for unit in units if place(few, unit) == "in"}
    assert before <= {unit for unit in units if place(more, unit) == "in"}
    assert all(assign(few, unit) == assign(more, unit) for unit in before)


def test_the_share_that_takes_part_is_the_one_that_was_asked_for() -> None:
    assert len(inside(experiment(share=0.2))) / len(UNITS) == pytest.approx(0.2, abs=0.015)
    half = experiment(layer="free", segment=[0.5, 1.0])
    assert len(inside(half)) / len(UNITS) == pytest.approx(0.5, abs=0.02)
    assert inside(experiment()) == set(UNITS)


def test_layers_place_units_independently() -> None:
    one = inside(experiment("one", layer="models-a", segment=[0.0, 0.5]))
    other = inside(experiment("other", layer="models-b", segment=[0.0, 0.5]))
    assert len(one & other) / len(UNITS) == pytest.approx(0.25, abs=0.02)


def test_arms_are_independent_of_the_place_in_the_layer() -> None:
    taking = experiment(layer="models", segment=[0.0, 0.3])
    arms = [assign(taking, unit).variant.name for unit in inside(taking)]
    assert arms.count("a") / len(arms) == pytest.approx(0.5, abs=0.03)


def test_the_holdout_is_the_same_for_every_experiment_whatever_its_salt() -> None:
    held = [
        {unit for unit in UNITS if place(one, unit) == "holdout"}
        for one in (
            experiment("one", layer="models"),
            experiment("two", layer="models", salt="other", segment=[0.2, 0.4]),
        )
    ]
    assert held[0] == held[1]
    assert len(held[0]) / len(UNITS) == pytest.approx(0.1, abs=0.015)
