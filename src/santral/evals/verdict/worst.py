"""The examples that lost most, with what was asked and answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from santral.evals.run import Run
from santral.evals.verdict.comparison import Said
from santral.evals.verdict.gate import is_share
from santral.evals.verdict.measured import Measured

#: Examples that are shown. Chosen: what fits a comment.
_MOST_WORST = 5


def worst_of(base: Run, head: Run, found: Sequence[Measured]) -> list[Said]:
    """Return the examples that lost most in a measure that decides, each once."""
    lost: dict[str, tuple[float, Measured, int]] = {}
    for one in found:
        if not one.decides or one.pairs is None:
            continue
        sign = -1.0 if one.measure.direction == "higher" else 1.0
        losses = sign * (one.numbers.head - one.numbers.base)
        scale = 1.0 if is_share(one.measure) else float(np.abs(one.numbers.base).max()) or 1.0
        for row in np.flatnonzero(losses > 0).tolist():
            example_id, loss = one.numbers.ids[row], float(losses[row]) / scale
            if loss > lost.get(example_id, (0.0,))[0]:
                lost[example_id] = (loss, one, row)
    ranked = sorted(lost.values(), key=lambda entry: -entry[0])[:_MOST_WORST]
    return [_said(base, head, one, row) for _, one, row in ranked]


def _said(base: Run, head: Run, one: Measured, row: int) -> Said:
    example_id = one.numbers.ids[row]
    example = head.examples.get(example_id)
    before = next(s.answer for s in base.samples if s.example_id == example_id)
    after = next(s.answer for s in head.samples if s.example_id == example_id)
    return Said(
        example_id=example_id,
        measure=one.measure,
        base=float(one.numbers.base[row]),
        head=float(one.numbers.head[row]),
        asked=example.question if example else "",
        base_answer=before.text or before.error_message,
        head_answer=after.text or after.error_message,
        trace_id=after.trace_id,
    )
