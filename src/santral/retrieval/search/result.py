"""What a search gives back: passages, how well they support an answer, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from santral.retrieval.index.entry import Candidate
from santral.retrieval.index.signal import Signal
from santral.wire.delta import Source


class Ranked(Struct, frozen=True):
    """A chunk that was found, with the score of every step that it went through.

    ``signals`` are scaled to 0..1 as fusion saw them, ``raw`` as the index gave them. ``steps`` holds
    ``fused``, ``age`` (the factor of freshness rules and recency) and ``rerank`` where they took part;
    ``score`` is what the chunks are ordered by in the end.
    """

    candidate: Candidate
    score: float
    signals: Mapping[Signal, float]
    steps: Mapping[str, float]

    @property
    def raw(self) -> Mapping[Signal, float]:
        """The score of every signal as the index gave it."""
        return self.candidate.scores


class SearchResult(Struct, frozen=True, kw_only=True):
    """What a question found.

    ``sources`` are numbered from 1 in the order in which a model should read them, and empty where
    ``support`` (0: nothing speaks for an answer in the collection, 1: everything) is below the least
    that was asked for: ``is_weak``. ``generation`` names the index that was searched: another one may
    find something else. ``queries`` are the wordings searched for, ``timings_ms`` how long each step
    took, ``troubles`` what could not be done (``rewrite``, ``rerank``) and was done without.
    ``ranked`` holds the best chunks, best first.
    """

    sources: tuple[Source, ...] = ()
    support: float = 0.0
    is_weak: bool = False
    generation: str = ""
    queries: tuple[str, ...] = ()
    ranked: tuple[Ranked, ...] = ()
    timings_ms: Mapping[str, float] = {}
    troubles: tuple[str, ...] = ()
