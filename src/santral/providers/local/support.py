"""Support: how well a sentence of the sources carries an answer to the question.

Seven signals, each from 0 to 1, are added with fixed weights. The weights were chosen by hand; the
thresholds and the curve from support to confidence are measured (support.toml names the script).
"""

from __future__ import annotations

import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.providers.local.passage import Analysis, Language, Passage, Sentence

#: Chosen by hand after looking at each signal alone and left out on SQuAD dev and TQuad
#: (docs/decisions/0008-embedded-answerer.md); they add up to 1.
WEIGHTS = {
    "sentence": 0.20,  # 4-grams of the question in the sentence
    "window": 0.20,  # the same with the sentence before and the heading path
    "pairs": 0.05,  # neighbouring words of the question that meet in the sentence
    "lead_terms": 0.20,  # words found in this passage beyond the best other passage
    "lead_grams": 0.10,
    "rank": 0.20,  # position that search gave the passage
    "names": 0.05,  # names and numbers of the question in the passage
}
#: Bonus for a sentence that holds what the question asks for (a number, a date, a name). Chosen.
CUE_BONUS = 0.03
#: A word that is a name or number weighs this much more than its rarity. Chosen.
NAME_BOOST = 1.3


class Calibration(Struct, frozen=True):
    """What was measured for one language."""

    threshold: float  # least support that is answered
    support: tuple[float, ...]  # ascending
    precision: tuple[float, ...]  # share of right answers at that support


class Measured(Struct, frozen=True):
    """support.toml: the constants and where they come from."""

    origin: str
    languages: dict[str, Calibration]


class Question(Struct, frozen=True):
    """A question as it is looked for: distinct stems, their neighbours, 4-grams and what it asks."""

    terms: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    grams: tuple[str, ...]
    names: frozenset[str]
    cue: str  # number, date, name or empty


class Scored(Struct, frozen=True):
    """A sentence and its support; ``source`` and ``position`` count from 0."""

    sentence: Sentence
    source: int
    position: int
    support: float


MEASURED = msgspec.convert(
    tomllib.loads(Path(__file__).with_name("support.toml").read_text(encoding="utf-8")), Measured
)

# What a question asks for, in the order they are tried. Folded by lower() alone, so that the
# Turkish letters stay: İ becomes i with a dot above, which no pattern here needs.
_CUES = (
    ("date", re.compile(
        r"\b(?:what|which) (?:year|date|day|month|century|decade)|\bwhen\b|\bne zaman\b"
        r"|\bhangi (?:yıl|tarih|ay|gün|yüzyıl|sene)|\bkaç yılında|\bkaçıncı yüzyıl"
    )),
    ("number", re.compile(
        r"\bhow (?:many|much|old|long|far|tall|big|large|often|fast|high)\b"
        r"|\bwhat (?:percent|number|amount)|\bkaç|\bne kadar\b|\byüzde\b"
    )),
    ("name", re.compile(r"\bwho(?:m|se)?\b|\bwhere\b|\bkim|\bnere(?:de|ye|li|den|si)")),
)  # fmt: skip


def read_question(text: str, language: Language, analysis: Analysis) -> Question:
    """Note what a question looks for; ``language`` is that of the sources."""
    words = text.split()
    said = [word for word in words if analysis.terms(word, language)]
    terms = [term for word in said for term in analysis.terms(word, language)]
    lowered = text.lower()
    return Question(
        tuple(dict.fromkeys(terms)),
        tuple(pairwise(terms)),
        tuple(dict.fromkeys(analysis.ngrams(" ".join(said)))),
        frozenset(t for word in _names(words) for t in analysis.terms(word, language)),
        next((cue for cue, pattern in _CUES if pattern.search(lowered)), ""),
    )


