"""Cached answers and a person: every worker forgets, Redis is emptied, and a dead Redis is tried again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cache.answers import answer
from tests.cache.redis_server import RedisServer, redis_server
from tests.privacy.conftest import ACME, SUBJECT

from santral.cache.caches import Caches
from santral.cache.redis_tier import RedisTier
from santral.config.caching import CacheStoreConfig
from santral.db.engine import Engine, reading, writing
from santral.errors import StoreError
from santral.privacy.places.caches import CachedAnswers
from santral.tenants.keyring import KeyRing
from santral.tenants.store import insert_tenant, list_tenants

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


@pytest.fixture
async def tiers(redis: RedisServer) -> AsyncGenerator[tuple[RedisTier, RedisTier]]:
    made = tuple(
        RedisTier(redis.url, namespace=name, timeout_s=1.0, max_entry_bytes=10_000)
        for name in ("ours", "others")
    )
    yield made[0], made[1]
    for tier in made:
        await tier.close()


async def test_all_answers_of_the_namespace_go_and_no_others(
    tiers: tuple[RedisTier, RedisTier],
) -> None:
    ours, others = tiers
    for number in range(1500):
        await ours.put(number.to_bytes(32, "big"), answer("said"), 60)
    await others.put(bytes(32), answer("said"), 60)
    assert await ours.count() == 1500
    await ours.forget_all()
    assert (await ours.count(), await others.count()) == (0, 1)
    assert await ours.get(bytes(32)) is None


async def test_an_erasure_tells_every_worker_and_then_empties_redis(
    engine: Engine, tmp_path: Path, tiers: tuple[RedisTier, RedisTier]
) -> None:
    ours, _ = tiers
    async with writing(engine) as conn:
        await insert_tenant(conn, ACME, "Acme", NOW)
    await ours.put(bytes(32), answer("said"), 60)
    kept_while_waiting: list[int] = []

    async def sleep(seconds: float) -> None:
        kept_while_waiting.append(await ours.count())

    place = CachedAnswers(engine, tmp_path, ours, lambda: NOW, sleep)
    assert (await place.find(ACME, SUBJECT)).own == {"answers in Redis, everybody's": 1}
    await place.erase(ACME, SUBJECT)
    assert (await place.find(ACME, SUBJECT)).own == {}
    assert kept_while_waiting == [1], "workers forget first, or they would write it again"
    async with reading(engine) as conn:
        ring = KeyRing((), await list_tenants(conn))
    assert ring.caches_forgotten_at == NOW.timestamp()


async def test_a_dead_redis_is_an_error_that_is_tried_again(
    engine: Engine, tmp_path: Path, redis: RedisServer, tiers: tuple[RedisTier, RedisTier]
) -> None:
    async with writing(engine) as conn:
        await insert_tenant(conn, ACME, "Acme", NOW)
    redis.stop()
    place = CachedAnswers(engine, tmp_path, tiers[0], lambda: NOW)
    with pytest.raises(StoreError) as failure:
        await place.erase(ACME, SUBJECT)
    assert failure.value.retryable


async def test_a_worker_forgets_once_for_each_moment(tmp_path: Path) -> None:
    clock = [0.0]
    caches = Caches(CacheStoreConfig(), tmp_path, "w0", lambda: clock[0], lambda: 0.0)
    for moment, is_kept in ((10.0, False), (10.0, True), (9.0, True), (11.0, False)):
        caches.tiers.put(bytes(32), answer("said"), 60)
        caches.forget_before(moment)
        assert (caches.tiers.memory.get(bytes(32)) is not None) == is_kept
