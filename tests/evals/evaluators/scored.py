"""Builds one evaluator and scores one answer with it."""

from __future__ import annotations

import asyncio
from typing import Any

from santral.evals.answer import Answer
from santral.evals.evaluator import Case, Score
from santral.evals.evaluators.registry import build
from santral.evals.example import Example
from santral.evals.scoring import score
from santral.evals.tools import Tools


def scores_of(
    use: str,
    answer: Answer | str,
    params: dict[str, Any] | None = None,
    with_tools: Tools | None = None,
    **example: Any,
) -> dict[str, Score]:
    """Return the scores of an answer, by what follows the evaluator's name (nothing: the name)."""
    case = Case(
        example=Example(id="1", **example),
        answer=Answer(text=answer) if isinstance(answer, str) else answer,
    )

    async def scored() -> list[Score]:
        made = await build(use, use, params or {}, with_tools or Tools())
        return await score([made], case)

    return {one.name.removeprefix(use).lstrip("_"): one for one in asyncio.run(scored())}


def value_of(use: str, answer: Answer | str, params: dict[str, Any] | None = None, **example: Any):
    """Return the value of the only, or first, score; it must have one."""
    first = next(iter(scores_of(use, answer, params, **example).values()))
    assert not first.error, first
    return first.value
