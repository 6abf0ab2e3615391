"""Rewriting by rules: a follow-up gets its subject back, a question that asks two things is split.

In English and Turkish, without a model. A model can do it better where one is configured
(``reword.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from santral.retrieval.analysis.language import fold
from santral.retrieval.search.content import content_words
from santral.retrieval.search.question import Question, Turn

#: Words of an earlier question that a follow-up takes over. Chosen: a subject has no more.
MAX_SUBJECT_WORDS = 8
#: Parts that a question is taken apart into. Chosen: more is a list, and searched for as one.
MAX_PARTS = 4
#: A question with so few words of its own cannot stand alone after another one. Chosen.
_FEW_WORDS = 3

# Both on folded text: lower case, without accents.
_FOLLOWS = re.compile(
    r"^(?:peki(?: ya)?|ya|and(?: (?:what|how) about)?|(?:what|how) about|what if|ya da|"
    r"bunun disinda|ayrica|or)\b[\s,:]*"
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|he|she|his|her|there|one|ones|"
    r"bu|bunu|bunun|buna|bunda|bundan|bunlar|bunlari|bunlarin|o|onu|onun|ona|onda|ondan|onlar|"
    r"onlari|onlarin|su|sunu|sunun|orada|burada|oraya|buraya)\b"
)
_COMPARES = re.compile(
    r"^(?:(?:please )?(?:compare|difference between|differences between)|"
    r"what (?:is|are) the differences? between) (.+?) (?:and|with|to|versus|vs\.?) (.+?)[?.!]*$"
)
_COMPARES_TURKISH = re.compile(
    r"^(.+?) (?:ile|ve|veya) (.+?)(?:'?(?:nin|nun|in|un))? "
    r"(?:arasindaki fark\w*|karsilastir\w*|farklari?)\b.*$"
)
_VERSUS = re.compile(r"^(.+?) (?:vs\.?|versus) (.+?)[?.!]*$")
_SHARED_ENDING = re.compile(
    r"^(.+?),? (?:ve|and) (.+?) ((?:nedir|ne demek|nelerdir|kimdir|nerede|nasil)[\w ]*)[?.!]*$"
)
_SHARED_BEGINNING = re.compile(
    r"^((?:what|who|where|when|how) (?:is|are|was|were|do|does) )(.+?),? and (.+?)[?.!]*$"
)
_TWO_QUESTIONS = re.compile(r"(?<=\?)\s+")


def rewrite(question: Question) -> list[str]:
    """Return the wordings to search for: the question as it stands alone, then its parts if several."""
    alone = standalone(question)
    parts = decompose(alone)
    return [alone, *(part for part in parts if part != alone)]


def standalone(question: Question) -> str:
    """Return the question with the subject of the turns before it, where it leans on them."""
    said = [turn for turn in question.turns if turn.role == "user"]
    if not said or not leans_back(question.text):
        return question.text
    subject = _subject(said, fold(question.text))
    rest = question.text[_lead(question.text) :].strip()
    return " ".join(part for part in (rest, " ".join(subject)) if part)


def leans_back(text: str) -> bool:
    """Whether a question cannot be understood without what was said before it."""
    folded = fold(text).strip()
    if _FOLLOWS.match(folded):
        return True
    own = content_words(text)
    return (bool(_POINTS_BACK.search(folded)) and len(own) <= 2 * _FEW_WORDS) or len(
        own
    ) < _FEW_WORDS


def decompose(text: str) -> list[str]:
    """Return the questions that a question is made of, the question itself where it is one."""
    asked = [part.strip() for part in _TWO_QUESTIONS.split(text) if len(content_words(part)) > 1]
    if len(asked) > 1:
        return asked[:MAX_PARTS]
    plain = " ".join(text.split())
    folded = fold(plain)
    if len(folded) != len(plain):
        plain = folded  # places would differ; search folds anyway
    for pattern in (_COMPARES, _COMPARES_TURKISH, _VERSUS):
        if match := pattern.match(folded):
            return _filled([_cut(plain, match, 1), _cut(plain, match, 2)], text)
    if match := _SHARED_ENDING.match(folded):
        ending = _cut(plain, match, 3)
        return _filled([f"{_cut(plain, match, place)} {ending}" for place in (1, 2)], text)
    match = _SHARED_BEGINNING.match(folded)
    if match and all(len(content_words(match[place])) <= _FEW_WORDS for place in (2, 3)):
        beginning = _cut(plain, match, 1)
        return _filled([f"{beginning} {_cut(plain, match, place)}" for place in (2, 3)], text)
    return [text]


def _cut(plain: str, match: re.Match[str], group: int) -> str:
    return plain[match.start(group) : match.end(group)].strip()


def _filled(parts: Sequence[str], text: str) -> list[str]:
    """Return the parts where each has something to search for."""
    return list(parts) if all(content_words(part) for part in parts) else [text]


def _lead(text: str) -> int:
    """Return where what a follow-up begins with ("peki ya", "and what about") ends."""
    match = _FOLLOWS.match(fold(text)) if len(fold(text)) == len(text) else None
    return match.end() if match else 0


def _subject(said: Sequence[Turn], asked: str) -> list[str]:
    """Return the words that the last question with a subject of its own was about."""
    for turn in reversed(said):
        own = [word for word in content_words(turn.text) if fold(word) not in asked]
        if len(own) >= _FEW_WORDS or (own and not leans_back(turn.text)):
            return own[:MAX_SUBJECT_WORDS]
    return content_words(said[-1].text)[:MAX_SUBJECT_WORDS]
