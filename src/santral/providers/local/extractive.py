"""The embedded answerer: the best supported sentences of the sources, each with its number.

No model and no canned text: every answer is computed from the sources of that question. It says
that it does not know when their support is too weak, or when there are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from msgspec import Struct

from santral.providers.local.passage import Analysis, Language, read_passage
from santral.providers.local.support import Scored, confidence, read_question, score, threshold
from santral.wire.delta import Source

#: Longest answer. Chosen: further sentences were more often beside the point.
MAX_SENTENCES = 3
#: A further sentence must have this share of the first one's support. Chosen.
FURTHER_SUPPORT = 0.85
#: And this many words: shorter ones are headings without a mark. Chosen.
FURTHER_WORDS = 5
#: Two sentences that share more of their words say the same. Chosen.
SAME_WORDS = 0.5
#: Passages kept analysed: some 10 kB each. Chosen.
KEPT_PASSAGES = 512

UNKNOWN = {
    "en": "I don't know: the passages I was given do not support an answer to this question.",
    "tr": "Bilmiyorum: bana verilen parçalar bu soruya bir yanıtı desteklemiyor.",
}
NO_SOURCES = {
    "en": "I don't know: no passages came with this question. I answer only from the documents of "
    "a collection; attach one to the route, or ask about what it holds.",
    "tr": "Bilmiyorum: bu soruyla birlikte hiç parça gelmedi. Yalnızca bir koleksiyonun "
    "belgelerinden yanıt veririm; rotaya bir koleksiyon bağlayın ya da onun içeriğini sorun.",
}


class Quote(Struct, frozen=True):
    """A sentence of a source, word for word."""

    text: str
    source: Source


class Extract(Struct, frozen=True):
    """An answer and what it rests on; without quotes it says that the answer is not known."""

    text: str
    quotes: tuple[Quote, ...]
    support: float  # of the best sentence, also when it was too weak
    confidence: float  # measured share of right answers at that support; 0 when not known
    language: str  # of the words around the quotes: en or tr

    @property
    def is_known(self) -> bool:
        return bool(self.quotes)

    @property
    def citations(self) -> list[int]:
        """Numbers of the sources quoted, each once, in the order of the answer."""
        return list(dict.fromkeys(quote.source.number for quote in self.quotes))


class Answerer:
    """Answers questions from sources; keeps the analysis of the passages it saw last."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._detect: Callable[[str], Language] = lru_cache(KEPT_PASSAGES)(analysis.detect_language)
        self._read = lru_cache(KEPT_PASSAGES)(partial(read_passage, analysis=analysis))

    def answer(self, question: str, sources: Sequence[Source]) -> Extract:
        """Return the answer; takes 1.2 ms for five passages, and 2 ms more for each new one."""
        ranked, asked, read = self._score(question, sources)
        best = ranked[0].support if ranked else 0.0
        if best < threshold(read) or not ranked:
            words = UNKNOWN if sources else NO_SOURCES
            return Extract(words[asked], (), best, 0.0, asked)
        quotes = tuple(Quote(s.sentence.text, sources[s.source]) for s in _select(ranked))
        text = " ".join(f"{quote.text} [{quote.source.number}]" for quote in quotes)
        return Extract(text, quotes, best, confidence(best, read), asked)

    def rank(self, question: str, sources: Sequence[Source]) -> list[Scored]:
        """Return every sentence that may answer, best first, below the threshold too."""
        return self._score(question, sources)[0]

    def _score(
        self, question: str, sources: Sequence[Source]
    ) -> tuple[list[Scored], str, Language]:
        """Return the ranked sentences, the language to speak, and the one of the sources."""
        asked = self._analysis.detect_language(question)
        votes: Counter[Language] = Counter(self._detect(source.text) for source in sources)
        read: Language = votes.most_common(1)[0][0] if votes else asked
        if read == "other":
            read = asked
        spoken = next((language for language in (asked, read) if language in UNKNOWN), "en")
        passages = [self._read(s.text, f"{s.title} {s.section}", read) for s in sources]
        return score(read_question(question, read, self._analysis), passages), spoken, read


def _select(ranked: Sequence[Scored]) -> list[Scored]:
    """Choose the best sentence and what adds to it, in the order of the sources."""
    chosen = [ranked[0]]
    for candidate in ranked[1:]:
        if len(chosen) == MAX_SENTENCES or candidate.support < FURTHER_SUPPORT * ranked[0].support:
            break
        is_said = candidate.sentence.text.count(" ") >= FURTHER_WORDS - 1
        if is_said and all(_overlap(candidate, other) <= SAME_WORDS for other in chosen):
            chosen.append(candidate)
    return sorted(chosen, key=lambda s: (s.source, s.position))


def _overlap(one: Scored, other: Scored) -> float:
    a, b = one.sentence.terms, other.sentence.terms
    return len(a & b) / (min(len(a), len(b)) or 1)
