"""``santral jobs``: background work, listed, shown and cancelled."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from santral.db.session import with_database
from santral.jobs import queue
from santral.jobs.job import Job
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import TenantId

jobs_app = typer.Typer(no_args_is_help=True, help="Background work: list, show, cancel.")

JobIdArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id, from `jobs list`.")]


@jobs_app.command("list")
def list_jobs(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Only this tenant.")] = "",
    state: Annotated[str, typer.Option(help="waiting, running, done, failed or cancelled.")] = "",
    kind: Annotated[str, typer.Option(help="Only this kind, e.g. privacy.erase.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=queue.MAX_LISTED, help="Most lines.")] = 20,
) -> None:
    """Print the latest jobs, the newest first."""
    tenants = {TenantId(tenant)} if tenant else None
    found = with_database(
        os.environ,
        lambda engine: queue.list_jobs(engine, tenants, state=state, kind=kind, limit=limit),
    )
    print_table(
        ("job", "tenant", "kind", "state", "step", "done", "begun", "tries", "error"),
        [_row(job) for job in found],
    )


@jobs_app.command("show")
def show_job(job: JobIdArgument) -> None:
    """Print one job with its result, without what its arguments say of a person."""
    found = with_database(os.environ, lambda engine: queue.get_job(engine, job))
    shown = {
        "id": found.id,
        "tenant": found.tenant_id,
        "kind": found.kind,
        "state": found.state,
        "progress": {"step": found.progress.step, "done": found.progress.done}
        | ({"total": found.progress.total} if found.progress.total else {}),
        "tries": found.tries,
        "error": found.error,
        "created_by": found.created_by,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "arguments": found.kept_arguments,
        "result": found.result,
    }
    typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


@jobs_app.command("cancel")
def cancel_job(job: JobIdArgument) -> None:
    """End a job before its time; one that runs stops within some seconds."""
    actor = local_operator().actor
    ended = with_database(
        os.environ,
        lambda engine: queue.cancel_job(engine, job, datetime.now(UTC), actor=actor),
    )
    typer.echo(f"Cancelled the job {ended.id} ({ended.kind}).")


def _row(job: Job) -> tuple[str, ...]:
    progress = job.progress
    done = f"{progress.done}/{progress.total}" if progress.total else str(progress.done or "")
    begun = f"{job.started_at:%Y-%m-%d %H:%M:%S}" if job.started_at else ""
    cells = (job.id, job.tenant_id, job.kind, job.state, progress.step, done, begun)
    return (*cells, str(job.tries), job.error)
