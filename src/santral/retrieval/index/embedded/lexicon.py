"""A lexicon: which chunks hold a term, and what it is worth in each, before its rarity counts.

A term that is in few chunks is a list of rows, one that is in many a map of bytes over all rows: the
map is smaller then, and adding it up is faster.
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

    keys: uint32 [terms], sorted; frequencies: uint32 [terms], chunks that hold it; starts: int64
    [terms + 1] into rows (uint16) and impacts (uint8), empty for a term with a map; numbers: int32
    [terms], its map, or -1; maps: uint8 [maps, chunks], 0 where the term is not.
    """

    keys: TermKeys
    frequencies: NDArray[np.uint32]
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

    def scores(self, places: NDArray[np.int64], rarities: Floats, size: int) -> Floats:
        """Return the score of each of ``size`` chunks: float32, 0 without a match."""
        kept = places >= 0
        found, worth = places[kept], rarities[kept] / np.float32(_STEPS)
        numbers = self.numbers[found]
        total = self._listed(found[numbers < 0], worth[numbers < 0], size)
        buffer = np.empty(size, np.float32)
        for number, weight in zip(numbers.tolist(), worth, strict=True):
            if number >= 0:
                np.multiply(self.maps[number], weight, out=buffer)
                total += buffer
        return total

    def _listed(self, found: NDArray[np.int64], worth: Floats, size: int) -> Floats:
        total = np.zeros(size, np.float32)
        if len(found):
            begins, ends = self.starts[found], self.starts[found + 1]
            spans = [slice(*span) for span in zip(begins.tolist(), ends.tolist(), strict=True)]
            weights = np.repeat(worth, ends - begins)
            weights *= np.concatenate([self.impacts[span] for span in spans])
            np.add.at(total, np.concatenate([self.rows[span] for span in spans]), weights)
        return total

    def _count_in(self, place: int, mask: Mask) -> int:
        number = int(self.numbers[place])
        if number >= 0:
            return int(np.count_nonzero(self.maps[number] * mask))
        rows = self.rows[self.starts[place] : self.starts[place + 1]]
        return int(np.count_nonzero(mask[rows]))


def packed_terms(terms: Terms, signal: Signal) -> Packed:
    """Return the occurrences of the chunks of one segment, sorted."""
    rows = np.repeat(np.arange(len(terms.lengths), dtype=np.uint64), np.diff(terms.starts))
    steps = np.maximum(np.rint(impacts(terms, signal) * _STEPS), 1).astype(np.uint64)
    packed = terms.keys.astype(np.uint64) << np.uint64(24)
    packed |= rows << np.uint64(8)
    packed |= steps
    packed.sort()
    return packed


def build_lexicon(slices: Iterable[Packed], size: int) -> Lexicon:
    """Return the lexicon of ``size`` chunks; a key is in one slice only, and slices are in order."""
    keys, frequencies = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
    rows, steps = [np.zeros(0, np.uint16)], [np.zeros(0, np.uint8)]
    maps, has_map = [np.zeros((0, size), np.uint8)], [np.zeros(0, bool)]
    for packed in slices:
        term = (packed >> np.uint64(24)).astype(np.uint32)
        row = (packed >> np.uint64(8)).astype(np.uint16)
        step = packed.astype(np.uint8)
        begins = np.flatnonzero(np.concatenate([[True], term[1:] != term[:-1]])[: len(term)])
        counts = np.diff(begins, append=len(term))
        is_frequent = counts * _FREQUENT > size
        is_listed = np.repeat(~is_frequent, counts)
        keys.append(term[begins])
        frequencies.append(counts.astype(np.uint32))
        has_map.append(is_frequent)
        rows.append(row[is_listed])
        steps.append(step[is_listed])
        maps.append(_maps(row, step, begins[is_frequent], counts[is_frequent], size))
    is_mapped = np.concatenate(has_map)
    counted = np.concatenate(frequencies)
    return Lexicon(
        keys=np.concatenate(keys),
        frequencies=counted,
        starts=np.concatenate([[0], np.where(is_mapped, 0, counted)]).cumsum(dtype=np.int64),
        rows=np.concatenate(rows),
        impacts=np.concatenate(steps),
        numbers=np.where(is_mapped, is_mapped.cumsum() - 1, -1).astype(np.int32),
        maps=np.concatenate(maps),
    )


def unpacked_lexicon(lexicon: Lexicon, first: int, end: int, moved: NDArray[np.int64]) -> Packed:
    """Return the occurrences of the terms ``first`` to ``end`` again, unsorted.

    ``moved`` says where each row is now, -1 for one that is gone.
    """
    span = slice(lexicon.starts[first], lexicon.starts[end])
    counts = np.diff(lexicon.starts[first : end + 1])
    terms = np.repeat(lexicon.keys[first:end].astype(np.uint64), counts)
    parts = [_packed(terms, moved[lexicon.rows[span]], lexicon.impacts[span])]
    for place in (first + np.flatnonzero(lexicon.numbers[first:end] >= 0)).tolist():
        steps = lexicon.maps[lexicon.numbers[place]]
        rows = np.flatnonzero(steps)
        key = np.full(len(rows), lexicon.keys[place], np.uint64)
        parts.append(_packed(key, moved[rows], steps[rows]))
    return np.concatenate(parts)


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
