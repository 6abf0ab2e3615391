"""Commands that go over every example of a data set: splits, doubts, labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.errors import BadRequest
from santral.evals.datasets.commands.options import AsJson, Name, Tenant, Version
from santral.evals.datasets.label import load_functions
from santral.evals.datasets.printed import (
    print_changed,
    print_check,
    print_json,
    print_labelled,
)
from santral.evals.datasets.rework import (
    check_dataset,
    label_dataset,
    mask_dataset,
    split_dataset,
)
from santral.evals.datasets.splits import parse_shares
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT


def add_rework(app: typer.Typer) -> None:
    """Add what splits, checks and labels a data set."""

    @app.command("split")
    def split(
        name: Name,
        shares: Annotated[
            str, typer.Argument(help="As train=0.8,test=0.2.")
        ] = "train=0.8,test=0.2",
        stratify: Annotated[
            str, typer.Option(help="A metadata field whose values have these shares each.")
        ] = "",
        anew: Annotated[
            bool, typer.Option("--anew", help="Decide also about those that have a split.")
        ] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Give every example a split: families and near-duplicates stay together."""
        counts = with_database(
            os.environ,
            lambda engine: split_dataset(
                engine, tenant, name, parse_shares(shares), _now(), by=local_operator(),
                stratify=stratify, is_kept=not anew,
            ),
        )  # fmt: skip
        print_table(("split", "examples"), [(key, str(n)) for key, n in counts.items()])

    @app.command("check")
    def check(
        name: Name,
        version: Version = 0,
        prompts: Annotated[
            Path | None, typer.Option(help="A folder of prompts that may give answers away.")
        ] = None,
        mask: Annotated[
            bool, typer.Option("--mask", help="Replace personal data in new revisions.")
        ] = False,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Look for near-duplicates, leaks and personal data. Exit status 1 where there are some."""
        texts = _texts_in(prompts)
        found = with_database(
            os.environ,
            lambda engine: check_dataset(
                engine, tenant, name, by=local_operator(), version=version, prompts=texts
            ),
        )
        if as_json:
            print_json(found)
        else:
            print_check(found)
        if mask:
            print_changed(
                with_database(
                    os.environ,
                    lambda engine: mask_dataset(engine, tenant, name, _now(), by=local_operator()),
                )
            )
        elif not found.is_clean:
            raise typer.Exit(1)

    @app.command("label")
    def label(
        name: Name,
        field: Annotated[str, typer.Argument(help="The metadata field that is written.")],
        functions: Annotated[
            list[str], typer.Argument(metavar="FILE.py:FUNCTION...", help="They run as you.")
        ],
        majority: Annotated[
            bool, typer.Option("--majority", help="In place of the weighted vote.")
        ] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Label examples by functions, and print what each did and where they disagree."""
        known = load_functions(functions)
        found = with_database(
            os.environ,
            lambda engine: label_dataset(
                engine, tenant, name, field, known, _now(), by=local_operator(),
                is_majority=majority,
            ),
        )  # fmt: skip
        print_labelled(found)

    del split, check, label  # the application holds them


def _texts_in(folder: Path | None) -> Mapping[str, str]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder of prompts.")
    files = sorted(folder.rglob("*.md"))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def _now() -> datetime:
    return datetime.now(UTC)
