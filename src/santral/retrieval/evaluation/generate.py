"""Questions made from documents, for a collection that nobody has asked yet.

By rules: a sentence that defines something asks what it is, one with a number or a date asks for it, a
heading asks for what stands below it; the sentence is the quotation that answers. Such questions share
words with their answers, so a lexical search looks better than people's own questions would show:
compare settings with them, never quote them as a quality. By a model where a route is given: it is
asked for a question in other words than the passage's.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.document import StoredChunk
from santral.retrieval.evaluation.questions import Answer, Case
from santral.retrieval.index.entry import IndexedDocument

#: Words of a sentence that can be asked about. Chosen: shorter ones say little, longer ones too much.
_FEWEST_WORDS, _MOST_WORDS = 6, 40

#: Asks a model: system text, user text -> answer. Raises SantralError.
AskModel: TypeAlias = Callable[[str, str], Awaitable[str]]

_DEFINES_EN = re.compile(r"^(?:An? |The )?([A-Z][\w' -]{2,60}?) (?:is|are) (?:an?|the) ")
_DEFINES_TR = re.compile(r"^([A-ZÇĞİÖŞÜ][\w' -]{2,60}?), .{15,}(?:d[ıiuü]r|t[ıiuü]r)\.$")
_NUMBER = re.compile(r"\b\d+(?:[.,]\d+)*\b")
_WORDS = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

_PROMPTS = {
    "en": (
        "You write one question that the passage answers, as somebody would ask who has not read it: "
        "in other words than the passage's. Write the question alone.",
        "Passage:\n{passage}",
    ),
    "tr": (
        "Verilen metnin yanıtladığı bir soru yaz. Metni okumamış biri gibi, metnin sözcüklerinden "
        "farklı sözcüklerle sor. Yalnızca soruyu yaz.",
        "Metin:\n{passage}",
    ),
}


def questions_by_rules(
    chunks: Iterable[tuple[IndexedDocument, StoredChunk]], count: int, rng: np.random.Generator
) -> list[Case]:
    """Return up to ``count`` questions, drawn over all documents alike; no question comes twice."""
    by_document: dict[str, list[Case]] = {}
    seen: set[str] = set()
    for document, chunk in chunks:
        for case in _cases_of(document, chunk):
            if case.question not in seen:
                seen.add(case.question)
                by_document.setdefault(document.id, []).append(case)
    for cases in by_document.values():
        rng.shuffle(cases)
    drawn: list[Case] = []
    while by_document and len(drawn) < count:
        for name in list(by_document):
            drawn.append(by_document[name].pop())
            if not by_document[name]:
                del by_document[name]
    return drawn[:count]


async def question_by_model(
    ask: AskModel, document: IndexedDocument, chunk: StoredChunk
) -> Case | None:
    """Return a question that a model asks about a passage; None where it made none.

    Raises:
        SantralError: the model did not answer.
    """
    system, user = _PROMPTS["tr" if document.language == "tr" else "en"]
    made = " ".join((await ask(system, user.format(passage=chunk.text))).split())
    if not made.endswith("?") or len(made) > 300:
        return None
    quote = max(sentences(chunk.text), key=len, default="")
    return _case(made, document, quote)


def _cases_of(document: IndexedDocument, chunk: StoredChunk) -> Iterator[Case]:
    for sentence in sentences(chunk.text):
        text = " ".join(sentence.split())
        if not _FEWEST_WORDS <= len(_WORDS.findall(text)) <= _MOST_WORDS or "|" in text:
            continue
        asked = _asked(text, document.language)
        if asked:
            yield _case(asked, document, text)
    heading = chunk.section.rpartition(" > ")[2]
    first = next(iter(sentences(chunk.text)), "")
    if len(_WORDS.findall(heading)) >= 2 and len(_WORDS.findall(first)) >= _FEWEST_WORDS:
        yield _case(heading.rstrip(" ?:.") + "?", document, " ".join(first.split()))


def _asked(sentence: str, language: Language) -> str:
    """Return what a sentence answers, or nothing."""
    if language == "tr":
        defined = _DEFINES_TR.match(sentence)
        if defined:
            return f"{defined[1]} nedir?"
    else:
        defined = _DEFINES_EN.match(sentence)
        if defined:
            return f"What is {defined[1]}?"
    number = _NUMBER.search(sentence)
    if number is None or number.start() < 12:
        return ""
    before = sentence[: number.start()].rstrip(" ,;:(")
    return f"{before} kaç?" if language == "tr" else f"{before} how many?"


def _case(question: str, document: IndexedDocument, quote: str) -> Case:
    return Case(
        question=question,
        relevant=(Answer(document.id, quote),),
        language=document.language,
    )
