"""Shift: how far the data of now are from those of then, and whether chance could do as much."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from santral.statistics.distribution import chi2_quantile, chi2_tail
from santral.statistics.interval import Floats

#: How far two samples are apart: any function of this module that takes two.
Statistic: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], float]

#: Rows of which the median distance is taken. Chosen: it is steady to a few percent from there on.
_MEDIAN_ROWS = 500
_FOLDS = 5


class Shift(Struct, frozen=True):
    """A distance of ``m`` values from ``n``, and the one that chance passes with ``alpha``."""

    value: float
    threshold: float
    p: float
    n: int
    m: int


def psi(reference: ArrayLike, current: ArrayLike, bins: int = 10, alpha: float = 0.05) -> Shift:
    """Return the population stability index over quantiles of the reference.

    Its threshold depends on how much data there is, unlike the customary 0.1 and 0.2. Values that
    repeat make fewer bins; for names and classes take ``total_variation``.

    Source: Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4): on equal
    distributions it is (1/n + 1/m) times a chi-square with bins - 1 degrees of freedom.

    Raises:
        ValueError: one side has no values.
    """
    then, now = _numbers(reference), _numbers(current)
    edges = np.unique(np.quantile(then, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    old = np.bincount(np.searchsorted(edges, then, side="right"), minlength=len(edges) + 1)
    new = np.bincount(np.searchsorted(edges, now, side="right"), minlength=len(edges) + 1)
    return _stability(old, new, alpha)


def psi_of_classes(
    reference: Sequence[Hashable], current: Sequence[Hashable], alpha: float = 0.05
) -> Shift:
    """Return the population stability index of names or classes, as ``psi`` does of numbers."""
    old, new = _class_counts(reference, current)
    return _stability(old, new, alpha)


def total_variation(reference: Sequence[Hashable], current: Sequence[Hashable]) -> float:
    """Return the share of classes that would have to change, from 0 to 1."""
    old, new = _class_shares(reference, current)
    return float(np.abs(old - new).sum()) / 2.0


def jensen_shannon(reference: Sequence[Hashable], current: Sequence[Hashable]) -> float:
    """Return the distance of the shares of classes, from 0 to 1, in any order of both.

    The square root of the divergence in bits. Source: Endres and Schindelin (2003), IEEE
    Transactions on Information Theory 49:1858; as scipy's jensenshannon with base 2.
    """
    old, new = _class_shares(reference, current)
    middle = (old + new) / 2.0
    divergence = (_relative_entropy(old, middle) + _relative_entropy(new, middle)) / 2.0
    return math.sqrt(max(0.0, divergence))


def wasserstein(reference: ArrayLike, current: ArrayLike) -> float:
    """Return how far values have to be moved on average, in their own unit.

    Source: the area between both distribution functions; as scipy.stats.wasserstein_distance.
    """
    then, now, every = _sorted(reference, current)
    below_then = np.searchsorted(then, every[:-1], side="right") / len(then)
    below_now = np.searchsorted(now, every[:-1], side="right") / len(now)
    return float(np.abs(below_then - below_now) @ np.diff(every))


def ks(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the largest difference of both distribution functions, from 0 to 1."""
    then, now, every = _sorted(reference, current)
    below_then = np.searchsorted(then, every, side="right") / len(then)
    below_now = np.searchsorted(now, every, side="right") / len(now)
    return float(np.abs(below_then - below_now).max())


