"""Rungs in order, weights inside a rung, broken deployments last."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import Clock, route

from santral.errors import ProviderFailed
from santral.routing.choose import candidates
from santral.routing.health import Health

LADDERS = st.lists(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=1, max_size=4
    ),
    min_size=1,
    max_size=3,
).map(lambda rungs: [{f"{n}{name}": w for name, w in r.items()} for n, r in enumerate(rungs)])


def order(ladder: list[dict[str, float]], health: Health, rng: Random) -> list[str]:
    return [deployment.name for deployment in candidates(route(*ladder), health, rng)]


def broken(health: Health, *names: str) -> Health:
    for name in names:
        for _ in range(3):
            health.failed(name, ProviderFailed("no"))
    return health


@given(LADDERS, st.randoms(use_true_random=False))
def test_every_deployment_with_weight_comes_once_and_rungs_stay_in_order(
    ladder: list[dict[str, float]], rng: Random
) -> None:
    names = order(ladder, Health(Clock()), rng)
    assert sorted(names) == sorted(n for rung in ladder for n, weight in rung.items() if weight)
    assert [name[0] for name in names] == sorted(name[0] for name in names)


@given(LADDERS, st.randoms(use_true_random=False), st.data())
def test_broken_deployments_come_last_in_the_same_order(
    ladder: list[dict[str, float]], rng: Random, data: st.DataObject
) -> None:
    names = [name for rung in ladder for name, weight in rung.items() if weight]
    bad = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))
    found = order(ladder, broken(Health(Clock()), *bad), rng)
    good = [name for name in found if name not in bad]
    assert found[: len(good)] == good
    rest = found[len(good) :]
    assert [name[0] for name in rest] == sorted(name[0] for name in rest)
    assert set(rest) == bad


def test_the_first_of_a_rung_follows_the_weights() -> None:
    rng, health = Random(7), Health(Clock())
    ladder = [{"a": 3.0, "b": 1.0}]
    first = Counter(order(ladder, health, rng)[0] for _ in range(4000))
    assert 0.72 < first["a"] / 4000 < 0.78


def test_the_draw_survives_the_edge_of_rounding() -> None:
    class Edge:
        def random(self) -> float:
            return 1.0 - 2**-53

    found = [
        d.name for d in candidates(route({"a": 0.1, "b": 0.2, "c": 0.3}), Health(Clock()), Edge())
    ]
    assert sorted(found) == ["a", "b", "c"]


def test_a_probe_is_given_out_only_to_who_takes_it() -> None:
    clock = Clock()
    health = broken(Health(clock), "b")
    clock.now += 60
    first = candidates(route({"a": 1}, {"b": 1}), health, Random(1))
    assert next(first).name == "a"  # and answered: b was never looked at
    second = candidates(route({"b": 1}, {"c": 1}), health, Random(1))
    assert next(second).name == "b"
    assert order([{"b": 1}, {"c": 1}], health, Random(1)) == ["c", "b"], "the probe is out"


def test_the_last_rung_of_several_is_the_last_resort() -> None:
    ladder = route({"a": 1}, {"b": 1, "c": 0})
    assert ladder.is_last_resort("b")
    assert not ladder.is_last_resort("a")
    assert not route({"a": 1}).is_last_resort("a")
