"""What reranks: a name in settings and requests, and what stands behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import tanh
from typing import TypeAlias

from msgspec import Struct

from santral.retrieval.analysis.analyse import indexed_text
from santral.retrieval.search.rerank.known import CROSS_ENCODER, DEPLOYMENT
from santral.retrieval.search.result import Ranked

#: Scores texts for a question, higher is better, in their order: (deployment, question, texts).
#: Raises SantralError; has a timeout of its own.
ScoreAt: TypeAlias = Callable[[str, str, Sequence[str]], Awaitable[Sequence[float]]]
#: The same by a model that runs here.
ScoreHere: TypeAlias = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]


class Rerankers(Struct, frozen=True):
    """What this process can rerank with beside ``learned``; ``app/`` fills it in."""

    at_deployment: ScoreAt | None = None
    cross_encoder: ScoreHere | None = None


async def scores_by(
    rerankers: Rerankers, name: str, asked: str, ranked: Sequence[Ranked]
) -> Sequence[float] | None:
    """Return a score between 0 and 1 for each chunk; None where the reranker is not to be had here.

    Raises:
        SantralError: an endpoint failed.
    """
    texts = [_text(one) for one in ranked]
    if name == CROSS_ENCODER:
        here = rerankers.cross_encoder
        return None if here is None else _between_0_and_1(await here(asked, texts))
    there = rerankers.at_deployment
    if there is None or not name.startswith(DEPLOYMENT):
        return None
    return _between_0_and_1(await there(name.removeprefix(DEPLOYMENT), asked, texts))


def _text(one: Ranked) -> str:
    chunk = one.candidate.chunk
    return indexed_text(one.candidate.document.title, chunk.section, chunk.text)


def _between_0_and_1(scores: Sequence[float]) -> Sequence[float]:
    """Return scores as they are where they are shares; logits through the logistic function."""
    if all(0 <= score <= 1 for score in scores):
        return scores
    return [0.5 * (1 + tanh(score / 2)) for score in scores]
