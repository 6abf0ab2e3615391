"""Sentences: where one ends, in English and Turkish, abbreviations and numbers respected."""

from __future__ import annotations

import re
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Folded abbreviations after which a full stop ends no sentence.
_ABBREVIATIONS = _words("""
    a.g.e a.s approx apr apt aug av bkz bl blv cad cf ch cilt co corp dec dept doc dr e.g eg etc
    feb gov hon i.e ie inc jan jr jul jun ltd m.o m.s mah mr mrs ms muh nov nr oct ord orn prof
    rev sep sept sf sn sr sti t.c tel u.k u.s uzm v.b vb vd vol vs yrd yy
""")
#: Words that are abbreviations only before a number: "No. 5", but "The answer is no."
_BEFORE_NUMBER = _words("art ed fig kat md no nu p par pp s sec sk sok ss")

# A candidate end: punctuation, closing quotes or brackets, then white space.
_END = re.compile(r"([.!?…]+)([\"'”’»)\]]*)(\s+)")
_LAST_WORD = re.compile(r"([^\s(\[\"'“‘«]+)$")
#: Longer than any abbreviation; letters further back are not looked at. Chosen.
_LONGEST_WORD = 40
_PARAGRAPH = re.compile(r"\n\s*\n")
_TRANSLATE = str.maketrans("İIıçÇğĞöÖşŞüÜ", "iiiccggoossuu")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text in order; joined they hold every character but white space."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return where each sentence of a text begins and ends, in order, white space left out."""
    found: list[tuple[int, int]] = []
    begin = 0
    for gap in _PARAGRAPH.finditer(text):
        found.extend(_spans(text, begin, gap.start()))
        begin = gap.end()
    found.extend(_spans(text, begin, len(text)))
    return found


def _spans(text: str, begin: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences of the paragraph from ``begin`` to ``stop``."""
    start = begin
    for match in _END.finditer(text, begin, stop):
        if _is_end(text, match, start, stop):
            yield from _trimmed(text, start, match.end(2))
            start = match.end()
    yield from _trimmed(text, start, stop)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _is_end(text: str, match: re.Match[str], start: int, stop: int) -> bool:
    """Whether the punctuation at ``match`` ends the sentence that began at ``start``."""
    following = text[match.end() : min(match.end() + 1, stop)]
    if match[1] != ".":
        # An ellipsis or a question inside a sentence goes on in lower case.
        return not following.islower()
    if following.islower():
        return False
    if text.endswith("et al", start, match.start()):
        return False
    last = _LAST_WORD.search(text, max(start, match.start() - _LONGEST_WORD), match.start())
    return last is None or not _is_abbreviation(last[1], following)


def _is_abbreviation(word: str, following: str) -> bool:
    """Whether a full stop behind ``word`` belongs to it: Dr., T.C., 3. (an ordinal), J."""
    if word.isdigit():
        # "3. Ahmet" and "2024. Bu": a short number is an ordinal in Turkish, or numbers a list.
        return len(word) <= 2 or following.isdigit()
    if len(word) == 1 and word.isalpha():
        return True
    folded = word.translate(_TRANSLATE).lower()
    return folded in _ABBREVIATIONS or (folded in _BEFORE_NUMBER and following.isdigit())
