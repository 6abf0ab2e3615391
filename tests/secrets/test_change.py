"""Sealed secrets: set, removed, rotated, rewrapped, and attacked."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from tests.secrets.transit_server import TOKEN, running_transit

from santral.audit.note import Actor
from santral.audit.verify import verify
from santral.config.safekeeping import SecretsConfig
from santral.db.engine import Engine, connect, reading, writing
from santral.errors import BadRequest, ConfigError, NotFound, SealBroken
from santral.secrets import rotate as rotating
from santral.secrets.change import open_from_database, remove_secret, set_secret
from santral.secrets.master import MasterKey
from santral.secrets.rotate import replace_data_key, rewrap, rotate
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import Wrappers, wrappers_from

pytestmark = pytest.mark.anyio

KEY = secrets.token_bytes(32)
WRAPPERS = Wrappers(MasterKey(KEY), {})
ADA = Actor("user:usr_ada", "203.0.113.7")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def put(engine: Engine, name: str, value: str, wrappers: Wrappers = WRAPPERS) -> None:
    await set_secret(engine, Sealer(engine, wrappers), name, value, NOON, actor=ADA)


async def fill(engine: Engine, count: int = 45) -> dict[str, str]:
    values = {f"key-{number:02}": f"sk-value-{number}" for number in range(count)}
    for name, value in values.items():
        await put(engine, name, value)
    return values


async def ask(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    async with reading(engine) as conn:
        return [tuple(row) for row in await conn.execute(text(statement))]


async def do(engine: Engine, *statements: str) -> None:
    async with writing(engine) as conn:
        for statement in statements:
            await conn.execute(text(statement))


async def test_what_is_set_opens_and_is_noted_without_its_value(engine: Engine) -> None:
    await put(engine, "openai", "sk-very-secret")
    await put(engine, "openai", "sk-newer-secret")
    assert await open_from_database(engine, WRAPPERS) == {"openai": "sk-newer-secret"}
    everything = str(
        [
            await ask(engine, f"SELECT * FROM {t}")
            for t in ("provider_secrets", "data_keys", "audit_log")
        ]
    )
    assert "-secret" not in everything
    noted = await ask(engine, "SELECT actor, action, object FROM audit_log ORDER BY number")
    assert [row[1:] for row in noted[1:]] == [("secrets.set", "secret:openai")] * 2
    assert noted[1][0] == "user:usr_ada"
    assert (await verify(engine, [])).broken is None


async def test_a_change_moves_the_revision(engine: Engine) -> None:
    before = await ask(engine, "SELECT number FROM revision")
    await put(engine, "openai", "sk-1")
    middle = await ask(engine, "SELECT number FROM revision")
    await remove_secret(engine, "openai", actor=ADA)
    assert before < middle < await ask(engine, "SELECT number FROM revision")
    with pytest.raises(NotFound, match="no secret"):
        await remove_secret(engine, "openai", actor=ADA)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 129, "-x", "ключ"])
async def test_a_bad_name_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(BadRequest):
        await put(engine, name, "sk-1")


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800", "x" * (64 * 1024 + 1)])
async def test_a_bad_value_is_refused_and_not_repeated(engine: Engine, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await put(engine, "openai", value)
    assert not value or value not in caught.value.message


async def test_two_secrets_that_changed_places_are_found(engine: Engine) -> None:
    await put(engine, "cheap", "sk-cheap")
    await put(engine, "dear", "sk-dear")
    rows = {str(n): s for n, s in await ask(engine, "SELECT name, sealed FROM provider_secrets")}
    async with writing(engine) as conn:
        statement = text("UPDATE provider_secrets SET sealed = :sealed WHERE name = 'cheap'")
        await conn.execute(statement, {"sealed": rows["dear"]})
    with pytest.raises(SealBroken, match=r"'cheap'.*santral secrets set cheap"):
        await open_from_database(engine, WRAPPERS)


async def test_a_renamed_secret_is_found(engine: Engine) -> None:
    await put(engine, "cheap", "sk-cheap")
    await do(engine, "UPDATE provider_secrets SET name = 'dear'")
    with pytest.raises(SealBroken, match="'dear'"):
        await open_from_database(engine, WRAPPERS)


@pytest.mark.parametrize("table", ["provider_secrets.sealed", "data_keys.wrapped"])
async def test_a_flipped_bit_in_the_database_is_found(engine: Engine, table: str) -> None:
    await put(engine, "openai", "sk-1")
    name, _, column = table.partition(".")
    ((stored,),) = await ask(engine, f"SELECT {column} FROM {name}")
    assert isinstance(stored, bytes)
    for position in range(0, 8 * len(stored), 37):
        changed = bytearray(stored)
        changed[position // 8] ^= 1 << position % 8
        async with writing(engine) as conn:
            await conn.execute(text(f"UPDATE {name} SET {column} = :v"), {"v": bytes(changed)})
        with pytest.raises(SealBroken):
            await open_from_database(engine, WRAPPERS)


async def test_an_old_row_put_back_opens_only_while_its_key_stands(engine: Engine) -> None:
    """A restored row is an old truth, not a forged one: rotation is what ends it."""
    await put(engine, "openai", "sk-old")
    ((old, key),) = await ask(engine, "SELECT sealed, data_key_id FROM provider_secrets")
    await put(engine, "openai", "sk-new")
    await rotate(engine, WRAPPERS, actor=ADA)
    ((new_key,),) = await ask(engine, "SELECT data_key_id FROM provider_secrets")
    assert new_key != key
    async with writing(engine) as conn:
        await conn.execute(text("UPDATE provider_secrets SET sealed = :v"), {"v": old})
    with pytest.raises(SealBroken):
        await open_from_database(engine, WRAPPERS)


async def test_rotation_seals_everything_anew_and_drops_the_old_key(engine: Engine) -> None:
    values = await fill(engine)
    before = await ask(engine, "SELECT sealed, data_key_id FROM provider_secrets ORDER BY name")
    seen: list[tuple[int, int]] = []
    done = await rotate(engine, WRAPPERS, actor=ADA, progress=lambda d, t: seen.append((d, t)))
    assert (done.resealed, done.removed_keys, done.is_resumed) == (45, 1, False)
    assert seen == [(20, 45), (40, 45), (45, 45)]
    after = await ask(engine, "SELECT sealed, data_key_id FROM provider_secrets ORDER BY name")
    assert not {row[0] for row in before} & {row[0] for row in after}
    assert await ask(engine, "SELECT id FROM data_keys") == [(done.key_id,)]
    assert await open_from_database(engine, WRAPPERS) == values
    assert (await verify(engine, [])).broken is None


async def test_a_process_that_knew_the_old_key_seals_with_the_new_one(engine: Engine) -> None:
    ours = Sealer(engine, WRAPPERS)
    await set_secret(engine, ours, "a", "sk-1", NOON, actor=ADA)
    done = await rotate(engine, WRAPPERS, actor=ADA)
    row = await set_secret(engine, ours, "a", "sk-2", NOON, actor=ADA)
    assert row.data_key_id == done.key_id


async def test_rotations_side_by_side_leave_one_key_and_every_secret(
    engine: Engine, database: str
) -> None:
    values = await fill(engine)
    others = [connect(database) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for other in others:
            group.create_task(rotate(other, WRAPPERS, actor=ADA))
        group.create_task(put(engine, "late", "sk-late"))
    for other in others:
        await other.dispose()
    assert await open_from_database(engine, WRAPPERS) == values | {"late": "sk-late"}
    keys = await ask(engine, "SELECT id FROM data_keys WHERE retired_at IS NULL")
    assert len(keys) == 1
    assert await ask(engine, "SELECT DISTINCT data_key_id FROM provider_secrets") == keys
    assert (await verify(engine, [])).broken is None


_ROTATE = """
import asyncio, os, signal, sys
from santral.audit.note import SYSTEM
from santral.db.engine import connect
from santral.secrets import rotate
from santral.secrets.master import MasterKey
from santral.secrets.wrappers import Wrappers

