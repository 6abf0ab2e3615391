"""Seals what belongs to a tenant under a data key of its own: destroying the key erases it all."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from santral.audit.note import SYSTEM, Actor, note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import DataKeyGone, SealBroken
from santral.secrets import store
from santral.secrets.box import Box, RandomBytes
from santral.secrets.data_key import FORM, HEAD_BYTES, MARK, TenantBox, new_data_key, unwrapped
from santral.secrets.row import DataKeyRow
from santral.secrets.waiting import WaitingKeys
from santral.secrets.wrappers import Wrappers

#: How long a data key is used before the database is asked whether it still stands, in seconds.
#: Specified: what is revoked or erased is so for every process within 2 s.
RECHECK_S = 1.0


class _Held(Struct):
    box: TenantBox
    checked_at: float


class Sealer:
    """Every tenant's data keys, opened when first needed and forgotten when destroyed."""

    def __init__(
        self,
        engine: Engine,
        wrappers: Wrappers,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._wrappers = wrappers
        self._clock = clock
        self._rng = rng
        self.waiting = WaitingKeys(wrappers)  # of workers, which have no database
        self._active: dict[str, _Held] = {}  # by tenant
        self._known: dict[str, _Held] = {}  # by id of the key

    async def seal(self, tenant_id: str, place: str, data: bytes) -> bytes:
        """Return ``data`` of a tenant sealed for ``place``: it opens there alone.

        Raises:
            StoreError: database or key management do not answer.
        """
        return (await self.box(tenant_id)).seal(place, data)

    async def open(self, tenant_id: str, place: str, sealed: bytes) -> bytes:
        """Return what was sealed for a tenant at ``place``.

        Raises:
            DataKeyGone: its data key was destroyed: it is erased.
            SealBroken: it was changed, cut, moved, or is another tenant's.
            StoreError: database or key management do not answer.
        """
        if sealed[:1] != FORM or len(sealed) < HEAD_BYTES:
            raise SealBroken("These are no sealed bytes: they were changed or cut.")
        key_id = MARK + sealed[1:HEAD_BYTES].hex()
        return (await self._box_by_id(tenant_id, key_id)).open(place, sealed)

    async def box(self, tenant_id: str) -> TenantBox:
        """Return what seals for a tenant now, for a batch; its first data key is made here.

        Raises:
            StoreError: database or key management do not answer.
        """
        held = self._active.get(tenant_id)
        now = self._clock()
        if held is not None and now < held.checked_at + RECHECK_S:
            return held.box
        async with reading(self._engine) as conn:
            row = await store.active_key(conn, tenant_id)
        if row is None:
            row = await self._first(tenant_id)
        self._active[tenant_id] = held = await self._hold(row, now)
        return held.box

    async def destroy(self, tenant_id: str, actor: Actor) -> int:
        """Destroy a tenant's data keys and so erase all that they sealed; return how many."""
        count = await erase_sealed(self._engine, tenant_id, actor)
        self.forget(tenant_id)
        return count

    def forget(self, tenant_id: str) -> None:
        """Drop a tenant's keys from memory; they are read again when needed, if they still are."""
        self._active.pop(tenant_id, None)
        self._known = {
            id_: held for id_, held in self._known.items() if held.box.tenant_id != tenant_id
        }

    async def _box_by_id(self, tenant_id: str, key_id: str) -> TenantBox:
        held = self._known.get(key_id)
        now = self._clock()
        if held is None or held.box.tenant_id != tenant_id or now >= held.checked_at + RECHECK_S:
            async with reading(self._engine) as conn:
                row = await store.data_key(conn, tenant_id, key_id)
            if row is None:
                self._known.pop(key_id, None)
                raise DataKeyGone(
                    f"The data key {key_id} of the tenant '{tenant_id}' is gone: what it sealed is "
                    "erased, or belongs to another tenant."
                )
            held = await self._hold(row, now)
        return held.box

    async def _first(self, tenant_id: str) -> DataKeyRow:
        made = await asyncio.to_thread(
            new_data_key, self._wrappers, tenant_id, datetime.now(UTC), self._rng
        )
        async with writing(self._engine) as conn:
            await store.take_turn(conn)
            there = await store.active_key(conn, tenant_id)
            if there is not None:  # another process was first
                return there
            await add_data_key(conn, made, SYSTEM)
        return made

    async def _hold(self, row: DataKeyRow, now: float) -> _Held:
        held = self._known.get(row.id)
        if held is None:
            key = await asyncio.to_thread(unwrapped, self._wrappers, row)
            held = _Held(TenantBox(row.tenant_id, row.id, Box(key, self._rng)), now)
            self._known[row.id] = held
        held.checked_at = now
        return held


async def add_data_key(conn: Connection, row: DataKeyRow, actor: Actor) -> None:
    """Add a data key in the turn of ``store.take_turn``, and note it."""
    await store.insert_data_key(conn, row.tenant_id, row)
    await note(
        conn,
        actor,
        "secrets.data_key",
        f"data_key:{row.id}",
        tenant_id=row.tenant_id,
        after={"wrapped_by": row.wrapped_by},
    )


async def count_data_keys(engine: Engine, tenant_id: str) -> int:
    """Return how many data keys a tenant has; 0 means that nothing of it is sealed."""
    async with reading(engine) as conn:
        return len(await store.data_keys_of(conn, tenant_id))


async def erase_sealed(engine: Engine, tenant_id: str, actor: Actor) -> int:
    """Destroy a tenant's data keys and so erase all that they sealed; return how many.

    Sealers of other processes forget them within ``RECHECK_S``.
    """
    async with writing(engine) as conn:
        count = await destroy_data_keys(conn, tenant_id, actor)
    await forget_on_disk(engine)
    return count


async def destroy_data_keys(conn: Connection, tenant_id: str, actor: Actor) -> int:
    """Destroy a tenant's data keys in the transaction ``conn``, and note it; return how many.

    For the tenant's whole erasure; call :func:`forget_on_disk` when the transaction has ended.
    """
    await store.take_turn(conn)
    ids = [row.id for row in await store.data_keys_of(conn, tenant_id)]
    count = await store.destroy_keys(conn, tenant_id)
    if count:
        await note(
            conn,
            actor,
            "secrets.destroy",
            f"tenant:{tenant_id}",
            tenant_id=tenant_id,
            before={"data_keys": ids},
        )
    return count


async def forget_on_disk(engine: Engine) -> None:
    """Clear what SQLite's write-ahead log still holds of destroyed keys."""
    await store.empty_log(engine)