def score(question: Question, passages: Sequence[Passage]) -> list[Scored]:
    """Return every sentence that may answer, best support first."""
    if not question.terms:
        return []
    sentences = [sentence for passage in passages for sentence in passage.sentences]
    # A word that no source says weighs most: its absence is what speaks against an answer.
    rare = _rarity(question.terms, [s.terms for s in sentences])
    terms = {t: w * NAME_BOOST if t in question.names else w for t, w in rare.items()}
    grams = _rarity(question.grams, [s.grams for s in sentences])
    lead_terms = _leads(passages, [_share(terms, p.terms) for p in passages])
    lead_grams = _leads(passages, [_share(grams, p.grams) for p in passages])
    scored: list[Scored] = []
    for number, passage in enumerate(passages):
        shared = (
            WEIGHTS["lead_terms"] * lead_terms[number]
            + WEIGHTS["lead_grams"] * lead_grams[number]
            + WEIGHTS["rank"] / (number + 1)
            + WEIGHTS["names"] * _names_found(question, passage)
        )
        for position, sentence in enumerate(passage.sentences):
            if sentence.is_answer:
                own = _own(question, passage, position, terms, grams)
                scored.append(Scored(sentence, number, position, shared + own))
    return sorted(scored, key=lambda s: (-s.support, s.source, s.position))


def threshold(language: str) -> float:
    """Return the least support that is answered; the strictest where the language is unknown."""
    known = MEASURED.languages.get(language)
    return known.threshold if known else max(c.threshold for c in MEASURED.languages.values())


def confidence(support: float, language: str) -> float:
    """Return the measured share of right answers at this support, between 0 and 1."""
    curves = MEASURED.languages
    curve = curves.get(language) or min(curves.values(), key=lambda c: c.precision[-1])
    at = bisect_left(curve.support, support)
    if at == 0 or at == len(curve.support):
        return curve.precision[0] if at == 0 else curve.precision[-1]
    low, high = curve.support[at - 1], curve.support[at]
    share = (support - low) / (high - low)
    return curve.precision[at - 1] + share * (curve.precision[at] - curve.precision[at - 1])


def _own(
    question: Question,
    passage: Passage,
    position: int,
    terms: dict[str, float],
    grams: dict[str, float],
) -> float:
    """What the sentence itself adds to the support of its passage."""
    sentence = passage.sentences[position]
    before = passage.sentences[position - 1].grams if position else frozenset[str]()
    pairs = {(a, b): terms[a] + terms[b] for a, b in question.pairs}
    met = sum(w for (a, b), w in pairs.items() if a in sentence.terms and b in sentence.terms)
    return (
        WEIGHTS["sentence"] * _share(grams, sentence.grams)
        + WEIGHTS["window"] * _share(grams, sentence.grams | before | passage.heading_grams)
        + WEIGHTS["pairs"] * (met / (sum(pairs.values()) or 1.0))
        + CUE_BONUS * _cue(question, sentence)
    )


def _cue(question: Question, sentence: Sentence) -> float:
    return 0.5 if not question.cue else float(question.cue in sentence.cues)


def _names(words: Sequence[str]) -> Iterable[str]:
    """Words with a digit, and capitalised ones except the first, which always is."""
    for position, word in enumerate(words):
        if any(c.isdigit() for c in word) or (position and word[:1].isupper()):
            yield word


def _names_found(question: Question, passage: Passage) -> float:
    names = question.names
    return len(names & passage.terms) / len(names) if names else 0.5


def _rarity(wanted: Iterable[str], said: Sequence[frozenset[str]]) -> dict[str, float]:
    """BM25's inverse document frequency of each word over the sentences at hand."""
    count = len(said)
    weights: dict[str, float] = {}
    for word in wanted:
        found = sum([word in words for words in said])
        weights[word] = math.log(1 + (count - found + 0.5) / (found + 0.5))
    return weights


def _share(weights: dict[str, float], said: frozenset[str]) -> float:
    found = sum([w for word, w in weights.items() if word in said])  # a list: half the time
    return found / (sum(weights.values()) or 1.0)


def _leads(passages: Sequence[Passage], shares: Sequence[float]) -> list[float]:
    """How far each passage is ahead of the best other one; one that overlaps it is no other."""
    return [
        max(
            0.0,
            share
            - max(
                (
                    s
                    for p, s in zip(passages, shares, strict=True)
                    if p.said.isdisjoint(passage.said)
                ),
                default=0.0,
            ),
        )
        for passage, share in zip(passages, shares, strict=True)
    ]
