"""New keys for old: ``rotate`` makes a data key and seals anew, ``rewrap`` changes the master key.

Both go in small transactions and take up where a killed run stopped; two of them side by side end
with one result.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from santral.audit.note import Actor, note
from santral.db.engine import Engine, reading, writing
from santral.errors import ConfigError, SealBroken
from santral.secrets import store
from santral.secrets.box import RandomBytes
from santral.secrets.data_key import TenantBox, new_data_key, rewrapped
from santral.secrets.opened import EVERYBODY, resealed, secret_box
from santral.secrets.row import DataKeyRow
from santral.secrets.wrappers import Wrappers

#: Secrets sealed anew, and keys wrapped anew, in one transaction. Chosen: some milliseconds.
BATCH_ROWS = 20

Progress = Callable[[int, int], None]


class Rotated(Struct, frozen=True):
    """What a rotation did."""

    key_id: str  # that seals now
    resealed: int
    removed_keys: int
    is_resumed: bool  # an earlier one was interrupted, and this one ended it


class Rewrapped(Struct, frozen=True):
    """What changing the master key did."""

    wrapped_by: str
    keys: int
    failed: tuple[str, ...]  # data keys that do not unwrap, and why


async def rotate(
    engine: Engine,
    wrappers: Wrappers,
    *,
    actor: Actor,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: RandomBytes = secrets.token_bytes,
    progress: Progress = lambda done, total: None,
) -> Rotated:
    """Make a new data key for the sealed secrets, and seal each of them anew.

    An interrupted rotation is ended first, and that is all: no second key is made for it.

    Raises:
        SealBroken: a secret does not open; the message names it. Set it again and rotate again.
        ConfigError: the key that wrapped a data key is not configured.
        StoreError: database or key management do not answer.
    """
    is_resumed = await _is_interrupted(engine)
    if not is_resumed:
        await replace_data_key(engine, wrappers, EVERYBODY, actor=actor, clock=clock, rng=rng)
    boxes: dict[str, TenantBox] = {}
    done = 0
    while True:
        await _open_keys(engine, wrappers, boxes)
        batch, left, key_id = await _reseal_batch(engine, boxes)
        done += batch
        progress(done, done + left)
        if left == 0:
            break
    async with writing(engine) as conn:
        await store.take_turn(conn)
        removed = await store.delete_unused_keys(conn, EVERYBODY)
        await note(
            conn,
            actor,
            "secrets.rotate",
            f"data_key:{key_id}",
            tenant_id=EVERYBODY,
            after={"resealed": done, "removed_data_keys": removed, "resumed": is_resumed},
        )
    return Rotated(key_id, done, removed, is_resumed)


async def replace_data_key(
    engine: Engine,
    wrappers: Wrappers,
    tenant_id: str,
    *,
    actor: Actor,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: RandomBytes = secrets.token_bytes,
) -> str:
    """Make a new data key for a tenant; the ones before open what they sealed, and seal no more.

    Raises:
        StoreError: database or key management do not answer.
    """
    now = clock()
    made = await asyncio.to_thread(new_data_key, wrappers, tenant_id, now, rng)
    async with writing(engine) as conn:
        await store.take_turn(conn)
        before = await store.active_key(conn, tenant_id)
        await store.insert_data_key(conn, tenant_id, made)
        await store.retire_other_keys(conn, tenant_id, made.id, now)
        await note(
            conn,
            actor,
            "secrets.data_key",
            f"data_key:{made.id}",
            tenant_id=tenant_id,
            before=None if before is None else {"data_key": before.id},
            after={"data_key": made.id, "wrapped_by": made.wrapped_by},
        )
    return made.id


async def rewrap(
    engine: Engine,
    wrappers: Wrappers,
    *,
    actor: Actor,
    every_key: bool = False,
    progress: Progress = lambda done, total: None,
) -> Rewrapped:
    """Wrap every data key with the key that wraps now; what was sealed stays as it is.

    ``every_key`` wraps those anew, too, that it wrapped already: after a key management made a new
    version of its key. Keys that do not unwrap are left as they are, and named.

    Raises:
        StoreError: database or key management do not answer.
    """
    current = wrappers.current.id
    but = "" if every_key else current
    async with reading(engine) as conn:
        total = await store.count_wrapped_otherwise(conn, but)
    done, failed, after = 0, list[str](), ""
    while True:
        async with reading(engine) as conn:
            batch = await store.keys_wrapped_otherwise(conn, but, after, BATCH_ROWS)
        if not batch:
            break
        after = batch[-1].id
        pairs, broken = await asyncio.to_thread(_rewrap_batch, wrappers, batch)
        failed += broken
        done += await _store_batch(engine, pairs, actor, current)
        progress(done + len(failed), total)
    return Rewrapped(current, done, tuple(failed))


async def _is_interrupted(engine: Engine) -> bool:
    async with reading(engine) as conn:
        active = await store.active_key(conn, EVERYBODY)
        return active is not None and await store.count_sealed_otherwise(conn, [active.id]) > 0


async def _open_keys(engine: Engine, wrappers: Wrappers, boxes: dict[str, TenantBox]) -> None:
    """Unwrap what is not unwrapped yet: before the transaction, since it may ask over the network."""
    async with reading(engine) as conn:
        keys = await store.data_keys_of(conn, EVERYBODY)
    for key in keys:
        if key.id not in boxes:
            boxes[key.id] = await asyncio.to_thread(secret_box, wrappers, key)


async def _reseal_batch(engine: Engine, boxes: dict[str, TenantBox]) -> tuple[int, int, str]:
    """Seal the next secrets under the key that is active now; return how many, and how many wait."""
    async with writing(engine) as conn:
        await store.take_turn(conn)
        active = await store.active_key(conn, EVERYBODY)
        if active is None:
            raise SealBroken("The data keys of the secrets were removed while they were rotated.")
        left = await store.count_sealed_otherwise(conn, [active.id])
        if active.id not in boxes:  # another process rotated just now: go on with its key
            return 0, max(left, 1), active.id
        rows = await store.secrets_sealed_otherwise(conn, active.id, BATCH_ROWS)
        for row in rows:
            await store.put_secret(conn, resealed(boxes, row, boxes[active.id]))
        return len(rows), left - len(rows), active.id


def _rewrap_batch(
    wrappers: Wrappers, batch: list[DataKeyRow]
) -> tuple[list[tuple[DataKeyRow, DataKeyRow]], list[str]]:
    pairs: list[tuple[DataKeyRow, DataKeyRow]] = []
    failed: list[str] = []
    for row in batch:
        try:
            pairs.append((row, rewrapped(wrappers, row)))
        except (SealBroken, ConfigError) as error:
            failed.append(f"{row.id} of '{row.tenant_id}': {error.message}")
    return pairs, failed


async def _store_batch(
    engine: Engine, pairs: list[tuple[DataKeyRow, DataKeyRow]], actor: Actor, wrapped_by: str
) -> int:
    if not pairs:
        return 0
    async with writing(engine) as conn:
        await store.take_turn(conn)
        done = [new for old, new in pairs if await store.put_wrapped(conn, old.tenant_id, old, new)]
        await note(
            conn,
            actor,
            "secrets.rewrap",
            f"master_key:{wrapped_by}",
            tenant_id=EVERYBODY,
            before={"wrapped_by": sorted({old.wrapped_by for old, _ in pairs})},
            after={"wrapped_by": wrapped_by, "data_keys": [new.id for new in done]},
        )
    return len(done)
