"""Two runs over the same examples, as pairs of answers to compare."""

from __future__ import annotations

from santral.errors import BadRequest
from santral.evals.example import Example
from santral.evals.run import Run
from santral.review.add import Pair
from santral.review.item import Said


def pairs_of(a: Run, b: Run) -> list[Pair]:
    """Return a pair for each example and repeat that both runs have answered, and not alike.

    Raises:
        BadRequest: they share no example.
    """
    others = {(s.example_id, s.repeat): s for s in b.samples if not s.answer.error}
    examples = {**b.examples, **a.examples}
    found: list[Pair] = []
    shared = 0
    for sample in a.samples:
        other = others.get((sample.example_id, sample.repeat))
        if sample.answer.error or other is None or sample.example_id not in examples:
            continue
        shared += 1
        if sample.answer.text != other.answer.text:
            found.append(
                Pair(
                    key=f"{a.head.id}/{b.head.id}/{sample.example_id}/{sample.repeat}",
                    said=_said(examples[sample.example_id]),
                    a=sample.answer.text,
                    b=other.answer.text,
                    names=(a.head.target, b.head.target),
                )
            )
    if not shared:
        raise BadRequest(
            "The two runs share no answered example: take two over the same data set.",
            code="nothing_shared",
        )
    return found


def _said(example: Example) -> list[Said]:
    if isinstance(example.input, str):
        return [Said("user", example.input)]
    return [Said(str(m.get("role", "?")), str(m.get("content", ""))) for m in example.input]
