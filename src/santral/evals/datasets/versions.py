"""Versions: what a data set held at one time, for good, and what lies between two of them."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import Conflict
from santral.evals.datasets import store
from santral.evals.datasets.card import Card, card_of
from santral.evals.datasets.dataset import Revision, Version
from santral.evals.datasets.files import manifest_of
from santral.evals.datasets.known import (
    iterate_newest,
    iterate_version,
    known_dataset,
    version_of,
)
from santral.tenants.permission import Principal


class Difference(Struct, frozen=True, kw_only=True):
    """What lies between two versions, by the ids of examples."""

    before: int
    after: int  # 0: what is there now
    added: list[str]
    removed: list[str]
    changed: list[str]
    moved: list[str]  # to another split, and nothing else

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.moved)


async def commit_version(
    engine: Engine, tenant: str, name: str, now: datetime, *, by: Principal, note_: str = ""
) -> tuple[Version, bool]:
    """Make a version of what is there now; return it, and whether it is new.

    Where nothing has changed since the newest one, that one is returned.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
        Conflict: there is no example.
    """
    async with writing(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.write", by=by, is_held=True)
        rows = await store.manifest_rows(conn, known.tenant_id, name)
        if not rows:
            raise Conflict(f"'{name}' holds no example. Add some first.", code="dataset_empty")
        manifest = await asyncio.to_thread(manifest_of, rows)
        versions = await store.list_versions(conn, known.tenant_id, name)
        if versions and versions[0].manifest_hash == manifest:
            return versions[0], False
        made = Version(
            version=versions[0].version + 1 if versions else 1,
            manifest_hash=manifest,
            examples=len(rows),
            note=note_,
            created_by=by.name,
            created_at=now,
        )
        await store.insert_version(conn, known.tenant_id, name, made)
        await note(
            conn, by.actor, "datasets.commit", f"dataset:{name}", tenant_id=known.tenant_id,
            after={"version": made.version, "manifest_hash": manifest, "examples": len(rows)},
        )  # fmt: skip
    card = await _make_card(engine, known.tenant_id, name, made)
    return msgspec.structs.replace(made, card=msgspec.to_builtins(card)), True


async def version_card(
    engine: Engine, tenant: str, name: str, version: int | None, *, by: Principal
) -> Card:
    """Return the card of a version, of the newest one where none is named.

    Raises:
        NotFound: no such data set or version.
        NotAllowed: no role that may read data sets there.
    """
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.read", by=by)
        found = await version_of(conn, known.tenant_id, name, version)
    if found.card:
        return msgspec.convert(found.card, Card)
    return await _make_card(engine, known.tenant_id, name, found)  # whoever committed was killed


async def draft_card(engine: Engine, tenant: str, name: str, *, by: Principal) -> Card:
    """Return the card of what is there now; raises as ``version_card``."""
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.read", by=by)
        held = [one async for one in iterate_newest(conn, known.tenant_id, name)]
    return await asyncio.to_thread(card_of, name, 0, held)


async def diff_versions(
    engine: Engine,
    tenant: str,
    name: str,
    before: int,
    after: int | None = None,
    *,
    by: Principal,
) -> Difference:
    """Return what lies between two versions; ``after`` None: between one and what is there now.

    Raises:
        NotFound: no such data set or version.
        NotAllowed: no role that may read data sets there.
    """
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.read", by=by)
        await version_of(conn, known.tenant_id, name, before)
        old = await store.version_rows(conn, known.tenant_id, name, before)
        if after is None:
            rows = await store.manifest_rows(conn, known.tenant_id, name)
            new = {id_: (hash_, split) for id_, hash_, split in rows}
        else:
            await version_of(conn, known.tenant_id, name, after)
            new = await store.version_rows(conn, known.tenant_id, name, after)
    both = old.keys() & new.keys()
    return Difference(
        before=before,
        after=after or 0,
        added=sorted(new.keys() - old.keys()),
        removed=sorted(old.keys() - new.keys()),
        changed=sorted(id_ for id_ in both if old[id_][0] != new[id_][0]),
        moved=sorted(
            id_ for id_ in both if old[id_][0] == new[id_][0] and old[id_][1] != new[id_][1]
        ),
    )


async def held_by(
    conn: Connection, tenant_id: str, name: str, version: int | None
) -> list[Revision]:
    """Return what a version holds, or with 0 what is there now; None: the newest version."""
    if version == 0:
        return [one async for one in iterate_newest(conn, tenant_id, name)]
    found = await version_of(conn, tenant_id, name, version)
    return [one async for one in iterate_version(conn, tenant_id, name, found.version)]


async def _make_card(engine: Engine, tenant_id: str, name: str, version: Version) -> Card:
    """Make the card of a version, and keep it. It takes seconds: nobody waits for its transaction."""
    async with reading(engine) as conn:
        held = [one async for one in iterate_version(conn, tenant_id, name, version.version)]
    card = await asyncio.to_thread(card_of, name, version.version, held)
    async with writing(engine) as conn:
        await store.save_card(conn, tenant_id, name, version.version, msgspec.to_builtins(card))
    return card