def mmd2(x: ArrayLike, y: ArrayLike) -> float:
    """Return the squared maximum mean discrepancy of two sets of vectors, without bias.

    The kernel is a Gaussian as wide as the median distance, so it may be slightly below 0.

    Args:
        x: [n, d], two rows at least.
        y: [m, d], two rows at least.

    Source: Gretton et al. (2012), JMLR 13:723, eq. 3.
    """
    a, b = _vectors(x), _vectors(y)
    n, m = len(a), len(b)
    if n < 2 or m < 2:
        raise ValueError("two vectors are needed on each side")
    width = _median_squared(np.vstack((a, b)))
    within_a, within_b = _kernel(a, a, width), _kernel(b, b, width)
    across = _kernel(a, b, width)
    alike_a = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    alike_b = (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(alike_a + alike_b - 2.0 * across.mean())


def domain_auc(x: ArrayLike, y: ArrayLike, rng: np.random.Generator) -> float:
    """Return how well a linear classifier tells two sets of vectors apart: 0.5 is not at all.

    Regularised discriminant analysis in five folds; each vector is scored by a classifier that has
    not seen it.

    Args:
        x: [n, d]
        y: [m, d]
        rng: deals out the folds.
    """
    a, b = _vectors(x), _vectors(y)
    if len(a) < _FOLDS or len(b) < _FOLDS:
        raise ValueError(f"{_FOLDS} vectors are needed on each side")
    every = np.vstack((a, b))
    is_new = np.arange(len(every)) >= len(a)
    fold = np.concatenate((_dealt(len(a), rng), _dealt(len(b), rng)))
    scores = np.empty(len(every))
    for held in range(_FOLDS):
        seen, asked = fold != held, fold == held
        scores[asked] = every[asked] @ _direction(every[seen & ~is_new], every[seen & is_new])
        scores[asked] -= scores[asked].mean()  # folds differ in their offset
    return auc(scores[~is_new], scores[is_new])


def auc(negative: ArrayLike, positive: ArrayLike) -> float:
    """Return how likely a positive value is above a negative one; ties count half."""
    low, high = np.sort(_numbers(negative)), _numbers(positive)
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.mean()) / 2.0 / len(low)


def permutation_p(
    statistic: Statistic,
    groups_x: Sequence[ArrayLike],
    groups_y: Sequence[ArrayLike],
    rng: np.random.Generator,
    resamples: int = 499,
) -> float:
    """Return how likely chance makes two samples as different as they are.

    Rows of one session move together, so whole sessions change sides.

    Args:
        statistic: of all rows of one side and all of the other; larger is further apart.
        groups_x: an array for each session of one side.
        groups_y: for each session of the other.
        rng: draws the permutations.
        resamples: how many are drawn; the least possible result is 1 / (resamples + 1).

    Source: Phipson and Smyth (2010), Statistical Applications in Genetics 9:39, for the + 1.
    """
    groups = [np.asarray(group) for group in (*groups_x, *groups_y)]
    split = len(groups_x)
    if not split or split == len(groups):
        raise ValueError("both sides need a session")

    def measured(order: Sequence[int]) -> float:
        one, other = order[:split], order[split:]
        return statistic(
            np.concatenate([groups[i] for i in one]), np.concatenate([groups[i] for i in other])
        )

    observed = measured(range(len(groups)))
    beyond = sum(
        measured(rng.permutation(len(groups)).tolist()) >= observed - 1e-12
        for _ in range(resamples)
    )
    return (1 + beyond) / (1 + resamples)


def mmd_test(
    groups_x: Sequence[ArrayLike],
    groups_y: Sequence[ArrayLike],
    rng: np.random.Generator,
    resamples: int = 499,
) -> tuple[float, float]:
    """Return ``mmd2`` of the rows of all sessions, and the p-value that ``permutation_p`` would find.

    All distances are taken once, so it costs the square of the rows and not its ``resamples``-fold.

    Args:
        groups_x: [rows, d] for each session of one side.
        groups_y: for each session of the other.
        rng: draws the permutations.
    """
    groups = [_vectors(group) for group in (*groups_x, *groups_y)]
    split = len(groups_x)
    rows = np.vstack(groups)
    session = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    kernel = _kernel(rows, rows, _median_squared(rows))
    sides = np.zeros((len(rows), 1 + resamples))
    for column in range(1 + resamples):
        order = rng.permutation(len(groups)) if column else np.arange(len(groups))
        sides[:, column] = np.isin(session, order[:split])
    values = _discrepancies(kernel, sides)
    beyond = int(np.sum(values[1:] >= values[0] - 1e-12))
    return float(values[0]), (1 + beyond) / (1 + resamples)


