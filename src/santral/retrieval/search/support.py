"""Support: whether what was found can hold an answer at all."""

from __future__ import annotations

from collections.abc import Sequence

from santral.retrieval.search.result import Ranked


def support_of(asked: str, ranked: Sequence[Ranked]) -> float:
    """Return 0 (nothing speaks for an answer) to 1 for the best chunks of a question."""
    if not ranked:
        return 0.0
    del asked
    return min(1.0, max(0.0, ranked[0].score))
