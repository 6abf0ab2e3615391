"""Age: what is older counts for less, or not at all, as the collection's rules say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.entry import Candidate
from santral.retrieval.search.matching import passes
from santral.retrieval.search.options import FreshnessRule, SearchOptions


def age_factors(found: Sequence[Candidate], options: SearchOptions, now_s: float) -> Floats | None:
    """Return what the score of each candidate is multiplied by, 0 for what is hidden.

    None where all count for what they are. What has expired is hidden, by any rules; a document whose
    date nobody knows is not old.
    """
    is_ruled = bool(options.freshness) or options.recency_half_life_days is not None
    if not is_ruled and all(one.document.expires_at is None for one in found):
        return None
    return np.array([_factor(one, options, now_s) for one in found], np.float32)


def _factor(candidate: Candidate, options: SearchOptions, now_s: float) -> float:
    document, half_life_days = candidate.document, options.recency_half_life_days
    if document.expires_at is not None and document.expires_at <= now_s:
        return 0.0
    if document.modified_at is None:
        return 1.0
    age_s = max(now_s - document.modified_at, 0.0)
    recency = 1.0 if half_life_days is None else 0.5 ** (age_s / (half_life_days * 86_400))
    return recency * _ruled(candidate, age_s, options.freshness)


def _ruled(candidate: Candidate, age_s: float, rules: Sequence[FreshnessRule]) -> float:
    """Return the least factor of all rules that hold of a candidate: they do not pile up."""
    factors = [
        rule.factor for rule in rules if age_s > rule.older_than_s and passes(candidate, rule.where)
    ]
    return min(factors, default=1.0)
