"""Features: what the learned ranker looks at of a candidate, each cheap and of no language."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from santral.retrieval.analysis.analyse import fold, query_terms, words
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.language import Language
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.rerank.occurrences import Occurrences
from santral.retrieval.search.result import Ranked

#: Words of a question that are looked for. Chosen: the first ones of a long one say what it is about.
MAX_WORDS = 16
#: Letters between two words that are neighbours: an ending and a function word. Chosen.
_SLACK = 12
#: Best candidates that ``kin`` is measured against. Measured: 5 and 10 do the same.
_LEADERS = 5


class View:
    """Candidates of a question, best first, as features look at them."""

    def __init__(
        self, asked: str, ranked: Sequence[Ranked], languages: Collection[Language]
    ) -> None:
        self.asked, self.ranked = asked, ranked
        self.wanted = _beginnings(asked, languages)
        self.texts = [f"{_heading(one)} {one.candidate.chunk.text}" for one in ranked]
        self.found = Occurrences(self.wanted, self.texts)
        self.fused = np.array([one.steps["fused"] for one in ranked], np.float32)


def features_of(view: View, names: Collection[str]) -> Floats:
    """Return features of candidates, a column for each name: float32 [candidates, names]."""
    return np.stack([FEATURES[name](view) for name in names], axis=1).astype(np.float32, copy=False)


def _signal(name: Signal) -> Callable[[View], Floats]:
    return lambda view: np.array([one.signals[name] for one in view.ranked], np.float32)


def _length(view: View) -> Floats:
    logarithms = np.log([len(text) + 1 for text in view.texts])
    return (logarithms - logarithms.mean()).astype(np.float32)


def _in_heading(view: View) -> Floats:
    return Occurrences(view.wanted, [_heading(one) for one in view.ranked]).covered()


def _within(letters: int) -> Callable[[View], Floats]:
    return lambda view: view.found.covered_within(letters)


def _names(view: View) -> Floats:
    marked = [
        word
        for place, word in enumerate(view.asked.split())
        if any(map(str.isdigit, word)) or (place and word[:1].isupper() and not word.isupper())
    ]
    names = tuple(words(fold(" ".join(marked))))
    own = [n for n, word in enumerate(view.wanted) if any(one.startswith(word) for one in names)]
    if not own:
        return np.zeros(len(view.ranked), np.float32)
    return view.found.held[:, own].mean(axis=1).astype(np.float32)


def _siblings(view: View) -> Floats:
    best: dict[str, list[float]] = {}
    scores = view.fused.tolist()
    for one, score in zip(view.ranked, scores, strict=True):
        best.setdefault(one.candidate.document.id, []).append(score)
    tops = [sorted(best[one.candidate.document.id])[-2:] for one in view.ranked]
    others = [
        0.0 if len(two) == 1 else two[0] if two[1] == score else two[1]
        for two, score in zip(tops, scores, strict=True)
    ]
    return np.array(others, np.float32)


def _kin(view: View) -> Floats:
    given = [one.candidate.vector for one in view.ranked]
    vectors = [vector for vector in given if vector is not None]
    if len(vectors) < len(view.ranked):
        return np.zeros(len(view.ranked), np.float32)
    stacked = np.stack(vectors)
    alike = stacked @ stacked[:_LEADERS].T
    np.fill_diagonal(alike, 0)
    weights = view.fused[:_LEADERS]
    return (alike @ (weights / (float(weights.sum()) or 1.0))).astype(np.float32)


#: All but ``length`` (logarithm, against the others) are between 0 and 1. ``cover``: share of the
#: question that the text holds, ``heading``: its heading; ``close``, ``near``, ``wide``: that stands
#: within so many letters; ``pairs``: of its neighbouring words that are neighbours here; ``names``: of
#: its names and numbers; ``siblings``: the best other candidate of the document; ``kin``: how much it
#: is like the best candidates.
FEATURES: Mapping[str, Callable[[View], Floats]] = {
    "fused": lambda view: view.fused,
    "bm25": _signal("bm25"),
    "ngrams": _signal("ngrams"),
    "dense": _signal("dense"),
    "length": _length,
    "cover": lambda view: view.found.covered(),
    "heading": _in_heading,
    "close": _within(100),
    "near": _within(200),
    "wide": _within(400),
    "pairs": lambda view: view.found.paired(_SLACK),
    "names": _names,
    "siblings": _siblings,
    "kin": _kin,
}


def _beginnings(asked: str, languages: Collection[Language]) -> list[str]:
    """Return what the words of a question begin with in all their forms, in order, each once."""
    stems = query_terms(asked, languages)[:MAX_WORDS]
    return list(dict.fromkeys(_beginning(stem) for stem in stems))


def _beginning(stem: str) -> str:
    """Return a stem without the letter that its forms disagree on: studi, study; leav, leaving."""
    if len(stem) > 5 or (len(stem) == 5 and stem.endswith("i")):
        return stem[:-1]
    return stem


def _heading(one: Ranked) -> str:
    return f"{one.candidate.document.title} {one.candidate.chunk.section}"
