"""What gates compare of a question: read once, kept with the entry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from santral.cache.meaning.endings import Language, case_of
from santral.cache.meaning.letters import fold, folded_words
from santral.cache.meaning.words import (
    ENGLISH_WORDS,
    FUNCTION_WORDS,
    MODALS,
    NEGATIONS,
    NUMBER_WORDS,
    OWNERS,
    QUESTION_PAIRS,
    QUESTIONS,
    ROLE_CLASS,
    ROLES,
    TURKISH_NUMBERS,
    TURKISH_WORDS,
)

# Negation in Turkish verbs and the privative ending of nouns, folded. Words that only look so are
# taken out. A verbal noun in its ablative ("odemeden") is ambiguous: it counts, in both texts alike.
_NEGATED = re.compile(
    r".{2,}(?:m[iu]yor|m[ae](?:d[iu]|z|m$|yec|yac|mis|s[iu]n|den$|dan$|y[iu]n|yiz|yen|yan|k?s[iu]z|"
    r"m[ae]|l[iu]yi(?!$))|s[iu]z(?:$|[cdl]|[iu]n))"
)
_NOT_NEGATED = frozenset(("tamam", "temmuz", "deniz", "yalniz", "otuz", "dokuz", "sekiz", "omuz"))

_QUOTED = re.compile(r"[\"“«„]([^\"”»“]{1,80})[\"”»“]")
_IDENTIFIER = re.compile(
    r"\[[A-Z_]+_\d+\]|https?://\S+|\S+@\S+|\b\w*(?:_\w+|[a-z]\d|\d[a-z]|[a-z][A-Z])\w*\b|\b\w*[^\W\d]\w*\.\w+\b"
)
_CAPITALISED = re.compile(r"(?<=[\w,;:)] )[A-ZÇĞİÖŞÜ][\w'’]*")
_GROUPED = re.compile(r"^\d{1,3}(?:[.,]\d{3})+$")


class Word(Struct, frozen=True):
    """One word with content: ``role`` is what stands before it or its case says, if anything."""

    text: str
    role: str = ""


class Signature(Struct, frozen=True):
    """What must agree in two questions; texts folded."""

    language: Language
    words: tuple[Word, ...]
    numbers: tuple[str, ...]
    negations: int
    questions: frozenset[str]
    names: frozenset[str]
    owners: frozenset[str]
    modals: frozenset[str]
    tokens: frozenset[str]


def read(text: str) -> Signature:
    """Return the signature of a question."""
    tokens = folded_words(text)
    language = _language(text, tokens)
    return Signature(
        language=language,
        words=tuple(_content(tokens, language)),
        numbers=tuple(_numbers(tokens, language)),
        negations=sum(_is_negation(token, language) for token in tokens),
        questions=frozenset(_questions(tokens)),
        names=frozenset(_names(text)),
        owners=frozenset(OWNERS[token] for token in tokens if token in OWNERS),
        modals=frozenset(_modals(tokens)),
        tokens=frozenset(_bare(token) for token in tokens),
    )


def _language(text: str, tokens: list[str]) -> Language:
    if any(letter in "çğışöüÇĞİŞÖÜ" for letter in text):
        return "tr"
    turkish = sum(token in TURKISH_WORDS for token in tokens)
    english = sum(token in ENGLISH_WORDS for token in tokens)
    if turkish == english:
        return ""
    return "tr" if turkish > english else "en"


def _content(tokens: list[str], language: Language) -> Iterator[Word]:
    """Yield the words that carry content, with the preposition or case that gives them a part."""
    role = ""
    for token in tokens:
        if language == "en" and token in ROLES:
            role = ROLE_CLASS.get(token, token)
        if _has_content(token, language):
            bare = _bare(token)
            yield Word(bare, role or case_of(token.replace("'", ""), language))
            role = ""


def _has_content(token: str, language: Language) -> bool:
    if token in FUNCTION_WORDS or token in NEGATIONS or token in QUESTIONS:
        return False
    return not token[0].isdigit() and _number(token, language) is None


def _bare(token: str) -> str:
    """Return a word without what follows its apostrophe: İstanbul'da, company's."""
    head, apostrophe, rest = token.partition("'")
    return head if apostrophe and (len(head) > 1 or not rest) else token


def _numbers(tokens: list[str], language: Language) -> Iterator[str]:
    for token in tokens:
        if token[0].isdigit():
            yield token.replace(".", "").replace(",", "") if _GROUPED.match(token) else token
        else:
            number = _number(token, language)
            if number is not None:
                yield number


def _number(token: str, language: Language) -> str | None:
    if language == "tr" and token in TURKISH_NUMBERS:
        return TURKISH_NUMBERS[token]
    return NUMBER_WORDS.get(token)


def _is_negation(token: str, language: Language) -> bool:
    if token in NEGATIONS or token.endswith("n't"):
        return True
    return language != "en" and token not in _NOT_NEGATED and _NEGATED.match(token) is not None


def _questions(tokens: list[str]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        found = QUESTIONS.get(token)
        if found is not None:
            following = tokens[at + 1] if at + 1 < len(tokens) else ""
            yield QUESTION_PAIRS.get((token, following), found)


def _modals(tokens: list[str]) -> Iterator[str]:
    for token, following in pairwise([*tokens, ""]):
        if token in MODALS:
            yield MODALS[token]
        elif token in ("have", "has", "had") and following == "to":
            yield "must"


def _names(text: str) -> Iterator[str]:
    """Yield quoted texts, identifiers, and words with a capital inside a sentence, folded."""
    for quoted in _QUOTED.findall(text):
        yield fold(quoted.strip())
    for identifier in _IDENTIFIER.findall(text):
        yield fold(identifier.rstrip(".,;:!?"))
    for name in _CAPITALISED.findall(text):
        bare = _bare(fold(name))
        if len(bare) > 1 and bare not in FUNCTION_WORDS and bare not in QUESTIONS:
            yield bare
