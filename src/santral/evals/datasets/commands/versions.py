"""Commands on versions of data sets: made, compared, described, exported."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.evals.datasets.card import markdown
from santral.evals.datasets.commands.options import AsJson, Name, Tenant, Version
from santral.evals.datasets.export import FORMATS, format_of, write_examples
from santral.evals.datasets.printed import print_json
from santral.evals.datasets.rework import held_now
from santral.evals.datasets.versions import (
    commit_version,
    diff_versions,
    draft_card,
    version_card,
)
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT

#: Ids that a difference lists of each kind. Chosen: a screen.
_MOST_IDS = 20


def add_versions(app: typer.Typer) -> None:
    """Add what makes versions, and reads them."""

    @app.command("commit")
    def commit(
        name: Name,
        note: Annotated[str, typer.Option("--note", "-m", help="What has changed.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make a version of what is there now; it never changes."""
        made, is_new = with_database(
            os.environ,
            lambda engine: commit_version(
                engine, tenant, name, _now(), by=local_operator(), note_=note
            ),
        )
        said = "Made" if is_new else "Nothing has changed since"
        typer.echo(f"{said} {name}@{made.version}: {made.examples} examples, {made.manifest_hash}")

    @app.command("diff")
    def diff(
        name: Name,
        before: Annotated[int, typer.Argument(min=1, help="The older version.")],
        after: Annotated[
            int | None,
            typer.Argument(min=1, help="The newer one.", show_default="what is there now"),
        ] = None,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print which examples are new, gone, changed or in another split."""
        found = with_database(
            os.environ,
            lambda engine: diff_versions(engine, tenant, name, before, after, by=local_operator()),
        )
        if as_json:
            print_json(found)
            return
        for what in ("added", "removed", "changed", "moved"):
            ids: list[str] = getattr(found, what)
            more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
            typer.echo(
                f"{what}: {len(ids)}" + "".join(f"\n  {id_}" for id_ in ids[:_MOST_IDS]) + more
            )

    @app.command("card")
    def card(
        name: Name,
        version: Version = None,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print the statistics of a version as Markdown or JSON."""
        found = with_database(
            os.environ,
            lambda engine: (
                draft_card(engine, tenant, name, by=local_operator())
                if version == 0
                else version_card(engine, tenant, name, version, by=local_operator())
            ),
        )
        if as_json:
            print_json(found)
        else:
            typer.echo(markdown(found), nl=False)

    @app.command("export")
    def export(
        name: Name,
        file: Annotated[Path, typer.Argument(help="Where to write; its ending says the format.")],
        version: Version = None,
        format_: Annotated[
            str,
            typer.Option("--format", help=f"{', '.join(FORMATS)}; chat and dpo are for training."),
        ] = "",
        split: Annotated[str, typer.Option(help="Only this split.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Write the examples of a version into a file."""
        as_ = format_of(file, format_)
        held = with_database(
            os.environ,
            lambda engine: held_now(engine, tenant, name, by=local_operator(), version=version),
        )
        chosen = [one for one in held if not split or one.split == split]
        typer.echo(f"Wrote {write_examples(file, chosen, as_)} examples into {file}.")

    del commit, diff, card, export  # the application holds them


def _now() -> datetime:
    return datetime.now(UTC)
