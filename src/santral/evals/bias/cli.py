"""``santral eval bias``: whether who a question is about changes what is answered."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console

from santral.config.load import load
from santral.db.session import control_database
from santral.errors import BadRequest
from santral.evals.asked import OpenPlace
from santral.evals.baseline import RUN_PREFIX
from santral.evals.bias.probe import KINDS, probe_bias
from santral.evals.bias.report import BiasReport, as_markdown
from santral.evals.place import TellTarget, Wish
from santral.evals.progress import shown_progress
from santral.evals.run import Run
from santral.evals.suite_file import read_suite
from santral.evals.swaps.swap import SwapKind
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT, TenantId


def add_bias(app: typer.Typer, open_place: OpenPlace) -> None:
    """Add the command to ``santral eval``; ``open_place`` builds what a process evaluates with."""

    @app.command("bias")
    def bias(
        suite: Annotated[Path, typer.Argument(metavar="SUITE", help="A suite: a TOML file.")],
        swap: Annotated[
            list[str] | None, typer.Option("--swap", help=f"{', '.join(KINDS)}; repeat it.")
        ] = None,
        by: Annotated[
            list[str] | None,
            typer.Option("--by", metavar="FIELD", help="Compare groups by this metadata, too."),
        ] = None,
        limit: Annotated[int | None, typer.Option(min=1, help="Only so many examples.")] = None,
        seed: Annotated[int, typer.Option(help="Of the names that are drawn.")] = 0,
        out: Annotated[
            Path | None, typer.Option(help="Write the report here, as Markdown.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
        fail: Annotated[
            bool, typer.Option("--fail", help="Exit status 1 where a difference is sure.")
        ] = False,
        tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose run it is.")] = (
            DEFAULT_TENANT
        ),
    ) -> None:
        """Ask every example again about others (names, gender, dialect; English and Turkish), and say
        which differences are none of chance."""
        console = Console(stderr=True, highlight=False)
        with shown_progress(console) as tell:
            found = asyncio.run(
                _probe(open_place, suite, _kinds(swap or []), by or [], limit, seed, tenant, tell)
            )
        text = "\n\n".join(as_markdown(report, run) for report, run in found)
        if out is not None:
            out.write_text(text + "\n", encoding="utf-8")
            console.print(f"Written: {out}", soft_wrap=True, markup=False)
        if json:
            reports = [report for report, _ in found]
            typer.echo(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode())
        elif out is None:
            typer.echo(text)
        if fail and not all(report.is_clear for report, _ in found):
            raise typer.Exit(1)

    del bias  # the application holds it


async def _probe(
    open_place: OpenPlace,
    path: Path,
    kinds: tuple[SwapKind, ...],
    fields: list[str],
    limit: int | None,
    seed: int,
    tenant: str,
    tell: TellTarget,
) -> list[tuple[BiasReport, Run]]:
    loaded, suite = load(None, os.environ), read_suite(path)
    if limit is not None:
        suite = replace(suite, suite=replace(suite.suite, limit=limit))
    async with control_database(loaded.config) as engine:
        place = open_place(loaded, engine)
        wish = Wish(
            suite=suite, tenant=TenantId(tenant), id=f"{RUN_PREFIX}{place.random_bytes(8).hex()}"
        )
        return await probe_bias(
            place, wish, by=local_operator(), kinds=kinds, fields=fields, seed=seed, tell=tell
        )


def _kinds(given: list[str]) -> tuple[SwapKind, ...]:
    for kind in given:
        if kind not in KINDS:
            raise BadRequest(f"There is no swap '{kind[:64]}': {', '.join(KINDS)}.", param="swap")
    return tuple(cast("list[SwapKind]", given)) or KINDS
