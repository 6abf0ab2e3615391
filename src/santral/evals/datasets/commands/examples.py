"""Commands that put examples into a data set, and take them out of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from santral.config.load import load
from santral.db.session import with_database
from santral.errors import BadRequest
from santral.evals.datasets.change import OnExisting, add_examples, delete_example
from santral.evals.datasets.commands.options import Name, Tenant
from santral.evals.datasets.dataset import Provenance
from santral.evals.datasets.files import examples_of_rows
from santral.evals.datasets.printed import print_changed, print_left_out, shown_bar
from santral.evals.datasets.shape import Rest, parse_mapping
from santral.evals.datasets.take_in import Import, import_file
from santral.evals.datasets.traces import Wanted, add_traces, parse_filters
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.ask import KEY_VARIABLE, choose_source
from santral.traces.question import FoundTrace, TracePage


def add_filling(app: typer.Typer) -> None:
    """Add what fills a data set and takes examples out of it."""

    @app.command("add")
    def add(
        name: Name,
        example: Annotated[
            list[str],
            typer.Argument(metavar="JSON...", help='As {"input": "...", "expected": "..."}'),
        ],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Add examples that are written out, or new revisions of those whose ids are there."""
        rows = [(f"example {n}", _json(text)) for n, text in enumerate(example, 1)]
        made = [(one, Provenance()) for one in examples_of_rows(rows, "the command line")]
        changed = with_database(
            os.environ,
            lambda engine: add_examples(engine, tenant, name, made, _now(), by=local_operator()),
        )
        print_changed(changed)

    @app.command("import")
    def import_(
        name: Name,
        file: Annotated[Path, typer.Argument(help="JSONL, CSV, TSV or Parquet.")],
        map_: Annotated[
            list[str] | None,
            typer.Option("--map", metavar="FIELD=COLUMN", help="As input=question; repeatable."),
        ] = None,
        rest: Annotated[
            str, typer.Option(help="Columns that are no field: refuse, metadata or drop.")
        ] = "refuse",
        skip_bad: Annotated[
            bool,
            typer.Option("--skip-bad", help="Leave rows out that are wrong, and say how many."),
        ] = False,
        split: Annotated[str, typer.Option(help="Of rows that name none.")] = "",
        existing: Annotated[
            str, typer.Option(help="Ids that are there: replace, keep or refuse.")
        ] = "replace",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Add the examples of a file; nothing is added when a row is wrong."""
        how = Import(
            mapping=parse_mapping(map_ or []),
            rest=_one_of(Rest, rest, "rest"),
            skips_bad=skip_bad,
            split=split,
            on_existing=_one_of(OnExisting, existing, "existing"),
        )
        with shown_bar("writing") as told:
            done = with_database(
                os.environ,
                lambda engine: import_file(
                    engine, tenant, name, file, how, _now(), by=local_operator(), told=told
                ),
            )
        print_changed(done.changed)
        if done.skipped:
            typer.echo(f"{done.skipped} rows were left out:", err=True)
            for fault in done.faults:
                typer.echo(f"  {fault}", err=True)

    @app.command("add-traces")
    def add_traces_(
        name: Name,
        route: Annotated[str, typer.Option(help="Only this route.")] = "",
        since: Annotated[str, typer.Option(help="Age such as 24h, 7d, or an ISO time.")] = "24h",
        status: Annotated[str, typer.Option(help="ok, error, 4xx or a status.")] = "ok",
        filter_: Annotated[
            list[str] | None,
            typer.Option(
                "--filter",
                metavar="FIELD=VALUE",
                help="A field of the trace, tag.NAME or score.NAME; also <= and >=; repeatable.",
            ),
        ] = None,
        with_answer: Annotated[
            bool, typer.Option("--with-answer", help="The answer given is what is expected.")
        ] = False,
        limit: Annotated[int, typer.Option(min=1, max=5_000, help="Most examples.")] = 200,
        tenant: Tenant = DEFAULT_TENANT,
        key: Annotated[
            str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
        ] = "",
        url: Annotated[str, typer.Option(help="Control process to ask.")] = "",
    ) -> None:
        """Make examples of traces: what was kept of them, masked as it was kept."""
        source = choose_source(load(None, os.environ).config, os.environ, url, key)
        asked = {"tenant": tenant, "route": route, "since": since, "status": status, "limit": "200"}

        async def list_traces(cursor: str) -> TracePage:
            return await asyncio.to_thread(source.list_traces, {**asked, "before": cursor})

        async def get_trace(trace_id: str) -> FoundTrace:
            return await asyncio.to_thread(source.get_trace, trace_id)

        wanted = Wanted(filters=parse_filters(filter_ or []), with_answer=with_answer, limit=limit)
        taken = with_database(
            os.environ,
            lambda engine: add_traces(
                engine, tenant, name, list_traces, get_trace, wanted, _now(), by=local_operator()
            ),
        )
        print_changed(taken.changed)
        print_left_out(taken.left_out)

    @app.command("remove")
    def remove(
        name: Name,
        example: Annotated[str, typer.Argument(help="The example's id.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Take an example out of what later versions hold."""
        with_database(
            os.environ,
            lambda engine: delete_example(
                engine, tenant, name, example, _now(), by=local_operator()
            ),
        )
        typer.echo(f"Took {example} out. Versions that hold it keep it.")

    del add, import_, add_traces_, remove  # the application holds them


def _json(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadRequest(f"'{text[:64]}' is no JSON object: {error}.") from None


def _one_of(kind: Any, value: str, option: str) -> Any:
    try:
        return msgspec.convert(value, cast("type[str]", kind))
    except msgspec.ValidationError:
        raise BadRequest(f"--{option} is '{value}'. See --help.", param=option) from None


def _now() -> datetime:
    return datetime.now(UTC)
