"""Shadow mode: how often the semantic cache would have been wrong, measured before it serves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from santral.cache.meaning.letters import folded_words
from santral.cache.meaning.signature import read

#: Least overlap of two answers that say the same. Chosen: two answers of one model to one question
#: share most words; a lower bar would call other answers right.
AGREE_OVERLAP = 0.6
#: 95 % of a normal distribution, both sides. Specified: Wilson 1927.
_Z = 1.959964


class Measured(Struct, frozen=True, kw_only=True):
    """What shadow mode saw of one tenant's route."""

    lookups: int = 0
    candidates: int = 0  # would have been served
    disagreed: int = 0  # of these, the real answer said something else

    def plus(self, other: Measured) -> Measured:
        """Return the sum of two workers' counts."""
        return Measured(
            lookups=self.lookups + other.lookups,
            candidates=self.candidates + other.candidates,
            disagreed=self.disagreed + other.disagreed,
        )

    @property
    def hit_rate(self) -> float | None:
        return self.candidates / self.lookups if self.lookups else None

    @property
    def false_rate(self) -> float | None:
        return self.disagreed / self.candidates if self.candidates else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the false rate."""
        return wilson(self.disagreed, self.candidates)

    def may_serve(self, budget: float) -> bool:
        """Whether even the upper bound of the false rate is below ``budget``."""
        return self.interval[1] < budget


class ShadowBook:
    """Counts by tenant and route."""

    def __init__(self, counts: Mapping[tuple[str, str], Measured] | None = None) -> None:
        self.counts: dict[tuple[str, str], Measured] = dict(counts or {})

    def looked_up(self, tenant_id: str, route: str) -> None:
        """Note a question that shadow mode looked up."""
        self._add(tenant_id, route, Measured(lookups=1))

    def compared(self, tenant_id: str, route: str, *, agreed: bool) -> None:
        """Note an answer that would have been served, and whether the real one agreed."""
        self._add(tenant_id, route, Measured(candidates=1, disagreed=int(not agreed)))

    def _add(self, tenant_id: str, route: str, more: Measured) -> None:
        key = (tenant_id, route)
        self.counts[key] = self.counts.get(key, Measured()).plus(more)


def agree(one: str, other: str) -> bool:
    """Whether two answers say the same: the same words for the most part, and the same facts.

    Numbers and negations have to be equal whatever the overlap: they are what an answer is asked for.
    """
    words, others = folded_words(one), folded_words(other)
    if words == others:
        return True
    if overlap(words, others) < AGREE_OVERLAP:
        return False
    mine, theirs = read(one), read(other)
    return Counter(mine.numbers) == Counter(theirs.numbers) and (mine.negations > 0) == (
        theirs.negations > 0
    )


def overlap(words: list[str], others: list[str]) -> float:
    """Return the F1 of two lists of words, from 0 to 1."""
    shared = sum((Counter(words) & Counter(others)).values())
    return 2 * shared / (len(words) + len(others)) if words or others else 1.0


def wilson(found: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson, Probable Inference, 1927."""
    if not n:
        return 0.0, 1.0
    share = found / n
    centre = share + _Z**2 / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    scale = 1 + _Z**2 / n
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # however it was rounded
