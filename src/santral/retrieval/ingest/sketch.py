"""Sketches: whether two documents say nearly the same, told from 512 bytes of each.

MinHash by one permutation, its empty places filled from their neighbours, over word 5-grams.
Source: Broder, On the resemblance and containment of documents, 1997; Shrivastava and Li, Improved
Densification of One Permutation Hashing, 2014.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.language import fold

#: uint32 [PLACES] of one document, or [documents, PLACES].
Sketches: TypeAlias = NDArray[np.uint32]

#: Places of a sketch. Chosen: the error of a similarity of 0.9 is 0.03.
PLACES = 128
#: Words that are looked at together. Chosen: as is usual for prose; shorter ones meet by chance.
SHINGLE = 5
#: Letters that are looked at together in a short text. Chosen: a Turkish stem and half its ending.
LETTERS = 5
#: Share of equal places from which two documents are near-duplicates. Chosen: in a text of 500 words
#: it leaves some eight changed words, and no rewritten paragraph.
ALIKE = 0.85
#: Places of one band: documents with an equal band are compared. Chosen: two that are alike at 0.85
#: share one of the 16 bands with a chance of 0.994, two that are alike at 0.5 with 0.06.
BAND = 8

_WORD = re.compile(r"[^\W_]+")
_EMPTY = np.uint32(0xFFFFFFFF)
_BITS = np.uint64(64 - PLACES.bit_length() + 1)
#: Multipliers of splitmix64 (Steele, Lea and Flood, 2014): every bit of a word reaches all of a hash.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    hashes = (hashes + np.uint64(0x9E3779B97F4A7C15)) * _FIRST
    hashes ^= hashes >> np.uint64(31)
    hashes *= _SECOND
    return hashes ^ (hashes >> np.uint64(29))


#: Letters, digits, and everything beyond ASCII make words.
_IS_LETTER = np.array([byte >= 128 or chr(byte).isalnum() for byte in range(256)])
_PLACES_IN_WORD = 32
_WORTH = _mixed(np.arange(_PLACES_IN_WORD * 256, dtype=np.uint64)).reshape(_PLACES_IN_WORD, 256)


def sketch_of(texts: Sequence[str]) -> Sketches | None:
    """Return the sketch of a document's texts, one after the other; None where there is no word."""
    keys = _words(fold("\n".join(texts)).encode("utf-8", "replace"))
    return _dense(_least(_shingles(keys))) if len(keys) else None


def sketch_of_letters(text: str) -> Sketches | None:
    """Return the sketch of a short text, such as a question, over runs of letters instead of words:
    one word of eight that changes leaves most of them. None where there is no word."""
    said = " ".join(_WORD.findall(fold(text))).encode("utf-8", "replace")
    if not said:
        return None
    keys = _mixed(np.frombuffer(said, np.uint8).astype(np.uint64))
    return _dense(_least(_shingles(keys, LETTERS)))


def similarity(one: Sketches, others: Sketches) -> NDArray[np.float64]:
    """Return how alike a document is to each of some others, 0 to 1: float64 [others]."""
    return (others == one).mean(axis=1)


def bands_of(sketches: Sketches, width: int = BAND) -> NDArray[np.uint64]:
    """Return the bands of some sketches, of ``width`` places each: uint64 [documents, bands]."""
    parts = sketches.reshape(len(sketches), -1, width).astype(np.uint64)
    bands = np.zeros(parts.shape[:2], np.uint64)
    for place in range(width):
        bands = _mixed(bands ^ parts[:, :, place])
    return bands


def _words(text: bytes) -> NDArray[np.uint64]:
    """Return a hash of every word: the sum of what its letters are worth at their places."""
    letters = np.frombuffer(text, np.uint8)
    inside = _IS_LETTER[letters]
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    places = np.flatnonzero(inside)
    if not len(places):
        return np.zeros(0, np.uint64)
    first = np.flatnonzero(begins[places])
    lengths = np.diff(first, append=len(places))
    within = np.arange(len(places)) - np.repeat(first, lengths)
    return np.add.reduceat(_WORTH[within % _PLACES_IN_WORD, letters[places]], first)


def _shingles(keys: NDArray[np.uint64], size: int = SHINGLE) -> NDArray[np.uint64]:
    """Return a hash of every run of words; a shorter text is one run."""
    size = min(size, len(keys))
    count = len(keys) - size + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(size):
        hashes = _mixed(hashes ^ keys[place : place + count])
    return hashes


def _least(hashes: NDArray[np.uint64]) -> Sketches:
    """Return the least hash that falls on each place."""
    least = np.full(PLACES, _EMPTY, np.uint32)
    values = (hashes & np.uint64(0xFFFFFFFE)).astype(np.uint32)
    np.minimum.at(least, (hashes >> _BITS).astype(np.intp), values)
    return least


def _dense(least: Sketches) -> Sketches:
    """Fill empty places from the next one that is not, so that short texts compare as long ones."""
    taken = np.flatnonzero(least != _EMPTY)
    places = np.arange(PLACES)
    following = taken[np.searchsorted(taken, places) % len(taken)]
    distance = (following - places) % PLACES
    return (least[following] + distance.astype(np.uint32) * np.uint32(0x9E3779B1)).astype(np.uint32)
