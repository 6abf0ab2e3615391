"""Gates between two questions that sound alike: any one of them is enough to keep them apart."""

from __future__ import annotations

from collections.abc import Callable

from santral.cache.meaning.endings import Language, are_forms
from santral.cache.meaning.signature import Signature, Word
from santral.cache.meaning.words import ANTONYMS

Gate = Callable[[Signature, Signature], bool]


def closed_gate(one: Signature, other: Signature) -> str:
    """Return the name of a gate that keeps two questions apart, or nothing where none does.

    Symmetric. Cheap gates are asked first.
    """
    return next((name for name, is_open in GATES if not is_open(one, other)), "")


def _same_language(one: Signature, other: Signature) -> bool:
    """A text too short to tell goes with either."""
    return one.language == other.language or not (one.language and other.language)


def _same_numbers(one: Signature, other: Signature) -> bool:
    """In order: from 5 to 7 is not from 7 to 5."""
    return one.numbers == other.numbers


def _same_negation(one: Signature, other: Signature) -> bool:
    return one.negations == other.negations


def _same_question(one: Signature, other: Signature) -> bool:
    return one.questions == other.questions


def _same_modals(one: Signature, other: Signature) -> bool:
    if one.negations:
        return one.modals == other.modals
    return ("must" in one.modals) == ("must" in other.modals)


def _same_owner(one: Signature, other: Signature) -> bool:
    """My card is not your card, where both say whose."""
    return one.owners == other.owners or not (one.owners and other.owners)


def _same_names(one: Signature, other: Signature) -> bool:
    return _has_names(one, other) and _has_names(other, one)


def _has_names(one: Signature, other: Signature) -> bool:
    """A name of ``one`` is a name of ``other``, or stands in it in lower case."""
    return all(name in other.names or name in other.tokens for name in one.names)


def _no_antonyms(one: Signature, other: Signature) -> bool:
    return not any(
        (_leans(one, left, right) and _leans(other, right, left))
        or (_leans(one, right, left) and _leans(other, left, right))
        for left, right in ANTONYMS
    )


def _leans(signature: Signature, side: frozenset[str], opposite: frozenset[str]) -> bool:
    return not side.isdisjoint(signature.tokens) and opposite.isdisjoint(signature.tokens)


def _same_content(one: Signature, other: Signature) -> bool:
    """Every word with content has a partner in the other question, each partner once."""
    return _partners(one, other) is not None


def _same_order(one: Signature, other: Signature) -> bool:
    """Partners play the same part (from, to) and stand in the same order."""
    pairs = _partners(one, other)
    if pairs is None:
        return False
    for mine, theirs in pairs:
        a, b = one.words[mine], other.words[theirs]
        if a.role != b.role and a.role and b.role:
            return False
    return [theirs for _, theirs in pairs] == sorted(theirs for _, theirs in pairs)


def _partners(one: Signature, other: Signature) -> list[tuple[int, int]] | None:
    """Return the places of partners, in the order of ``one``; None where a word has none."""
    mine, theirs = one.words, other.words
    if len(mine) != len(theirs) or not mine:
        return None
    left = list(range(len(theirs)))
    pairs: list[tuple[int, int]] = []
    for at, word in enumerate(mine):
        found = _partner(word, theirs, left, one.language or other.language)
        if found is None:
            return None
        left.remove(found)
        pairs.append((at, found))
    return pairs


def _partner(
    word: Word, theirs: tuple[Word, ...], left: list[int], language: Language
) -> int | None:
    equal = next((i for i in left if theirs[i].text == word.text), None)
    if equal is not None:
        return equal
    return next((i for i in left if are_forms(word.text, theirs[i].text, language)), None)


#: Every gate by name, the cheapest first.
GATES: tuple[tuple[str, Gate], ...] = (
    ("language", _same_language),
    ("numbers", _same_numbers),
    ("negation", _same_negation),
    ("question", _same_question),
    ("modals", _same_modals),
    ("owner", _same_owner),
    ("names", _same_names),
    ("antonyms", _no_antonyms),
    ("content", _same_content),
    ("order", _same_order),
)
