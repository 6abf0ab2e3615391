"""``santral collections``: make, change, rebuild beside themselves, switch and delete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from santral.config.load import load
from santral.db.session import with_database
from santral.errors import BadRequest
from santral.retrieval.collection import Version
from santral.retrieval.collections.change import (
    CollectionLine,
    change_collection,
    create_collection,
    delete_collection,
    list_collections,
    show_collection,
)
from santral.retrieval.collections.dropping import dropping
from santral.retrieval.collections.snapshot import restore_snapshot, save_snapshot
from santral.retrieval.collections.versions import add_version, drop_version, switch_version
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose collection.")]
Name = Annotated[str, typer.Argument(metavar="COLLECTION", help="Its name.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SETTING=VALUE",
        help="As under [collections.NAME] in santral.toml, e.g. child_tokens=200 or "
        "search.rerank=learned; repeatable. VALUE is JSON, or a text.",
    ),
]

collections_app = typer.Typer(
    no_args_is_help=True, help="Collections: make, change, rebuild, switch, delete."
)


@collections_app.command("list")
def list_(tenant: Tenant = DEFAULT_TENANT) -> None:
    """Print the collections of a tenant."""
    config = load(None, os.environ).config
    found = with_database(
        os.environ,
        lambda engine: list_collections(engine, config, tenant, by=local_operator()),
    )
    print_table(
        ("collection", "version", "documents", "quarantined", "chunks", "embedding", "state"),
        [_cells(line) for line in found],
    )


@collections_app.command("show")
def show(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Print one collection: its settings and its versions."""
    config = load(None, os.environ).config
    line = with_database(
        os.environ,
        lambda engine: show_collection(engine, config, tenant, name, by=local_operator()),
    )
    known = line.collection
    _say(f"{known.tenant_id}/{known.name}: {_state(line)}")
    if line.warning:
        _say(line.warning)
    if known.is_declared:
        _say(f"Its settings stand in santral.toml, under [collections.{name}].")
    written = known.settings.model_dump(mode="json", exclude_defaults=True)
    _say(msgspec.json.format(msgspec.json.encode(written), indent=2).decode())
    print_table(
        ("version", "state", "chunking", "tokens", "embedding", "engine", "chunks", "made"),
        [_version_cells(version) for version in line.versions],
    )


@collections_app.command("create")
def create(name: Name, settings: Settings = None, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Make an empty collection."""
    config = load(None, os.environ).config
    asked = parse_settings(settings or [])
    with_database(
        os.environ,
        lambda engine: create_collection(
            engine, config, tenant, name, asked, _now(), by=local_operator()
        ),
    )
    _say(f"Made {tenant}/{name}. Fill it with: santral ingest PATH --collection {name}")


@collections_app.command("set")
def set_(
    name: Name,
    settings: Annotated[list[str], typer.Argument(metavar="SETTING=VALUE...")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Change settings; `SETTING=null` takes one back to its default."""
    config = load(None, os.environ).config
    asked = parse_settings(settings)
    changed = with_database(
        os.environ,
        lambda engine: change_collection(
            engine, config, tenant, name, asked, _now(), by=local_operator()
        ),
    )
    _say(f"Changed {changed.tenant_id}/{name}. Searches follow within seconds.")


@collections_app.command("delete")
def delete(
    name: Name,
    tenant: Tenant = DEFAULT_TENANT,
    force: Annotated[bool, typer.Option("--force", help="Although it holds documents.")] = False,
) -> None:
    """Delete a collection with its documents, sources and index."""
    config = load(None, os.environ).config
    gone = with_database(
        os.environ,
        lambda engine: delete_collection(
            engine, config, tenant, name, by=local_operator(), drop=dropping(config),
            is_forced=force,
        ),
    )  # fmt: skip
    _say(f"Deleted {tenant}/{name} with {gone.documents} documents.")


@collections_app.command("add-version")
def add(name: Name, settings: Settings = None, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Add a version with other settings beside the active one; the next ingest builds it."""
    config = load(None, os.environ).config
    asked = parse_settings(settings or [])
    made = with_database(
        os.environ,
        lambda engine: add_version(
            engine, config, tenant, name, asked, _now(), by=local_operator()
        ),
    )
    _say(
        f"Version {made.version} is {made.state}. Build it with: santral collections update {name}"
    )


@collections_app.command("switch")
def switch(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version to search.")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Search another version from now on."""
    _switch(name, version, tenant)


@collections_app.command("rollback")
def rollback(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Search the version again that was searched before."""
    _switch(name, None, tenant)


@collections_app.command("drop-version")
def drop_(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version to give up.")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Give up a version that is not searched: its chunks and its index go."""
    config = load(None, os.environ).config
    with_database(
        os.environ,
        lambda engine: drop_version(
            engine, config, tenant, name, version, by=local_operator(), drop=dropping(config)
        ),
    )
    _say(f"Version {version} of {tenant}/{name} is gone.")


@collections_app.command("snapshot")
def snapshot(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="An empty folder, or one that is not there.")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Copy the index that is searched into a folder."""
    config = load(None, os.environ).config
    saved = with_database(
        os.environ,
        lambda engine: save_snapshot(engine, config, tenant, name, folder, by=local_operator()),
    )
    _say(f"Version {saved.version} of {tenant}/{name} lies in {folder}.")


@collections_app.command("restore")
def restore(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A snapshot of it.")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Search a snapshot from now on; documents that have changed since follow with the next ingest."""
    config = load(None, os.environ).config
    state = with_database(
        os.environ,
        lambda engine: restore_snapshot(engine, config, tenant, name, folder, by=local_operator()),
    )
    _say(f"{tenant}/{name} is searched as in {folder}: {state.documents} documents.")


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """Return settings as they are nested in santral.toml.

    Raises:
        BadRequest: one that is not SETTING=VALUE.
    """
    parsed: dict[str, Any] = {}
    for item in given:
        setting, sign, value = item.partition("=")
        if not sign or not setting.strip():
            raise BadRequest(f"'{item}' is no setting. Write SETTING=VALUE.", code="bad_setting")
        *above, last = setting.strip().split(".")
        place = parsed
        for part in above:
            place = place.setdefault(part, {})
        place[last] = _value(value.strip())
    return parsed


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _switch(name: str, version: int | None, tenant: str) -> None:
    config = load(None, os.environ).config
    now = with_database(
        os.environ,
        lambda engine: switch_version(
            engine, config, tenant, name, version, _now(), by=local_operator()
        ),
    )
    _say(f"{tenant}/{name} is searched in version {now.version} from now on.")


def _cells(line: CollectionLine) -> tuple[str, ...]:
    active = line.active
    return (
        line.collection.name,
        str(line.collection.active_version or ""),
        str(line.documents),
        str(line.quarantined),
        str(active.chunks if active else 0),
        line.collection.settings.embedding,
        _state(line),
    )


def _state(line: CollectionLine) -> str:
    if line.active is None:
        return "empty" if not line.documents else "nothing published yet"
    return "behind its documents" if line.is_behind else "up to date"


def _version_cells(version: Version) -> tuple[str, ...]:
    recipe = version.recipe
    return (
        str(version.version),
        version.state,
        recipe.chunking,
        str(recipe.child_tokens),
        recipe.embedding,
        recipe.engine,
        str(version.chunks),
        f"{version.created_at:%Y-%m-%d %H:%M}",
    )


def _say(text: str) -> None:
    typer.echo(text)


def _now() -> datetime:
    return datetime.now(UTC)
