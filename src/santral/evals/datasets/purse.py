"""A purse: questions to a model that stop when a sum is spent."""

from __future__ import annotations

from santral.errors import BadRequest
from santral.evals.answer import Ask, Question


class Purse:
    """Asks, and adds up what it costs. With a cap, an answer of unknown price ends it with an error."""

    def __init__(self, most_nanousd: int | None = None) -> None:
        self._most = most_nanousd
        self.spent_nanousd = 0
        self.failed = 0  # questions that were not answered; their errors are counted, not raised

    @property
    def is_empty(self) -> bool:
        """Whether the cap is reached; a question under way may pass it by its own cost."""
        return self._most is not None and self.spent_nanousd >= self._most

    async def ask(self, ask: Ask, route: str, prompt: str, *, seed: int) -> str:
        """Return what a route answers, or an empty text where it fails.

        Raises:
            BadRequest: there is a cap, and the price of the answer is unknown.
            SantralError: no further question would be answered either.
        """
        question = Question(
            model=route,
            messages=[{"role": "user", "content": prompt}],
            settings={"seed": seed},
            tags={"santral": "datasets"},
        )
        answer = await ask(question)
        if answer.error:
            self.failed += 1
            return ""
        if answer.cost_nanousd is None and self._most is not None:
            raise BadRequest(
                f"The price of {answer.model or route} is unknown, so the cap cannot hold. Give it a "
                "price (santral prices), or leave the cap away.",
                code="price_unknown",
            )
        self.spent_nanousd += answer.cost_nanousd or 0
        return answer.text
