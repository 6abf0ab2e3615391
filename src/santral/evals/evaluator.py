"""What scores answers: the Protocol of all evaluators, and their scores."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from santral.evals.answer import Answer
from santral.evals.example import Example

#: Why there is no value. An error is counted, and never averaged.
ScoreError: TypeAlias = Literal[
    "not_applicable",  # the example or the answer lacks what the evaluator compares
    "no_answer",  # the target failed
    "not_a_number",
    "out_of_range",
    "unreadable",  # a judge did not answer in the form it was asked for
    "judge_failed",  # a judge could not be asked
    "broken",  # the evaluator itself raised
]

#: Whether more is better. ``none``: it is shown, and no verdict is made of it.
Direction: TypeAlias = Literal["higher", "lower", "none"]


class Measure(Struct, frozen=True, kw_only=True):
    """What one number of an evaluator means."""

    name: str  # unique in a suite: exact, rouge_l, cost_nanousd
    direction: Direction = "higher"
    low: float | None = 0.0  # a value outside is an error, not a value
    high: float | None = 1.0
    unit: str = ""  # of a value that is no share: us, nanousd, tokens
    is_binary: bool = False  # only ever 0 or 1: compared as counts
    neutral: float | None = (
        None  # it compares with the baseline by itself: this says both are equal
    )
    gates: bool = True  # false: it may be shown, and not decide
    note: str = (
        ""  # what a reader of its values has to know: why it gates nothing, where it misleads
    )


class Score(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number about one answer, or the reason that there is none."""

    name: str
    value: float | None = None
    error: ScoreError | Literal[""] = ""
    label: str = ""
    reason: str = ""  # for people
    cost_nanousd: int | None = 0  # of asking a judge; None: the price is unknown
    is_flipped: bool = False  # a pairwise judge changed its mind with the order


class Case(Struct, frozen=True, kw_only=True):
    """What an evaluator looks at."""

    example: Example
    answer: Answer
    repeat: int = 0
    other: Answer | None = None  # of the baseline, for evaluators that compare two

    @property
    def passages(self) -> list[str]:
        """The texts an answer should rest on: what the model was given, else the example's."""
        told = [one.text for one in self.answer.passages if one.text]
        return told or self.example.contexts


class Evaluator(Protocol):
    """Scores one answer. What it raises becomes scores with the error ``broken``."""

    @property
    def measures(self) -> Sequence[Measure]:
        """What its scores are called and mean."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever a score could: of code, and of prompt, model and settings of a judge."""
        ...

    def __call__(self, case: Case) -> Awaitable[Sequence[Score]]:
        """Return one score for each of its measures."""
        ...
