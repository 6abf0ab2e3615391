"""A lexicon: which chunks hold a term, and what it is worth in each, before its rarity counts.

A term that is in few chunks is two lists of rows: where it has the impact that any term has that
occurs once there (most do), and where it has another one, with that. A term that is in many chunks is
a map of bytes over all rows: the map is smaller then, and adding it up is faster.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, TermKeys, Terms
from santral.retrieval.index.impact import MAX_IMPACT, impacts
from santral.retrieval.index.signal import Signal

#: Rows of a segment are 16 bits wide.
MAX_ROWS = 1 << 16
#: A term in more than one of so many chunks is kept as a map. Measured: a list of a fifth of the rows
#: takes as long to add up as a map, one of a third takes as much room.
_FREQUENT = 4
#: What an impact of 1 is in a byte.
_STEPS = 255 / MAX_IMPACT

#: An occurrence as one number that sorts: key << 24 | row << 8 | impact.
Packed = NDArray[np.uint64]
Mask = NDArray[np.bool_]


class Lexicon(Struct, frozen=True):
    """The inverted index of one signal in one segment.

    usual: uint8 [chunks], the impact of a term that occurs once; keys: uint32 [terms], sorted;
    frequencies: uint32 [terms], chunks that hold it; usual_starts: int64 [terms + 1] into usual_rows
    (uint16); starts: int64 [terms + 1] into rows (uint16) and impacts (uint8); numbers: int32 [terms],
    the map of a term that has no lists, or -1; maps: uint8 [maps, chunks], 0 where the term is not.
    """

    usual: NDArray[np.uint8]
    keys: TermKeys
    frequencies: NDArray[np.uint32]
    usual_starts: NDArray[np.int64]
    usual_rows: NDArray[np.uint16]
    starts: NDArray[np.int64]
    rows: NDArray[np.uint16]
    impacts: NDArray[np.uint8]
    numbers: NDArray[np.int32]
    maps: NDArray[np.uint8]

    def find(self, wanted: TermKeys) -> NDArray[np.int64]:
        """Return where each wanted key is among the terms, -1 for one that is not."""
        places = np.searchsorted(self.keys, wanted)
        if not len(self.keys):
            return np.full(len(wanted), -1)
        is_there = self.keys[np.minimum(places, len(self.keys) - 1)] == wanted
        return np.where(is_there, places, -1)

    def count(self, places: NDArray[np.int64], mask: Mask | None) -> NDArray[np.int64]:
        """Return in how many chunks each of the found terms is, of those in the mask."""
        counts = np.zeros(len(places), np.int64)
        found = np.flatnonzero(places >= 0)
        if mask is None:
            counts[found] = self.frequencies[places[found]]
        else:
            counts[found] = [self._count_in(place, mask) for place in places[found].tolist()]
        return counts

    def scores(self, places: NDArray[np.int64], rarities: Floats) -> Floats:
        """Return the score of each chunk: float32 [chunks], 0 without a match."""
        kept = places >= 0
        found, worth = places[kept], rarities[kept] / np.float32(_STEPS)
        numbers = self.numbers[found]
        total = self._listed(found[numbers < 0], worth[numbers < 0])
        buffer = np.empty(len(total), np.float32)
        for number, weight in zip(numbers.tolist(), worth, strict=True):
            if number >= 0:
                np.multiply(self.maps[number], weight, out=buffer)
                total += buffer
        return total

    def _listed(self, found: NDArray[np.int64], worth: Floats) -> Floats:
        total = np.zeros(len(self.usual), np.float32)
        if len(found):
            spans, counts = _spans(self.usual_starts, found)
            rows = np.concatenate([self.usual_rows[span] for span in spans])
            np.add.at(total, rows, np.repeat(worth, counts))
            total *= self.usual
            spans, counts = _spans(self.starts, found)
            weights = np.repeat(worth, counts)
            weights *= np.concatenate([self.impacts[span] for span in spans])
            np.add.at(total, np.concatenate([self.rows[span] for span in spans]), weights)
        return total

    def _count_in(self, place: int, mask: Mask) -> int:
        number = int(self.numbers[place])
        if number >= 0:
            return int(np.count_nonzero(self.maps[number] * mask))
        usual = self.usual_rows[self.usual_starts[place] : self.usual_starts[place + 1]]
        rows = self.rows[self.starts[place] : self.starts[place + 1]]
        return int(np.count_nonzero(mask[usual]) + np.count_nonzero(mask[rows]))


def packed_terms(terms: Terms, signal: Signal) -> Packed:
    """Return the occurrences of the chunks of one segment, sorted."""
    rows = np.repeat(np.arange(len(terms.lengths), dtype=np.uint64), np.diff(terms.starts))
    packed = terms.keys.astype(np.uint64) << np.uint64(24)
    packed |= rows << np.uint64(8)
    packed |= _steps(terms, signal)
    packed.sort()
    return packed


def usual_impacts(terms: Terms, signal: Signal) -> NDArray[np.uint8]:
    """Return the impact of a term that occurs once in each chunk: uint8 [chunks]."""
    size = len(terms.lengths)
    once = Terms(
        np.zeros(size, np.uint32), np.ones(size, np.uint16), np.arange(size + 1), terms.lengths
    )
    return _steps(once, signal)


def build_lexicon(slices: Iterable[Packed], usual: NDArray[np.uint8]) -> Lexicon:
    """Return the lexicon of some chunks; a key is in one slice only, and slices are in order."""
    size = len(usual)
    usual_rows, usual_counts = [np.zeros(0, np.uint16)], [np.zeros(0, np.int64)]
    keys, frequencies = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
    rows, steps = [np.zeros(0, np.uint16)], [np.zeros(0, np.uint8)]
    listed_counts = [np.zeros(0, np.int64)]
    maps, has_map = [np.zeros((0, size), np.uint8)], [np.zeros(0, bool)]
    for packed in slices:
        term = (packed >> np.uint64(24)).astype(np.uint32)
        row = (packed >> np.uint64(8)).astype(np.uint16)
        step = packed.astype(np.uint8)
        begins = np.flatnonzero(np.concatenate([[True], term[1:] != term[:-1]])[: len(term)])
        counts = np.diff(begins, append=len(term))
        is_frequent = counts * _FREQUENT > size
        is_mapped = np.repeat(is_frequent, counts)
        is_usual = (step == usual[row]) & ~is_mapped
        is_listed = ~is_usual & ~is_mapped
        usual_counts.append(_counts(is_usual, begins))
        listed_counts.append(_counts(is_listed, begins))
        usual_rows.append(row[is_usual])
        keys.append(term[begins])
        frequencies.append(counts.astype(np.uint32))
        has_map.append(is_frequent)
        rows.append(row[is_listed])
        steps.append(step[is_listed])
        maps.append(_maps(row, step, begins[is_frequent], counts[is_frequent], size))
    frequent = np.concatenate(has_map)
    return Lexicon(
        usual=usual,
        keys=np.concatenate(keys),
        frequencies=np.concatenate(frequencies),
        usual_starts=_starts(usual_counts),
        usual_rows=np.concatenate(usual_rows),
        starts=_starts(listed_counts),
        rows=np.concatenate(rows),
        impacts=np.concatenate(steps),
        numbers=np.where(frequent, frequent.cumsum() - 1, -1).astype(np.int32),
        maps=np.concatenate(maps),
    )


def unpacked_lexicon(lexicon: Lexicon, first: int, end: int, moved: NDArray[np.int64]) -> Packed:
    """Return the occurrences of the terms ``first`` to ``end`` again, unsorted.

    ``moved`` says where each row is now, -1 for one that is gone.
    """
    keys = lexicon.keys[first:end].astype(np.uint64)
    span = slice(lexicon.starts[first], lexicon.starts[end])
    terms = np.repeat(keys, np.diff(lexicon.starts[first : end + 1]))
    parts = [_packed(terms, moved[lexicon.rows[span]], lexicon.impacts[span])]
    rows = lexicon.usual_rows[lexicon.usual_starts[first] : lexicon.usual_starts[end]]
    terms = np.repeat(keys, np.diff(lexicon.usual_starts[first : end + 1]))
    parts.append(_packed(terms, moved[rows], lexicon.usual[rows]))
    for place in (first + np.flatnonzero(lexicon.numbers[first:end] >= 0)).tolist():
        steps = lexicon.maps[lexicon.numbers[place]]
        rows = np.flatnonzero(steps)
        key = np.full(len(rows), lexicon.keys[place], np.uint64)
        parts.append(_packed(key, moved[rows], steps[rows]))
    return np.concatenate(parts)


def _steps(terms: Terms, signal: Signal) -> NDArray[np.uint8]:
    return np.maximum(np.rint(impacts(terms, signal) * _STEPS), 1).astype(np.uint8)


def _spans(
    starts: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[list[slice], NDArray[np.int64]]:
    begins, ends = starts[found], starts[found + 1]
    pairs = zip(begins.tolist(), ends.tolist(), strict=True)
    return [slice(begin, end) for begin, end in pairs], ends - begins


def _counts(chosen: Mask, begins: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return how many are chosen of each run that begins at ``begins``."""
    if not len(begins):
        return np.zeros(0, np.int64)
    return np.add.reduceat(chosen, begins, dtype=np.int64)


def _starts(counts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), *counts]).cumsum()


def _packed(terms: NDArray[np.uint64], rows: NDArray[np.int64], steps: NDArray[np.uint8]) -> Packed:
    kept = rows >= 0
    packed = terms[kept] << np.uint64(24)
    packed |= rows[kept].astype(np.uint64) << np.uint64(8)
    packed |= steps[kept].astype(np.uint64)
    return packed


def _maps(
    rows: NDArray[np.uint16],
    steps: NDArray[np.uint8],
    begins: NDArray[np.intp],
    counts: NDArray[np.intp],
    size: int,
) -> NDArray[np.uint8]:
    maps = np.zeros((len(begins), size), np.uint8)
    for number, (begin, count) in enumerate(zip(begins.tolist(), counts.tolist(), strict=True)):
        maps[number, rows[begin : begin + count]] = steps[begin : begin + count]
    return maps
