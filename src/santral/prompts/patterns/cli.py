"""``santral prompts patterns``: prompts for common work, to look at and to copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from santral.prompts.patterns.catalogue import copy_pattern, patterns
from santral.tenants.table import print_table

patterns_app = typer.Typer(
    no_args_is_help=True, help="Prompts for common work, in English and Turkish."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The pattern, e.g. log-analysis.")]


@patterns_app.command("list")
def list_() -> None:
    """Print the patterns and what they are for."""
    rows = [
        (prompt.name, prompt.versions[-1].version, prompt.versions[-1].description)
        for prompt in patterns()
    ]
    print_table(("pattern", "version", "what for"), rows)


@patterns_app.command("show")
def show(name: Name) -> None:
    """Print the file of a pattern."""
    version = patterns().find(name)
    draft = patterns().drafts[version.name].find(version.version)
    typer.echo("" if draft is None else draft.text)


@patterns_app.command("copy")
def copy(
    name: Name,
    to: Annotated[Path, typer.Option("--to", help="A folder of prompts.")] = Path("prompts"),
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
) -> None:
    """Copy a pattern into a folder of prompts, to make it your own."""
    for written in copy_pattern(name, to, is_forced=force):
        typer.echo(f"{written.path}: {'written' if written.is_new else 'there already'}")
