"""How the deployments of one rung share its traffic. Every order is lazy: the first is what counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from santral.config.routes import StrategyName
from santral.routing.demand import Demand
from santral.routing.route import Deployment, Pricing, Weighted
from santral.wire.usage import Usage


class Rng(Protocol):
    """Where draws come from: ``random.Random`` or anything like it."""

    def random(self) -> float:
        """Return a number from 0 up to 1, without 1."""
        ...


#: Output tokens that a price is estimated for where the request bounds none. Chosen: the median
#: chat answer is some hundreds.
_LIKELY_OUTPUT = 500


class Draw(Struct, frozen=True, kw_only=True):
    """What an order may depend on beside the deployments."""

    rng: Rng
    now: float
    demand: Demand
    turns: dict[str, float]
    pricing: Pricing | None = None
    min_quality: float | None = None


Strategy = Callable[[Sequence[Weighted], Draw], Iterator[Deployment]]


def weighted(entries: Sequence[Weighted], draw: Draw) -> Iterator[Deployment]:
    """Draw by weight, without putting back."""
    return iter(drawn(entries, draw.rng))


def drawn(entries: Sequence[Weighted], rng: Rng) -> Iterable[Deployment]:
    """Return deployments in a weighted random order, each drawn when it is asked for."""
    if len(entries) == 1:
        deployment, weight = entries[0]
        return (deployment,) if weight > 0 else ()
    return _drawn(entries, rng)


def _drawn(entries: Sequence[Weighted], rng: Rng) -> Iterator[Deployment]:
    left = [entry for entry in entries if entry[1] > 0]
    while len(left) > 1:
        yield left.pop(_drawn_index(left, rng))[0]
    for deployment, _ in left:
        yield deployment


def _drawn_index(left: Sequence[Weighted], rng: Rng) -> int:
    total = 0.0
    for _, weight in left:
        total += weight
    point = rng.random() * total
    for index, (_, weight) in enumerate(left):
        point -= weight
        if point < 0:
            return index
    return len(left) - 1  # rounding carried the point past the end


def round_robin(entries: Sequence[Weighted], draw: Draw) -> Iterator[Deployment]:
    """Take turns, as often as the weights say and as evenly spread as they allow.

    Source: nginx's smooth weighted round robin.
    """
    turns = draw.turns
    total = 0.0
    for deployment, weight in entries:
        turns[deployment.name] = turns.get(deployment.name, 0.0) + weight
        total += weight
    ordered = sorted(entries, key=lambda entry: -turns[entry[0].name])
    turns[ordered[0][0].name] -= total
    return (deployment for deployment, _ in ordered)


def least_busy(entries: Sequence[Weighted], draw: Draw) -> Iterator[Deployment]:
    """Draw two by weight and take the one with fewer calls under way for its weight.

    Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
    """
    left = [*entries]
    while left:
        first = left[index := _drawn_index(left, draw.rng)]
        others = left[:index] + left[index + 1 :]
        second = others[_drawn_index(others, draw.rng)] if others else first
        busy = [entry[0].load.in_flight / entry[1] for entry in (first, second)]
        chosen = second if busy[1] < busy[0] else first
        left.remove(chosen)
        yield chosen[0]


def lowest_latency(entries: Sequence[Weighted], draw: Draw) -> Iterator[Deployment]:
    """Take who lets callers wait least, counting the calls already under way there.

    One that was never asked is tried by one call at a time. Equals are drawn by weight.
    """
    shuffled = [*drawn(entries, draw.rng)]
    return iter(sorted(shuffled, key=lambda deployment: _expected_wait(deployment, draw)))


def _expected_wait(deployment: Deployment, draw: Draw) -> float:
    load = deployment.load
    seconds = load.latency_s(draw.now, is_streaming=draw.demand.is_streaming)
    if seconds is None:
        return float("inf") if load.in_flight else 0.0
    return seconds * (load.in_flight + 1)


def cheapest(entries: Sequence[Weighted], draw: Draw) -> Iterator[Deployment]:
    """Take the cheapest that is good enough; those that are not, or not measured, come after.

    An unknown price comes after every known one: it is not zero. Equals are drawn by weight.
    """
    usage = likely_usage(draw.demand)
    shuffled = [*drawn(entries, draw.rng)]
    return iter(sorted(shuffled, key=lambda deployment: _dearness(deployment, draw, usage)))


def likely_usage(demand: Demand) -> Usage:
    """Return what a request will likely use, to compare prices by."""
    return Usage(
        input_uncached=max(demand.input_tokens, 1),
        output_text=demand.output_tokens or _LIKELY_OUTPUT,
    )


def _dearness(deployment: Deployment, draw: Draw, usage: Usage) -> tuple[float, float]:
    cost = draw.pricing(deployment, usage) if draw.pricing else None
    price = float("inf") if cost is None else float(cost)
    if draw.min_quality is None or is_good(deployment, draw.min_quality):
        return 0.0, price
    return 2.0 - (deployment.quality or 0.0), price  # the best of the rest first


def is_good(deployment: Deployment, min_quality: float) -> bool:
    """Whether a deployment's quality was measured and reaches ``min_quality``."""
    return deployment.quality is not None and deployment.quality >= min_quality


STRATEGIES: Mapping[StrategyName, Strategy] = {
    "weighted": weighted,
    "round_robin": round_robin,
    "least_busy": least_busy,
    "lowest_latency": lowest_latency,
    "cheapest": cheapest,
}