def _discrepancies(kernel: Floats, sides: Floats) -> Floats:
    """Return the discrepancy between the rows where a column of ``sides`` is 1 and those where it is 0."""
    n = sides.sum(0)
    m = len(sides) - n
    alike = kernel @ sides
    within_x = (sides * alike).sum(0)
    across = alike.sum(0) - within_x
    within_y = kernel.sum() - within_x - 2.0 * across
    return (within_x - n) / (n * (n - 1)) + (within_y - m) / (m * (m - 1)) - 2.0 * across / (n * m)


def _stability(old: NDArray[np.intp], new: NDArray[np.intp], alpha: float) -> Shift:
    n, m = int(old.sum()), int(new.sum())
    # half a value in each bin, so that an empty one has a logarithm
    then, now = (old + 0.5) / (n + 0.5 * len(old)), (new + 0.5) / (m + 0.5 * len(new))
    value = float(((now - then) * np.log(now / then)).sum())
    scale, df = 1.0 / n + 1.0 / m, len(old) - 1
    if df < 1:
        return Shift(value, math.inf, 1.0, n, m)
    return Shift(value, scale * chi2_quantile(1.0 - alpha, df), chi2_tail(value / scale, df), n, m)


def _numbers(values: ArrayLike) -> Floats:
    data = np.asarray(values, np.float64).ravel()
    if not len(data):
        raise ValueError("there are no values on one side")
    return data


def _vectors(values: ArrayLike) -> Floats:
    data = np.asarray(values, np.float64)
    return data[:, None] if data.ndim == 1 else data


def _sorted(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats, Floats]:
    then, now = np.sort(_numbers(reference)), np.sort(_numbers(current))
    return then, now, np.sort(np.concatenate((then, now)))


def _class_counts(
    reference: Sequence[Hashable], current: Sequence[Hashable]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if not len(reference) or not len(current):
        raise ValueError("there are no values on one side")
    then, now = Counter(reference), Counter(current)
    every = list(dict.fromkeys((*then, *now)))
    return np.array([then[name] for name in every]), np.array([now[name] for name in every])


def _class_shares(
    reference: Sequence[Hashable], current: Sequence[Hashable]
) -> tuple[Floats, Floats]:
    then, now = _class_counts(reference, current)
    return then / then.sum(), now / now.sum()


def _relative_entropy(p: Floats, q: Floats) -> float:
    known = p > 0
    return float(np.sum(p[known] * np.log2(p[known] / q[known])))


def _squared_distances(a: Floats, b: Floats) -> Floats:
    lengths = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :]
    return np.maximum(lengths - 2.0 * (a @ b.T), 0.0)


def _median_squared(rows: Floats) -> float:
    step = max(1, len(rows) // _MEDIAN_ROWS)
    apart = _squared_distances(rows[::step], rows[::step])
    between = apart[np.triu_indices(len(apart), 1)]
    return float(np.median(between)) or 1.0


def _kernel(a: Floats, b: Floats, width: float) -> Floats:
    return np.exp(-_squared_distances(a, b) / width)


def _dealt(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.permutation(count) % _FOLDS


def _direction(old: Floats, new: Floats) -> Floats:
    centred = np.vstack((old - old.mean(0), new - new.mean(0)))
    scatter = centred.T @ centred / len(centred)
    ridge = 0.1 * float(np.trace(scatter)) / len(scatter) or 1.0
    apart = new.mean(0) - old.mean(0)
    return np.asarray(np.linalg.solve(scatter + ridge * np.eye(len(scatter)), apart), np.float64)
