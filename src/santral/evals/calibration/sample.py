"""Draws answers for people to label: some of every range of the judge's scores.

A plain sample of a judge that passes nine in ten shows people next to no failures. Here every stratum
gives the same number of answers, and the probability stands beside each, so that rates can be weighted
back. The judge's score does not stand beside it: people label blind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.run import Run, Sample

#: Ranges of the judge's scores that are drawn from alike. Chosen: the bands of a common rubric.
STRATA = 5


class Drawn(Struct, frozen=True):
    """An answer to label, and the probability with which it was drawn."""

    sample: Sample
    probability: float


def draw(
    run: Run, measure: str, count: int, rng: np.random.Generator, strata: int = STRATA
) -> list[Drawn]:
    """Return up to ``count`` answers of a run, as many as can be of each range of a judge's scores.

    Raises:
        BadRequest: the run has no scores of that name.
    """
    scored = [(value, s) for s in run.samples if (value := s.value(measure)) is not None]
    if not scored:
        names = ", ".join(one.name for one in run.head.measures) or "none"
        raise BadRequest(
            f"The run has no scores '{measure}'. Measured are: {names}.", code="no_such_measure"
        )
    groups = _strata([value for value, _ in scored], strata)
    quotas = _quotas([len(group) for group in groups], count)
    drawn = [
        Drawn(scored[int(place)][1], quota / len(group))
        for group, quota in zip(groups, quotas, strict=True)
        for place in rng.choice(group, quota, replace=False)
    ]
    return [drawn[int(place)] for place in rng.permutation(len(drawn))]  # in no order of scores


def rows(run: Run, drawn: Sequence[Drawn], label: str) -> list[dict[str, Any]]:
    """Return the answers as rows of a file, with an empty ``label`` for people to fill in."""
    found: list[dict[str, Any]] = []
    for one in drawn:
        example = run.examples.get(one.sample.example_id)
        row: dict[str, Any] = msgspec.to_builtins(example) if example else {}
        row["id"] = f"{one.sample.example_id}.{one.sample.repeat}"
        row["answer"] = one.sample.answer.text
        row["metadata"] = {
            **row.get("metadata", {}), label: None, "probability": round(one.probability, 6),
        }  # fmt: skip
        found.append(row)
    return found


def _strata(values: Sequence[float], count: int) -> list[list[int]]:
    """Return the places of values in groups, equal values in one group, empty ones left out."""
    distinct = sorted(set(values))
    if len(distinct) <= count:
        return [[n for n, value in enumerate(values) if value == one] for one in distinct]
    ends = np.quantile(np.array(values), np.linspace(0, 1, count + 1)[1:-1])
    group_of = np.searchsorted(ends, np.array(values), side="left")
    groups = [np.flatnonzero(group_of == number).tolist() for number in range(count)]
    return [group for group in groups if group]


def _quotas(sizes: Sequence[int], count: int) -> list[int]:
    """Return how many are drawn of each group: alike, and what small ones lack from the others."""
    quotas = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        for number, size in enumerate(sizes):
            if left and quotas[number] < size:
                quotas[number] += 1
                left -= 1
    return quotas
