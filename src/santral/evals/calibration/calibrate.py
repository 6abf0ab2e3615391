"""Holds a judge against people: how far they agree, and how steady it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.errors import BadRequest
from santral.evals.calibration.agree import (
    agreement,
    between_people,
    mean_cost,
    rates,
    repeat_rate,
)
from santral.evals.calibration.labelled import Labelled
from santral.evals.calibration.scale import scale_of
from santral.evals.evaluator import Evaluator, Score
from santral.evals.judges.judge import IsJudge, doubt_of
from santral.evals.judges.pairwise import summary
from santral.evals.scoring import score
from santral.evals.standing import Standing

#: Fewest labelled answers. Chosen: of fewer, no interval says anything.
FEWEST = 10

Tell: TypeAlias = Callable[[int, int], None]


class Plan(Struct, frozen=True, kw_only=True):
    """How a judge is held against people: it is asked ``repeats`` times about each answer; ``pass_at``
    divides passed from failed where the judge's scale does not."""

    floor: float = 0.4
    repeats: int = 2
    pass_at: float | None = None
    concurrency: int = 4


async def calibrate(
    judge: Evaluator,
    labelled: Sequence[Labelled],
    plan: Plan,
    rng: np.random.Generator,
    now: datetime,
    tell: Tell = lambda done, total: None,
) -> Standing:
    """Return what a judge is worth, by its first measure.

    Raises:
        BadRequest: it is no judge, or people labelled too few answers, or on another scale.
    """
    known = known_judge(judge)
    if len(labelled) < FEWEST:
        raise BadRequest(
            f"{len(labelled)} labelled answers were found; a calibration needs {FEWEST} at the least, "
            "and 60 to say something. Draw some with: santral judges sample",
            code="too_few_labels",
        )
    scale = scale_of(judge.measures[0], [one.agreed for one in labelled], plan.pass_at)
    readings = await _read(judge, labelled, plan, tell)
    pairs = zip(labelled, readings, strict=True)
    valued = [(one, found) for one, found in pairs if found[0].value is not None]
    judged, first = [one for one, _ in valued], [found[0].value or 0.0 for _, found in valued]
    right = rates(scale, first, judged)
    shown = summary([found[0] for _, found in valued]) if known.use == "pairwise" else None
    found = Standing(
        judge=known.name,
        digest=known.digest,
        kind=known.use,
        models=known.models,
        examples=len(valued),
        errors=_errors(readings),
        agreement=agreement(scale, first, [one.agreed for one in judged], rng) if valued else [],
        floor=plan.floor,
        may_gate=False,
        reason="",
        sensitivity=right.sensitivity,
        specificity=right.specificity,
        positives=right.positives,
        negatives=right.negatives,
        flip_rate=shown.flip_rate if shown else None,
        first_rate=shown.first_rate if shown else None,
        tie_rate=shown.tie_rate if shown else None,
        repeat_rate=repeat_rate(scale, [one for _, one in valued]),
        repeats=plan.repeats,
        humans=between_people(scale, labelled, rng),
        cost_nanousd=mean_cost(readings),
        at=now.isoformat(timespec="seconds"),
    )
    return _decided(found)


def known_judge(evaluator: Evaluator) -> IsJudge:
    """Return the evaluator as a judge.

    Raises:
        BadRequest: it asks no model.
    """
    if isinstance(evaluator, IsJudge):
        return evaluator
    raise BadRequest(
        f"'{evaluator.measures[0].name}' asks no model: it needs no calibration.",
        code="no_judge",
    )


def _decided(standing: Standing) -> Standing:
    """Return a standing with what follows of it."""
    doubt = doubt_of(standing, standing.floor)
    if doubt:
        return replace(standing, reason=doubt)
    first = standing.agreement[0]
    return replace(
        standing,
        may_gate=True,
        reason=(
            f"May gate: its {first.method} with people is {first.value:.2f}, at least {first.low:.2f}, "
            f"and the floor is {standing.floor:.2f}."
        ),
    )


async def _read(
    judge: Evaluator, labelled: Sequence[Labelled], plan: Plan, tell: Tell
) -> list[list[Score]]:
    """Return, for every answer, what the judge says each time it is asked."""
    places = asyncio.Semaphore(plan.concurrency)  # bounds the questions under way
    done = 0

    async def read(one: Labelled) -> list[Score]:
        nonlocal done
        async with places:
            found = [(await score([judge], one.case))[0] for _ in range(plan.repeats)]
        done += 1
        tell(done, len(labelled))
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(one)) for one in labelled]
    return [task.result() for task in tasks]


def _errors(readings: Sequence[Sequence[Score]]) -> dict[str, int]:
    return dict(Counter(one.error for found in readings for one in found if one.error))
