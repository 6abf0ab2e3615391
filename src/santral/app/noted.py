"""Writes into the audit log what the parent did by itself."""

from __future__ import annotations

from santral.app.acts import Acts, config_object
from santral.audit import store
from santral.audit.note import SYSTEM, note, note_all
from santral.config.load import LoadedConfig
from santral.db.engine import Engine, reading, writing

#: Acts after which a configuration is in force.
_IN_FORCE = ("config.start", "config.reload")


async def write_acts(engine: Engine, acts: Acts) -> None:
    """Write what waits; what cannot be written waits on.

    Raises:
        StoreError: the database does not answer.
    """
    waiting = acts.waiting()
    if not waiting:
        return
    async with writing(engine) as conn:
        await note_all(conn, waiting)
    acts.written(len(waiting))


async def note_start(engine: Engine, loaded: LoadedConfig) -> None:
    """Note the configuration of a start where it is another than the one last noted here.

    Raises:
        StoreError: the database does not answer.
    """
    object_ = config_object(loaded)
    async with reading(engine) as conn:
        latest = await store.latest_about(conn, object_, _IN_FORCE)
    known = None if latest is None else (latest.after or {}).get("digest")
    if known == loaded.digest:
        return
    async with writing(engine) as conn:
        await note(
            conn,
            SYSTEM,
            "config.start",
            object_,
            tenant_id="*",
            before=None if known is None else {"digest": known},
            after={"digest": loaded.digest},
        )
