"""Tenants and keys in both databases: made, shown, ended, and seen by the next snapshot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from santral.db.engine import Engine, connect, reading, writing
from santral.db.store import read_revision
from santral.errors import BadRequest, NotFound, Unauthenticated
from santral.tenants import issue, organise, store
from santral.tenants.issue import FirstKeys, IssuedKey, KeyTerms, ensure_first_keys
from santral.tenants.key import RandomBytes
from santral.tenants.keyring import KeyRing
from santral.tenants.operator import local_operator
from santral.tenants.tenant import Tenant, VirtualKey

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


OPERATOR = local_operator()


async def create_tenant(engine: Engine, id_: str, name: str | None, now: datetime) -> Tenant:
    return await organise.create_tenant(engine, id_, name, now, by=OPERATOR)


async def create_key(
    engine: Engine, rng: RandomBytes, tenant: str, name: str, now: datetime, **terms: Any
) -> IssuedKey:
    return await issue.create_key(
        engine, rng, tenant, name, now, by=OPERATOR, terms=KeyTerms(**terms)
    )


async def revoke_key(engine: Engine, reference: str, now: datetime) -> VirtualKey:
    return await issue.revoke_key(engine, reference, now, by=OPERATOR)


async def list_keys(engine: Engine, tenant: str) -> list[VirtualKey]:
    return [known.key for known in await issue.list_keys(engine, tenant, NOW, by=OPERATOR)]


async def list_tenants(engine: Engine) -> list[Tenant]:
    return [line.tenant for line in await organise.list_tenants(engine, by=OPERATOR)]


async def revision(engine: Engine) -> int:
    async with reading(engine) as conn:
        return await read_revision(conn)


async def ring(engine: Engine) -> KeyRing:
    async with reading(engine) as conn:
        return await store.load_keyring(conn)


async def test_an_issued_key_identifies_its_tenant_until_it_is_revoked(engine: Engine) -> None:
    rng = Random(1).randbytes
    await create_tenant(engine, "acme", None, NOW)
    until = NOW + timedelta(days=30)
    issued = await create_key(
        engine, rng, "acme", "shop", NOW, routes=["support", "faq"], expires_at=until
    )
    caller = (await ring(engine)).identify(issued.plaintext, NOW.timestamp())
    assert caller.tenant.id == "acme"
    assert caller.key == issued.key
    assert caller.key.routes == {"support", "faq"}
    assert caller.key.expires_at == until
    assert caller.key.created_at == NOW
    ended = await revoke_key(engine, f"{issued.key.prefix}…", NOW)  # copied from a list
    assert ended.revoked_at == NOW
    with pytest.raises(Unauthenticated, match="revoked"):
        (await ring(engine)).identify(issued.plaintext, NOW.timestamp())


async def test_a_key_for_every_route_stays_one(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOW)
    issued = await create_key(engine, Random(1).randbytes, "acme", "shop", NOW)
    assert (await list_keys(engine, "acme"))[0].routes is None
    assert issued.key.may_use("anything")


async def test_every_write_is_seen_as_a_change(engine: Engine) -> None:
    seen = [await revision(engine)]
    await create_tenant(engine, "acme", "Acme", NOW)
    seen.append(await revision(engine))
    issued = await create_key(engine, Random(1).randbytes, "acme", "shop", NOW)
    seen.append(await revision(engine))
    await revoke_key(engine, issued.key.id, NOW)
    seen.append(await revision(engine))
    async with writing(engine) as conn:
        assert await store.update_tenant(conn, store.TenantId("acme"), {"is_active": False})
    seen.append(await revision(engine))
    assert seen == sorted(set(seen))
    await revoke_key(engine, issued.key.id, NOW + timedelta(days=1))
    assert (await list_keys(engine, "acme"))[0].revoked_at == NOW


async def test_the_text_of_a_key_is_nowhere_in_the_database(engine: Engine) -> None:
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    async with reading(engine) as conn:
        rows = (await conn.execute(text("SELECT * FROM virtual_keys"))).all()
    assert len(rows) == 2
    for issued in (first.admin, first.application):
        secret = issued.plaintext[len("sk-santral-") + 6 :]
        assert secret not in str(rows)
        assert secret not in repr(first)


async def test_tenants_are_kept_apart(engine: Engine) -> None:
    rng = Random(1).randbytes
    for name in ("acme", "globex"):
        await create_tenant(engine, name, None, NOW)
        await create_key(engine, rng, name, f"of {name}", NOW)
    assert [key.name for key in await list_keys(engine, "acme")] == ["of acme"]
    assert [tenant.id for tenant in await list_tenants(engine)] == ["acme", "globex"]
    key = (await list_keys(engine, "acme"))[0]
    async with writing(engine) as conn:
        assert not await store.revoke_key(conn, store.TenantId("globex"), key.id, NOW)


@pytest.mark.parametrize("id_", ["", "Acme", "a b", "../etc", "-a", "a" * 64, "ağ", "a\n"])
async def test_an_id_that_cannot_name_a_folder_is_refused(engine: Engine, id_: str) -> None:
    with pytest.raises(BadRequest, match="id of a tenant"):
        await create_tenant(engine, id_, None, NOW)
    assert await list_tenants(engine) == []


async def test_what_cannot_be_meant_is_refused(engine: Engine) -> None:
    rng = Random(1).randbytes
    await create_tenant(engine, "acme", None, NOW)
    with pytest.raises(BadRequest, match="taken"):
        await create_tenant(engine, "acme", "Another", NOW)
    with pytest.raises(NotFound, match="Did you mean 'acme'"):
        await create_key(engine, rng, "acm", "shop", NOW)
    with pytest.raises(BadRequest, match="expired already"):
        await create_key(engine, rng, "acme", "shop", NOW, expires_at=NOW)
    with pytest.raises(BadRequest, match="no routes"):
        await create_key(engine, rng, "acme", "shop", NOW, routes=[])
    with pytest.raises(BadRequest, match="printable"):
        await create_key(engine, rng, "acme", " \n", NOW)
    with pytest.raises(NotFound, match="santral keys list"):
        await revoke_key(engine, "key_nope", NOW)
    assert await list_keys(engine, "acme") == []


async def test_a_whole_key_is_not_taken_as_a_name(engine: Engine) -> None:
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    with pytest.raises(BadRequest, match="never by its whole text") as caught:
        await revoke_key(engine, first.admin.plaintext, NOW)
    assert first.admin.plaintext not in caught.value.message
    with pytest.raises(BadRequest, match="is not a key"):
        await create_key(engine, Random(2).randbytes, "default", first.admin.plaintext, NOW)


async def test_the_first_start_makes_two_keys_and_the_next_none(engine: Engine) -> None:
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    keys = await ring(engine)
    admin = keys.identify(first.admin.plaintext, NOW.timestamp()).key
    assert (admin.role, admin.role_over) == ("owner", "*")
    assert keys.identify(first.application.plaintext, NOW.timestamp()).key.role is None
    assert await ensure_first_keys(engine, Random(2).randbytes, NOW) is None
    assert len(await ring(engine)) == 2


async def test_a_tenant_made_by_hand_before_the_first_start_still_gets_its_first_keys(
    engine: Engine,
) -> None:
    await create_tenant(engine, "default", None, NOW)
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    assert first.admin.key.role == "owner"
    assert await ensure_first_keys(engine, Random(2).randbytes, NOW) is None


async def test_of_two_first_starts_at_once_one_gets_the_keys(database: str) -> None:
    engines = [connect(database) for _ in range(3)]
    made: list[FirstKeys | None] = []

    async def start(number: int) -> None:
        made.append(await ensure_first_keys(engines[number], Random(number).randbytes, NOW))

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(start(number))
    assert sum(keys is not None for keys in made) == 1
    assert len(await ring(engines[0])) == 2
    for engine in engines:
        await engine.dispose()
