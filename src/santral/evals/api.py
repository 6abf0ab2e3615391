"""``/api/evals``: suites, runs and their samples, and what became of measures between two runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.evals import kept
from santral.evals.compared import compare_kept
from santral.evals.job import EvaluateArguments
from santral.evals.start import start_evaluation
from santral.evals.store import RunState, StoredRun
from santral.evals.suites import SuiteLine, list_suites
from santral.jobs.api import JobBody, job_body
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT

_Tenant = Annotated[str, Query(max_length=128, description="Whose runs.")]
_Id = Annotated[str, Path(max_length=64, description="The run.")]


class NewEvaluation(BaseModel):
    """A suite to run."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose run it will be.")
    suite: str = Field(max_length=128, description="Name of a file in the folder of suites.")
    baseline: str = Field(
        "", max_length=128, description="What to hold it against: the id of a run, or last."
    )
    limit: int | None = Field(None, ge=1, description="Only so many examples.")
    fresh: bool = Field(False, description="Take no answer that was paid for before.")


class SuiteBody(BaseModel):
    """A suite that can be started."""

    name: str
    description: str
    dataset: str
    targets: list[str]
    evaluators: list[str]
    fault: str = Field(description="Why it cannot be run; empty: it can.")


class SuiteList(BaseModel):
    """The suites of the folder, by name."""

    suites: list[SuiteBody]


class RunBody(BaseModel):
    """A run, without its samples."""

    id: str
    tenant_id: str
    suite: str
    target: str
    state: RunState
    head: dict[str, Any] = Field(description="What it was made with.")
    summary: dict[str, Any] | None = Field(
        description="Measures with intervals, and errors by class; null while it runs."
    )
    cost_nanousd: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class RunList(BaseModel):
    """Runs, the newest first; ``next`` is what ``before`` of the next page is, or empty."""

    runs: list[RunBody]
    next: str


class RunQuery(BaseModel):
    """Which runs to list."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose runs.")
    suite: str = Field("", max_length=128, description="Only this suite.")
    target: str = Field("", max_length=128, description="Only this target.")
    before: str = Field("", max_length=64, description="The last run of the page before.")
    limit: int = Field(50, ge=1, le=kept.MAX_LISTED, description="Longest list.")


class SampleQuery(BaseModel):
    """Which samples to show."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose run.")
    after: str = Field("", max_length=128, description="The last example of the page before.")
    after_repeat: int = Field(0, ge=0, description="And its repeat.")
    limit: int = Field(50, ge=1, le=500, description="Longest page.")
    failed: bool = Field(False, description="Only answers that are none.")


class SampleList(BaseModel):
    """Samples by example and repeat; the first repeat of each comes with its example."""

    samples: list[dict[str, Any]]


def evals_router(
    engine: Engine,
    folder: FilePath,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``folder`` holds the suites that may be started."""
    router = APIRouter(prefix="/api/evals", tags=["evals"])
    reader: Any = Depends(authorise("evals.read"))
    runner: Any = Depends(authorise("evals.run"))

    @router.get("/suites")
    async def get_suites(by: Principal = reader) -> SuiteList:
        """List the suites that can be started."""
        by.require_somewhere("evals.read")
        return SuiteList(suites=[_suite_body(line) for line in list_suites(folder)])

    @router.post("/runs", status_code=202)
    async def post_run(body: NewEvaluation, by: Principal = runner) -> JobBody:
        """Run a suite as a job; its runs are called as the job, with run_ for job_."""
        arguments = EvaluateArguments(
            suite=body.suite, baseline=body.baseline, limit=body.limit, is_fresh=body.fresh
        )
        job = await start_evaluation(engine, folder, body.tenant_id, arguments, clock(), by=by)
        return job_body(job)

    @router.get("/runs")
    async def get_runs(query: Annotated[RunQuery, Query()], by: Principal = reader) -> RunList:
        """List runs, the newest first."""
        before = None
        if query.before:
            last = await kept.show_kept(engine, query.tenant_id, query.before, by=by)
            before = last.created_at, last.id
        found = await kept.list_kept(
            engine,
            query.tenant_id,
            by=by,
            suite=query.suite,
            target=query.target,
            before=before,
            limit=query.limit,
        )
        following = found[-1].id if len(found) == query.limit else ""
        return RunList(runs=[_run_body(run) for run in found], next=following)

    @router.get("/runs/{id}")
    async def get_run(
        id: _Id, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> RunBody:
        """Show what a run measured."""
        return _run_body(await kept.show_kept(engine, tenant_id, id, by=by))

    @router.get("/runs/{id}/samples")
    async def get_samples(
        id: _Id, query: Annotated[SampleQuery, Query()], by: Principal = reader
    ) -> SampleList:
        """Show answers with their scores, page by page."""
        after = (query.after, query.after_repeat) if query.after else None
        found = await kept.page_samples(
            engine,
            query.tenant_id,
            id,
            by=by,
            after=after,
            limit=query.limit,
            failed_only=query.failed,
        )
        return SampleList(
            samples=[
                msgspec.to_builtins(sample) | {"example": msgspec.to_builtins(example)}
                for sample, example in found
            ]
        )

    @router.delete("/runs/{id}")
    async def remove_run(
        id: _Id, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = runner
    ) -> RunBody:
        """Delete a run with its samples."""
        return _run_body(await kept.delete_kept(engine, tenant_id, id, by=by))

    @router.get("/compare")
    async def get_comparison(
        base: Annotated[str, Query(max_length=64, description="The run before a change.")],
        head: Annotated[str, Query(max_length=64, description="The run after it.")],
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> dict[str, Any]:
        """Compare two runs, by the gate of their suite where the folder has it."""
        found = await compare_kept(engine, folder, tenant_id, base, head, by=by)
        return msgspec.to_builtins(found.comparison)

    del get_suites, post_run, get_runs, get_run, get_samples  # the router holds them
    del remove_run, get_comparison
    return router


def _suite_body(line: SuiteLine) -> SuiteBody:
    suite = line.suite.suite if line.suite is not None else None
    return SuiteBody(
        name=line.name,
        description=suite.description if suite else "",
        dataset=suite.dataset if suite else "",
        targets=[target.name for target in suite.targets] if suite else [],
        evaluators=[one.name or one.use for one in suite.evaluators] if suite else [],
        fault=line.fault,
    )


def _run_body(run: StoredRun) -> RunBody:
    return RunBody(
        id=run.id,
        tenant_id=run.tenant_id,
        suite=run.suite,
        target=run.target,
        state=run.state,
        head=msgspec.to_builtins(run.head),
        summary=run.summary,
        cost_nanousd=run.cost_nanousd,
        created_by=run.created_by,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )
