"""``santral import litellm``: a LiteLLM configuration becomes a santral.toml, and says what did not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from santral.app.litellm.convert import convert
from santral.app.litellm.provider import Converted
from santral.app.litellm.read import read_litellm
from santral.config.load import load
from santral.config.toml import toml_key, toml_value
from santral.errors import ConfigError

import_app = typer.Typer(help="Bring a configuration from another gateway.", no_args_is_help=True)


@import_app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction] - makes typer keep the command names
    """Keep a group with a single command a group."""


@import_app.command("litellm")
def import_litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")],
    out: Annotated[Path, typer.Option(help="The santral.toml to write.")] = Path("santral.toml"),
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
) -> None:
    """Convert a LiteLLM proxy configuration; secrets are never copied, what is left is named."""
    made = convert(read_litellm(file))
    if not made.routes:
        raise ConfigError(f"{file}: no model of it can be converted.\n" + "\n".join(made.left))
    prices = out.with_name("prices.toml")
    for path in (out, prices) if made.prices else (out,):
        if path.exists() and not force:
            raise ConfigError(f"{path} is there already; give --force, or another --out.")
    if made.prices:
        prices.write_text(price_file(made), encoding="utf-8")
    out.write_text(config_file(made, file.name), encoding="utf-8")
    load(out, os.environ)  # what was written must be a configuration: a fault here is ours
    typer.echo(
        f"{out}: {len(made.providers)} providers, {len(made.deployments)} deployments, "
        f"{len(made.routes)} routes"
    )
    if made.keys:
        typer.echo(f"Set in the environment: {', '.join(made.keys)}")
    if made.left:
        typer.echo(f"Not converted ({len(made.left)}):")
        for line in made.left:
            typer.echo(f"  {line}")
    typer.echo(f"Look at it, then: santral --config {out} config check")


def config_file(made: Converted, source: str) -> str:
    """Return the text of a santral.toml."""
    parts = [f"# Made by `santral import litellm` from {source}. Look at it before you use it.\n"]
    if made.prices:
        parts.append('[prices]\nfile = "prices.toml"\n')
    for section, tables in (
        ("providers", made.providers),
        ("deployments", made.deployments),
        ("routes", made.routes),
    ):
        for name, settings in tables.items():
            lines = [f"{key} = {toml_value(value)}" for key, value in settings.items()]
            parts.append("\n".join([f"[{section}.{toml_key(name)}]", *lines, ""]))
    if made.left:
        parts.append("\n".join(["# Not converted:", *(f"# {line}" for line in made.left), ""]))
    return "\n".join(parts)


def price_file(made: Converted) -> str:
    """Return the text of a price file with the prices that the configuration stated."""
    today = datetime.now(UTC).date().isoformat()
    parts = [f'version = "{today}-litellm"\ncurrency = "USD"\n']
    seen: set[tuple[str, str]] = set()
    for row in made.prices:
        if (row["kind"], row["model"]) in seen:
            continue
        seen.add((row["kind"], row["model"]))
        lines = [f"{key} = {toml_value(value)}" for key, value in row.items()]
        parts.append("\n".join(["[[price]]", "from = 2020-01-01", *lines, ""]))
    return "\n".join(parts)
