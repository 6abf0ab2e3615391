"""``santral config``: what is in force, whether it is right, what may be set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from santral.config.load import LoadedConfig, load
from santral.config.schema import Config
from santral.config.show import settings

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The santral.toml to read.", show_default="./santral.toml"),
]

#: What ``check`` counts: sections of the configuration.
_COUNTED = ("routes", "deployments", "experiments", "providers")


def config_commands(check_servable: Callable[[LoadedConfig], Sequence[str]]) -> typer.Typer:
    """Return ``santral config``; ``check_servable`` refuses what a gateway would refuse, and warns."""
    app = typer.Typer(no_args_is_help=True, help="Show, check and describe the configuration.")
    app.command("show")(show)
    app.command("schema")(schema)

    @app.command("check")
    def check(config: ConfigPath = None) -> None:
        """Check the configuration with all it names: exit status 0 when it can be served."""
        loaded = load(config, os.environ)
        for warning in check_servable(loaded):
            typer.echo(f"warning: {warning}", err=True)
        counts = {name: len(getattr(loaded.config, name)) for name in _COUNTED}
        counted = ", ".join(f"{n} {name[:-1] if n == 1 else name}" for name, n in counts.items())
        typer.echo(f"{loaded.path or 'defaults'}: good. {counted}.")

    del check  # the application holds it
    return app


def show(config: ConfigPath = None) -> None:
    """Print every setting in force and where its value came from."""
    loaded = load(config, os.environ)
    console = Console()
    if not console.is_terminal:  # for grep and cut: whole, with tabs between
        for setting in settings(loaded):
            typer.echo(f"{setting.name}\t{setting.value}\t{setting.origin}")
        return
    table = Table(title=str(loaded.path or "no file: defaults"), box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for setting in settings(loaded):
        style = "dim" if setting.origin == "default" else ""
        table.add_row(*map(escape, (setting.name, setting.value, setting.origin)), style=style)
    console.print(table)


def schema() -> None:
    """Print the JSON Schema of santral.toml."""
    typer.echo(json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False))
