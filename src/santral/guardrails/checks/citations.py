"""Whether the citations of an answer exist, and whether the cited passages bear its sentences.

Support is lexical: how many of a sentence's words, cut to five letters and folded, occur in the
passages it cites, and whether each of its numbers does. A paraphrase in other words is flagged, a
sentence that turns a passage round ("not") is not: that is why the action is to report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from santral.guardrails.check import Inspection
from santral.guardrails.normalise import plain
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding, Span
from santral.wire.delta import Source
from santral.wire.marks import MARK_PATTERN, cited_numbers

_MARKER: Final = re.compile(MARK_PATTERN)
#: A sentence takes the markers behind its full stop with it.
_SENTENCE: Final = re.compile(
    r"[^\n]+?(?:[.!?…](?:\s{0,2}\[\d[\d,;\s–-]{0,60}\]){0,8}(?=\s|$)|(?=\n)|$)"
)
_WORD: Final = re.compile(rb"[a-z]{3,}")
_NUMBER: Final = re.compile(rb"[0-9]+(?:[.,:/][0-9]+)*")
_STEM: Final = 5  # letters; Turkish suffixes fall away, English ones mostly
_FEWEST_WORDS: Final = 3  # of a sentence worth judging
#: Words that say nothing about a passage, folded and cut. Chosen.
_EMPTY: Final = frozenset(
    [
        "the",
        "and",
        "for",
        "are",
        "was",
        "were",
        "that",
        "this",
        "with",
        "from",
        "have",
        "has",
        "had",
        "not",
        "but",
        "you",
        "your",
        "can",
        "will",
        "its",
        "also",
        "than",
        "then",
        "which",
        "when",
        "what",
        "there",
        "their",
        "they",
        "them",
        "been",
        "being",
        "into",
        "more",
        "most",
        "such",
        "only",
        "other",
        "acco",
        "based",
        "sourc",
        "docum",
        "passa",
        "state",
        "menti",
        "provi",
        "bir",
        "ile",
        "icin",
        "olan",
        "olara",
        "gibi",
        "daha",
        "cok",
        "her",
        "ama",
        "veya",
        "ancak",
        "ise",
        "kadar",
        "sonra",
        "once",
        "gore",
        "uzere",
        "hem",
        "bunu",
        "bunun",
        "buna",
    ]
)
_DOES_NOT_KNOW: Final = re.compile(
    rb"(?i)do(?:es)? not know|don'?t know|could not find|couldn'?t find|cannot find|no (?:reliable |relevant )?"
    rb"(?:answer|information)|not (?:mentioned|contain|found|available|enough)|bilmiyorum|bulamadim|bulunamadi|bilgi yok"
    rb"|yer almiyor|yeterli bilgi"
)


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``citations``: whether one is expected, and how much of a sentence must be found."""

    require: bool = True
    min_support: Annotated[float, Meta(ge=0, le=1)] = 0.5


class Citations:
    """Looks up every ``[1]`` and ``[2, 3]`` among the sources that the model was given."""

    Params: ClassVar[type[Struct]] = Params
    places: ClassVar[frozenset[str]] = frozenset({"output"})
    actions: ClassVar[tuple[Action, ...]] = ("report", "retry", "refuse")
    only_patterns = False
    patterns: Mapping[str, str] = {}
    reads_whole = True

    def __init__(self, params: Params) -> None:
        self._params = params

    async def __call__(self, looked: Inspection) -> Finding:
        sources = looked.context.sources
        if not sources:
            return NOTHING_FOUND
        problems: list[str] = []
        spans: list[Span] = []
        for number, text in enumerate(looked.texts):
            for start, end, problem in self._problems(text, sources, looked.context.question):
                problems.append(problem)
                spans.append(Span(number, start, end, "citation"))
        if not problems:
            return NOTHING_FOUND
        return Finding(len(problems), "; ".join(problems[:8]), tuple(spans))

    def _problems(
        self, text: str, sources: Sequence[Source], question: str
    ) -> Iterator[tuple[int, int, str]]:
        known = {source.number: source for source in sources}
        cited = frozenset[int]()
        for position, match in enumerate(_SENTENCE.finditer(text), 1):
            numbers = cited_numbers(match.group())
            cited |= numbers
            unknown = sorted(numbers - known.keys())
            if unknown:
                named = ", ".join(map(str, unknown))
                yield *match.span(), f"sentence {position} cites [{named}], which was not given"
            given = [known[number] for number in sorted(numbers & known.keys())]
            if given and (problem := self._unsupported(match.group(), given, question)):
                yield *match.span(), f"sentence {position} {problem}"
        if not cited and self._params.require and not _DOES_NOT_KNOW.search(plain(text).data):
            yield 0, 0, f"no citation, although {len(sources)} sources were given"

    def _unsupported(self, sentence: str, given: Sequence[Source], question: str) -> str:
        """Return why the passages do not bear the sentence; empty when they do."""
        passages = " ".join(f"{s.title} {s.section} {s.text}" for s in given)
        stems, numbers = _terms(_MARKER.sub(" ", sentence))
        there, there_numbers = _terms(f"{passages} {question}")
        cites = ", ".join(str(source.number) for source in given)
        missing = sorted(numbers - there_numbers)
        if missing:
            return f"holds numbers that [{cites}] does not: {', '.join(missing[:5])}"
        if len(stems) >= _FEWEST_WORDS:
            share = len(stems & there) / len(stems)
            if share < self._params.min_support:
                return f"is not borne by [{cites}] ({share:.0%} of its words occur there)"
        return ""


def _terms(text: str) -> tuple[set[str], set[str]]:
    """Return the stems and the numbers of a text."""
    data = plain(text).data.lower()
    stems = {word.decode()[:_STEM] for word in _WORD.findall(data)} - _EMPTY
    numbers = {number.decode().replace(",", ".") for number in _NUMBER.findall(data)}
    return stems, numbers
