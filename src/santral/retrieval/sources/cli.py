"""``santral sources``: where documents come from, when, and how that went."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.config.sources import SourcesConfig
from santral.db.engine import Engine
from santral.db.session import control_database, with_database
from santral.errors import BadRequest
from santral.jobs.job import Job
from santral.retrieval.sources import keep
from santral.retrieval.sources.ended import note_end
from santral.retrieval.sources.keep import StartRun
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import KINDS, form_of, place_of
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.readable import visible

#: Sees a job to its end, here or in the control process, and tells how far it is.
FinishJob: TypeAlias = Callable[[Config, Engine, Job, Callable[[Job], None]], Awaitable[Job]]

SourceId = Annotated[str, typer.Argument(metavar="SOURCE", help="Its id, from `sources list`.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=VALUE...", help="Settings; a value may be JSON."),
]
Every = Annotated[
    str, typer.Option("--every", help="Time between two runs: 90s, 15m, 6h, 1d; 0: none.")
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = (
    "source", "tenant", "collection", "kind", "where", "every", "next", "last", "state", "error",
)  # fmt: skip


def sources_commands(finish: FinishJob, start: StartRun) -> typer.Typer:
    """Return the commands; ``start`` begins the job of a run, ``finish`` sees it to its end."""
    app = typer.Typer(
        no_args_is_help=True, help="Where documents come from: add, list, run, pause, delete."
    )
    _add_reading(app)
    _add_changing(app)
    _add_running(app, finish, start)
    return app


def _add_reading(app: typer.Typer) -> None:
    @app.command("kinds")
    def kinds(
        kind: Annotated[str, typer.Argument(help="Print the settings of this kind.")] = "",
    ) -> None:
        """Print the kinds of sources, or what one of them is told."""
        if not kind:
            print_table(("kind", "about"), [(name, form.about) for name, form in KINDS.items()])
            return
        fields = form_of(kind).settings.model_fields.items()
        print_table(("setting", "about"), [(name, info.description or "") for name, info in fields])

    @app.command("list")
    def list_(
        tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Of one tenant.")] = None,
        collection: Annotated[str, typer.Option(help="Of one collection.")] = "",
    ) -> None:
        """Print sources and how their last runs ended."""
        found = with_database(
            os.environ,
            lambda engine: keep.list_sources(
                engine, by=local_operator(), tenant=tenant, collection=collection
            ),
        )
        print_table(_COLUMNS, map(_row, found))

    @app.command("show")
    def show(source: SourceId) -> None:
        """Print one source with its settings and the report of its last run."""
        found, documents = with_database(
            os.environ, lambda engine: keep.show_source(engine, source, by=local_operator())
        )
        shown = msgspec.to_builtins(found) | {"documents": documents}
        shown["has_token"] = bool(shown.pop("token_digest"))
        typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())

    del kinds, list_, show  # the application holds them


def _add_changing(app: typer.Typer) -> None:
    @app.command("add")
    def add(
        kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.")],
        settings: Settings = None,
        collection: Annotated[str, typer.Option(help="Where its documents go.")] = "docs",
        tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose.")] = DEFAULT_TENANT,
        every: Every = "0",
    ) -> None:
        """Add a source: `sources add sitemap url=https://docs.example.com/ --every 6h`."""
        config, given, every_s = _sources(), _parsed(kind, settings or []), _seconds(every)
        made = with_database(
            os.environ,
            lambda engine: keep.add_source(
                engine, config, tenant, collection, kind, given, _now(),
                by=local_operator(), every_s=every_s,
            ),
        )  # fmt: skip
        typer.echo(
            f"Added {made.id}. A control process takes it in now; without one: "
            f"santral sources run {made.id}"
        )

    @app.command("edit")
    def edit(
        source: SourceId,
        settings: Settings = None,
        every: Annotated[str | None, typer.Option("--every", help="As in `sources add`.")] = None,
    ) -> None:
        """Change settings (NAME= alone puts one back to its default) or the schedule."""
        changed = {"every_s": None if every is None else _seconds(every)}
        _change(source, lambda kept: changed | _edited(kept, settings or []), "Changed")

    @app.command("pause")
    def pause(source: SourceId) -> None:
        """Let the schedule and the webhook of a source rest."""
        _change(source, lambda kept: {"is_paused": True}, "Paused")

    @app.command("resume")
    def resume(source: SourceId) -> None:
        """Go on with a source that was paused; it runs at once."""
        _change(source, lambda kept: {"is_paused": False}, "Resumed")

    @app.command("token")
    def token(source: SourceId) -> None:
        """Make a token for a source's webhook; it is printed this once."""
        made = with_database(
            os.environ, lambda engine: keep.renew_token(engine, source, by=local_operator())
        )
        typer.echo(made)
        typer.echo(f"Send it as a bearer to POST /hooks/sources/{source}", err=True)

    @app.command("delete")
    def delete(
        source: SourceId,
        keep_documents: Annotated[
            bool | None,
            typer.Option("--keep-documents/--with-documents", help="Whether its documents stay."),
        ] = None,
    ) -> None:
        """Delete a source, with its documents or without them: asks which where neither is said."""
        _, documents = with_database(
            os.environ, lambda engine: keep.show_source(engine, source, by=local_operator())
        )
        if keep_documents is None:
            keep_documents = bool(documents) and not typer.confirm(
                f"It has brought {documents} documents. Remove them, too?"
            )
        stay = keep_documents
        with_database(
            os.environ,
            lambda engine: keep.delete_source(
                engine, source, _now(), by=local_operator(), keep_documents=stay
            ),
        )
        typer.echo(_deleted(source, documents, stay=stay))

    del add, edit, pause, resume, token, delete  # the application holds them


