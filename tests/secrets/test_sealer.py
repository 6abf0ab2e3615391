"""Data keys of tenants: who opens what, and what destroying a key leaves."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest
from sqlalchemy import text

from santral.audit.note import Actor
from santral.db.engine import Engine, connect, reading, writing
from santral.errors import ConfigError, DataKeyGone, SealBroken
from santral.secrets.master import MasterKey
from santral.secrets.sealer import RECHECK_S, Sealer
from santral.secrets.wrappers import Wrappers

pytestmark = pytest.mark.anyio

MASTER = MasterKey(secrets.token_bytes(32))
WRAPPERS = Wrappers(MASTER, {})
ADA = Actor("user:usr_ada", "203.0.113.7")
PLACE = "traces/tr_1/request"


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def sealer(engine: Engine, clock: Clock | None = None) -> Sealer:
    return Sealer(engine, WRAPPERS, clock=clock or Clock())


async def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    async with reading(engine) as conn:
        return [tuple(row) for row in await conn.execute(text(statement))]


async def test_what_one_process_sealed_another_opens(engine: Engine) -> None:
    sealed = await sealer(engine).seal("acme", PLACE, b"Merhaba")
    assert b"Merhaba" not in sealed
    assert await sealer(engine).open("acme", PLACE, sealed) == b"Merhaba"


async def test_another_tenant_and_another_place_do_not_open(engine: Engine) -> None:
    ours = sealer(engine)
    sealed = await ours.seal("acme", PLACE, b"Merhaba")
    await ours.seal("other", PLACE, b"")
    with pytest.raises(DataKeyGone):
        await ours.open("other", PLACE, sealed)
    with pytest.raises(SealBroken):
        await ours.open("acme", "traces/tr_2/request", sealed)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(60), b"plain text"])
async def test_what_is_no_seal_is_said_to_be_none(engine: Engine, sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        await sealer(engine).open("acme", PLACE, sealed)


async def test_a_data_key_moved_to_another_tenant_does_not_open(engine: Engine) -> None:
    sealed = await sealer(engine).seal("acme", PLACE, b"Merhaba")
    async with writing(engine) as conn:
        await conn.execute(text("UPDATE data_keys SET tenant_id = 'evil'"))
    with pytest.raises(SealBroken):
        await sealer(engine).open("evil", PLACE, sealed)


async def test_two_processes_make_one_first_key(engine: Engine, database: str) -> None:
    other = connect(database)
    async with asyncio.TaskGroup() as group:
        for one in (sealer(engine), sealer(other), sealer(engine), sealer(other)):
            group.create_task(one.seal("acme", PLACE, b"x"))
    await other.dispose()
    assert len(await rows(engine, "SELECT id FROM data_keys")) == 1


async def test_a_destroyed_key_opens_nothing_in_any_process(engine: Engine) -> None:
    clock = Clock()
    ours, theirs = sealer(engine, clock), sealer(engine, clock)
    sealed = await ours.seal("acme", PLACE, b"Merhaba")
    assert await theirs.open("acme", PLACE, sealed) == b"Merhaba"
    assert await ours.destroy("acme", ADA) == 1
    with pytest.raises(DataKeyGone):
        await ours.open("acme", PLACE, sealed)
    clock.now += RECHECK_S
    with pytest.raises(DataKeyGone):
        await theirs.open("acme", PLACE, sealed)
    noted = await rows(engine, "SELECT actor, action, object FROM audit_log ORDER BY number")
    assert noted[1:] == [("user:usr_ada", "secrets.destroy", "tenant:acme")]


async def test_a_destroyed_key_is_not_in_the_file_any_more(
    tmp_path: Path, sqlite_template: Path
) -> None:
    path = tmp_path / "santral.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = connect(f"sqlite+aiosqlite:///{path}")
    await sealer(engine).seal("acme", PLACE, b"Merhaba")
    ((wrapped,),) = await rows(engine, "SELECT wrapped FROM data_keys")
    assert isinstance(wrapped, bytes)
    assert wrapped in path.read_bytes() + Path(f"{path}-wal").read_bytes()
    await sealer(engine).destroy("acme", ADA)
    assert wrapped not in path.read_bytes() + Path(f"{path}-wal").read_bytes()
    await engine.dispose()


async def test_an_unknown_master_key_is_named(engine: Engine) -> None:
    sealed = await sealer(engine).seal("acme", PLACE, b"Merhaba")
    stranger = Sealer(engine, Wrappers(MasterKey(secrets.token_bytes(32)), {}))
    with pytest.raises(ConfigError, match=f"'{MASTER.id}'.*previous_master_keys"):
        await stranger.open("acme", PLACE, sealed)
