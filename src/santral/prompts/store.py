"""SQL of the registry of prompts: versions, the events of labels, protections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Select, and_, delete, func, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import prompt_label_events, prompt_protections, prompt_versions, tenants
from santral.prompts.registry import Registered, StoredLabel, StoredVersion


class VersionRow(Struct, frozen=True):
    """A version as it was pushed."""

    tenant_id: str
    name: str
    version: str
    content_hash: str
    body: str
    changelog: str
    owner: str
    created_by: str
    created_at: datetime
    deleted_at: datetime | None = None


class LabelEvent(Struct, frozen=True):
    """One move of a label; without a version it was taken away."""

    id: str
    tenant_id: str
    name: str
    label: str
    number: int  # of this label's events, from 1
    version: str | None
    before: str | None
    reason: str
    moved_by: str
    moved_at: datetime
    is_rollback: bool


class Protection(Struct, frozen=True):
    """A label that only those may move who may protect; ``*`` as name: of every prompt."""

    tenant_id: str
    name: str
    label: str
    created_by: str
    created_at: datetime


_VERSION = [prompt_versions.c[name] for name in VersionRow.__struct_fields__]
_EVENT = [prompt_label_events.c[name] for name in LabelEvent.__struct_fields__]
_PROTECTION = [prompt_protections.c[name] for name in Protection.__struct_fields__]


async def insert_version(conn: Connection, tenant_id: str, row: VersionRow) -> bool:
    """Add a version; return whether there was none of its number, not even a deleted one."""
    values = structs.asdict(row) | {"tenant_id": tenant_id}
    statement = upsert(conn, prompt_versions).values(**values).on_conflict_do_nothing()
    return (await conn.execute(statement)).rowcount == 1


async def find_version(
    conn: Connection, tenant_id: str, name: str, version: str, *, is_locked: bool = False
) -> VersionRow | None:
    """Return a version, a deleted one too; ``is_locked``: nobody else changes it or labels it until
    this transaction ends."""
    statement = select(*_VERSION).where(
        prompt_versions.c.tenant_id == tenant_id,
        prompt_versions.c.name == name,
        prompt_versions.c.version == version,
    )
    if is_locked:
        statement = statement.with_for_update()
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else VersionRow(*row)


async def list_versions(conn: Connection, tenant_id: str, name: str) -> list[VersionRow]:
    """Return the versions of a prompt, deleted ones too, the newest push first."""
    statement = (
        select(*_VERSION)
        .where(prompt_versions.c.tenant_id == tenant_id, prompt_versions.c.name == name)
        .order_by(prompt_versions.c.created_at.desc(), prompt_versions.c.version.desc())
    )
    return [VersionRow(*row) for row in await conn.execute(statement)]


async def delete_version(
    conn: Connection, tenant_id: str, name: str, version: str, now: datetime
) -> None:
    """Mark a version as deleted: its row stays, so that its number is never used again."""
    statement = (
        update(prompt_versions)
        .where(
            prompt_versions.c.tenant_id == tenant_id,
            prompt_versions.c.name == name,
            prompt_versions.c.version == version,
        )
        .values(deleted_at=now)
    )
    await conn.execute(statement)


async def insert_event(conn: Connection, tenant_id: str, event: LabelEvent) -> bool:
    """Add a move; return whether its number was still free, so that of two movers one is told."""
    values = structs.asdict(event) | {"tenant_id": tenant_id}
    statement = upsert(conn, prompt_label_events).values(**values).on_conflict_do_nothing()
    return (await conn.execute(statement)).rowcount == 1


async def list_events(
    conn: Connection, tenant_id: str, name: str, label: str | None = None
) -> list[LabelEvent]:
    """Return the moves of a prompt's labels, or of one of them, the newest first."""
    statement = (
        select(*_EVENT)
        .where(prompt_label_events.c.tenant_id == tenant_id, prompt_label_events.c.name == name)
        .order_by(prompt_label_events.c.moved_at.desc(), prompt_label_events.c.number.desc())
    )
    if label is not None:
        statement = statement.where(prompt_label_events.c.label == label)
    events = [LabelEvent(*row) for row in await conn.execute(statement)]
    return events if label is None else sorted(events, key=lambda event: -event.number)


async def list_protections(conn: Connection, tenant_id: str) -> list[Protection]:
    """Return the labels that a tenant has protected."""
    statement = (
        select(*_PROTECTION)
        .where(prompt_protections.c.tenant_id == tenant_id)
        .order_by(prompt_protections.c.name, prompt_protections.c.label)
    )
    return [Protection(*row) for row in await conn.execute(statement)]


async def insert_protection(conn: Connection, tenant_id: str, row: Protection) -> bool:
    """Protect a label; return whether it was not protected before."""
    values = structs.asdict(row) | {"tenant_id": tenant_id}
    statement = upsert(conn, prompt_protections).values(**values).on_conflict_do_nothing()
    return (await conn.execute(statement)).rowcount == 1


async def delete_protection(conn: Connection, tenant_id: str, name: str, label: str) -> bool:
    """Protect a label no more; return whether it was protected."""
    statement = delete(prompt_protections).where(
        prompt_protections.c.tenant_id == tenant_id,
        prompt_protections.c.name == name,
        prompt_protections.c.label == label,
    )
    return (await conn.execute(statement)).rowcount == 1


async def read_registered(
    conn: Connection, parents: dict[str, str | None], owners: Iterable[str] | None = None
) -> Registered:
    """Return what is registered, by everybody or by ``owners``; deleted versions and the prompts of
    deleted tenants are left out. ``parents`` says whose part each tenant is."""
    gone = select(tenants.c.id).where(tenants.c.deleted_at.is_not(None))
    versions = (
        select(*(prompt_versions.c[name] for name in StoredVersion.__struct_fields__))
        .where(prompt_versions.c.deleted_at.is_(None), prompt_versions.c.tenant_id.not_in(gone))
        .order_by(prompt_versions.c.tenant_id, prompt_versions.c.name, prompt_versions.c.version)
    )
    labels = _newest_events().where(
        prompt_label_events.c.version.is_not(None), prompt_label_events.c.tenant_id.not_in(gone)
    )
    if owners is not None:
        allowed = list(owners)
        versions = versions.where(prompt_versions.c.tenant_id.in_(allowed))
        labels = labels.where(prompt_label_events.c.tenant_id.in_(allowed))
    return Registered(
        versions=[StoredVersion(*row) for row in await conn.execute(versions)],
        labels=[StoredLabel(*row) for row in await conn.execute(labels)],
        parents=parents,
    )


def _newest_events() -> Select[Any, Any, Any, Any]:
    """The newest event of every label, as StoredLabel has it."""
    table = prompt_label_events
    newest = (
        select(
            table.c.tenant_id, table.c.name, table.c.label, func.max(table.c.number).label("number")
        )
        .group_by(table.c.tenant_id, table.c.name, table.c.label)
        .subquery()
    )
    same: ColumnElement[bool] = and_(
        *(table.c[name] == newest.c[name] for name in ("tenant_id", "name", "label", "number"))
    )
    return (
        select(table.c.tenant_id, table.c.name, table.c.label, table.c.version)
        .join(newest, same)
        .order_by(table.c.tenant_id, table.c.name, table.c.label)
    )
