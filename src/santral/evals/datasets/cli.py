"""``santral datasets``: make, fill, look through, rework, commit and export data sets."""

from __future__ import annotations

import typer

from santral.evals.datasets.commands.examples import add_filling
from santral.evals.datasets.commands.made import OpenAsk, add_made
from santral.evals.datasets.commands.rework import add_rework
from santral.evals.datasets.commands.sets import add_sets
from santral.evals.datasets.commands.versions import add_versions


def datasets_commands(open_ask: OpenAsk) -> typer.Typer:
    """Return the commands; ``open_ask`` opens the gateway that writes and paraphrases."""
    app = typer.Typer(
        no_args_is_help=True, help="Data sets: examples, their revisions, versions that stay."
    )
    for add in (add_sets, add_filling, add_versions, add_rework):
        add(app)
    add_made(app, open_ask)
    return app
