"""A passage as the embedded answerer reads it: sentences with what each says and may answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

Language: TypeAlias = Literal["tr", "en", "other"]


class Analysis(Struct, frozen=True):
    """How texts are read. Retrieval has these functions; it is a higher folder, so it hands them in."""

    terms: Callable[[str, Language], list[str]]  # stems in order, without stop words
    ngrams: Callable[[str], list[str]]
    sentences: Callable[[str], list[str]]
    detect_language: Callable[[str], Language]


class Sentence(Struct, frozen=True):
    """One sentence of a passage and what it may answer."""

    text: str
    terms: frozenset[str]
    grams: frozenset[str]
    cues: frozenset[str]  # kinds of answer it holds: number, date, name
    is_answer: bool  # headings and questions are context, never an answer


class Passage(Struct, frozen=True):
    """The sentences of one source in order, and what they and the heading path say together."""

    sentences: tuple[Sentence, ...]
    heading_grams: frozenset[str]
    terms: frozenset[str]  # of all sentences and the heading path
    grams: frozenset[str]
    said: frozenset[str]  # the sentences word for word: two passages that share one overlap


#: A longer sentence is a table or a list without marks: unreadable as an answer. Chosen.
MAX_SENTENCE_CHARACTERS = 600

_BLOCK = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|>|\|)\s+|^\s*\|", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n\s*\n")
_RULE = re.compile(r"\s*(?:[=~*_-]\s*){3,}|[\s|:-]*-[\s|:-]*")  # under a heading, in a table
_CELL = re.compile(r"\s+\|\s+")
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SPACE = re.compile(r"\s+")
_MARKUP = re.compile(r"\[([^\]]+)\]\([^)]*\)|[*_]{2}([^*_]+)[*_]{2}|`([^`]+)`")
_NUMBER = re.compile(r"\d")
_DATE = re.compile(
    r"\b(?:1\d|20)\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\bcentury\b|yüzyıl|yy\."
    r"|\b(?:jan|febr)uary|\bmarch\b|\bapril\b|\bmay\b|\bjune\b|\bjuly\b|\baugust\b"
    r"|\b(?:septem|octo|novem|decem)ber\b|\b(?:ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos"
    r"|eylül|ekim|kasım|aralık)\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!^)(?<![.!?…]\s)(?<![\"“(])\b[A-ZÇĞİÖŞÜ][\w'’-]+")
_NUMBER_WORD = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|million"
    r"|billion|half|twice|bir|iki|üç|dört|beş|altı|yedi|sekiz|dokuz|on|yirmi|otuz|kırk|elli|yüz|bin"
    r"|milyon|milyar)\b",
    re.IGNORECASE,
)


def read_passage(text: str, heading: str, language: Language, analysis: Analysis) -> Passage:
    """Split a passage into sentences and note what each of them says."""
    sentences: list[Sentence] = []
    for block, is_heading in _blocks(text):
        for piece in analysis.sentences(block):
            clean = _clean(piece)
            terms = frozenset(analysis.terms(clean, language))
            is_answer = not is_heading and not clean.endswith("?") and _is_readable(clean)
            sentences.append(
                Sentence(clean, terms, frozenset(analysis.ngrams(clean)), _cues(clean), is_answer)
            )
    title = frozenset(analysis.ngrams(heading))
    return Passage(
        tuple(sentences),
        title,
        frozenset(analysis.terms(heading, language)).union(*(s.terms for s in sentences)),
        title.union(*(s.grams for s in sentences)),
        frozenset(s.text for s in sentences if s.is_answer),
    )


def _blocks(text: str) -> list[tuple[str, bool]]:
    """Cut Markdown into paragraphs, list items and headings; lines are joined, code is left out."""
    blocks: list[tuple[str, bool]] = []
    for paragraph in _PARAGRAPH.split(_FENCE.sub("\n\n", text)):
        lines: list[str] = []
        for line in paragraph.split("\n"):
            is_rule = _RULE.fullmatch(line) is not None
            if lines and (is_rule or _BLOCK.match(line)):
                blocks.append((" ".join(lines), is_rule))  # what a rule underlines is a heading
                lines = []
            if line.lstrip().startswith("#"):
                blocks.append((line.lstrip("# \t"), True))
            elif line.strip() and not is_rule:
                lines.append(line.strip())
        if lines:
            blocks.append((" ".join(lines), False))
    return blocks


def _clean(text: str) -> str:
    if text.lstrip().startswith("|"):
        text = _CELL.sub(" – ", text.strip().strip("|"))
    text = _BLOCK.sub("", text, count=1)
    text = _MARKUP.sub(lambda m: m[1] or m[2] or m[3], text)
    return _SPACE.sub(" ", text).strip()


def _is_readable(text: str) -> bool:
    return len(text) <= MAX_SENTENCE_CHARACTERS and sum([c.isalpha() for c in text]) >= 8


def _cues(text: str) -> frozenset[str]:
    cues = {
        "number": bool(_NUMBER.search(text) or _NUMBER_WORD.search(text)),
        "date": bool(_DATE.search(text)),
        "name": bool(_NAME.search(text)),
    }
    return frozenset(cue for cue, is_there in cues.items() if is_there)
