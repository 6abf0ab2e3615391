"""Evidence: which sentences of a passage bear a claim, and where they stand in the document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log

from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.analysis.analyse import words
from santral.retrieval.analysis.sentence import sentences
from santral.wire.delta import Piece, Source

#: Letters of a word that count: Turkish endings fall away, English ones mostly. As guardrails do it.
_STEM = 5
_SHORTEST = 3
#: A sentence bears a claim from this share of the weight of its words, and this many of them. Chosen:
#: below, a passage is rather cited whole than by the wrong sentence.
_LEAST_SHARE, _LEAST_WORDS = 0.3, 2
#: Passages whose words are kept: an answer cites the same ones again, 10 kB each. Chosen.
_KEPT_PASSAGES = 256
#: Letters of a text between two masked values by which its place is sure. Chosen.
_SURE = 8
#: What stands for a value that a check has masked. Source: santral.guardrails.entities.mask
_MASK = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")


class Spot(Struct, frozen=True):
    """A stretch of a document's text, None where it is not known, and its place in the passage."""

    at: int
    until: int

    chunk_id: str
    page: int | None = None
    end_page: int | None = None
    start: int | None = None
    end: int | None = None


def bearing(claim: str, passage: str) -> tuple[int, int]:
    """Return the stretch of a passage that bears a claim, all of it where the words do not say.

    The sentence that shares most with the claim, rare words of the passage and numbers counting for
    more, and the ones beside it as far as they add to it.
    """
    spans, terms = _read(passage)
    wanted = _terms(claim)
    if len(spans) < 2 or not wanted:
        return 0, len(passage)
    held = [found & wanted for found in terms]
    common = Counter(term for found in held for term in found)
    weights = {term: log(1 + len(spans) / count) for term, count in common.items()}
    scores = [sum(weights[term] for term in found) for found in held]
    best = max(range(len(spans)), key=lambda place: scores[place])
    least = min(_LEAST_WORDS, len(wanted))
    if len(held[best]) < least or len(held[best]) < _LEAST_SHARE * len(wanted):
        return 0, len(passage)
    first, last = _widened(held, best)
    return spans[first][0], spans[last][1]


def spot_of(source: Source, start: int, end: int) -> Spot:
    """Return where characters ``start`` to ``end`` of a source stand in its document."""
    pieces = [piece for piece in source.pieces if piece.at < end and piece.end > start]
    if not pieces:
        return Spot(start, end, source.chunk_id, source.page)
    first, last = pieces[0], pieces[-1]
    return Spot(
        at=max(start, first.at),
        until=min(end, last.end),
        chunk_id=first.chunk_id,
        page=first.page,
        end_page=last.page if last.page != first.page else None,
        start=first.start + max(start - first.at, 0),
        end=last.start + min(end, last.end) - last.at,
    )


def moved_pieces(pieces: Sequence[Piece], before: str, after: str) -> tuple[Piece, ...]:
    """Return where pieces stand once values in a text were masked; none where nobody can tell."""
    moved: list[Piece] = []
    came, went = 0, 0  # places in ``before`` and ``after``
    masks = list(_MASK.finditer(after))
    for end_after, next_after in [*((m.start(), m.end()) for m in masks), (len(after), len(after))]:
        literal = after[went:end_after]
        is_last = next_after == len(after) == end_after
        at = _found(before, literal, came, is_last=is_last)
        if at is None:
            return ()
        moved += _shifted(pieces, at, at + len(literal), went - at)
        came, went = at + len(literal), next_after
    return tuple(moved)


def _found(before: str, literal: str, came: int, *, is_last: bool) -> int | None:
    """Return where a text between two masks stood: a short one might stand inside of a value."""
    if is_last:
        return len(before) - len(literal) if before.endswith(literal) else None
    if came == 0:
        return 0 if before.startswith(literal) else None
    at = before.find(literal, came) if len(literal) >= _SURE else -1
    return None if at < 0 else at


def _shifted(pieces: Sequence[Piece], start: int, end: int, by: int) -> list[Piece]:
    """Return the parts of pieces between two places, moved."""
    return [
        replace(
            piece,
            at=max(piece.at, start) + by,
            end=min(piece.end, end) + by,
            start=piece.start + max(start - piece.at, 0),
        )
        for piece in pieces
        if piece.at < end and piece.end > start
    ]


@lru_cache(_KEPT_PASSAGES)
def _read(passage: str) -> tuple[list[tuple[int, int]], list[frozenset[str]]]:
    """Return the places and the words of a passage's sentences."""
    spans = _sentence_spans(passage)
    return spans, [_terms(passage[start:end]) for start, end in spans]


def _sentence_spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    done = 0
    for sentence in sentences(text):
        start = text.find(sentence, done)
        done = start + len(sentence)
        spans.append((start, done))
    return spans


def _terms(text: str) -> frozenset[str]:
    """Return the words of a text, cut and folded, and its numbers whole."""
    return frozenset(
        word if word.isdigit() else word[:_STEM]
        for word in words(text)
        if len(word) >= _SHORTEST or word.isdigit()
    )


def _widened(held: Sequence[frozenset[str]], best: int) -> tuple[int, int]:
    """Return the first and last sentence around the best one that add words of the claim."""
    first = last = best
    known = set(held[best])
    while last + 1 < len(held) and len(held[last + 1] - known) >= _LEAST_WORDS:
        last += 1
        known |= held[last]
    while first and len(held[first - 1] - known) >= _LEAST_WORDS:
        first -= 1
        known |= held[first]
    return first, last
