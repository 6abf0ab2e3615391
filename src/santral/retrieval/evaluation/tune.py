"""Tuning: settings of a search are tried on one half of the questions, and confirmed on the other.

What looks best among many tries looks better than it is; only the second half says by how much. What
is recommended there is what held, with its interval.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.evaluation.estimate import Estimate, difference
from santral.retrieval.evaluation.questions import QuestionSet
from santral.retrieval.evaluation.run import Run
from santral.retrieval.search.options import SearchOptions

#: What decides between two settings. Chosen: the measure that the field compares searches by.
TARGET = "ndcg@10"
#: Fewest questions of a half: fewer tell settings apart by luck. Chosen.
FEWEST = 10
SEED = 7

#: Values tried of each setting, one after the other, each with the best of those before.
LADDER: Mapping[str, Sequence[Any]] = {
    "rerank": ("off", "learned"),
    "candidates": (30, 60, 120),
    "diversity": (0.0, 0.1, 0.3),
    "neighbours": (0, 1, 2),
}

#: Runs the questions with some options.
Try: TypeAlias = Callable[[QuestionSet, SearchOptions], Awaitable[Run]]
#: What some questions teach: changes of the options that are worth trying.
Learn: TypeAlias = Callable[[QuestionSet, SearchOptions], Awaitable[Sequence[Mapping[str, Any]]]]
OnTry: TypeAlias = Callable[[int, int, str], None]


class Tried(Struct, frozen=True):
    """One try: what differed from the options in force, and the target's mean on the first half."""

    changes: Mapping[str, Any]
    score: float


class Recommendation(Struct, frozen=True, kw_only=True):
    """What a tuning found.

    ``gain`` is the difference on the questions that chose nothing: with its interval above 0 the
    changes are worth making, ``is_better``; else ``changes`` say only what looked best.
    """

    changes: Mapping[str, Any]
    before: Run
    after: Run
    gain: Estimate
    tries: tuple[Tried, ...]

    @property
    def is_better(self) -> bool:
        """Whether other questions would most likely profit, too."""
        return bool(self.changes) and self.gain.low > 0


async def tune(
    questions: QuestionSet,
    options: SearchOptions,
    run: Try,
    learn: Learn,
    *,
    ladder: Mapping[str, Sequence[Any]] = LADDER,
    on_try: OnTry = lambda done, total, what: None,
) -> Recommendation:
    """Try what one half teaches, climb the ladder, and confirm the end of it on the other half.

    ``neighbours`` and what else changes passages alone is judged by ``context_recall`` for each
    thousand tokens, since rankings stay the same.

    Raises:
        ValueError: fewer questions with an answer than two halves need.
    """
    first, second = halves(questions)
    on_try(0, 0, "learning")
    rungs = [*await learn(first, options), *_rungs(ladder)]
    best, tries = options, list[Tried]()
    at_best = await run(first, best)
    for number, changes in enumerate(rungs):
        on_try(number, len(rungs), ", ".join(f"{n} = {_short(v)}" for n, v in changes.items()))
        candidate, setting = replace(best, **changes), next(iter(changes))
        measured = at_best if candidate == best else await run(first, candidate)
        tries.append(Tried(changes_of(options, candidate), _score(measured, setting)))
        if _score(measured, setting) > _score(at_best, setting):
            best, at_best = candidate, measured
    on_try(len(rungs), len(rungs), "the other half")
    before = await run(second, options)
    after = before if best == options else await run(second, best)
    return Recommendation(
        changes=changes_of(options, best),
        before=before,
        after=after,
        gain=difference(after.values(TARGET), before.values(TARGET)),
        tries=tuple(tries),
    )


def _rungs(ladder: Mapping[str, Sequence[Any]]) -> list[Mapping[str, Any]]:
    return [{setting: value} for setting, values in ladder.items() for value in values]


def halves(questions: QuestionSet) -> tuple[QuestionSet, QuestionSet]:
    """Return two halves of the questions that have an answer, drawn once and for all.

    Raises:
        ValueError: there are fewer than two halves need.
    """
    answered = [case for case in questions.cases if case.relevant]
    if len(answered) < 2 * FEWEST:
        raise ValueError(
            f"Tuning needs {2 * FEWEST} questions with an answer, '{questions.name}' has "
            f"{len(answered)}. Add some, or make them: santral retrieval questions"
        )
    order: list[int] = np.random.default_rng(SEED).permutation(len(answered)).tolist()
    middle = len(answered) // 2
    return (
        replace(
            questions,
            name=f"{questions.name} (first half)",
            cases=tuple(answered[place] for place in sorted(order[:middle])),
        ),
        replace(
            questions,
            name=f"{questions.name} (second half)",
            cases=tuple(answered[place] for place in sorted(order[middle:])),
        ),
    )


def changes_of(before: SearchOptions, after: SearchOptions) -> dict[str, Any]:
    """Return what differs, by name."""
    return {
        name: getattr(after, name)
        for name in SearchOptions.__struct_fields__
        if getattr(after, name) != getattr(before, name)
    }


def _score(run: Run, setting: str) -> float:
    """Return what decides about a setting: the ranking, or what a model is given of the answers."""
    if setting in ("neighbours", "diversity"):
        return run.mean("context_recall") - _TOKEN_PRICE * run.tokens
    return run.mean(TARGET)


#: What a thousand tokens of context have to bring in answers given. Chosen: a tenth of a point for
#: every hundred tokens; without it more is always better.
_TOKEN_PRICE = 0.01 / 1000


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        weights = cast("Mapping[str, float]", value)
        return " ".join(f"{weight:.1f}" for weight in weights.values())
    return str(value)
