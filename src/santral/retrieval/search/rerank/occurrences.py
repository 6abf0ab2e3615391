"""Where the words of a question stand in the best candidates: all texts are looked through at once.

Texts are laid side by side as plain letters, one byte each, so that a word is found by a scan in C
and everything else is arithmetic on arrays of places: some microseconds for each candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.language import fold

#: Places of one word in all texts that are looked at. Chosen: words that stand everywhere say little.
MAX_PLACES = 200

_BORDER = "\0"
_SPACE = 32
#: Scripts that have capitals end here; letters beyond are told apart by their numbers alone.
_WITH_CAPITALS = 0x590


class Occurrences:
    """Places of the words of a question in texts.

    ``held``: bool [texts, words]; ``rarities``: float32 [words], higher for words in few of the texts.
    """

    def __init__(self, words: Sequence[str], texts: Sequence[str]) -> None:
        laid = _plain("".join(f"{_BORDER} {text}" for text in texts) + _BORDER)
        borders = np.array(_places(laid, b"\0", len(texts) + 1), np.int64)
        begins = [b" " + _plain(word) for word in words]
        found = [_places(laid, begin, MAX_PLACES) for begin in begins]
        self._words = np.repeat(np.arange(len(words)), [len(one) for one in found])
        self._places = np.array([place for one in found for place in one], np.int64)
        self._texts = np.searchsorted(borders, self._places) - 1
        self._ends = borders[1:][self._texts]
        self._sizes = np.array([len(word) for word in words], np.int64)
        self.held = np.zeros((len(texts), len(words)), bool)
        self.held[self._texts, self._words] = True
        self.rarities = np.log1p(len(texts) / (self.held.sum(axis=0) + 0.5)).astype(np.float32)
        self._all = float(self.rarities.sum()) or 1.0
        self._distances = self._to_next([np.array([*one, _FAR], np.int64) for one in found])

    def covered(self) -> Floats:
        """Return which share of the question each text holds, by rarity: float32 [texts]."""
        return (self.held @ self.rarities / self._all).astype(np.float32)

    def covered_within(self, letters: int) -> Floats:
        """Return the largest share of the question that stands within so many letters of each text."""
        shares = self.rarities @ (self._distances <= letters)
        best = np.zeros(len(self.held), np.float32)
        np.maximum.at(best, self._texts, shares)
        return best / np.float32(self._all)

    def paired(self, slack: int) -> Floats:
        """Return the share of neighbouring words of the question that are neighbours in each text."""
        worth = self.rarities[:-1] + self.rarities[1:]
        following = np.minimum(self._words + 1, len(self.rarities) - 1)
        distances = self._distances[following, np.arange(len(self._places))]
        is_near = distances <= self._sizes[self._words] + slack
        is_near &= self._words < len(self.rarities) - 1
        kept = np.zeros(self.held.shape, bool)
        kept[self._texts[is_near], self._words[is_near]] = True
        return (kept[:, :-1] @ worth / (float(worth.sum()) or 1.0)).astype(np.float32)

    def _to_next(self, own: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return how far each word is from each occurrence on, in its text: [words, occurrences]."""
        following = np.array([one[np.searchsorted(one, self._places)] for one in own], np.int64)
        following = following.reshape(len(own), len(self._places))
        return np.where(following < self._ends, following - self._places, _FAR)


_FAR = np.iinfo(np.int64).max // 2


def _plain(text: str) -> bytes:
    """Return a byte for each letter: lower case without marks, a space for what is no letter."""
    codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    return _letters()[codes].tobytes()


@cache
def _letters() -> NDArray[np.uint8]:
    """Return the byte that stands for each of the first 65,536 characters."""
    codes = np.arange(1 << 16)
    table = (codes % 128 + 128).astype(np.uint8)
    for code in range(_WITH_CAPITALS):
        letter = chr(code)
        plain = ord((fold(letter) or " ")[0]) if letter.isalnum() else _SPACE
        table[code] = plain if plain < 128 else plain % 128 + 128
    table[0x2000:0x2070] = _SPACE  # spaces, dashes and quotation marks
    table[0x3000:0x3004] = _SPACE
    table[0] = 0
    return table


def _places(laid: bytes, wanted: bytes, most: int) -> list[int]:
    found: list[int] = []
    place = laid.find(wanted)
    while place >= 0 and len(found) < most:
        found.append(place)
        place = laid.find(wanted, place + 1)
    return found
