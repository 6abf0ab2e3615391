"""One judge before one case: asks, reads the form, and counts what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from santral.errors import SantralError
from santral.evals.answer import Answer, Ask, Question
from santral.evals.evaluator import ScoreError
from santral.evals.judges.ballot import messages_of
from santral.evals.judges.settings import JudgeSettings
from santral.guardrails.schema import compile_schema

#: Errors of the gateway that mean: it answered, and not in the form it was asked for.
_UNREADABLE = frozenset({"output_refused", "unreadable", "no_choice"})


T = TypeVar("T")


class Trouble(Exception):
    """A judgement cannot be had; ``error`` is the class its score is counted under."""

    def __init__(self, error: ScoreError, reason: str) -> None:
        super().__init__(reason)
        self.error: ScoreError = error
        self.reason = reason


class Filled(Struct, frozen=True):
    """A form that was filled in, and the answer it was read from."""

    fields: dict[str, Any]
    answer: Answer


class Sitting:
    """Asks one judge about one case; ``cost_nanousd`` is the sum, None once a price is unknown."""

    def __init__(self, ask: Ask, settings: JudgeSettings, name: str) -> None:
        self._ask = ask
        self._settings = settings
        self._name = name
        self.cost_nanousd: int | None = 0

    async def fill(
        self,
        instructions: str,
        data: Mapping[str, str],
        schema: Mapping[str, Any],
        *,
        settings: Mapping[str, Any] | None = None,
        top_logprobs: int = 0,
    ) -> Filled:
        """Ask for a form about data of others, and read it.

        Raises:
            Trouble: the judge could not be asked, or did not keep to the form.
        """
        answer = await self._answer(
            Question(
                model=self._settings.route,
                messages=messages_of(instructions, data, schema),
                settings={**self._model_settings(), **(settings or {})},
                output_schema=dict(schema),
                top_logprobs=top_logprobs,
                tags={"judge": self._name[:128]},
                timeout_s=self._settings.timeout_s,
            )
        )
        return Filled(read_form(answer.text, schema), answer)

    async def _answer(self, question: Question) -> Answer:
        try:
            answer = await self._ask(question)
        except SantralError as error:
            raise Trouble("judge_failed", f"{error.detail_code}: {error.message}") from None
        self._pay(answer)
        if answer.error:
            why: ScoreError = "unreadable" if answer.error in _UNREADABLE else "judge_failed"
            raise Trouble(why, f"{answer.error}: {answer.error_message}")
        return answer

    def _pay(self, answer: Answer) -> None:
        if answer.is_replayed:
            return
        cost = answer.cost_nanousd or 0 if answer.error else answer.cost_nanousd
        known = self.cost_nanousd is not None and cost is not None
        self.cost_nanousd = (self.cost_nanousd or 0) + (cost or 0) if known else None

    def _model_settings(self) -> dict[str, Any]:
        given = {"temperature": self._settings.temperature, "max_tokens": self._settings.max_tokens}
        return given if self._settings.seed is None else {**given, "seed": self._settings.seed}


def read_form(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a form. The whole text has to be the form (or one fence around it): an
    object that stands inside of other text may be one that the judge quotes.

    Raises:
        Trouble: it is no such form.
    """
    try:
        fields = msgspec.json.decode(_unfenced(text), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Trouble("unreadable", f"no form: {error}: {text[:80]!r}") from None
    wrong = compile_schema(msgspec.json.encode(schema)).violations(fields)
    if wrong:
        raise Trouble("unreadable", "; ".join(wrong))
    return fields


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what several questions of one sitting give, asked at the same time.

    Raises:
        Trouble: of the first one that failed; the others are given up.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except* Trouble as troubles:
        raise _first(troubles) from None
    return [task.result() for task in tasks]


def _first(troubles: BaseExceptionGroup[Trouble]) -> Trouble:
    error: BaseException = troubles
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    assert isinstance(error, Trouble)  # noqa: S101 - the group holds nothing else
    return error


def _unfenced(text: str) -> str:
    lines = text.strip().splitlines()
    is_fence = len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```"
    return "\n".join(lines[1:-1]) if is_fence else text
