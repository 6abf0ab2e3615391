"""The comparison of one signal in two windows: how far it moved, and whether chance could do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.evals.drift.meaning import vectors_of
from santral.evals.drift.requests.seen import Seen
from santral.evals.drift.signals import Signal
from santral.statistics.shift import (
    domain_auc,
    ks,
    mmd_test,
    permutation_p,
    psi,
    psi_of_classes,
    total_variation,
)

#: Permutations of sessions. Chosen: the least p-value is 0.002, enough after correction over twenty.
RESAMPLES = 499
#: Sessions on each side below which permuting them says nothing. Chosen: 20 of 40 can be dealt out in
#: more than 10^11 ways.
LEAST_SESSIONS = 20

Weights: TypeAlias = NDArray[np.float64]


class Moved(Struct, frozen=True, kw_only=True):
    """One signal in two windows. ``toward`` says of each current request how far it leads the move."""

    signal: str
    kind: str
    n: int  # requests of the reference
    m: int  # of the current window
    is_enough: bool
    effect: float = 0.0  # largest difference, share that changed class, or AUC of a classifier
    least_effect: float = 0.0
    p: float = 1.0
    before: float | str = 0.0  # median, or the share of the class that grew most
    after: float | str = 0.0
    grown: str = ""  # the class whose share grew most
    psi: float = 0.0
    psi_threshold: float = 0.0  # what chance passes in 5 of 100, with so much data
    mmd2: float = 0.0
    rows: tuple[int, ...] = ()  # places of the current requests that have the signal
    toward: tuple[float, ...] = ()


def compare(
    signal: Signal,
    reference: Sequence[Seen],
    current: Sequence[Seen],
    least: int,
    least_effect: float,
    rng: np.random.Generator,
) -> Moved:
    """Return how a signal moved between two samples of requests.

    Whole sessions change sides in the permutations, since what one person asks moves together.
    """
    then = [(seen, value) for seen in reference if (value := signal.read(seen)) is not None]
    now = [
        (place, seen, value)
        for place, seen in enumerate(current)
        if (value := signal.read(seen)) is not None
    ]
    facts: dict[str, Any] = {
        "signal": signal.name,
        "kind": signal.kind,
        "n": len(then),
        "m": len(now),
        "least_effect": least_effect,
    }
    sessions = [seen.session for seen, _ in then], [seen.session for _, seen, _ in now]
    if min(len(then), len(now)) < least or any(
        len(set(side)) < LEAST_SESSIONS for side in sessions
    ):
        return Moved(is_enough=False, **facts)
    measure = {"number": _numbers, "class": _classes, "meaning": _meanings}[signal.kind]
    found = measure([value for _, value in then], [value for *_, value in now], sessions, rng)
    return Moved(is_enough=True, rows=tuple(place for place, *_ in now), **facts, **found)


def _numbers(
    then: list[Any], now: list[Any], sessions: tuple[list[str], list[str]], rng: np.random.Generator
) -> dict[str, Any]:
    old, new = np.asarray(then, np.float64), np.asarray(now, np.float64)
    stable = psi(old, new)
    before, after = float(np.median(old)), float(np.median(new))
    sign = 1.0 if new.mean() >= old.mean() else -1.0
    return {
        "effect": ks(old, new),
        "p": permutation_p(
            ks, _grouped(old, sessions[0]), _grouped(new, sessions[1]), rng, RESAMPLES
        ),
        "before": before,
        "after": after,
        "psi": stable.value,
        "psi_threshold": stable.threshold,
        "toward": tuple(((new - before) * sign).tolist()),
    }


def _classes(
    then: list[Any], now: list[Any], sessions: tuple[list[str], list[str]], rng: np.random.Generator
) -> dict[str, Any]:
    names = sorted({*then, *now})
    codes = {name: code for code, name in enumerate(names)}
    old, new = np.array([codes[v] for v in then]), np.array([codes[v] for v in now])

    def apart(x: NDArray[Any], y: NDArray[Any]) -> float:
        a = np.bincount(x, minlength=len(names)) / len(x)
        b = np.bincount(y, minlength=len(names)) / len(y)
        return float(np.abs(a - b).sum()) / 2.0

    shares = [np.bincount(side, minlength=len(names)) / len(side) for side in (old, new)]
    grown = int(np.argmax(shares[1] - shares[0]))
    stable = psi_of_classes(then, now)
    return {
        "effect": total_variation(then, now),
        "p": permutation_p(
            apart, _grouped(old, sessions[0]), _grouped(new, sessions[1]), rng, RESAMPLES
        ),
        "before": float(shares[0][grown]),
        "after": float(shares[1][grown]),
        "grown": names[grown],
        "psi": stable.value,
        "psi_threshold": stable.threshold,
        "toward": tuple((new == grown).astype(float).tolist()),
    }


def _meanings(
    then: list[Any], now: list[Any], sessions: tuple[list[str], list[str]], rng: np.random.Generator
) -> dict[str, Any]:
    vectors = vectors_of([*then, *now])
    old, new = vectors[: len(then)], vectors[len(then) :]
    distance, p = mmd_test(_grouped(old, sessions[0]), _grouped(new, sessions[1]), rng, RESAMPLES)
    direction = new.mean(0) - old.mean(0)
    return {
        "effect": domain_auc(old, new, rng),
        "p": p,
        "mmd2": distance,
        "toward": tuple((new @ direction).tolist()),
    }


def _grouped(values: NDArray[Any], sessions: list[str]) -> list[NDArray[Any]]:
    places: dict[str, list[int]] = {}
    for place, session in enumerate(sessions):
        places.setdefault(session, []).append(place)
    return [values[rows] for rows in places.values()]