def _add_running(app: typer.Typer, finish: FinishJob, start: StartRun) -> None:
    @app.command("run")
    def run(source: SourceId) -> None:
        """Take a source in now and wait for the end; exit status 1 where it fails."""
        config = load(None, os.environ).config
        job = asyncio.run(_run(config, source, finish, start))
        if job.state != "done":
            typer.echo(f"The run of {source} {job.state}: {job.error}", err=True)
            raise typer.Exit(1)
        said = job.result or {}
        counts = ", ".join(
            f"{said.get(name, 0)} {name}" for name in ("read", "unchanged", "moved", "removed")
        )
        typer.echo(f"{source}: {counts}, {said.get('problems', 0)} problems.")
        for trouble in said.get("troubles", []):
            typer.echo(f"  {visible(str(trouble['source']))}: {visible(str(trouble['reason']))}")

    del run  # the application holds it


async def _run(config: Config, source: str, finish: FinishJob, start: StartRun) -> Job:
    async with control_database(config) as engine:
        job = await keep.run_source(engine, source, _now(), by=local_operator(), start=start)
        job = await finish(config, engine, job, lambda job: None)
        await note_end(engine, config.data.folder, source, _now(), 0.5)
        return job


def _change(source: str, changes: Callable[[KeptSource], dict[str, Any]], said: str) -> None:
    config = _sources()

    async def work(engine: Engine) -> KeptSource:
        by = local_operator()
        kept, _ = await keep.show_source(engine, source, by=by)
        return await keep.change_source(engine, config, source, _now(), by=by, **changes(kept))

    typer.echo(f"{said} {with_database(os.environ, work).id}.")


def _deleted(source: str, documents: int, *, stay: bool) -> str:
    if stay or not documents:
        return f"Deleted {source}; its documents stay: {documents}."
    return (
        f"{source} goes as soon as its {documents} documents are removed; without a control process: "
        f"santral sources run {source}"
    )


def _edited(kept: KeptSource, settings: Sequence[str]) -> dict[str, Any]:
    return {"settings": _parsed(kept.kind, settings)} if settings else {}


def _parsed(kind: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE settings: JSON where it is some, texts and lists of one text elsewhere."""
    fields = form_of(kind).settings.model_fields
    parsed: dict[str, Any] = {}
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign:
            raise BadRequest(f"'{text[:100]}' is no setting. Write NAME=VALUE.", param="settings")
        kind_of_value = str(fields[name].annotation) if name in fields else ""
        parsed[name] = _value(value, is_list=kind_of_value.startswith("list["))
    return parsed


def _value(text: str, *, is_list: bool) -> Any:
    if not text:
        return None
    if text[0] in "[{" or text in ("true", "false") or text.replace(".", "", 1).isdecimal():
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text.split(",") if is_list else text


def _seconds(text: str) -> int:
    number, unit = text.rstrip("smhd"), text[-1:]
    if not number.isdecimal():
        raise BadRequest(f"'{text[:32]}' is no time. Write 90s, 15m, 6h or 1d.", param="every")
    return int(number) * _UNITS.get(unit, 1)


def _row(source: KeptSource) -> tuple[str, ...]:
    state = "leaving" if source.is_leaving else "paused" if source.is_paused else source.last_state
    return (
        source.id,
        source.tenant_id,
        source.collection,
        source.kind,
        visible(place_of(source.kind, source.settings)),
        f"{source.every_s}s" if source.every_s else "",
        _moment(source.next_at),
        _moment(source.last_at),
        state,
        visible(source.last_error),
    )


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def _sources() -> SourcesConfig:
    return load(None, os.environ).config.sources


def _now() -> datetime:
    return datetime.now(UTC)
