"""Vectors of questions without a model or download: hashed words and character n-grams.

They find candidates. What decides is the gates: a vector of letters cannot tell "on" from "off".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Protocol, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from santral.cache.meaning.letters import folded_words
from santral.cache.meaning.words import FUNCTION_WORDS

Floats: TypeAlias = "NDArray[np.float32]"

#: Length of a local vector. Measured (scripts/measure_semantic_cache.py): 128 and 512 serve the same
#: within 0.3 points; a search takes time in proportion. Chosen between them.
DIMENSIONS = 256
#: Lengths of character n-grams. Measured: 3 alone and 3 to 5 serve the same within 0.1 points.
GRAMS = (3, 4)
#: Weight of a word, of a function word, and of an n-gram. Chosen.
_WORD, _FUNCTION, _GRAM = 1.0, 0.25, 0.5


class Embed(Protocol):
    """Turns a question into a vector."""

    @property
    def name(self) -> str:
        """What made the vectors: those of one name are compared with each other only."""
        ...

    async def __call__(self, text: str) -> Floats | None:
        """Return the vector, float32 of unit length, or None where there is none now."""
        ...


class LocalEmbed:
    """Vectors made in this process; deterministic, some 100 us for a question."""

    name = "local-1"

    async def __call__(self, text: str) -> Floats | None:
        """Return the vector, or None for a text without a word."""
        return embed(text)


def embed(text: str) -> Floats | None:
    """Return the vector of a text, float32 [DIMENSIONS] of unit length; None without a word."""
    vector = np.zeros(DIMENSIONS, np.float32)
    for feature, weight in _features(folded_words(text)):
        digest = crc32(feature.encode())
        sign = 1 if digest & 0x80000000 else -1
        vector[digest % DIMENSIONS] += sign * weight
    return unit(vector)


def unit(vector: Floats) -> Floats | None:
    """Return a vector with unit length, or None where it has no direction."""
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length) or length == 0:
        return None
    return (vector / length).astype(np.float32)


def _features(words: list[str]) -> Iterator[tuple[str, float]]:
    for word, count in Counter(words).items():
        weight = _FUNCTION if word in FUNCTION_WORDS else _WORD
        repeated = 1 + math.log(count)
        yield f"w:{word}", weight * repeated
        padded = f" {word} "
        grams = [padded[i : i + n] for n in GRAMS for i in range(len(padded) - n + 1)]
        for gram in grams:
            yield gram, _GRAM * weight * repeated / math.sqrt(len(grams))
