"""Agreement: whether raters say the same, beyond what they would by chance.

Ratings are one dict of rater to label for each item; items that fewer than two have rated say nothing
of agreement. Every coefficient stands beside the plain share of agreeing pairs, and its interval is
a bootstrap over items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.statistics.interval import Floats, Interval, bootstrap

Label: TypeAlias = str | int | float | bool
Ratings: TypeAlias = Sequence[Mapping[str, Label]]
Weights: TypeAlias = Literal["none", "linear", "quadratic"]
Level: TypeAlias = Literal["nominal", "ordinal", "interval"]

#: Resamples of an interval. Chosen: the ends of two runs differ by about a hundredth.
_RESAMPLES = 1000


class Agreement(Struct, frozen=True):
    """A coefficient over ``n`` items, and the share of pairs of raters who agree.

    ``value`` is None where it is not defined: too few ratings, or everybody always says the same.
    """

    method: str
    value: float | None
    interval: Interval | None
    percent: float
    n: int


def cohen_kappa(
    a: Sequence[Label],
    b: Sequence[Label],
    *,
    weights: Weights = "none",
    order: Sequence[Label] | None = None,
    rng: np.random.Generator,
    resamples: int = _RESAMPLES,
) -> Agreement:
    """Return how far two raters agree who labelled the same items in the same order.

    Args:
        a: what one said.
        b: what the other said.
        weights: how much a label counts that is one, two, ... places away in the order.
        order: the labels from low to high; numbers have one of their own.
        rng: draws the interval.
        resamples: of the interval.

    Source: Cohen (1960), Educational and Psychological Measurement 20:37; weights: Cohen (1968),
    Psychological Bulletin 70:213.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels face {len(b)}")
    labels = _labels([*a, *b], order, is_ordered=weights != "none")
    place = {label: index for index, label in enumerate(labels)}
    pairs = np.array([[place[x], place[y]] for x, y in zip(a, b, strict=True)], np.intp)
    loss = _losses(len(labels), weights)

    def kappa(rows: NDArray[Any]) -> float:
        counts = np.bincount(rows[:, 0] * len(labels) + rows[:, 1], minlength=loss.size)
        table = counts.reshape(loss.shape) / len(rows)
        chance = float((np.outer(table.sum(1), table.sum(0)) * loss).sum())
        return _coefficient(float((table * loss).sum()), chance)

    agreed = sum(x == y for x, y in zip(a, b, strict=True)) / max(1, len(a))
    name = "cohen_kappa" if weights == "none" else f"{weights}_kappa"
    return _agreement(name, pairs, kappa, agreed, rng, resamples)


def fleiss_kappa(
    ratings: Ratings, rng: np.random.Generator, resamples: int = _RESAMPLES
) -> Agreement:
    """Return how far several raters agree who need not be the same for each item.

    Items may have different numbers of raters: each item then weighs the same.
    Source: Fleiss (1971), Psychological Bulletin 76:378; Gwet (2014), section 2.3.
    """
    counts = _counts(ratings, _labels_of(ratings))

    def kappa(rows: NDArray[Any]) -> float:
        share = (rows / rows.sum(1, keepdims=True)).mean(0)
        return _coefficient(1.0 - float(_agreed(rows).mean()), 1.0 - float(share @ share))

    return _agreement("fleiss_kappa", counts, kappa, _percent(counts), rng, resamples)


def gwet_ac1(ratings: Ratings, rng: np.random.Generator, resamples: int = _RESAMPLES) -> Agreement:
    """Return an agreement that stays meaningful where nearly everything gets the same label.

    Source: Gwet (2008), British Journal of Mathematical and Statistical Psychology 61:29.
    """
    labels = _labels_of(ratings)
    counts = _counts(ratings, labels, fewest=1)

    def ac1(rows: NDArray[Any]) -> float:
        rated = rows[rows.sum(1) > 1]
        if not len(rated) or len(labels) < 2:
            return np.nan
        share = (rows / rows.sum(1, keepdims=True)).mean(0)
        chance = float((share * (1.0 - share)).sum()) / (len(labels) - 1)
        return _coefficient(1.0 - float(_agreed(rated).mean()), 1.0 - chance)

    return _agreement("gwet_ac1", counts, ac1, _percent(counts), rng, resamples)


