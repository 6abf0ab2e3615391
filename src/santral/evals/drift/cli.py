"""``santral monitors``: what watches for drift, and what it found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.db.session import control_database, with_database
from santral.errors import BadRequest
from santral.evals.drift import keep
from santral.evals.drift.monitor import Monitor
from santral.evals.drift.signals import KNOWN, SCORE
from santral.jobs.job import Job
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

#: Sees a job to its end, here or in the control process, and tells how far it is.
FinishJob: TypeAlias = Callable[[Config, Engine, Job, Callable[[Job], None]], Awaitable[Job]]

Name = Annotated[str, typer.Argument(metavar="MONITOR", help="Its name.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose.")]
_COLUMNS = ("monitor", "tenant", "signals", "route", "every", "next look", "state")


def monitors_commands(finish: FinishJob) -> typer.Typer:
    """Return the commands; ``finish`` sees the job of a look to its end."""
    app = typer.Typer(
        no_args_is_help=True, help="Watch requests, answers, scores and costs for drift."
    )
    _add_reading(app)
    _add_changing(app)

    @app.command("look")
    def look(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Compare now with before, and print what may be concluded; exit status 1 for a drift."""
        job = asyncio.run(_look(load(None, os.environ).config, tenant, name, finish))
        if job.state != "done":
            typer.echo(f"The look {job.state}: {job.error}", err=True)
            raise typer.Exit(2)
        result: dict[str, Any] = job.result or {}
        for line in result.get("said", []):
            typer.echo(line)
        if result.get("verdict") == "drift":
            raise typer.Exit(1)

    del look  # the application holds it
    return app


def _add_reading(app: typer.Typer) -> None:
    @app.command("list")
    def list_() -> None:
        """Print monitors."""
        found = with_database(
            os.environ, lambda engine: keep.list_monitors(engine, by=local_operator())
        )
        print_table(_COLUMNS, map(_row, found))

    @app.command("show")
    def show(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print what a monitor found lately."""
        monitor, findings = with_database(
            os.environ,
            lambda engine: keep.findings_of(engine, tenant, name, by=local_operator()),
        )
        typer.echo(msgspec.json.format(msgspec.json.encode(monitor.settings), indent=2).decode())
        for finding in findings:
            typer.echo(f"\n{finding.created_at:%Y-%m-%d %H:%M} UTC  {finding.verdict}")
            for line in finding.found.get("said", []):
                typer.echo(f"  {line}")
            for signal in finding.found.get("signals", []):
                for trace in signal.get("exemplars", []):
                    typer.echo(f"  {signal['signal']}: santral traces show {trace}")

    del list_, show  # the application holds them


def _add_changing(app: typer.Typer) -> None:
    @app.command("create")
    def create(
        name: Name,
        settings: Annotated[
            list[str] | None,
            typer.Argument(metavar="NAME=VALUE...", help="Settings; a value may be JSON."),
        ] = None,
        signal: Annotated[
            list[str] | None,
            typer.Option("--signal", help=f"{', '.join(KNOWN)} or {SCORE}NAME; repeat it."),
        ] = None,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make a monitor: `monitors create support route=support every_hours=6`."""
        given = dict(map(_pair, settings or []))
        if signal:
            given["signals"] = signal
        made = with_database(
            os.environ,
            lambda engine: keep.create_monitor(
                engine, tenant, name, given, datetime.now(UTC), by=local_operator()
            ),
        )
        typer.echo(
            f"Made the monitor '{made.name}'. A control process looks within seconds; without one: "
            f"santral monitors look {made.name}"
        )

    @app.command("pause")
    def pause(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Let a monitor rest."""
        _rest(tenant, name, is_paused=True)

    @app.command("resume")
    def resume(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Go on with a monitor that rests; it looks at once."""
        _rest(tenant, name, is_paused=False)

    @app.command("delete")
    def delete(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Delete a monitor and what it found."""
        with_database(
            os.environ,
            lambda engine: keep.delete_monitor(engine, tenant, name, by=local_operator()),
        )
        typer.echo(f"Deleted the monitor '{name}'.")

    del create, pause, resume, delete  # the application holds them


def _rest(tenant: str, name: str, *, is_paused: bool) -> None:
    now = datetime.now(UTC)
    with_database(
        os.environ,
        lambda engine: keep.pause_monitor(
            engine, tenant, name, is_paused, now, by=local_operator()
        ),
    )
    typer.echo(f"The monitor '{name}' {'rests' if is_paused else 'goes on'}.")


async def _look(config: Config, tenant: str, name: str, finish: FinishJob) -> Job:
    async with control_database(config) as engine:
        job = await keep.start_look(engine, tenant, name, datetime.now(UTC), by=local_operator())
        return await finish(config, engine, job, lambda job: None)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadRequest(f"{text}: give it as NAME=VALUE.", param=name)
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _row(monitor: Monitor) -> tuple[str, ...]:
    settings = monitor.settings
    return (
        monitor.name,
        monitor.tenant_id,
        ", ".join(settings.signals),
        settings.route or "all",
        f"{settings.every_hours:g} h",
        "-" if monitor.next_at is None else f"{monitor.next_at:%Y-%m-%d %H:%M}",
        "rests" if monitor.is_paused else "watches",
    )
