"""``santral db``: bring the control database up to date, or say how it stands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from santral.config.load import load
from santral.db import migrate as steps
from santral.db.engine import Engine, connect, database_url, reading
from santral.db.store import read_revision

db_app = typer.Typer(no_args_is_help=True, help="Migrate the control database, show its state.")

Answer = TypeVar("Answer")


@db_app.command("migrate")
def migrate() -> None:
    """Apply every pending step, all or nothing; safe to run twice and from two places."""
    done = _run(steps.migrate)
    typer.echo(f"Applied {', '.join(done)}." if done else "Nothing to do: the database is current.")


@db_app.command("status")
def status() -> None:
    """Say whether steps are pending: exit status 1 when some are."""
    waiting = _run(steps.pending)
    if waiting:
        typer.echo(f"Pending: {', '.join(waiting)}. Run: santral db migrate")
        raise typer.Exit(1)
    typer.echo(f"Current, at change {_run(_revision)}.")


async def _revision(engine: Engine) -> int:
    async with reading(engine) as conn:
        return await read_revision(conn)


def _run(work: Callable[[Engine], Awaitable[Answer]]) -> Answer:
    config = load(None, os.environ).config

    async def with_engine() -> Answer:
        engine = connect(database_url(config))
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(with_engine())