def krippendorff_alpha(
    ratings: Ratings,
    level: Level,
    rng: np.random.Generator,
    *,
    order: Sequence[Label] | None = None,
    resamples: int = _RESAMPLES,
) -> Agreement:
    """Return the agreement of any number of raters with any gaps.

    Args:
        ratings: of each item.
        level: whether labels are names, have an order, or are numbers with distances.
        rng: draws the interval.
        order: the labels from low to high, where they are no numbers and have one.
        resamples: of the interval.

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.
    """
    labels = _labels([x for item in ratings for x in item.values()], order, level != "nominal")
    counts = _counts(ratings, labels)
    places = np.array([float(label) for label in labels]) if level == "interval" else None

    def alpha(rows: NDArray[Any]) -> float:
        raters = rows.sum(1, keepdims=True)
        weighted = rows / (raters - 1)
        together = weighted.T @ rows - np.diag(weighted.sum(0))
        total = together.sum(1)
        apart = _distances(level, total, places)
        n = float(total.sum())
        chance = (np.outer(total, total) - np.diag(total)) / (n - 1)
        return _coefficient(float((together * apart).sum()), float((chance * apart).sum()))

    name = f"krippendorff_alpha_{level}"
    return _agreement(name, counts, alpha, _percent(counts), rng, resamples)


def _agreement(
    method: str,
    rows: NDArray[Any],
    coefficient: Callable[[NDArray[Any]], float],
    percent: float,
    rng: np.random.Generator,
    resamples: int,
) -> Agreement:
    value = coefficient(rows) if len(rows) else np.nan
    if not np.isfinite(value):
        return Agreement(method, None, None, percent, len(rows))
    interval = bootstrap(rows, coefficient, rng, resamples=resamples)
    is_known = bool(np.isfinite(interval.low) and np.isfinite(interval.high))
    return Agreement(method, float(value), interval if is_known else None, percent, len(rows))


def _coefficient(observed: float, chance: float) -> float:
    """Return 1 minus observed disagreement over that by chance; nan where chance leaves none."""
    return float("nan") if chance <= 1e-12 else 1.0 - observed / chance


def _labels(found: Sequence[Label], order: Sequence[Label] | None, is_ordered: bool) -> list[Label]:
    if order is None:
        numbers = all(isinstance(label, int | float) for label in found)
        if is_ordered and not numbers:
            raise ValueError(
                "labels that are no numbers need their order: pass order=[low, ..., high]"
            )
        key: Callable[[Label], Any] = float if numbers else str
        return sorted(set(found), key=key)
    unknown = sorted({str(label) for label in found} - {str(label) for label in order})
    if unknown:
        raise ValueError(f"labels that are missing in the order: {', '.join(unknown)}")
    return list(order)


def _labels_of(ratings: Ratings) -> list[Label]:
    return _labels([label for item in ratings for label in item.values()], None, is_ordered=False)


def _losses(count: int, weights: Weights) -> Floats:
    places = np.arange(count, dtype=np.float64)
    apart = np.abs(places[:, None] - places[None, :])
    if weights == "none":
        return (apart > 0).astype(np.float64)
    return apart if weights == "linear" else apart**2


def _counts(ratings: Ratings, labels: Sequence[Label], fewest: int = 2) -> Floats:
    place = {label: index for index, label in enumerate(labels)}
    rated = [item for item in ratings if len(item) >= fewest]
    counts = np.zeros((len(rated), len(labels)))
    for row, item in zip(counts, rated, strict=True):
        for label in item.values():
            row[place[label]] += 1
    return counts


def _agreed(counts: Floats) -> Floats:
    raters = counts.sum(1)
    return ((counts * (counts - 1)).sum(1)) / (raters * (raters - 1))


def _percent(counts: Floats) -> float:
    rated = counts[counts.sum(1) > 1]
    return float(_agreed(rated).mean()) if len(rated) else 0.0


def _distances(level: Level, total: Floats, places: Floats | None) -> Floats:
    if level == "nominal":
        return 1.0 - np.eye(len(total))
    if places is None:
        places = np.cumsum(total) - total / 2  # ranks: half of one's own, all of those below
    return (places[:, None] - places[None, :]) ** 2
