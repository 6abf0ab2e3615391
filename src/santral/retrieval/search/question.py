"""What somebody asks: the question, and what was said before it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from santral.retrieval.analysis.language import Language

#: Letters of a question that are searched for: half from its beginning, half from its end, where
#: people put what they want. Chosen: a search of so many takes some 5 ms at 10,000 chunks.
MAX_QUESTION_LETTERS = 2_000


class Turn(Struct, frozen=True):
    """One thing that was said before the question."""

    role: Literal["user", "assistant"]
    text: str


class Question(Struct, frozen=True):
    """A question; ``turns`` is the conversation before it, oldest first.

    ``languages`` are hints of who asks, beside those of the collection.
    """

    text: str
    turns: tuple[Turn, ...] = ()
    languages: tuple[Language, ...] = ()


def bounded(text: str) -> str:
    """Return the text in one line, its beginning and end where it is too long to search for."""
    line = " ".join(text.split())
    if len(line) <= MAX_QUESTION_LETTERS:
        return line
    half = MAX_QUESTION_LETTERS // 2
    return f"{line[:half]} {line[-half:]}"
