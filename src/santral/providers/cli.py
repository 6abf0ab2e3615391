"""``santral providers``: who can be called, and whether they answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import ConfigError, nearest
from santral.providers.catalogue.catalogue import catalogue_in
from santral.providers.catalogue.retirement import WARN_DAYS, retirements
from santral.providers.probe import Findings, probe
from santral.providers.registry import VENDORS
from santral.providers.tasks.tasked import TASKS, TaskRow
from santral.providers.vendor import Vendor
from santral.tenants.table import print_table

providers_app = typer.Typer(help="Providers that can be called.", no_args_is_help=True)

_AUTH = {"bearer": "required", "optional": "optional", "none": "none", "own": "its own way"}

#: Clocks of a test: a server that loads a model may take its time, a person waits for it. Chosen.
_CLOCKS = TimeoutsConfig(connect_s=5, first_delta_s=60, between_deltas_s=30, total_s=90)

_LISTED = ("kind", "provider", "dialect", "address", "key", "operations", "capabilities", "quirks")
_TESTED = ("provider", "model", "reachable", "key", "model known", "streams", "usage",
           "first token", "tools")  # fmt: skip


@providers_app.command("list")
def list_providers() -> None:
    """Show every provider kind: dialect, address, key, what it can do, and its quirks."""
    print_table(_LISTED, map(_row, VENDORS.values()))


@providers_app.command("test")
def ask_providers(
    name: Annotated[str, typer.Argument(help="A name under [providers].")] = "",
    deployment: Annotated[
        str, typer.Option(help="Ask the model of this deployment; default is the first one.")
    ] = "",
    model: Annotated[str, typer.Option(help="Ask this model, whatever is configured.")] = "",
    is_all: Annotated[bool, typer.Option("--all", help="Test every configured provider.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The santral.toml to read.")
    ] = None,
) -> None:
    """Send real questions of a few tokens: exit status 0 when every provider answers them."""
    settings = load(config, os.environ).config
    chosen = _chosen(settings, name, is_all=is_all)
    found = [
        asyncio.run(probe(each, chosen[each], _model(settings, each, deployment, model), _CLOCKS))
        for each in chosen
    ]
    print_table(_TESTED, map(_cells, found))
    for line in _remarks(found):
        typer.echo(line, err=True)
    if not all(one.is_good for one in found):
        raise typer.Exit(1)


@providers_app.command("retirements")
def list_retirements(
    days: Annotated[int, typer.Option(help="Look so many days ahead.")] = WARN_DAYS,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 when a deployment's model ends by then.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The santral.toml to read.")
    ] = None,
) -> None:
    """List deployments whose model its provider ends soon, as far as the catalogue knows."""
    settings = load(config, os.environ).config
    today = datetime.now(UTC).date()
    found = retirements(settings, catalogue_in(settings.data.folder), today, days)
    rows = [
        (str(one.ends_on), one.deployment, one.model, ", ".join(one.routes) or "-") for one in found
    ]
    print_table(("ends on", "deployment", "model", "routes"), rows)
    if found and is_strict:
        raise typer.Exit(1)


def _chosen(settings: Config, name: str, *, is_all: bool) -> dict[str, ProviderConfig]:
    """Return the providers to test; the embedded answerer is in this process and has no address."""
    remote = {each: one for each, one in settings.providers.items() if one.kind != "local"}
    if is_all and not name:
        if not remote:
            raise ConfigError("No provider is configured beside the embedded answerer.")
        return remote
    if name not in remote:
        known = f"Configured are: {', '.join(remote) or 'none'}."
        what = f"There is no provider '{name}' to test." if name else "Name a provider, or --all."
        raise ConfigError(f"{what}{nearest(name, remote)} {known}")
    return {name: remote[name]}


def _model(settings: Config, provider: str, deployment: str, model: str) -> str:
    """Return the model to ask: the one named, or that of a deployment; empty where none is known."""
    if model or not deployment:
        of_it = (d.model for d in settings.deployments.values() if d.provider == provider)
        return model or next(of_it, "")
    chosen = settings.deployments.get(deployment)
    if chosen is None:
        close = nearest(deployment, settings.deployments)
        raise ConfigError(f"There is no deployment '{deployment}'.{close}")
    if chosen.provider != provider:
        raise ConfigError(f"'{deployment}' is a deployment of '{chosen.provider}'.")
    return chosen.model


def _cells(found: Findings) -> tuple[str, ...]:
    first = found.first_token_ms
    return (
        found.provider,
        found.model or "-",
        found.reachable,
        found.key,
        found.model_known,
        found.streams,
        found.usage,
        "-" if first is None else f"{first:.0f} ms",
        found.tools,
    )


def _remarks(found: Iterable[Findings]) -> Iterable[str]:
    for one in found:
        for key in one.keys:
            if key.outcome != "yes":
                said = "refuses" if key.outcome == "no" else "did not answer with"
                yield f"{one.provider}: the provider {said} key {key.number} of {len(one.keys)}."
        if one.error:
            yield f"{one.provider}: {one.error}"
            yield f"  {one.remedy}"


def _row(vendor: Vendor) -> tuple[str, ...]:
    address = vendor.base_url or ("in this process" if vendor.auth == "none" else "set base_url")
    return (
        vendor.kind,
        vendor.title,
        vendor.dialect,
        address,
        _AUTH[vendor.auth],
        ", ".join(operations_of_kind(vendor)),
        ", ".join(sorted(vendor.capabilities)),
        "; ".join(vendor.quirks()),
    )


def operations_of_kind(vendor: Vendor) -> list[str]:
    """Return what can be asked of a provider of this kind."""
    row = TASKS.get(vendor.kind, TaskRow())
    tasks = (("embed", row.embed), ("rerank", row.rerank), ("moderate", row.moderate))
    talks = [] if vendor.dialect == "tasks" else ["chat"]
    return talks + [name for name, endpoint in tasks if endpoint is not None]
