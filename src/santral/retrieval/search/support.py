"""Support: whether what was found can hold an answer at all, before a model is asked.

A share of what was asked, not of what was found: the best passage of a collection that knows nothing
of a question has the best fused score there is. Looked at is whether the words of the question stand in
the best passages, the rare ones above all, whether they stand together in one, and how near its vector
is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import exp

from santral.retrieval.analysis.language import Language
from santral.retrieval.search.rerank.features import View
from santral.retrieval.search.result import Ranked

#: Best chunks that are looked at: what is given to a model by default.
_LOOKED_AT = 5
#: Letters within which words stand together, as ``near`` of the learned ranker.
_TOGETHER = 200
#: What each part adds, and what is taken off, before the logistic function.
#: Chosen by the separation in docs/decisions/0030-search.md.
_HELD, _ALL_HELD, _NEAR, _LIKE, _LEAST = 4.0, 3.0, 4.0, 4.0, 7.5


def support_of(asked: str, ranked: Sequence[Ranked], languages: Collection[Language]) -> float:
    """Return 0 (nothing speaks for an answer) to 1 for the best chunks of a question."""
    if not ranked:
        return 0.0
    view = View(asked, ranked[:_LOOKED_AT], languages)
    if not view.wanted:
        return 0.0
    held = float(view.found.held.mean(axis=1).max())
    all_held = float(view.found.held.any(axis=0).mean())
    near = float(view.found.covered_within(_TOGETHER).max())
    like = max(one.raw.get("dense", 0.0) for one in view.ranked)
    evidence = _HELD * held + _ALL_HELD * all_held + _NEAR * near + _LIKE * like - _LEAST
    return 1 / (1 + exp(-evidence))
