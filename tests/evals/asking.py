"""A scripted ``Ask``: answers by a function of the question, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable

from santral.evals.answer import Answer, Question


class ScriptedAsk:
    """Answers what ``script`` says; a text is an answer that costs ``cost_nanousd``."""

    def __init__(
        self, script: Callable[[Question], str | Answer], cost_nanousd: int | None = 1_000
    ) -> None:
        self._script = script
        self._cost = cost_nanousd
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> Answer:
        self.asked.append(question)
        said = self._script(question)
        return said if isinstance(said, Answer) else Answer(text=said, cost_nanousd=self._cost)


def echo(question: Question) -> str:
    """Say again what was asked last."""
    return str(question.messages[-1]["content"]) if question.messages else ""
