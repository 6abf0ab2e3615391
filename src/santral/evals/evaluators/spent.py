"""What an answer took: time, money, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.answer import Answer
from santral.evals.evaluator import Case, Direction, Measure, Score
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class TokenParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Which tokens are counted."""

    count_input: bool = True
    count_output: bool = True


class _Spent:
    """One number of an answer, less of which is better."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "nothing"
    kind: ClassVar[str]
    unit: ClassVar[str]
    missing: ClassVar[str]
    direction: ClassVar[Direction] = "lower"

    def __init__(self, name: str, params: Struct, tools: Tools) -> None:
        del tools
        self._name = name
        self.measures = (Measure(name=name, direction=self.direction, high=None, unit=self.unit),)
        self.version = versioned(self.kind, 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        value = self._value(case.answer)
        if value is None:
            return not_applicable([self._name], self.missing)
        reason = "of then: the answer was stored" if case.answer.is_replayed else ""
        return [Score(name=self._name, value=float(value), reason=reason)]

    def _value(self, answer: Answer) -> float | None:
        raise NotImplementedError  # each measure below reads its own number


class Latency(_Spent):
    """Time from question to the last byte of the answer, in microseconds."""

    kind, unit, missing = "latency", "us", "the answer says no time"

    def _value(self, answer: Answer) -> float | None:
        return answer.latency_us or None


class Ttft(_Spent):
    """Time from question to the first text of a streamed answer, in microseconds."""

    kind, unit, missing = "ttft", "us", "the answer was not streamed, or the target does not tell"

    def _value(self, answer: Answer) -> float | None:
        return answer.ttft_us


class Cost(_Spent):
    """What the answer cost, in nano-USD; an unknown price is no zero."""

    kind, unit, missing = "cost", "nanousd", "the price of the model is unknown"

    def _value(self, answer: Answer) -> float | None:
        return answer.cost_nanousd


class Tokens(_Spent):
    """Tokens that went in and came out."""

    Params: ClassVar[type[Struct]] = TokenParams
    kind, unit, missing = "tokens", "tokens", "the target does not tell its tokens"

    def __init__(self, name: str, params: TokenParams, tools: Tools) -> None:
        super().__init__(name, params, tools)
        self._counts = params

    def _value(self, answer: Answer) -> float | None:
        if answer.usage is None:
            return None
        read = answer.usage.input_tokens if self._counts.count_input else 0
        return read + (answer.usage.output_tokens if self._counts.count_output else 0)