url, key, batches = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
reseal, seen = rotate._reseal_batch, []

async def dying(engine, boxes):
    if len(seen) == batches:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(1)
    return await reseal(engine, boxes)

rotate._reseal_batch = dying
asyncio.run(rotate.rotate(connect(url), Wrappers(MasterKey(key), {}), actor=SYSTEM))
"""


@pytest.mark.parametrize("batches", [0, 1, 2])
async def test_a_rotation_that_was_killed_is_ended_by_the_next(
    engine: Engine, database: str, batches: int
) -> None:
    values = await fill(engine)
    command = [sys.executable, "-c", _ROTATE, database, KEY.hex(), str(batches)]
    killed = await asyncio.to_thread(subprocess.run, command, check=False)
    assert killed.returncode == -signal.SIGKILL
    under = await ask(engine, "SELECT data_key_id FROM provider_secrets")
    assert len(set(under)) == (1 if batches == 0 else 2)
    assert await open_from_database(engine, WRAPPERS) == values  # nothing is lost in between
    await put(engine, "during", "sk-during")
    done = await rotate(engine, WRAPPERS, actor=ADA)
    assert done.is_resumed
    assert done.resealed == 45 - 20 * batches
    assert await open_from_database(engine, WRAPPERS) == values | {"during": "sk-during"}
    assert len(await ask(engine, "SELECT id FROM data_keys")) == 1
    assert not (await rotate(engine, WRAPPERS, actor=ADA)).is_resumed


async def test_a_secret_that_was_changed_stops_a_rotation_by_name(engine: Engine) -> None:
    values = await fill(engine, 3)
    await do(engine, "UPDATE provider_secrets SET name = 'moved' WHERE name = 'key-01'")
    with pytest.raises(SealBroken, match="'moved'"):
        await rotate(engine, WRAPPERS, actor=ADA)
    await put(engine, "moved", "sk-again")
    assert (await rotate(engine, WRAPPERS, actor=ADA)).is_resumed
    del values["key-01"]
    assert await open_from_database(engine, WRAPPERS) == values | {"moved": "sk-again"}


async def test_a_tenants_new_data_key_leaves_the_old_one_opening(engine: Engine) -> None:
    ours = Sealer(engine, WRAPPERS, clock=iter(range(0, 1000, 10)).__next__)
    old = await ours.seal("acme", "traces/1/request", b"before")
    made = await replace_data_key(engine, WRAPPERS, "acme", actor=ADA)
    assert (await ours.box("acme")).key_id == made
    assert await ours.open("acme", "traces/1/request", old) == b"before"
    assert await ours.destroy("acme", ADA) == 2


async def test_a_new_master_key_wraps_what_the_old_one_did(engine: Engine) -> None:
    values = await fill(engine, 3)
    sealed = await Sealer(engine, WRAPPERS).seal("acme", "p", b"x")
    stored = await ask(engine, "SELECT sealed FROM provider_secrets ORDER BY name")
    new = MasterKey(secrets.token_bytes(32))
    both = Wrappers(new, {WRAPPERS.current.id: WRAPPERS.current})
    done = await rewrap(engine, both, actor=ADA)
    assert (done.keys, done.failed) == (2, ())
    alone = Wrappers(new, {})
    assert await open_from_database(engine, alone) == values
    assert await Sealer(engine, alone).open("acme", "p", sealed) == b"x"
    assert await ask(engine, "SELECT sealed FROM provider_secrets ORDER BY name") == stored
    with pytest.raises(ConfigError):
        await open_from_database(engine, WRAPPERS)
    assert (await rewrap(engine, both, actor=ADA)).keys == 0
    assert (await rewrap(engine, both, actor=ADA, every_key=True)).keys == 2


async def test_a_rewrap_that_stopped_goes_on_and_both_keys_open_meanwhile(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "BATCH_ROWS", 2)
    ours = Sealer(engine, WRAPPERS)
    sealed = {f"t{n}": await ours.seal(f"t{n}", "p", b"x") for n in range(7)}
    new = MasterKey(secrets.token_bytes(32))
    both = Wrappers(new, {WRAPPERS.current.id: WRAPPERS.current})

    def stop(done: int, total: int) -> None:
        assert total == 7
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rewrap(engine, both, actor=ADA, progress=stop)
    for tenant, bytes_ in sealed.items():
        assert await Sealer(engine, both).open(tenant, "p", bytes_) == b"x"
    assert (await rewrap(engine, both, actor=ADA)).keys == 5
    for tenant, bytes_ in sealed.items():
        assert await Sealer(engine, Wrappers(new, {})).open(tenant, "p", bytes_) == b"x"


async def test_a_key_that_does_not_unwrap_is_named_and_the_others_go_on(engine: Engine) -> None:
    ours = Sealer(engine, WRAPPERS)
    for tenant in ("a", "b", "c"):
        await ours.seal(tenant, "p", b"x")
    await do(engine, "UPDATE data_keys SET tenant_id = 'evil' WHERE tenant_id = 'b'")
    new = MasterKey(secrets.token_bytes(32))
    both = Wrappers(new, {WRAPPERS.current.id: WRAPPERS.current})
    done = await rewrap(engine, both, actor=ADA)
    assert done.keys == 2
    assert len(done.failed) == 1
    assert "of 'evil'" in done.failed[0]


async def test_from_a_master_key_to_a_transit_engine_and_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("OUR_KEY", KEY.hex())
    values = await fill(engine, 2)
    with running_transit() as server:
        transit = {"url": server.url, "key": "santral", "token": "env:VAULT_TOKEN"}
        settings = {"master_key": "env:OUR_KEY", "transit": transit}
        there = wrappers_from(SecretsConfig.model_validate(settings))
        assert (await rewrap(engine, there, actor=ADA)).keys == 1
        ((wrapped, by),) = await ask(engine, "SELECT wrapped, wrapped_by FROM data_keys")
        assert isinstance(wrapped, bytes)
        assert (wrapped[:9], by) == (b"vault:v1:", "transit:transit/santral")
        assert await open_from_database(engine, there) == values
        with pytest.raises(ConfigError):
            await open_from_database(engine, WRAPPERS)
        back = wrappers_from(SecretsConfig.model_validate(settings | {"wrap_with": "master_key"}))
        assert (await rewrap(engine, back, actor=ADA)).keys == 1
    assert await open_from_database(engine, WRAPPERS) == values
