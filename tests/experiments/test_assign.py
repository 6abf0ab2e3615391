from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.experiments import ExperimentConfig
from santral.experiments.assign import assign
from santral.experiments.experiment import Experiment

UNITS = [f"user-{n}" for n in range(20_000)]


def experiment(weights: dict[str, float], name: str = "tone", salt: str = "s1") -> Experiment:
    variants = {arm: {"weight": weight, "prompt": f"p@{arm}"} for arm, weight in weights.items()}
    config = ExperimentConfig.model_validate({"salt": salt, "variants": variants})
    return Experiment.from_config(name, config)


def arms(of: Experiment) -> list[str]:
    return [assign(of, unit).variant.name for unit in UNITS]


@pytest.mark.parametrize(
    "weights",
    [{"a": 1, "b": 1}, {"a": 90, "b": 10}, {"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 1, "b": 0}],
)
@pytest.mark.parametrize("salt", ["s1", "s2", "s3"])
def test_assignment_follows_the_weights(weights: dict[str, float], salt: str) -> None:
    counts = Counter(arms(experiment(weights, salt=salt)))
    total = sum(weights.values())
    expected = {arm: len(UNITS) * w / total for arm, w in weights.items() if w}
    assert counts.keys() == expected.keys()
    chi_square = sum((counts[arm] - e) ** 2 / e for arm, e in expected.items())
    assert chi_square < 13.8  # 99.9 % point of two degrees of freedom, the most arms above give


@given(st.text(), st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_unit_stays_where_it_is_and_knows_its_propensity(
    unit: str, one: float, other: float
) -> None:
    first = assign(experiment({"a": one, "b": other}), unit)
    again = assign(experiment({"b": other, "a": one}), unit)  # the order of arms says nothing
    assert first == again
    assert first.propensity == pytest.approx(
        (one if first.variant.name == "a" else other) / (one + other)
    )


def test_known_assignments_do_not_change_with_a_release() -> None:
    of = experiment({"a": 1, "b": 1})
    # Recorded from the first release: a change here moves every user of every experiment.
    assert "".join(assign(of, f"user-{n}").variant.name for n in range(16)) == "bbabbbbaaaaabbab"


def test_changing_one_weight_moves_units_only_into_or_out_of_that_arm() -> None:
    before = arms(experiment({"a": 50, "b": 25, "c": 25}))
    after = arms(experiment({"a": 50, "b": 45, "c": 25}))
    moved = [(x, y) for x, y in zip(before, after, strict=True) if x != y]
    assert {y for _, y in moved} == {"b"}
    # b grows from 25/100 to 45/120: one unit in eight moves, no more than is needed
    assert len(moved) / len(UNITS) == pytest.approx(0.125, abs=0.01)


def test_another_salt_or_another_experiment_assigns_independently() -> None:
    one = arms(experiment({"a": 1, "b": 1}))
    for other in (experiment({"a": 1, "b": 1}, salt="s2"), experiment({"a": 1, "b": 1}, name="x")):
        same = sum(x == y for x, y in zip(one, arms(other), strict=True)) / len(UNITS)
        assert same == pytest.approx(0.5, abs=0.02)


def test_salt_and_name_do_not_run_into_each_other() -> None:
    assert arms(experiment({"a": 1, "b": 1}, name="ab", salt="c")) != arms(
        experiment({"a": 1, "b": 1}, name="a", salt="bc")
    )


def test_a_variant_carries_its_prompt() -> None:
    assert assign(experiment({"a": 1, "b": 0}), "u").variant.prompt == "p@a"
