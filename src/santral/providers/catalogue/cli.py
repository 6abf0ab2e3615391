"""``santral prices``: what models cost, whether yours have a price, and a newer catalogue."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from santral.audit.outside import noted
from santral.config.cli import ConfigPath
from santral.config.load import load
from santral.config.schema import Config
from santral.errors import ConfigError
from santral.providers.catalogue.archive import keep_prices
from santral.providers.catalogue.catalogue import (
    catalogue_in,
    combined_prices,
    compare,
    load_catalogue,
    refreshed,
    usd,
)
from santral.providers.catalogue.prices import Price, PriceBook, Tariff
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table

prices_app = typer.Typer(help="What models cost.", no_args_is_help=True)

#: Columns of ``show``: those that differ for most models.
_COLUMNS = ("input", "cache_read", "cache_write", "output", "reasoning")


@prices_app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction] - makes typer keep the command names
    """Keep a group with a single command a group."""


@prices_app.command("show")
def show_prices(
    name: Annotated[str, typer.Argument(help="Part of a kind or model to look for.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="A price file instead of the shipped catalogue.")
    ] = None,
) -> None:
    """Show prices in US dollars per million tokens, newest first, with every variant and length."""
    book = PriceBook.load(file) if file else load_catalogue().prices
    rows = [row for row in book.prices() if name.lower() in f"{row.kind}/{row.model}".lower()]
    if not rows:
        typer.echo(
            f"No price for '{name}' in version {book.version}: its cost is unknown, not zero."
        )
        raise typer.Exit(1)
    typer.echo(f"USD per million tokens, version {book.version}", err=True)
    heads = ("kind", "model", "from", "variant", "input above", *_COLUMNS)
    heads = tuple(head.replace("_", " ") for head in heads)
    print_table(heads, [line for row in rows for line in _lines(row)])


@prices_app.command("check")
def check_prices(config: ConfigPath = None) -> None:
    """Show which price every deployment of the configuration has; exit 1 where one has none."""
    loaded = load(config, os.environ)
    catalogue = catalogue_in(loaded.config.data.folder)
    book = combined_prices(catalogue, loaded.config.prices.file)
    now_us = int(time.time() * 1e6)  # noqa: TID251 - which price is in force today
    rows: list[tuple[str, ...]] = []
    missing: list[str] = []
    for name, deployment in loaded.config.deployments.items():
        kind = loaded.config.providers[deployment.provider].kind
        price = book.price(kind, deployment.price or deployment.model, now_us)
        entry = catalogue.find(kind, deployment.model)
        window = f"{entry.context_tokens:,}" if entry and entry.context_tokens else ""
        if price is None:
            missing.append(name)
            rows.append((name, f"{kind}/{deployment.model}", "unknown", "", "", window))
        else:
            row = f"{price.kind}/{price.model}"
            rates = price.rates
            rows.append((name, row, _day(price), usd(rates.input), usd(rates.output), window))
    print_table(("deployment", "price row", "from", "input", "output", "context"), rows)
    typer.echo(f"catalogue {catalogue.header.version}: {'; '.join(catalogue.header.sources)}")
    if missing:
        typer.echo(
            f"No price: {', '.join(missing)}. Their cost is unknown, never zero. Name a row with "
            "deployments.NAME.price, or add one to a price file (prices.file)."
        )
        raise typer.Exit(1)


@prices_app.command("update")
def update_prices(
    file: Annotated[Path, typer.Argument(help="A newer catalogue.jsonl, of a release or built.")],
    config: ConfigPath = None,
    force: Annotated[
        bool, typer.Option(help="Take it although it drops models or moves prices wildly.")
    ] = False,
) -> None:
    """Put a newer catalogue in force; one that drops known models or moves a price over 10x is refused."""
    loaded = load(config, os.environ)
    folder = loaded.config.data.folder
    new, old = load_catalogue(file), catalogue_in(folder)
    changes = compare(old, new)
    typer.echo(
        f"{old.header.version} -> {new.header.version}: {len(changes.added)} added, "
        f"{len(changes.dropped)} dropped, {len({m.model for m in changes.moved})} with other prices"
    )
    reasons = changes.reasons_to_refuse
    if reasons and not force:
        more = f"\n... and {len(reasons) - 20} more" if len(reasons) > 20 else ""
        raise ConfigError(
            f"{file} is not taken, {refreshed(folder)} stays as it is:\n"
            + "\n".join(reasons[:20])
            + f"{more}\nIf that is right, give --force."
        )
    noted(
        loaded.config,
        lambda: _put_in_force(loaded.config, file),
        local_operator().actor,
        "prices.update",
        f"catalogue:{refreshed(folder).name}",
        before={"version": old.header.version},
        after={
            "version": new.header.version,
            "added": len(changes.added),
            "dropped": len(changes.dropped),
            "moved": len({m.model for m in changes.moved}),
            "forced": force,
        },
    )
    typer.echo(f"In force: {refreshed(folder)}. A running Santral takes it within 2 s.")


def _put_in_force(config: Config, file: Path) -> None:
    folder = config.data.folder
    keep_prices(folder, config.prices.file)
    _replace(refreshed(folder), file.read_bytes())
    keep_prices(folder, None)


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _lines(row: Price) -> list[tuple[str, ...]]:
    return [
        line
        for variant, tariff in (("", row.tariff), *row.variants.items())
        for line in _tariff_lines(row, variant, tariff)
    ]


def _tariff_lines(row: Price, variant: str, tariff: Tariff) -> list[tuple[str, ...]]:
    shown = [("", tariff.rates), *((f"{tokens:,}", rates) for tokens, rates in tariff.above)]
    return [
        (
            *(row.kind, row.model, _day(row), variant, above),
            *(usd(getattr(rates, column)) for column in _COLUMNS),
        )
        for above, rates in shown
    ]


def _day(row: Price) -> str:
    return (
        datetime.fromtimestamp(row.starts_at_us / 1e6, UTC).date().isoformat()
        if row.starts_at_us
        else ""
    )
