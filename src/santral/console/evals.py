"""Pages of evaluations: suites to start, runs with what they measured, and two runs beside each other."""

from __future__ import annotations

from typing import get_args

import msgspec
from fastapi import Response
from msgspec import Struct

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.errors import BadRequest, nearest
from santral.evals import kept
from santral.evals.answer import Answer
from santral.evals.compared import Compared, Lost, compare_kept, losses
from santral.evals.job import EvaluateArguments
from santral.evals.run import Run
from santral.evals.start import start_evaluation
from santral.evals.store import RunState, StoredRun
from santral.evals.suites import list_suites
from santral.evals.summary import Summary
from santral.evals.verdict.comparison import MeasureChange, Tier

#: Runs, samples and examples of one page. Chosen.
_RUNS, _SAMPLES, _LOSSES = 50, 25, 20
RUN_STATES: tuple[RunState, ...] = get_args(RunState)
TIERS: tuple[Tier, ...] = get_args(Tier)
OUTCOMES = ("pass", "regression", "infrastructure", "not_enough_data")


class Side(Struct, frozen=True, kw_only=True):
    """An example that lost most, with both answers."""

    lost: Lost
    asked: str
    base: Answer | None
    head: Answer | None


class EvalPages:
    """The pages over evaluations."""

    def __init__(self, frame: Frame) -> None:
        self._folder = frame.config.evals.folder
        frame.show("/evals", self.list)
        frame.act("/evals/start", self.start, self.list)
        frame.show("/evals/run", self.run)
        frame.show("/evals/compare", self.compare)

    async def list(self, visit: Visit) -> Response:
        """The suites of the folder, and the latest runs of a tenant."""
        choices = await tenant_choices(visit, "evals.read")
        tenant = pick_tenant(visit, choices, "evals.read")
        runs = await kept.list_kept(
            visit.engine, tenant, by=visit.principal, suite=visit.asked("suite")[:128], limit=_RUNS
        )
        return visit.page(
            "evals.html",
            choices=choices,
            tenant=tenant,
            suites=list_suites(self._folder),
            folder=self._folder.name,
            runs=[(run, _summary(run)) for run in runs],
            may_run=visit.principal.may("evals.run", tenant),
        )

    async def start(self, visit: Visit) -> Response:
        """Start a suite as a job, and go to the job."""
        arguments = EvaluateArguments(
            suite=visit.form("suite"),
            baseline=visit.form("baseline"),
            is_fresh=bool(visit.form("fresh")),
        )
        job = await start_evaluation(
            visit.engine, self._folder, visit.form("tenant"), arguments, visit.now,
            by=visit.principal, rng=visit.rng,
        )  # fmt: skip
        return visit.done("done_started", f"/jobs/{job.id}")

    async def run(self, visit: Visit) -> Response:
        """One run: its measures with intervals, errors by class, and a page of its answers."""
        tenant, run_id = await self._tenant(visit), visit.asked("id")
        run = await kept.show_kept(visit.engine, tenant, run_id, by=visit.principal)
        is_failed = bool(visit.asked("failed"))
        after = (visit.asked("after"), _number(visit.asked("repeat")))
        samples = await kept.page_samples(
            visit.engine, tenant, run_id, by=visit.principal,
            after=after if after[0] else None, limit=_SAMPLES, failed_only=is_failed,
        )  # fmt: skip
        others = await kept.list_kept(visit.engine, tenant, by=visit.principal, suite=run.suite)
        return visit.page(
            "eval_run.html",
            tenant=tenant,
            run=run,
            summary=_summary(run),
            samples=samples,
            last=samples[-1][0] if len(samples) == _SAMPLES else None,
            is_first=not after[0],
            is_failed=is_failed,
            others=[one for one in others if one.id != run.id],
        )

    async def compare(self, visit: Visit) -> Response:
        """Two runs: every measure with its verdict, and the examples that lost most."""
        tenant = await self._tenant(visit)
        found = await compare_kept(
            visit.engine, self._folder, tenant, visit.asked("base"), visit.asked("head"),
            by=visit.principal,
        )  # fmt: skip
        measure = _measure(found, visit.asked("measure"))
        lost = losses(found, measure.measure)[:_LOSSES] if measure is not None else []
        return visit.page(
            "eval_compare.html",
            tenant=tenant,
            found=found.comparison,
            measure=measure,
            sides=[_side(found, one) for one in lost],
        )

    async def _tenant(self, visit: Visit) -> str:
        choices = await tenant_choices(visit, "evals.read")
        return pick_tenant(visit, choices, "evals.read")


def _summary(run: StoredRun) -> Summary | None:
    return msgspec.convert(run.summary, Summary) if run.summary else None


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 6 else 0


def _measure(found: Compared, name: str) -> MeasureChange | None:
    """Return the measure that the address names, else the first that decides."""
    measures = found.comparison.measures
    if name:
        known = {one.measure.name: one for one in measures}
        if name not in known:
            raise BadRequest(f"Nothing is measured as '{name[:64]}'.{nearest(name[:64], known)}")
        return known[name]
    return next((one for one in measures if one.decides), measures[0] if measures else None)


def _side(found: Compared, lost: Lost) -> Side:
    example = found.head.examples.get(lost.example_id)
    return Side(
        lost=lost,
        asked=example.question if example else "",
        base=_answer(found.base, lost.example_id),
        head=_answer(found.head, lost.example_id),
    )


def _answer(run: Run, example_id: str) -> Answer | None:
    """Return the first answer to an example."""
    return next((one.answer for one in run.samples if one.example_id == example_id), None)
