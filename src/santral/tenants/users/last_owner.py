"""The installation never loses its last owner: nobody could let anybody in again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from santral.db.engine import Connection
from santral.errors import Conflict, RequestError
from santral.tenants import store as tenant_store
from santral.tenants.keyring import KeyRing
from santral.tenants.users import store


@asynccontextmanager
async def keeping_an_owner(conn: Connection, now: datetime) -> AsyncGenerator[None]:
    """Do what the block does, unless it leaves nobody who is owner over ``*``.

    An owner is a key in force, or a person who has signed in before.

    Raises:
        Conflict: the last one would be gone; the transaction is to be undone.
    """
    had_one = await _has_owner(conn, now)
    yield
    if had_one and not await _has_owner(conn, now):
        raise Conflict(
            "That would end the last owner of the whole installation, and nobody could administer "
            "it any more. Make another one first: santral keys create --name owner --role owner "
            "--over '*'",
            code="last_owner",
        )


async def _has_owner(conn: Connection, now: datetime) -> bool:
    if await store.count_owners(conn):
        return True
    keys = await tenant_store.owner_keys(conn)
    ring = KeyRing(keys, await tenant_store.list_tenants(conn) if keys else ())
    return any(_is_in_force(ring, key.id, now) for key in keys)


def _is_in_force(ring: KeyRing, key_id: str, now: datetime) -> bool:
    try:
        ring.holder(key_id, now.timestamp())
    except RequestError:
        return False
    return True
