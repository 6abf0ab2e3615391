"""Commands on data sets as wholes: made, listed, shown, deleted; and one example's history."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.evals.datasets.change import (
    create_dataset,
    delete_dataset,
    example_history,
    examples_page,
    list_datasets,
    show_dataset,
)
from santral.evals.datasets.commands.options import Name, Tenant
from santral.evals.datasets.dataset import Revision
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

Force = Annotated[bool, typer.Option("--force", help="Although it holds examples.")]

#: Letters of a question in a list. Chosen: a screen.
_SHOWN = 60


def add_sets(app: typer.Typer) -> None:
    """Add what makes a data set, shows it and deletes it."""

    @app.command("create")
    def create(
        name: Name,
        description: Annotated[str, typer.Option(help="What it is for.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make an empty data set."""
        with_database(
            os.environ,
            lambda engine: create_dataset(
                engine, tenant, name, _now(), by=local_operator(), description=description
            ),
        )
        typer.echo(f"Made {tenant}/{name}. Fill it with: santral datasets import {name} FILE")

    @app.command("list")
    def list_(tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print the data sets of a tenant."""
        found = with_database(
            os.environ, lambda engine: list_datasets(engine, tenant, by=local_operator())
        )
        rows = [(x.dataset.name, str(x.examples), str(x.newest or "")) for x in found]
        print_table(("data set", "examples", "version"), rows)

    @app.command("show")
    def show(
        name: Name,
        after: Annotated[str, typer.Option(help="Begin after this example's id.")] = "",
        limit: Annotated[int, typer.Option(min=0, max=500, help="Most examples.")] = 20,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print a data set: its versions, and examples by id."""
        line = with_database(
            os.environ, lambda engine: show_dataset(engine, tenant, name, by=local_operator())
        )
        typer.echo(
            f"{tenant}/{name}: {line.examples} examples. {line.dataset.description}".rstrip()
        )
        print_table(
            ("version", "examples", "manifest", "note"),
            [
                (str(v.version), str(v.examples), v.manifest_hash[:12], v.note)
                for v in line.versions
            ],
        )
        page = with_database(
            os.environ,
            lambda engine: examples_page(
                engine, tenant, name, by=local_operator(), after=after, limit=limit
            ),
        )
        print_table(("example", "revision", "split", "from", "asks"), map(_cells, page))

    @app.command("history")
    def history(
        name: Name,
        example: Annotated[str, typer.Argument(help="The example's id.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print every revision of an example, the newest first."""
        found = with_database(
            os.environ,
            lambda engine: example_history(engine, tenant, name, example, by=local_operator()),
        )
        print_table(
            ("revision", "kind", "when", "by", "split", "asks"),
            [
                (str(x.revision), x.kind, f"{x.created_at:%Y-%m-%d %H:%M}", x.created_by, x.split,
                 _asks(x))
                for x in found
            ],
        )  # fmt: skip

    @app.command("delete")
    def delete(name: Name, force: Force = False, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Delete a data set with every revision and version."""
        line = with_database(
            os.environ,
            lambda engine: delete_dataset(
                engine, tenant, name, by=local_operator(), is_forced=force
            ),
        )
        typer.echo(f"Deleted {tenant}/{name} with {line.examples} examples.")

    del create, list_, show, history, delete  # the application holds them


def _cells(one: Revision) -> tuple[str, ...]:
    origin = one.provenance.origin if one.provenance else "hand"
    return one.example_id, str(one.revision), one.split, origin, _asks(one)


def _asks(one: Revision) -> str:
    if one.content is None:
        return "(erased)" if one.kind == "erase" else "(deleted)"
    text = " ".join(one.content.question.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _now() -> datetime:
    return datetime.now(UTC)
