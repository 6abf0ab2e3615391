"""Runs made of a table of numbers: what comparisons are tested with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.example import Example, Plain, digest_of
from santral.evals.run import Run, RunHead, Sample

PASSED = Measure(name="passed", is_binary=True)
QUALITY = Measure(name="quality")
LATENCY = Measure(name="latency_us", direction="lower", high=None, unit="us")
COST = Measure(name="cost_nanousd", direction="lower", high=None, unit="nanousd")


def example(number: int, cluster: str = "", question: str = "", **metadata: Plain) -> Example:
    asked = question or f"What is {number} plus {number}?"
    return Example(id=f"e{number:04}", input=asked, cluster=cluster, metadata=metadata)


def run(
    values: Mapping[str, Sequence[float | Sequence[float | None] | None]],
    measures: Sequence[Measure] = (PASSED,),
    *,
    id: str = "base",
    examples: Sequence[Example] | None = None,
    texts: Sequence[str] | None = None,
    versions: Mapping[str, str] | None = None,
    judges: Mapping[str, str] | None = None,
    failed: int = 0,
    is_complete: bool = True,
    cost_nanousd: int | None = 1000,
) -> Run:
    """Return a run whose measures have these values, one or several (repeats) for each example."""
    count = len(next(iter(values.values())))
    known = list(examples or [example(number) for number in range(count)])
    samples = []
    for row, one in enumerate(known):
        cells = {name: _repeats(column[row]) for name, column in values.items()}
        for repeat in range(max(len(cell) for cell in cells.values())):
            scores = [_score(name, cell[repeat]) for name, cell in cells.items()]
            text = texts[row] if texts else f"{id} says {scores[0].value} of {one.id}"
            answer = Answer(text=text, cost_nanousd=cost_nanousd, trace_id=f"{row:032x}")
            if row < failed:
                answer = Answer(error="provider_timeout", error_message="The provider was silent.")
            samples.append(
                Sample(
                    example_id=one.id, example_hash=digest_of(one), repeat=repeat, answer=answer,
                    scores=scores,
                )
            )  # fmt: skip
    head = RunHead(
        id=id, suite="support", target="support", route="support", dataset="support@3",
        dataset_digest="d1", measures=list(measures),
        evaluators=dict(versions or {m.name: "1" for m in measures}), judges=dict(judges or {}),
        is_complete=is_complete, stop_reason="" if is_complete else "cost cap",
    )  # fmt: skip
    return Run(head=head, samples=samples, examples={one.id: one for one in known})


def _repeats(cell: float | Sequence[float | None] | None) -> list[float | None]:
    return list(cell) if isinstance(cell, Sequence) else [cell]


def _score(name: str, value: float | None) -> Score:
    return Score(name=name, error="unreadable") if value is None else Score(name=name, value=value)
