"""A test for bias: a suite over its examples and over the same ones about others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from msgspec.structs import replace

from santral.errors import BadRequest
from santral.evals.bias.bbq import stereotypes
from santral.evals.bias.gaps import LENGTH, effects_of, far_pairs, groups_of
from santral.evals.bias.pairs import MARK, Pair, counterfactuals
from santral.evals.bias.report import BiasReport
from santral.evals.cases import read_cases
from santral.evals.evaluation import evaluate
from santral.evals.example import Example
from santral.evals.place import Place, TellTarget, Wish
from santral.evals.run import Run
from santral.evals.suite import EvaluatorUse, SuiteFile
from santral.evals.swaps.swap import SwapKind
from santral.tenants.permission import Principal

KINDS: tuple[SwapKind, ...] = ("names", "gender", "dialect")


async def probe_bias(
    place: Place,
    wish: Wish,
    *,
    by: Principal,
    kinds: Sequence[SwapKind] = KINDS,
    fields: Sequence[str] = (),
    seed: int = 0,
    tell: TellTarget,
) -> list[tuple[BiasReport, Run]]:
    """Return what was found for each target of a suite, with its run.

    Every target answers the examples and their counterparts under the same seed; refusals and lengths
    are compared whatever the suite scores.

    Raises:
        BadRequest: the suite names recorded answers, or no example has anything to swap and no group
            is asked for.
        SantralError: as ``evaluate``.
    """
    if any(target.is_recorded for target in wish.suite.suite.targets):
        raise BadRequest(
            f"{wish.suite.path}: recorded answers are of the examples as they are; a test for bias asks."
        )
    rng = np.random.default_rng(seed)
    cases = await read_cases(place, wish)
    swapped, pairs = counterfactuals(cases.examples, kinds, rng)
    asked = _joined(cases.examples, swapped) if fields else swapped
    if not asked:
        raise BadRequest(
            "No example names anybody or speaks in a way that the lists of swaps know, in English or "
            "Turkish. Give --by FIELD to compare groups of examples instead.",
            code="nothing_to_swap",
        )
    with TemporaryDirectory() as folder:
        suite = _suite_over(wish.suite, asked, Path(folder))
        runs = await evaluate(place, replace(wish, suite=suite), by=by, tell=tell)
    return [(_report(run, pairs, fields, rng), run) for run in runs]


def _joined(examples: Sequence[Example], swapped: Sequence[Example]) -> list[Example]:
    there = {example.id for example in swapped}
    return [*swapped, *(example for example in examples if example.id not in there)]


def _suite_over(suite: SuiteFile, examples: Sequence[Example], folder: Path) -> SuiteFile:
    path = folder / "examples.jsonl"
    path.write_bytes(msgspec.json.Encoder().encode_lines(examples))
    uses = suite.suite.evaluators
    if all(use.use != "refusal" for use in uses):
        uses = [*uses, EvaluatorUse(use="refusal")]
    changed = replace(
        suite.suite, dataset=str(path), split="", filter={}, limit=None, evaluators=uses
    )
    return replace(suite, suite=changed)


def _report(
    run: Run, pairs: Sequence[Pair], fields: Sequence[str], rng: np.random.Generator
) -> BiasReport:
    effects = effects_of(run, pairs, rng)
    sure = [effect.measure for effect in effects if effect.is_sure]
    read = dict.fromkeys([*sure, LENGTH.name]) if not sure else dict.fromkeys(sure)
    own = Run(
        head=run.head,
        samples=[sample for sample in run.samples if MARK not in sample.example_id],
        examples=_own(run.examples),
    )
    return BiasReport(
        target=run.head.target,
        pairs=len(pairs),
        errors=sum(bool(sample.answer.error) for sample in run.samples),
        effects=effects,
        far=[far for measure in read for far in far_pairs(run, pairs, measure)],
        groups=groups_of(own, fields),
        stereotypes=stereotypes(own),
    )


def _own(examples: Mapping[str, Example]) -> dict[str, Example]:
    return {id: example for id, example in examples.items() if MARK not in id}
