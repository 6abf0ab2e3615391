"""The learned ranker: a linear correction of the fused score, made of features that cost microseconds.

Its weights were trained by ``scripts/train_ranker.py``; ``learned.json`` holds them with a card that
says on what and how good they are elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
from msgspec import Struct

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.language import Language
from santral.retrieval.search.rerank.features import FEATURES, View, features_of
from santral.retrieval.search.result import Ranked


class RankerCard(Struct, frozen=True, kw_only=True):
    """Where weights come from: collections with licences, and nDCG@10 where they were not trained."""

    trained_on: str
    licence: str
    made_by: str
    measured: Mapping[str, Sequence[float]] = {}


class Ranker(Struct, frozen=True, kw_only=True):
    """Weights of features, relative to that of the fused score, which is 1."""

    card: RankerCard
    weights: Mapping[str, float]


@cache
def shipped_ranker() -> Ranker:
    """Return the ranker of the package."""
    return msgspec.json.decode(
        files("santral.retrieval.search.rerank").joinpath("learned.json").read_bytes(), type=Ranker
    )


def learned_scores(
    asked: str,
    ranked: Sequence[Ranked],
    languages: Collection[Language],
    weights: Mapping[str, float] = {},
) -> Floats:
    """Return the corrected score of each candidate, best first given: float32, above 0, at most 1."""
    chosen = weights or shipped_ranker().weights
    names = [name for name, weight in chosen.items() if weight and name in FEATURES]
    vector = np.array([chosen[name] for name in names], np.float32)
    scores = features_of(View(asked, ranked, languages), names) @ vector
    most = max(float(vector[vector > 0].sum()), 1.0)
    return np.clip(scores / np.float32(most), 1e-6, 1).astype(np.float32)
