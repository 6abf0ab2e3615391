"""Set, remove and list sealed secrets: nothing here ever gives a value back."""

from __future__ import annotations

import asyncio
from datetime import datetime

from santral.audit.note import Actor, note
from santral.config.secret import SEALED_NAME
from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, NotFound, StoreError, nearest
from santral.secrets import store
from santral.secrets.opened import EVERYBODY, open_secrets, secret_place
from santral.secrets.row import DataKeyRow, SecretRow
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import Wrappers

#: Longest value. Chosen: a service account's file is 2.4 kB.
MAX_VALUE_BYTES = 64 * 1024
#: How often a change begins again because the data key was rotated meanwhile.
_TRIES = 5


async def set_secret(
    engine: Engine, sealer: Sealer, name: str, value: str, now: datetime, *, actor: Actor
) -> SecretRow:
    """Seal a secret, new or in place of the one before; gateways use it within two seconds.

    Raises:
        BadRequest: the name or the value cannot be used.
        StoreError: database or key management do not answer.
    """
    checked_name(name)
    data = _checked_value(value)
    for _ in range(_TRIES):
        box = await sealer.box(EVERYBODY)
        row = SecretRow(name, box.key_id, box.seal(secret_place(name), data), now)
        async with writing(engine) as conn:
            await store.take_turn(conn)
            active = await store.active_key(conn, EVERYBODY)
            if active is not None and active.id == box.key_id:
                before = await store.find_secret(conn, name)
                await store.put_secret(conn, row)
                await note(
                    conn,
                    actor,
                    "secrets.set",
                    f"secret:{name}",
                    tenant_id=EVERYBODY,
                    before=None if before is None else _noted(before),
                    after=_noted(row),
                )
                return row
        sealer.forget(EVERYBODY)
    raise StoreError("The data keys are being rotated over and over. Try again when that is done.")


async def remove_secret(engine: Engine, name: str, *, actor: Actor) -> None:
    """Remove a sealed secret; whoever still names it keeps the value until the next change.

    Raises:
        NotFound: there is none; the message names the nearest.
    """
    async with writing(engine) as conn:
        before = await store.find_secret(conn, name)
        if before is None or not await store.delete_secret(conn, name):
            known = [row.name for row in await store.list_secrets(conn)]
            raise NotFound(
                f"There is no secret '{name[:128]}'.{nearest(name[:128], known)} "
                "List them with: santral secrets list",
                param="name",
            )
        await note(
            conn,
            actor,
            "secrets.remove",
            f"secret:{name}",
            tenant_id=EVERYBODY,
            before=_noted(before),
        )


async def list_secrets(engine: Engine) -> list[SecretRow]:
    """Return every sealed secret, still sealed, by name."""
    async with reading(engine) as conn:
        return await store.list_secrets(conn)


async def read_sealed(engine: Engine) -> tuple[list[DataKeyRow], list[SecretRow]]:
    """Return what a gateway needs to open the secrets itself: wrapped keys and sealed values."""
    keys, rows = list[DataKeyRow](), list[SecretRow]()
    for _ in range(_TRIES):
        async with reading(engine) as conn:
            keys, rows = await store.data_keys_of(conn, EVERYBODY), await store.list_secrets(conn)
        if {row.data_key_id for row in rows} <= {key.id for key in keys}:
            break  # else a rotation ended between the two statements
    return keys, rows


async def open_from_database(engine: Engine, wrappers: Wrappers) -> dict[str, str]:
    """Return the values by name, for a process that has the database.

    Raises:
        ConfigError: the key that wrapped a data key is not configured.
        SealBroken: a secret or its data key was changed or moved.
        StoreError: database or key management do not answer.
    """
    keys, rows = await read_sealed(engine)
    return await asyncio.to_thread(open_secrets, wrappers, keys, rows)


def checked_name(name: str) -> str:
    """Return ``name`` if a secret can be called so.

    Raises:
        BadRequest: it cannot.
    """
    if not SEALED_NAME.fullmatch(name):
        raise BadRequest(
            "The name of a secret has up to 128 letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit.",
            param="name",
        )
    return name


def _checked_value(value: str) -> bytes:
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError:
        data = b""
    if not 1 <= len(data) <= MAX_VALUE_BYTES or b"\0" in data:
        raise BadRequest(
            f"The value of a secret has 1 to {MAX_VALUE_BYTES} bytes of text.", param="value"
        )
    return data


def _noted(row: SecretRow) -> dict[str, str]:
    """Return what the audit log may know: that there was a value, never which."""
    return {"data_key": row.data_key_id, "updated_at": row.updated_at.isoformat()}
