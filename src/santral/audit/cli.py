"""``santral audit``: what was done and by whom; export it, and prove that nothing is missing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from santral.audit.entry import Actor, Entry
from santral.audit.export import FORMATS, Format, Manifest, export, read_manifest, verify_file
from santral.audit.history import MAX_LISTED, list_entries, show_entry
from santral.audit.note import note
from santral.audit.store import Question
from santral.audit.verify import Finding, verify
from santral.audit.witness import Witness
from santral.config.load import load
from santral.db.engine import Engine, writing
from santral.db.session import control_database, with_database
from santral.errors import BadRequest

#: Prints rows under columns.
PrintTable = Callable[[Sequence[str], Iterable[Sequence[str]]], None]

_COLUMNS = ("number", "when", "actor", "action", "object", "tenant", "from")

SinceOption = Annotated[str, typer.Option(help="From this day or moment on (ISO 8601, UTC).")]
UntilOption = Annotated[str, typer.Option(help="Before this day or moment (ISO 8601, UTC).")]


def audit_commands(print_table: PrintTable, operator: Callable[[], Actor]) -> typer.Typer:
    """Return the commands; ``operator`` says who runs them, for the row about an export."""
    app = typer.Typer(no_args_is_help=True, help="Who did what: list, show, export, verify.")

    @app.command("list")
    def list_(
        tenant: Annotated[str, typer.Option("--tenant", "-t", help="About this tenant.")] = "",
        actor: Annotated[str, typer.Option(help="By this one, e.g. user:usr_… or cli:ada.")] = "",
        action: Annotated[
            str, typer.Option(help="This act, e.g. keys.revoke, or keys. for all of them.")
        ] = "",
        object: Annotated[str, typer.Option(help="On this, e.g. key:key_… or trace:….")] = "",
        since: SinceOption = "",
        until: UntilOption = "",
        before: Annotated[int | None, typer.Option(help="Rows before this number.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="Most rows.")] = 50,
    ) -> None:
        """Print the latest rows, the newest first."""
        question = Question(
            tenants={tenant} if tenant else None,
            actor=actor,
            action=action,
            object=object,
            since=moment(since, "--since"),
            until=moment(until, "--until"),
            before=before,
            limit=limit,
        )
        found = with_database(os.environ, lambda engine: list_entries(engine, question))
        print_table(_COLUMNS, [_row(entry) for entry in found])

    @app.command("show")
    def show(number: Annotated[int, typer.Argument(help="Its number.")]) -> None:
        """Print one row whole, with what was there before and after."""
        entry = with_database(os.environ, lambda engine: show_entry(engine, number))
        typer.echo(msgspec.json.format(msgspec.json.encode(entry), indent=2).decode())

    @app.command("export")
    def export_(
        file: Annotated[
            Path, typer.Argument(help="The file to write; a manifest comes beside it.")
        ],
        format: Annotated[str, typer.Option(help="jsonl or csv; default by the file's name.")] = "",
        since: SinceOption = "",
        until: UntilOption = "",
    ) -> None:
        """Write rows to a file that anybody can verify: keep it where nobody here can change it."""
        chosen = _format(format, file)
        first, end = moment(since, "--since"), moment(until, "--until")
        with _bar("Exporting") as progress:
            made = asyncio.run(_export(file, chosen, first, end, operator(), progress))
        typer.echo(
            f"Wrote {made.rows} rows, {made.previous.number + 1} to {made.last.number}, to {file}. "
            f"Last hash: {made.last.hash}"
        )

    @app.command("verify")
    def verify_(
        file: Annotated[
            Path | None, typer.Option(help="Verify an export instead, without the database.")
        ] = None,
        against: Annotated[
            list[Path] | None,
            typer.Option(help="Manifest of an export kept elsewhere; repeat for several."),
        ] = None,
    ) -> None:
        """Follow the whole chain; exit status 1 and the first bad number where it does not hold."""
        if file is not None:
            with _bar("Verifying") as progress:
                finding, has_manifest = verify_file(file, progress)
            _conclude(finding, "" if has_manifest else _NO_MANIFEST)
            return
        manifests = [read_manifest(path) for path in against or ()]
        with _bar("Verifying") as progress:
            finding = asyncio.run(_verify(manifests, progress))
        _conclude(finding, "" if finding.sightings else _NO_SIGHTING)

    del list_, show, export_, verify_  # the application holds them
    return app


_NO_MANIFEST = " Without its manifest nothing shows whether rows are missing at the two ends."
_NO_SIGHTING = (
    " Nothing was seen of the log before, so nothing shows whether rows were cut off its end."
)


def moment(text: str, option: str) -> datetime | None:
    """Return the moment that an option names; a day means its beginning in UTC.

    Raises:
        BadRequest: it is neither a day nor a moment.
    """
    if not text:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{option}: '{text}' is no day like 2026-01-31.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def _export(
    file: Path,
    format_: Format,
    since: datetime | None,
    until: datetime | None,
    actor: Actor,
    progress: Callable[[int, int], None],
) -> Manifest:
    config = load(None, os.environ).config
    async with control_database(config) as engine:
        made = await export(engine, file, format_, since=since, until=until, progress=progress)
        await _note_export(engine, actor, made)
    Witness(config.data.folder).add(made.last)
    return made


async def _note_export(engine: Engine, actor: Actor, made: Manifest) -> None:
    async with writing(engine) as conn:
        await note(
            conn,
            actor,
            "audit.export",
            f"audit:{made.previous.number + 1}-{made.last.number}",
            tenant_id="*",
            after={"rows": made.rows, "hash": made.last.hash, "sha256": made.sha256},
        )


async def _verify(manifests: list[Manifest], progress: Callable[[int, int], None]) -> Finding:
    config = load(None, os.environ).config
    seen = Witness(config.data.folder).sightings()
    seen += [sighting for manifest in manifests for sighting in manifest.sightings()]
    async with control_database(config) as engine:
        return await verify(engine, seen, progress)


def _conclude(finding: Finding, doubt: str) -> None:
    if finding.broken is not None:
        Console(stderr=True, highlight=False).print(
            f"The chain is broken at row {finding.broken.number}: {finding.broken.reason}.",
            style="red",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    if finding.rows == 0:
        typer.echo(f"The log is empty.{doubt}")
        return
    cut = f" Retention cut the rows up to {finding.cut_up_to}." if finding.cut_up_to else ""
    typer.echo(
        f"The chain holds: {finding.rows} rows, {finding.first} to {finding.last.number}.{cut} "
        f"Last hash: {finding.last.hash}.{doubt}"
    )


@contextmanager
def _bar(what: str) -> Generator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _format(text: str, file: Path) -> Format:
    wanted = text or file.suffix.removeprefix(".")
    for format_ in FORMATS:
        if wanted == format_:
            return format_
    raise BadRequest(f"'{wanted}' is no format of an export. Use --format jsonl or csv.")


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        str(entry.number),
        f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}",
        entry.actor,
        entry.action,
        entry.object,
        entry.tenant_id,
        entry.origin,
    )
