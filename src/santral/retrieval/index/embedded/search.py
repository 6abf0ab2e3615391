"""A search over the segments of a published state: exact, whatever a filter leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, TermKeys
from santral.retrieval.index.embedded.lexicon import Lexicon
from santral.retrieval.index.embedded.view import Chosen, SegmentView
from santral.retrieval.index.entry import Candidate, Candidates, IndexQuery
from santral.retrieval.index.impact import rarity
from santral.retrieval.index.signal import Signal

#: Scores of which the best one is looked at first. Measured: a partition of all scores takes twenty
#: times as long where most of them are 0.
_GROUP = 64

_SIGNALS: tuple[Signal, ...] = ("bm25", "ngrams", "dense")


class _Scored(Struct, frozen=True):
    """The chunks of a segment that pass: rows, or None for all of them, and their scores."""

    view: SegmentView
    rows: NDArray[np.intp] | None
    scores: tuple[Floats, Floats, Floats]


def search_views(
    views: Sequence[SegmentView], groups: frozenset[str] | None, query: IndexQuery
) -> Candidates:
    """Return the best chunks of each signal over all segments."""
    chosen = [view.choose(groups, query.filter) for view in views]
    stems = _lexical([view.segment.stems for view in views], chosen, query.stems)
    grams = _lexical([view.segment.grams for view in views], chosen, query.grams)
    scored: list[_Scored] = []
    for view, one, bm25, ngrams in zip(views, chosen, stems, grams, strict=True):
        if one.rows is not None and not len(one.rows):
            continue
        scored.append(_Scored(view, one.rows, (bm25, ngrams, _dense(view, one, query.vector))))
    return Candidates(
        found=_candidates(scored, query.limit),
        least={name: _least(scored, place) for place, name in enumerate(_SIGNALS)},
        best={name: _largest(scored, place) for place, name in enumerate(_SIGNALS)},
    )


def _lexical(lexicons: Sequence[Lexicon], chosen: Sequence[Chosen], keys: TermKeys) -> list[Floats]:
    """Return the BM25 scores of what passes in each segment; rarity counts over all segments."""
    places = [lexicon.find(keys) for lexicon in lexicons]
    frequencies = np.zeros(len(keys))
    for lexicon, found, one in zip(lexicons, places, chosen, strict=True):
        frequencies += lexicon.count(found, one.seen)
    rarities = rarity(frequencies.astype(np.float32), sum(one.seen_count for one in chosen))
    scores: list[Floats] = []
    for lexicon, found, one in zip(lexicons, places, chosen, strict=True):
        all_scores = lexicon.scores(found, rarities)
        scores.append(all_scores if one.rows is None else all_scores[one.rows])
    return scores


def _dense(view: SegmentView, chosen: Chosen, vector: Floats) -> Floats:
    vectors = view.segment.vectors
    if not len(vector):
        size = len(vectors.values) if chosen.rows is None else len(chosen.rows)
        return np.zeros(size, np.float32)
    return vectors.products(vector, chosen.rows)


def _least(scored: Sequence[_Scored], place: int) -> float:
    return min((float(one.scores[place].min(initial=0)) for one in scored), default=0.0)


def _largest(scored: Sequence[_Scored], place: int) -> float:
    return max((float(one.scores[place].max(initial=0)) for one in scored), default=0.0)


def _candidates(scored: Sequence[_Scored], limit: int) -> tuple[Candidate, ...]:
    wanted: list[set[int]] = [set() for _ in scored]
    for place in range(len(_SIGNALS)):
        for number, found in enumerate(best_places([one.scores[place] for one in scored], limit)):
            wanted[number].update(found)
    return tuple(
        candidate
        for one, places in zip(scored, wanted, strict=True)
        if places
        for candidate in _made(one, np.array(sorted(places)))
    )


def best_places(parts: Sequence[Floats], limit: int) -> list[list[int]]:
    """Return the places of the ``limit`` highest scores above 0 over all parts; ties in order."""
    found = [_highest(scores, limit) for scores in parts]
    scores = np.concatenate(
        [np.zeros(0, np.float32), *(part[at] for part, at in zip(parts, found, strict=True))]
    )
    owners = np.repeat(np.arange(len(parts)), [len(at) for at in found])
    kept = np.argsort(-scores, kind="stable")[:limit]
    places = np.concatenate([np.zeros(0, np.intp), *found])[kept]
    owners = owners[kept]
    return [places[owners == number].tolist() for number in range(len(parts))]


def _highest(scores: Floats, limit: int) -> NDArray[np.intp]:
    """Return the places of the ``limit`` highest scores above 0, and of those that equal the last."""
    # The best of each of many groups: the last of the best ``limit`` of them bounds what is wanted.
    groups = len(scores) // _GROUP
    bound = 0.0
    if groups > limit:
        highest = scores[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
        bound = float(np.partition(highest, groups - limit)[groups - limit])
    places = np.flatnonzero(scores >= bound if bound > 0 else scores > 0)
    if len(places) <= limit:
        return places
    found = scores[places]
    last = np.partition(found, len(found) - limit)[len(found) - limit]
    return places[found >= last]


def _made(scored: _Scored, places: NDArray[np.intp]) -> list[Candidate]:
    """Return the candidates at some places among the scores of a segment."""
    rows = places if scored.rows is None else scored.rows[places]
    view, segment = scored.view, scored.view.segment
    numbers: list[int] = segment.document[rows].tolist()
    signals = np.stack([scores[places] for scores in scored.scores], axis=1).tolist()
    parts = zip(segment.chunks_at(rows), numbers, signals, segment.vectors.some(rows), strict=True)
    return [
        Candidate(chunk, view.document_at(number), dict(zip(_SIGNALS, values, strict=True)), vector)
        for chunk, number, values, vector in parts
    ]
