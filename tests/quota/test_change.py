"""Limits in both databases: set, kept apart, removed, and seen by the next snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from santral.db.engine import Engine, reading
from santral.db.store import read_revision
from santral.errors import BadRequest, NotFound
from santral.quota import store
from santral.quota.change import replace_limits, set_limits, show_limits
from santral.quota.limit import Limits, Scope
from santral.tenants.issue import create_key, create_tenant
from santral.tenants.tenant import VirtualKey

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def with_key(engine: Engine, tenant: str, seed: int = 1) -> VirtualKey:
    await create_tenant(engine, tenant, None, NOW)
    return (await create_key(engine, Random(seed).randbytes, tenant, "shop", NOW)).key


async def all_limits(engine: Engine) -> dict[Scope, Limits]:
    async with reading(engine) as conn:
        return await store.limits_of(conn)


async def test_only_what_is_named_is_changed(engine: Engine) -> None:
    await with_key(engine, "acme")
    await set_limits(engine, "acme", None, (5.0, 10, 1000), NOW)
    await set_limits(engine, "acme", None, (None, None, 2000), NOW)
    assert await all_limits(engine) == {Scope("tenant", "acme"): Limits(5.0, 10, 2000)}
    await set_limits(engine, "acme", None, (0, None, None), NOW)
    assert await all_limits(engine) == {Scope("tenant", "acme"): Limits(None, None, 2000)}
    await set_limits(engine, "acme", None, (None, None, 0), NOW)
    assert await all_limits(engine) == {}


async def test_putting_limits_replaces_all_of_them(engine: Engine) -> None:
    await with_key(engine, "acme")
    await replace_limits(engine, "acme", None, Limits(5.0, 10, 1000), NOW)
    await replace_limits(engine, "acme", None, Limits(tokens_per_day=7), NOW)
    assert await all_limits(engine) == {Scope("tenant", "acme"): Limits(tokens_per_day=7)}
    await replace_limits(engine, "acme", None, Limits(), NOW)
    assert await all_limits(engine) == {}


async def test_a_key_has_limits_of_its_own_by_id_or_prefix(engine: Engine) -> None:
    key = await with_key(engine, "acme")
    await set_limits(engine, "acme", key.prefix, (1.0, None, None), NOW)
    await set_limits(engine, "acme", key.id, (None, None, 50), NOW)
    assert await all_limits(engine) == {Scope("key", key.id): Limits(1.0, None, 50)}
    tenant, own = await show_limits(engine, "acme")
    assert (tenant.key_id, tenant.limits) == (None, Limits())
    assert (own.key_id, own.key_name, own.limits) == (key.id, "shop", Limits(1.0, None, 50))


async def test_a_key_of_another_tenant_is_not_found(engine: Engine) -> None:
    await with_key(engine, "acme", 1)
    foreign = await with_key(engine, "globex", 2)
    with pytest.raises(NotFound, match="has no key"):
        await set_limits(engine, "acme", foreign.id, (1.0, None, None), NOW)
    await set_limits(engine, "globex", foreign.id, (1.0, None, None), NOW)
    assert len(await show_limits(engine, "acme")) == 1


async def test_every_change_is_seen(engine: Engine) -> None:
    await with_key(engine, "acme")
    seen: list[int] = []
    for asked in ((1.0, None, None), (0, None, None)):
        await set_limits(engine, "acme", None, asked, NOW)
        async with reading(engine) as conn:
            seen.append(await read_revision(conn))
    assert seen[1] > seen[0]


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        (Limits(0.0), "requests_per_second"),
        (Limits(-1.0), "requests_per_second"),
        (Limits(float("nan")), "requests_per_second"),
        (Limits(float("inf")), "requests_per_second"),
        (Limits(1.0, 0), "burst"),
        (Limits(None, 5), "burst"),
        (Limits(tokens_per_day=0), "tokens_per_day"),
        (Limits(tokens_per_day=2**63), "tokens_per_day"),
    ],
)
async def test_limits_that_contradict_are_refused_by_name(
    engine: Engine, limits: Limits, param: str
) -> None:
    await with_key(engine, "acme")
    with pytest.raises(BadRequest) as caught:
        await replace_limits(engine, "acme", None, limits, NOW)
    assert caught.value.param == param
    assert await all_limits(engine) == {}


async def test_an_unknown_tenant_is_named_with_the_nearest(engine: Engine) -> None:
    await with_key(engine, "acme")
    with pytest.raises(NotFound, match="Did you mean 'acme'"):
        await set_limits(engine, "acm", None, (1.0, None, None), NOW)
    with pytest.raises(NotFound):
        await show_limits(engine, "acm")
