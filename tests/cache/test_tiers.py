"""Both tiers keep one contract; a store that is slow, dead or wrong never reaches a caller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.cache.answers import Clock, answer, rich_answer
from tests.cache.redis_server import RedisServer

from santral.cache.answer import CachedAnswer
from santral.cache.exact import ExactCache
from santral.cache.redis_tier import RedisTier
from santral.cache.tier import QUEUE_ENTRIES, Breaker, MemoryTier, Tier, TierDown, TwoTiers
from santral.errors import ConfigError

pytestmark = pytest.mark.anyio

OpenTier = Callable[[], AbstractAsyncContextManager[Tier]]

KEY = b"\x01" * 32


def redis_tier(server: RedisServer, namespace: str = "t", timeout_s: float = 2.0) -> RedisTier:
    return RedisTier(server.url, namespace=namespace, timeout_s=timeout_s, max_entry_bytes=20_000)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make_tier(request: pytest.FixtureRequest) -> OpenTier:
    """A function that opens the tier under test, empty."""
    server: RedisServer | None = None
    if request.param == "redis":
        running: RedisServer = request.getfixturevalue("redis")
        running.ask("FLUSHALL")
        server = running

    @asynccontextmanager
    async def opened() -> AsyncIterator[Tier]:
        if server is None:
            yield MemoryTier(ExactCache(20_000, Clock()))
            return
        tier = redis_tier(server)
        try:
            yield tier
        finally:
            await tier.close()

    return opened


async def test_contract(make_tier: OpenTier) -> None:
    """What was put comes back under its key, the last one wins, and nothing else is found."""
    async with make_tier() as tier:
        assert await tier.get(KEY) is None
        assert await tier.put(KEY, rich_answer(), 60)
        assert await tier.get(KEY) == rich_answer()
        assert await tier.get(b"\x02" * 32) is None
        assert await tier.put(KEY, answer("newer"), 60)
        assert await tier.get(KEY) == answer("newer")
        for kept_out in (answer(finish=None), answer(finish="content_filter"), CachedAnswer(())):
            assert not await tier.put(b"\x03" * 32, kept_out, 60)
        assert not await tier.put(b"\x03" * 32, answer("".join(map(chr, range(256, 30_000)))), 60)
        assert await tier.get(b"\x03" * 32) is None


@pytest.mark.redis
async def test_an_answer_in_redis_ends_with_its_time(redis: RedisServer) -> None:
    tier = redis_tier(redis, "ttl")
    await tier.put(KEY, answer(), 0.03)
    assert redis.ask("PTTL", f"ttl:answer:{KEY.hex()}").startswith(b":")
    await asyncio.sleep(0.045)
    assert await tier.get(KEY) is None
    await tier.close()


@pytest.mark.redis
async def test_namespaces_are_apart_and_keys_say_nothing(redis: RedisServer) -> None:
    one, other = redis_tier(redis, "one"), redis_tier(redis, "other")
    await one.put(KEY, answer("private text"), 60)
    assert await other.get(KEY) is None
    assert b"private" not in redis.ask("KEYS", "*")
    await one.forget(KEY)
    assert await one.get(KEY) is None
    await one.close()
    await other.close()


@pytest.mark.redis
@pytest.mark.parametrize("value", [b"", b"garbage", b"SC\x01\x00" + b"x" * 30])
async def test_what_others_wrote_is_a_miss(redis: RedisServer, value: bytes) -> None:
    tier = redis_tier(redis, "corrupt")
    redis.ask("SET", f"corrupt:answer:{KEY.hex()}", value)
    assert await tier.get(KEY) is None
    await tier.close()


@pytest.mark.redis
async def test_a_value_of_another_type_is_a_tier_that_is_down(redis: RedisServer) -> None:
    tier = redis_tier(redis, "type")
    redis.ask("LPUSH", f"type:answer:{KEY.hex()}", "x")
    with pytest.raises(TierDown):
        await tier.get(KEY)
    await tier.close()


@pytest.mark.redis
async def test_a_paused_redis_is_left_out_and_no_answer_is_mixed_up(redis: RedisServer) -> None:
    """After timeouts in mid-command, the late replies never answer another question."""
    tier = redis_tier(redis, "slow", timeout_s=0.03)
    keys = [bytes([number]) * 32 for number in range(8)]
    patient = redis_tier(redis, "slow")
    for number, key in enumerate(keys):
        await patient.put(key, answer(str(number)), 60)
    assert await tier.get(keys[0]) == answer("0")
    redis.pause()
    try:
        for key in keys[:3]:
            with pytest.raises(TierDown):
                await tier.get(key)
    finally:
        redis.resume()
    for number, key in enumerate(keys):
        assert await patient.get(key) == answer(str(number))
        try:
            found = await tier.get(key)
        except TierDown:
            continue  # a busy machine: late, but never wrong
        assert found == answer(str(number))
    await tier.close()
    await patient.close()


async def test_a_dead_redis_is_a_miss_for_callers_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    tier = RedisTier(
        "redis://:hunter2@127.0.0.1:1/0", namespace="x", timeout_s=1, max_entry_bytes=10_000
    )
    two = TwoTiers(ExactCache(100_000, clock), tier, Breaker(clock))
    with caplog.at_level(logging.INFO):
        for number in range(10):
            assert (await two.get(bytes([number]) * 32))[0] is None
    assert two.breaker.is_open
    assert two.remote_errors == 3, "behind an open breaker nobody asks"
    assert [record.message for record in caplog.records] == ["cache_store_left_out"]
    assert "hunter2" not in caplog.text
    assert two.put(KEY, answer(), 60)
    await two.write_one()
    assert two.writes_dropped == 1
    assert await two.get(KEY) == (answer(), "memory")
    await tier.close()


def test_an_open_breaker_probes_alone_and_waits_longer_each_time() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=2, least_s=1, most_s=3)
    breaker.failed("slow")
    assert breaker.allows()
    breaker.failed("slow")
    assert not breaker.allows()
    for pause in (1, 2, 3, 3):
        clock.now += pause - 0.01
        assert not breaker.allows()
        clock.now += 0.02
        assert breaker.allows()
        assert not breaker.allows(), "one probe at a time"
        breaker.failed("slow")
    clock.now += 4
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()
    breaker.failed("slow")
    assert breaker.allows(), "it counts anew"


@pytest.mark.redis
async def test_what_one_worker_made_is_found_by_another_and_kept_in_its_memory(
    redis: RedisServer,
) -> None:
    clock = Clock()
    tiers = [redis_tier(redis, "shared") for _ in range(2)]
    one, other = (TwoTiers(ExactCache(100_000, clock), tier, Breaker(clock)) for tier in tiers)
    assert one.put(KEY, rich_answer(), 60)
    await one.write_one()
    assert await other.get(KEY) == (rich_answer(), "redis")
    assert await other.get(KEY) == (rich_answer(), "memory")
    for tier in tiers:
        await tier.close()


@pytest.mark.redis
async def test_writes_go_on_beside_requests_until_cancelled(redis: RedisServer) -> None:
    tier = redis_tier(redis, "run")
    two = TwoTiers(ExactCache(100_000, Clock()), tier, Breaker(Clock()))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(two.run())
        two.put(KEY, answer(), 60)
        async with asyncio.timeout(5):
            while await tier.get(KEY) is None:
                await asyncio.sleep(0.001)
        task.cancel()
    await tier.close()


async def test_writes_that_wait_are_bounded_and_the_rest_is_counted() -> None:
    class Never:
        async def get(self, key: bytes) -> CachedAnswer | None:
            return None

        async def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
            raise TierDown("no")

    two = TwoTiers(ExactCache(10**9, Clock()), Never(), Breaker(Clock()))
    for number in range(QUEUE_ENTRIES + 5):
        two.put(number.to_bytes(32), answer(), 60)
    assert two.writes_dropped == 5
    big = TwoTiers(ExactCache(10**9, Clock()), Never(), Breaker(Clock()))
    for number in range(4):
        big.put(number.to_bytes(32), answer("x" * 5_000_000), 60)
    assert big.writes_dropped == 1
    big.clear()
    assert big._queued_bytes == 0


async def test_a_killed_answer_is_not_served_from_any_tier() -> None:
    memory = ExactCache(100_000, Clock())
    two = TwoTiers(memory, MemoryTier(memory), Breaker(Clock()), lambda key: key != KEY)
    two.put(KEY, answer(), 60)
    assert (await two.get(KEY))[0] is None


@pytest.mark.parametrize("url", ["http://x", "127.0.0.1:6379"])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisTier(url, namespace="x", timeout_s=1, max_entry_bytes=1)
    assert url not in caught.value.message
