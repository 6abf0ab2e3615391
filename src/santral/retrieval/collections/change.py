"""Make, change, rebuild, switch and delete collections: the same for command line, API and console.

A collection in santral.toml is declared: its settings are read-only here, its documents are not. What
changes how documents are split or embedded is built as another version beside the one in force.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from santral.audit.note import note
from santral.config.schema import Config
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict
from santral.retrieval.analysis.language import Language
from santral.retrieval.collection import Collection, StoredCollection, Version
from santral.retrieval.collections import store
from santral.retrieval.collections.known import (
    checked_settings,
    collection_of,
    known_collection,
    merged,
    owner_of,
    row_of,
    written,
)
from santral.retrieval.embedding.advice import language_advice
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import DropIndex
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: What a collection may be called: as names of santral.toml (config/section.py), without a slash,
#: which an address could not hold.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
#: Collections of one tenant: each is looked at with every refresh of a gateway. Chosen.
_MOST_COLLECTIONS = 1_000


class CollectionLine(Struct, frozen=True, kw_only=True):
    """A collection as administrators see it in a list."""

    collection: Collection
    versions: tuple[Version, ...] = ()
    documents: int = 0
    quarantined: int = 0
    languages: Mapping[Language, int] = {}

    @property
    def warning(self) -> str:
        """What is wrong with the model for the languages of the documents, or an empty text."""
        return language_advice(self.active.model if self.active else None, self.languages)

    @property
    def active(self) -> Version | None:
        """The version that is searched."""
        wanted = self.collection.active_version
        return next((one for one in self.versions if one.version == wanted), None)

    @property
    def is_behind(self) -> bool:
        """Whether documents have changed since the active version was published."""
        return self.active is None or self.active.revision < self.collection.revision


async def create_collection(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    settings: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> Collection:
    """Make an empty collection of a tenant.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write collections there.
        BadRequest: a setting means nothing; names it.
        Conflict: there is one of this name, or santral.toml declares it.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"A collection cannot be called {name[:64]!r}. Take letters, digits and . _ : @ -, "
            "128 at most, a letter or digit first.",
            param="name",
        )
    _require_undeclared(config, name)
    checked = checked_settings(config, name, settings)
    async with writing(engine) as conn:
        owner = await owner_of(conn, tenant, "collections.write", by)
        if len(await store.list_collections(conn, owner.id)) >= _MOST_COLLECTIONS:
            raise Conflict(
                f"The tenant '{owner.id}' has {_MOST_COLLECTIONS} collections. Delete one first.",
                code="too_many_collections",
            )
        kept = written(checked)
        made = await store.insert_collection(conn, owner.id, name, kept, checked.description, now)
        if not made:
            raise Conflict(f"There is a collection '{name}' already.", code="collection_exists")
        await note(
            conn, by.actor, "collections.create", f"collection:{name}",
            tenant_id=owner.id, after=kept,
        )  # fmt: skip
        return collection_of(config, await row_of(conn, owner.id, name))


async def change_collection(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> Collection:
    """Change settings; one that is null goes back to its default.

    Those of a search hold within seconds; the next ingest builds a version where documents have to be
    split or embedded anew.

    Raises:
        NotFound: no such collection.
        NotAllowed: no role that may write collections there.
        BadRequest: a setting means nothing, or the collection is declared in santral.toml.
    """
    async with writing(engine) as conn:
        before = await known_collection(conn, config, tenant, name, "collections.write", by=by)
        if before.is_declared:
            raise _declared(name)
        asked = merged(written(before.settings), changes)
        checked = checked_settings(config, name, asked)
        kept = written(checked)
        await store.update_settings(conn, before.tenant_id, name, kept, checked.description, now)
        await bump_revision(conn)
        await note(
            conn, by.actor, "collections.change", f"collection:{name}",
            tenant_id=before.tenant_id, before=written(before.settings), after=kept,
        )  # fmt: skip
        return collection_of(config, await row_of(conn, before.tenant_id, name))


async def delete_collection(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    *,
    by: Principal,
    drop: DropIndex,
    is_forced: bool = False,
) -> CollectionLine:
    """Delete a collection with its documents, sources and every version of its index.

    Raises:
        NotFound: no such collection.
        NotAllowed: no role that may write collections there.
        Conflict: it holds documents, and nobody has said that they may go.
    """
    line = await show_collection(engine, config, tenant, name, by=by)
    by.require("collections.write", TenantId(line.collection.tenant_id))
    if line.documents and not is_forced:
        raise Conflict(
            f"The collection '{name}' holds {line.documents} documents. They go with it: say force.",
            code="collection_not_empty",
        )
    owner = line.collection.tenant_id
    async with writing(engine) as conn:
        await store.delete_collection(conn, owner, name)
        await bump_revision(conn)
        await note(
            conn, by.actor, "collections.delete", f"collection:{name}",
            tenant_id=owner, before={"documents": line.documents, "quarantined": line.quarantined},
        )  # fmt: skip
    for version in line.versions:
        await drop(Partition(owner, name, version.version), version.recipe.engine)
    return line


async def list_collections(
    engine: Engine, config: Config, tenant: str, *, by: Principal
) -> list[CollectionLine]:
    """Return the collections of a tenant by name, with their versions and how much is in them.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may read collections there.
    """
    async with reading(engine) as conn:
        owner = await owner_of(conn, tenant, "collections.read", by)
        rows = await store.list_collections(conn, owner.id)
        counted = await store.count_documents(conn, owner.id)
        spoken = await store.count_languages(conn, owner.id)
        return [
            await _line(conn, config, row, counted.get(row.name, {}), spoken.get(row.name, {}))
            for row in rows
        ]


async def show_collection(
    engine: Engine, config: Config, tenant: str, name: str, *, by: Principal
) -> CollectionLine:
    """Return one collection; raises as ``list_collections`` does, NotFound for the collection, too."""
    async with reading(engine) as conn:
        known = await known_collection(conn, config, tenant, name, "collections.read", by=by)
        row = await row_of(conn, known.tenant_id, name)
        counted = await store.count_documents(conn, known.tenant_id)
        spoken = await store.count_languages(conn, known.tenant_id)
        return await _line(conn, config, row, counted.get(name, {}), spoken.get(name, {}))


async def _line(
    conn: Connection,
    config: Config,
    row: StoredCollection,
    counted: Mapping[str, int],
    spoken: Mapping[Language, int],
) -> CollectionLine:
    versions = await store.list_versions(conn, row.tenant_id, row.name)
    return CollectionLine(
        collection=collection_of(config, row),
        versions=tuple(versions),
        documents=sum(counted.values()),
        quarantined=counted.get("quarantined", 0),
        languages=spoken,
    )


def _require_undeclared(config: Config, name: str) -> None:
    if name in config.collections:
        raise _declared(name)


def _declared(name: str) -> Conflict:
    return Conflict(
        f"'{name}' is declared in santral.toml: change it there, under [collections.{name}].",
        code="collection_declared",
    )
