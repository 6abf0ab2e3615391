"""Data keys and sealed secrets in the control database: everything here is ciphertext."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text, update

from santral.db.engine import Connection, Engine
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import data_keys, provider_secrets
from santral.secrets.row import DataKeyRow, SecretRow

#: Any number that nobody else locks; chosen: the letters "secret" as base 36.
_LOCK = 1_717_171_933


async def take_turn(conn: Connection) -> None:
    """Wait until no other transaction changes data keys; SQLite's write lock is that already."""
    if conn.dialect.name == "postgresql":
        await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def active_key(conn: Connection, tenant_id: str) -> DataKeyRow | None:
    """Return the key that seals for a tenant: the newest that is not retired."""
    statement = (
        select(data_keys)
        .where(data_keys.c.tenant_id == tenant_id)
        .where(data_keys.c.retired_at.is_(None))
        .order_by(data_keys.c.created_at.desc(), data_keys.c.id.desc())
        .limit(1)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _data_key(row)


async def data_key(conn: Connection, tenant_id: str, id_: str) -> DataKeyRow | None:
    """Return one data key of a tenant."""
    statement = (
        select(data_keys).where(data_keys.c.tenant_id == tenant_id).where(data_keys.c.id == id_)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _data_key(row)


async def data_keys_of(conn: Connection, tenant_id: str) -> list[DataKeyRow]:
    """Return every data key of a tenant, the oldest first."""
    statement = (
        select(data_keys)
        .where(data_keys.c.tenant_id == tenant_id)
        .order_by(data_keys.c.created_at, data_keys.c.id)
    )
    return [_data_key(row) for row in await conn.execute(statement)]


async def insert_data_key(conn: Connection, tenant_id: str, key: DataKeyRow) -> None:
    """Add a data key of a tenant."""
    await conn.execute(
        insert(data_keys).values(
            id=key.id,
            tenant_id=tenant_id,
            wrapped=key.wrapped,
            wrapped_by=key.wrapped_by,
            created_at=key.created_at,
        )
    )
    await bump_revision(conn)


async def retire_other_keys(conn: Connection, tenant_id: str, keep: str, now: datetime) -> None:
    """Let every key of a tenant but one seal nothing more."""
    statement = (
        update(data_keys)
        .where(data_keys.c.tenant_id == tenant_id)
        .where(data_keys.c.id != keep)
        .where(data_keys.c.retired_at.is_(None))
        .values(retired_at=now)
    )
    await conn.execute(statement)


async def delete_unused_keys(conn: Connection, tenant_id: str) -> int:
    """Remove the retired keys of a tenant that no sealed secret needs; return how many."""
    used = select(provider_secrets.c.data_key_id)
    statement = (
        delete(data_keys)
        .where(data_keys.c.tenant_id == tenant_id)
        .where(data_keys.c.retired_at.is_not(None))
        .where(data_keys.c.id.not_in(used))
    )
    return (await conn.execute(statement)).rowcount


async def destroy_keys(conn: Connection, tenant_id: str) -> int:
    """Remove every data key of a tenant and what SQLite would leave of it in the file."""
    if conn.dialect.name == "sqlite":
        await conn.execute(text("PRAGMA secure_delete = ON"))
    statement = delete(data_keys).where(data_keys.c.tenant_id == tenant_id)
    return (await conn.execute(statement)).rowcount


async def empty_log(engine: Engine) -> None:
    """Move SQLite's write-ahead log into the file: deleted rows stand in it until then."""
    if engine.dialect.name == "sqlite":
        async with engine.connect() as conn:
            raw = (await conn.get_raw_connection()).driver_connection
            if raw is not None:  # the driver's own connection: not possible inside a transaction
                await (await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")).close()


async def keys_wrapped_otherwise(
    conn: Connection, wrapped_by: str, after: str, limit: int
) -> list[DataKeyRow]:
    """Return data keys of everybody that another key than ``wrapped_by`` wraps, by id."""
    statement = (
        select(data_keys)
        .where(data_keys.c.wrapped_by != wrapped_by)
        .where(data_keys.c.id > after)
        .order_by(data_keys.c.id)
        .limit(limit)
    )
    return [_data_key(row) for row in await conn.execute(statement)]


async def count_wrapped_otherwise(conn: Connection, wrapped_by: str) -> int:
    """Return how many data keys another key than ``wrapped_by`` wraps."""
    statement = select(func.count()).where(data_keys.c.wrapped_by != wrapped_by)
    return (await conn.execute(statement)).scalar_one()


async def put_wrapped(conn: Connection, tenant_id: str, old: DataKeyRow, new: DataKeyRow) -> bool:
    """Replace how a data key is wrapped, if it still is as ``old`` says; return whether."""
    statement = (
        update(data_keys)
        .where(data_keys.c.tenant_id == tenant_id)
        .where(data_keys.c.id == old.id)
        .where(data_keys.c.wrapped_by == old.wrapped_by)
        .values(wrapped=new.wrapped, wrapped_by=new.wrapped_by)
    )
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def put_secret(conn: Connection, row: SecretRow) -> None:
    """Add a sealed secret, or replace the one of the same name."""
    values = {
        "data_key_id": row.data_key_id,
        "sealed": row.sealed,
        "updated_at": row.updated_at,
    }
    statement = upsert(conn, provider_secrets).values(name=row.name, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    await bump_revision(conn)


async def delete_secret(conn: Connection, name: str) -> bool:
    """Remove a sealed secret; return whether it was there."""
    statement = delete(provider_secrets).where(provider_secrets.c.name == name)
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def list_secrets(conn: Connection) -> list[SecretRow]:
    """Return every sealed secret, by name."""
    rows = await conn.execute(select(provider_secrets).order_by(provider_secrets.c.name))
    return [_secret(row) for row in rows]


async def find_secret(conn: Connection, name: str) -> SecretRow | None:
    """Return one sealed secret."""
    statement = select(provider_secrets).where(provider_secrets.c.name == name)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _secret(row)


async def secrets_sealed_otherwise(
    conn: Connection, data_key_id: str, limit: int
) -> list[SecretRow]:
    """Return sealed secrets under other data keys than this one, by name."""
    statement = (
        select(provider_secrets)
        .where(provider_secrets.c.data_key_id != data_key_id)
        .order_by(provider_secrets.c.name)
        .limit(limit)
    )
    return [_secret(row) for row in await conn.execute(statement)]


async def count_sealed_otherwise(conn: Connection, data_key_ids: Collection[str]) -> int:
    """Return how many sealed secrets lie under other data keys than these."""
    statement = select(func.count()).where(provider_secrets.c.data_key_id.not_in(data_key_ids))
    return (await conn.execute(statement)).scalar_one()


def _data_key(row: Row[Any]) -> DataKeyRow:
    return DataKeyRow(
        row.id, row.tenant_id, row.wrapped, row.wrapped_by, row.created_at, row.retired_at
    )


def _secret(row: Row[Any]) -> SecretRow:
    return SecretRow(row.name, row.data_key_id, row.sealed, row.updated_at)
