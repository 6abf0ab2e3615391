"""Every order holds each deployment once, follows its weights, and starves nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.routing.parts import deployment

from santral.config.routes import StrategyName
from santral.routing.demand import Demand
from santral.routing.latency import DECAY_S
from santral.routing.load import FAILURE_S
from santral.routing.route import Deployment, Weighted
from santral.routing.strategy import (
    STRATEGIES,
    Draw,
    Strategy,
    cheapest,
    least_busy,
    lowest_latency,
    round_robin,
)
from santral.wire.usage import Usage

ENTRIES = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=6
).map(lambda weights: [(deployment(name), weight) for name, weight in weights.items()])


def draw(rng: Random | None = None, **more: object) -> Draw:
    values: dict[str, Any] = {"now": 0.0, "demand": Demand(), "turns": {}} | more
    return Draw(rng=rng or Random(3), **values)


def firsts(strategy: Strategy, entries: list[Weighted], times: int) -> Counter[str]:
    made = draw()
    return Counter(next(strategy(entries, made)).name for _ in range(times))


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
@given(entries=ENTRIES, rng=st.randoms(use_true_random=False), data=st.data())
def test_every_order_holds_each_deployment_once(
    strategy: Strategy, entries: list[Weighted], rng: Random, data: st.DataObject
) -> None:
    for known, _ in entries:
        known.load.in_flight = data.draw(st.integers(0, 4))
    ordered = [d.name for d in strategy(entries, draw(rng))]
    assert sorted(ordered) == sorted(d.name for d, _ in entries)


@pytest.mark.parametrize("name", ["weighted", "least_busy", "lowest_latency"])
def test_the_first_follows_the_weights_while_nothing_tells_deployments_apart(
    name: StrategyName,
) -> None:
    entries = [(deployment("a"), 3.0), (deployment("b"), 1.0)]
    found = firsts(STRATEGIES[name], entries, 4000)
    assert 0.72 < found["a"] / 4000 < 0.78


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0]), min_size=1, max_size=5))
def test_turns_follow_the_weights_exactly_in_every_full_round(weights: list[float]) -> None:
    entries = [(deployment(f"d{n}"), weight) for n, weight in enumerate(weights)]
    made, rounds = draw(), 3
    took = Counter(next(round_robin(entries, made)).name for _ in range(int(sum(weights)) * rounds))
    assert took == {f"d{n}": weight * rounds for n, weight in enumerate(weights)}


def test_turns_are_spread_and_not_bunched() -> None:
    entries = [(deployment("a"), 2.0), (deployment("b"), 1.0)]
    made = draw()
    assert "".join(next(round_robin(entries, made)).name for _ in range(6)) == "abaaba"


def test_the_less_busy_of_two_is_taken_for_its_weight() -> None:
    entries = [(deployment("a"), 1.0), (deployment("b"), 1.0)]
    entries[0][0].load.in_flight = 1
    assert firsts(least_busy, entries, 200) == {"b": 200}
    entries = [(entries[0][0], 4.0), (entries[1][0], 1.0)]
    entries[1][0].load.in_flight = 1  # one call is more for the small one
    assert firsts(least_busy, entries, 200) == {"a": 200}


def test_the_least_busy_keeps_many_deployments_even() -> None:
    entries = [(deployment(name), 1.0) for name in "abcdefgh"]
    made = draw()
    for _ in range(800):
        next(least_busy(entries, made)).load.begin()
    loads = [d.load.in_flight for d, _ in entries]
    assert max(loads) - min(loads) <= 6, loads  # by chance alone it is some 30


def seen(name: str, seconds: float, *, now: float = 0.0) -> Deployment:
    made = deployment(name)
    made.load.begin()
    made.load.end(now, is_streaming=False, waited_s=seconds, first_s=seconds, failed=False)
    return made


def test_the_faster_one_is_taken_until_its_queue_makes_it_slower() -> None:
    fast, slow = seen("fast", 0.5), seen("slow", 1.2)
    entries = [(slow, 1.0), (fast, 1.0)]
    assert next(lowest_latency(entries, draw())).name == "fast"
    fast.load.in_flight = 2  # three times half a second
    assert next(lowest_latency(entries, draw())).name == "slow"


def test_what_was_never_asked_is_tried_by_one_call_at_a_time() -> None:
    known, cold = seen("known", 0.2), deployment("cold")
    entries = [(known, 1.0), (cold, 1.0)]
    assert next(lowest_latency(entries, draw())).name == "cold"
    cold.load.begin()
    assert next(lowest_latency(entries, draw())).name == "known"


def test_what_was_slow_is_tried_again_after_a_while() -> None:
    fast, slow = seen("fast", 0.5), seen("slow", 5.0)
    entries = [(slow, 1.0), (fast, 1.0)]
    now, taken = 0.0, fast
    for step in range(30):
        now = step * 10.0
        taken = next(lowest_latency(entries, draw(now=now)))
        if taken is slow:
            break
        taken.load.begin()
        taken.load.end(now, is_streaming=False, waited_s=0.5, first_s=0.5, failed=False)
    assert taken is slow
    assert DECAY_S < now < 5 * DECAY_S


def test_who_fails_fast_does_not_look_fast() -> None:
    good, bad = seen("good", 1.0), deployment("bad")
    bad.load.begin()
    bad.load.end(0.0, is_streaming=False, waited_s=0.01, first_s=None, failed=True)
    assert bad.load.latency_s(0.0, is_streaming=False) == FAILURE_S
    assert next(lowest_latency([(bad, 1.0), (good, 1.0)], draw())).name == "good"


def test_streams_and_whole_answers_are_measured_apart() -> None:
    made = seen("a", 4.0)
    assert made.load.latency_s(0.0, is_streaming=False) == 4.0
    assert made.load.latency_s(0.0, is_streaming=True) is None


def test_a_client_that_leaves_early_is_no_good_news() -> None:
    made = seen("a", 2.0)
    for waited_s in (0.1, 3.0):
        made.load.begin()
        made.load.end(0.0, is_streaming=False, waited_s=waited_s, first_s=None, failed=False)
    assert made.load.latency_s(0.0, is_streaming=False) == 3.0
    assert made.load.in_flight == 0


def priced(**prices: int | None) -> Callable[[Deployment, Usage], int | None]:
    return lambda made, usage: prices[made.name]


def test_the_cheapest_comes_first_and_an_unknown_price_last() -> None:
    entries = [(deployment(name), 1.0) for name in "abc"]
    made = draw(pricing=priced(a=None, b=20, c=10))
    assert [d.name for d in cheapest(entries, made)] == ["c", "b", "a"]


def test_a_long_question_goes_where_input_is_cheap() -> None:
    def pricing(made: Deployment, usage: Usage) -> int:
        dear, cheap = usage.input_uncached, usage.output_text
        return 3 * dear + cheap if made.name == "writer" else dear + 3 * cheap

    entries = [(deployment(name), 1.0) for name in ("writer", "reader")]
    for tokens, first in ((10, "writer"), (10_000, "reader")):
        made = draw(pricing=pricing, demand=Demand(input_tokens=tokens))
        assert next(cheapest(entries, made)).name == first


def test_the_cheapest_that_is_good_enough_comes_before_a_cheaper_one() -> None:
    names = {"poor": 0.4, "fair": 0.7, "good": 0.9, "unmeasured": None}
    entries = [(replace(deployment(n), quality=q), 1.0) for n, q in names.items()]
    made = draw(pricing=priced(poor=1, fair=2, good=9, unmeasured=0), min_quality=0.6)
    assert [d.name for d in cheapest(entries, made)] == ["fair", "good", "poor", "unmeasured"]


def test_equal_prices_are_shared_by_weight() -> None:
    entries = [(deployment("a"), 3.0), (deployment("b"), 1.0)]
    made = draw(pricing=priced(a=5, b=5))
    found = Counter(next(cheapest(entries, made)).name for _ in range(4000))
    assert 0.72 < found["a"] / 4000 < 0.78
