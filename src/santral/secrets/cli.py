"""``santral secrets``: seal provider keys and whatever else must not lie about in clear."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from santral.audit.note import Actor
from santral.config.load import load
from santral.config.schema import Config
from santral.config.sealed import sealed_references
from santral.db.engine import Engine
from santral.db.session import control_database
from santral.errors import BadRequest, NotFound
from santral.secrets import change, rotate
from santral.secrets.opened import EVERYBODY
from santral.secrets.row import SecretRow
from santral.secrets.sealer import Sealer, count_data_keys, erase_sealed
from santral.secrets.wrappers import Wrappers, wrappers_from

#: Prints rows under columns.
PrintTable = Callable[[Sequence[str], Iterable[Sequence[str]]], None]

Answer = TypeVar("Answer")

NameArgument = Annotated[str, typer.Argument(help='Its name: api_key = "secret:NAME".')]


def secrets_commands(print_table: PrintTable, operator: Callable[[], Actor]) -> typer.Typer:
    """Return the commands; ``operator`` says who runs them, for the audit log."""
    app = typer.Typer(no_args_is_help=True, help="Seal provider keys: set, list, remove, rotate.")

    @app.command("set")
    def set_(
        name: NameArgument,
        from_env: Annotated[str, typer.Option(help="Read it from this variable.")] = "",
        from_file: Annotated[Path | None, typer.Option(help="Read it from this file.")] = None,
    ) -> None:
        """Seal a secret, asked for or read from standard input: never an argument."""
        change.checked_name(name)
        value = _value(name, from_env, from_file)

        async def work(engine: Engine, wrappers: Wrappers) -> None:
            sealer = Sealer(engine, wrappers)
            await change.set_secret(engine, sealer, name, value, _now(), actor=operator())

        _with_keys(work)
        typer.echo(f"Sealed '{name}'. Name it in santral.toml: secret:{name}")

    @app.command("list")
    def list_() -> None:
        """Print the names of the sealed secrets and who uses them; values are never shown."""
        config = load(None, os.environ).config
        used = sealed_references(config)
        rows = asyncio.run(_with_engine(config, change.list_secrets))
        print_table(("secret", "set", "data key", "used by"), [_row(row, used) for row in rows])

    @app.command("remove")
    def remove(
        name: NameArgument,
        force: Annotated[
            bool, typer.Option("--force", help="Also where settings name it.")
        ] = False,
    ) -> None:
        """Remove a sealed secret."""
        config = load(None, os.environ).config
        places = sealed_references(config).get(name, [])
        if places and not force:
            raise BadRequest(
                f"{', '.join(places)} is secret:{name}. Without it the next start, and the next "
                "change of a secret, are refused. Change the setting first, or use --force."
            )
        asyncio.run(_with_engine(config, lambda e: change.remove_secret(e, name, actor=operator())))
        typer.echo(f"Removed '{name}'.")

    @app.command("rotate")
    def rotate_(
        tenant: Annotated[
            str,
            typer.Option(
                "--tenant", "-t", help="Give this tenant's payloads a new data key instead."
            ),
        ] = "",
    ) -> None:
        """Make a new data key and seal every secret anew; goes on where a killed run stopped."""
        if tenant:
            made = _with_keys(lambda e, w: rotate.replace_data_key(e, w, tenant, actor=operator()))
            typer.echo(
                f"The data key {made} seals for '{tenant}' from now on; earlier ones still open "
                "what they sealed, until retention has removed it."
            )
            return
        with _bar("Sealing anew") as progress:
            done = _with_keys(lambda e, w: rotate.rotate(e, w, actor=operator(), progress=progress))
        resumed = (
            " An interrupted rotation was ended; run it again for a new key."
            if done.is_resumed
            else ""
        )
        typer.echo(f"Sealed {done.resealed} secrets under the data key {done.key_id}.{resumed}")

    @app.command("rewrap")
    def rewrap(
        all_: Annotated[
            bool, typer.Option("--all", help="Also keys that the present one wrapped already.")
        ] = False,
    ) -> None:
        """Wrap every data key with the present master key; goes on where a killed run stopped."""
        with _bar("Wrapping anew") as progress:
            done = _with_keys(
                lambda e, w: rotate.rewrap(
                    e, w, actor=operator(), every_key=all_, progress=progress
                )
            )
        _conclude(done)

    @app.command("destroy")
    def destroy(
        tenant: Annotated[str, typer.Argument(help="Whose sealed payloads to erase.")],
        force: Annotated[
            bool, typer.Option("--force", help="Do it: nothing brings them back.")
        ] = False,
    ) -> None:
        """Destroy a tenant's data keys: its sealed payloads open nowhere any more, in no backup."""
        config = load(None, os.environ).config
        asyncio.run(_with_engine(config, lambda e: _destroy(e, tenant, force, operator())))
        typer.echo(f"What was sealed for '{tenant}' is erased.")

    del set_, list_, remove, rotate_, rewrap, destroy  # the application holds them
    return app


async def _destroy(engine: Engine, tenant: str, is_forced: bool, actor: Actor) -> None:
    if tenant == EVERYBODY:
        raise BadRequest("'*' are the data keys of the secrets. Remove secrets one by one.")
    count = await count_data_keys(engine, tenant)
    if count == 0:
        raise NotFound(f"Nothing is sealed for a tenant '{tenant[:64]}'.")
    if not is_forced:
        raise BadRequest(
            f"This destroys {count} data key{'' if count == 1 else 's'}: every sealed payload of '{tenant}' is erased for good, "
            "in backups, too. Say --force to do it."
        )
    await erase_sealed(engine, tenant, actor)


def _row(row: SecretRow, used: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    places = ", ".join(used.get(row.name, ()))
    return row.name, f"{row.updated_at:%Y-%m-%d %H:%M}", row.data_key_id, places


def _conclude(done: rotate.Rewrapped) -> None:
    typer.echo(f"The key {done.wrapped_by} wraps {done.keys} more data keys.")
    for line in done.failed:
        typer.echo(line, err=True)
    if done.failed:
        raise typer.Exit(1)


def _value(name: str, from_env: str, from_file: Path | None) -> str:
    """Return the secret; a line's end that a file or an echo added is no part of it."""
    if from_env and from_file:
        raise BadRequest("Use --from-env or --from-file, not both.")
    if from_env:
        if not os.environ.get(from_env):
            raise BadRequest(f"--from-env: the variable {from_env} is not set.")
        return os.environ[from_env]
    if from_file:
        try:
            return from_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRequest(f"--from-file: {from_file} cannot be read: {error}") from None
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, confirmation_prompt=True))
    return sys.stdin.read(change.MAX_VALUE_BYTES + 1).rstrip("\r\n")


def _with_keys(work: Callable[[Engine, Wrappers], Awaitable[Answer]]) -> Answer:
    config = load(None, os.environ).config
    wrappers = wrappers_from(config.secrets)
    return asyncio.run(_with_engine(config, lambda engine: work(engine, wrappers)))


async def _with_engine(config: Config, work: Callable[[Engine], Awaitable[Answer]]) -> Answer:
    async with control_database(config) as engine:
        return await work(engine)


@contextmanager
def _bar(what: str) -> Generator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _now() -> datetime:
    return datetime.now(UTC)
