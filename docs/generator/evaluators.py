"""docs/reference/evaluators.md from the registry of evaluators."""

from __future__ import annotations

from typing import Any

import msgspec

from generator.checks import setting_row
from generator.markdown import code, page, prose, table
from santral.evals.evaluators.registry import EVALUATORS
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings

INTRO = """\
A suite names evaluators: `use` one of those below, with a `name` for its scores and `params`. Each
gives one score or several for every answer. What an example or an answer lacks is no zero but an
error, `not_applicable`; errors are counted by class and never averaged:

- `not_applicable`: the example or the answer lacks what the evaluator compares;
- `no_answer`: the target failed;
- `not_a_number`, `out_of_range`: the evaluator gave no value, or one outside its measure's range;
- `unreadable`: a judge did not keep to the form it was asked for;
- `judge_failed`: a judge could not be asked;
- `broken`: the evaluator raised, or took too long.

Another parameter is another version of an evaluator, and scores of two versions are not compared as
one series."""

JUDGES = """\
These ask a model. They may be shown, and gate nothing until people have confirmed them:
[prove a judge](../how-to/prove-a-judge.md). Their digest (prompt, models and settings) names a series;
a changed judge begins another one."""


def evaluators_page() -> str:
    """Return the page."""
    judges = {name for name, kind in EVALUATORS.items() if issubclass(kind, Judge)}
    shared = table(
        ("Parameter", "Type", "Default"),
        [setting_row(field) for field in msgspec.structs.fields(JudgeSettings)],
    )
    return page(
        "Evaluators",
        INTRO,
        *(_part(name, kind) for name, kind in EVALUATORS.items() if name not in judges),
        "## Judges",
        JUDGES,
        prose(JudgeSettings.__doc__),
        shared,
        *(_part(name, EVALUATORS[name], level=3) for name in EVALUATORS if name in judges),
    )


def _part(name: str, kind: Any, level: int = 2) -> str:
    parts = [f"{'#' * level} {code(name)}", prose(kind.__doc__), f"Reads: {kind.needs}."]
    own = [
        field
        for field in msgspec.structs.fields(kind.Params)
        if level == 2 or field.name not in JudgeSettings.__struct_fields__
    ]
    if own:
        parts += [
            prose(kind.Params.__doc__),
            table(("Parameter", "Type", "Default"), [setting_row(field) for field in own]),
        ]
    return "\n\n".join(parts)
