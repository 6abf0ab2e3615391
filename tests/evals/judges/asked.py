"""Builds a judge over a script and lets it judge one case."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tests.evals.asking import ScriptedAsk

from santral.evals.answer import Answer, Question
from santral.evals.evaluator import Case, Score
from santral.evals.evaluators.registry import build
from santral.evals.scoring import score
from santral.evals.tools import Tools
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding.model import ModelCard


class Wordy:
    """Vectors of how often each of some words occurs, for tests."""

    card = ModelCard(name="wordy", digest="1", dimensions=4)

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        rows = [[text.count(word) for word in ("where", "when", "who", "?")] for text in texts]
        counts = np.array(rows, np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    async def embed_query(self, text: str) -> Floats:
        return (await self.embed_documents([text]))[0]


async def wordy(name: str) -> Wordy:
    return Wordy()


def judged(
    use: str,
    case: Case,
    script: Callable[[Question], Any],
    params: dict[str, Any] | None = None,
    **tools: Any,
) -> tuple[list[Score], ScriptedAsk]:
    """Return the scores, and what was asked; what a script gives but texts and answers is JSON."""

    def said(question: Question) -> str | Answer:
        told = script(question)
        return told if isinstance(told, str | Answer) else json.dumps(told)

    ask = ScriptedAsk(said)

    async def scored() -> list[Score]:
        given = Tools(ask=ask, embedding=wordy, **tools)
        return await score(
            [await build(use, use, {"route": "judge"} | (params or {}), given)], case
        )

    return asyncio.run(scored()), ask


def part(question: Question, name: str) -> str:
    """Return a part of the data that a judge was shown."""
    text = str(question.messages[1]["content"])
    found = re.search(rf'<{name} mark="(\w+)">\n(.*?)\n</{name} mark="\1">', text, re.S)
    assert found, text
    return found[2]


def verdicts(*values: int) -> dict[str, Any]:
    """Return a filled form of verdicts."""
    return {
        "verdicts": [
            {"number": number, "reason": "", "verdict": value}
            for number, value in enumerate(values, 1)
        ]
    }
