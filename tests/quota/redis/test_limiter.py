"""Limits of many workers in a real Redis: nobody gets past one, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.cache.redis_server import RedisServer
from tests.quota.redis.workers import (
    TENANT,
    admitted,
    claims_of,
    claims_under,
    limiter,
    settled,
    worker,
)

import santral.quota.redis.limiter as redis_limiter
from santral.errors import LimitsUnavailable, QuotaExceeded
from santral.quota.claim import Need, Used
from santral.quota.limits import Limits
from santral.quota.redis.limiter import RedisLimiter
from santral.quota.rule import Rule, Scope
from santral.quota.window import calendar

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

DAY = Limits(tokens_per_day=100)
WORTH_ONE = {
    "tokens, calendar": (Limits(tokens_per_day=199), Need(100)),
    "tokens, rolling": (Limits(tokens_per_minute=199), Need(100)),
    "money": (Limits(usd_per_month=0.000000199), Need(1, 100)),
    "requests": (Limits(requests_per_minute=1), Need(1)),
    "rate": (Limits(requests_per_second=0.001, burst=1), Need(1)),
    "concurrent": (Limits(concurrent_requests=1), Need(1)),
    "several": (Limits(tokens_per_day=199, usd_per_day=1, concurrent_requests=9), Need(100, 5)),
}


@pytest.mark.parametrize("name", WORTH_ONE)
async def test_of_many_calls_at_once_on_a_budget_worth_one_exactly_one_is_admitted(
    redis: RedisServer, name: str
) -> None:
    limits, need = WORTH_ONE[name]
    async with worker(redis) as a, worker(redis) as b, worker(redis) as c:
        holds = await admitted([a, b, c], claims_of(limits), need, 60)
        assert len(holds) == 1


async def test_what_was_used_replaces_what_was_reserved_once(redis: RedisServer) -> None:
    claims = claims_of(Limits(tokens_per_day=100, usd_per_day=0.0000001, concurrent_requests=1))
    async with worker(redis) as one, worker(redis) as other:
        hold = await one.reserve(claims, Need(90, 90))
        with pytest.raises(QuotaExceeded):
            await other.reserve(claims, Need(1, 1))
        await settled(one, hold, Need(40, 30))
        await settled(one, hold, Need(40, 30))
        hold = await other.reserve(claims, Need(60, 70))
        assert [s.used for s in hold.standings] == [100, 1, 100] or sorted(
            s.used for s in hold.standings
        ) == [1, 100, 100]
        await other.release(hold)
        await other.release(hold)
        await _quiet(other)
        hold = await one.reserve(claims, Need(60, 70))
        assert max(s.used for s in hold.standings) == 100


async def test_a_refused_request_takes_nothing_of_any_limit(redis: RedisServer) -> None:
    tight = [*Limits(tokens_per_day=10).rules("acme", TENANT)]
    wide = [*Limits(tokens_per_minute=1000, requests_per_day=5).rules("acme", TENANT)]
    async with worker(redis) as one:
        for _ in range(8):
            with pytest.raises(QuotaExceeded) as caught:
                await one.reserve(claims_under([*wide, *tight]), Need(11))
            assert caught.value.detail_code == "tokens_per_day_exceeded"
        hold = await one.reserve(claims_under(wide), Need(11))
        assert sorted(s.used for s in hold.standings) == [1, 11]


async def test_limits_of_all_organisations_and_of_one_hold_together(redis: RedisServer) -> None:
    everywhere = Rule(
        id="all", tenant_id="*", scope=Scope("route", "docs"), measure="tokens", window="day",
        amount=100,
    )  # fmt: skip
    from santral.quota.book import LimitBook

    book = LimitBook([everywhere, *Limits(tokens_per_day=60).rules("acme", TENANT)])
    acme, other = book.of("acme", "k1", "docs"), book.of("other", "k2", "docs")
    async with worker(redis) as one:
        with pytest.raises(QuotaExceeded) as caught:
            await one.reserve(acme, Need(61))
        assert "tenant 'acme'" in caught.value.message
        await _quiet(one)
        hold = await one.reserve(other, Need(100))
        with pytest.raises(QuotaExceeded) as caught:
            await one.reserve(acme, Need(50))
        assert "route 'docs'" in caught.value.message
        await settled(one, hold, Need(50))
        await one.reserve(acme, Need(50))


async def test_the_answer_says_how_things_stand(redis: RedisServer) -> None:
    claims = claims_of(Limits(requests_per_second=0.5, burst=2, tokens_per_day=1000, usd_per_day=2))
    async with worker(redis) as one:
        hold = await one.reserve(claims, Need(300, 500_000_000))
        headers = hold.headers()
        assert headers["x-ratelimit-limit-requests"] == "2"
        assert headers["x-ratelimit-remaining-requests"] == "1"
        assert headers["x-ratelimit-remaining-tokens"] == "700"
        assert headers["x-santral-budget-remaining-usd"] == "1.5"
        await one.reserve(claims, Need(300))
        with pytest.raises(QuotaExceeded) as caught:
            await one.reserve(claims, Need(300))
        assert caught.value.detail_code == "requests_per_second_exceeded"
        assert 0 < (caught.value.retry_after_s or 0) <= 2


async def test_a_dry_run_counts_and_refuses_nothing(redis: RedisServer) -> None:
    (rule,) = DAY.rules("acme", TENANT)
    dry = Rule(**{**_fields(rule), "is_dry_run": True})
    async with worker(redis) as one:
        holds = [await one.reserve(claims_under([dry]), Need(90)) for _ in range(3)]
        assert holds[-1].standings[0].used == 270


async def test_a_limit_that_is_used_up_falls_to_its_deployment(redis: RedisServer) -> None:
    (rule,) = DAY.rules("acme", TENANT)
    soft = Rule(**{**_fields(rule), "fall_to": "cheap"})
    async with worker(redis) as one:
        assert (await one.reserve(claims_under([soft]), Need(90))).fall_to == ""
        assert (await one.reserve(claims_under([soft]), Need(90))).fall_to == "cheap"


async def test_the_ledger_is_where_an_empty_redis_begins(redis: RedisServer) -> None:
    start = calendar("day", "UTC").at(time.time())
    claims = claims_of(DAY, {"tokens_per_day/acme": Used(start, 95)})
    async with worker(redis) as one:
        with pytest.raises(QuotaExceeded):
            await one.reserve(claims, Need(6))
        hold = await one.reserve(claims, Need(5))
        assert hold.standings[0].used == 100


async def test_the_hold_of_a_killed_worker_is_given_back(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiter, "HOLD_S", 0.4)
    claims = claims_of(Limits(concurrent_requests=1, tokens_per_day=100))
    killed = limiter(redis)  # its background work never runs: it is dead after this
    await killed.begin()
    await killed.reserve(claims, Need(100))
    async with worker(redis) as one:
        with pytest.raises(QuotaExceeded):
            await one.reserve(claims, Need(1))
        await asyncio.sleep(0.6)
        await one.reserve(claims, Need(100))
    killed._nodes.close()


async def test_the_hold_of_a_long_request_lasts(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiter, "HOLD_S", 1.2)
    monkeypatch.setattr(redis_limiter, "RENEW_AFTER_S", 0.2)
    claims = claims_of(Limits(concurrent_requests=1))
    async with worker(redis) as one, worker(redis) as other:
        hold = await one.reserve(claims, Need(1))
        await asyncio.sleep(2.5)
        with pytest.raises(QuotaExceeded):
            await other.reserve(claims, Need(1))
        await settled(one, hold, Need(1))
        await other.reserve(claims, Need(1))


async def test_a_restart_in_the_middle_lets_nobody_past_a_limit(redis: RedisServer) -> None:
    claims = claims_of(Limits(usd_per_day=0.000000199))
    async with worker(redis) as one, worker(redis) as other:
        hold = await one.reserve(claims, Need(1, 100))
        redis.restart()  # without persistence: everything is gone
        passed = 0
        ends_at = time.monotonic() + 4
        while time.monotonic() < ends_at:
            try:
                await other.reserve(claims, Need(1, 100))
            except (QuotaExceeded, LimitsUnavailable):
                await asyncio.sleep(0.05)
            else:
                passed += 1
        assert passed == 0
        await settled(one, hold, Need(1, 50))
        await other.reserve(claims, Need(1, 100))


async def test_what_was_settled_and_not_billed_yet_survives_a_flush(redis: RedisServer) -> None:
    async with worker(redis) as one, worker(redis) as other:
        await settled(one, await one.reserve(claims_of(DAY), Need(90)), Need(80))
        redis.ask("FLUSHALL")
        await _until_joined(one, other)
        with pytest.raises(QuotaExceeded):
            await other.reserve(claims_of(DAY), Need(21))
        await other.reserve(claims_of(DAY), Need(20))


async def test_while_redis_is_dead_money_is_refused_and_the_rest_is_shared_out(
    redis: RedisServer,
) -> None:
    async with worker(redis, workers=2) as one, worker(redis, workers=2) as other:
        hold = await one.reserve(claims_of(DAY), Need(40))
        await settled(one, hold, Need(40))
        await other.reserve(claims_of(DAY), Need(0))  # it hears that 40 are used
        redis.stop()
        try:
            with pytest.raises(LimitsUnavailable) as caught:
                await one.reserve(claims_of(Limits(usd_per_day=5)), Need(1, 1))
            assert caught.value.retry_after_s == 1
            assert not one.is_coordinated
            for each in (one, other):
                await each.reserve(claims_of(DAY), Need(30))
                with pytest.raises(QuotaExceeded, match="share of what was left"):
                    await each.reserve(claims_of(DAY), Need(1))
        finally:
            redis.restart()


async def test_what_was_used_while_redis_was_dead_is_told_when_it_is_back(
    redis: RedisServer,
) -> None:
    async with worker(redis) as one, worker(redis) as other:
        await one.reserve(claims_of(DAY), Need(0))
        redis.stop()
        try:
            hold = await one.reserve(claims_of(DAY), Need(50))  # its half
        finally:
            redis.restart()
        await one.settle(hold, Need(45))
        await _until_joined(one, other)
        await _quiet(one)
        with pytest.raises(QuotaExceeded):
            await other.reserve(claims_of(DAY), Need(56))
        await other.reserve(claims_of(DAY), Need(55))


async def test_a_redis_that_comes_and_goes_gives_nobody_a_second_share(redis: RedisServer) -> None:
    async with worker(redis) as one:
        await one.reserve(claims_of(DAY), Need(0))
        passed = 0
        for _ in range(3):
            redis.stop()
            try:
                for _ in range(4):
                    try:
                        hold = await one.reserve(claims_of(DAY), Need(30))
                    except QuotaExceeded:
                        continue
                    passed += 1
                    await one.settle(hold, Need(30))
            finally:
                redis.restart()
            await _until_joined(one)
        assert passed == 3


async def test_a_slow_redis_costs_one_timeout_and_then_nothing(redis: RedisServer) -> None:
    async with worker(redis, timeout_s=0.05) as one:
        await one.reserve(claims_of(DAY), Need(1))
        redis.pause()
        try:
            slowest = 0.0
            for _ in range(50):
                began = time.perf_counter()
                await one.reserve(claims_of(DAY), Need(1))
                slowest = max(slowest, time.perf_counter() - began)
            assert not one.is_coordinated
            assert one.errors >= 1
            assert slowest < 2, "nobody waits for as long as Redis sleeps"
        finally:
            redis.resume()
        await _until_joined(one)
        assert one.is_coordinated


@pytest.mark.parametrize("skew_s", [-100_000.0, -7.0, 7.0, 100_000.0])
async def test_windows_go_by_the_clock_of_redis(redis: RedisServer, skew_s: float) -> None:
    claims = claims_of(Limits(tokens_per_day=100, tokens_per_minute=100))
    async with (
        worker(redis) as right,
        worker(redis, clock=lambda: time.time() + skew_s) as wrong,
    ):
        await right.reserve(claims, Need(60))
        with pytest.raises(QuotaExceeded):
            await wrong.reserve(claims, Need(41))
        await wrong.reserve(claims, Need(40))


async def test_lost_scripts_are_loaded_again(redis: RedisServer) -> None:
    async with worker(redis) as one:
        hold = await one.reserve(claims_of(DAY), Need(50))
        redis.ask("SCRIPT", "FLUSH")
        await settled(one, hold, Need(20))
        await one.reserve(claims_of(DAY), Need(80))
        assert one.is_coordinated


async def test_a_client_that_leaves_during_the_decision_holds_nothing(redis: RedisServer) -> None:
    claims = claims_of(Limits(concurrent_requests=1))
    async with worker(redis) as one:
        await one.reserve(claims_of(DAY), Need(1))
        redis.pause()
        try:
            asking = asyncio.ensure_future(one.reserve(claims, Need(1)))
            await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        finally:
            redis.resume()
        await _until_joined(one)
        await _quiet(one)
        await one.reserve(claims, Need(1))


async def test_nothing_is_kept_of_requests_that_are_over(redis: RedisServer) -> None:
    async with worker(redis) as one:
        for _ in range(50):
            await one.settle(await one.reserve(claims_of(DAY), Need(1)), Need(1))
        await _quiet(one)
        assert one.open_holds == 0
        assert not one._pending
        assert b"$2\r\n50" in redis.ask("HGET", _account(one), "u")
        assert b"$1\r\n0" in redis.ask("HGET", _account(one), "h")


def _account(one: RedisLimiter) -> str:
    (claim,) = claims_of(DAY)
    return one._account(claim, time.time())


def _fields(rule: Rule) -> dict[str, object]:
    return {name: getattr(rule, name) for name in rule.__struct_fields__}


async def _quiet(one: RedisLimiter) -> None:
    for _ in range(600):
        if not one._pending:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("Redis was not told")


async def _until_joined(*limiters: RedisLimiter) -> None:
    """Wait until every worker has told a Redis that began anew what it knows."""
    await asyncio.sleep(2 * redis_limiter.BEAT_S)
    for one in limiters:
        for _ in range(600):
            if one.is_coordinated:
                break
            await asyncio.sleep(0.01)


async def test_another_attempt_reserves_more_or_nothing(redis: RedisServer) -> None:
    claims = claims_of(Limits(tokens_per_day=100, tokens_per_minute=100, requests_per_minute=1))
    async with worker(redis) as one:
        hold = await one.reserve(claims, Need(40))
        await one.extend(hold, Need(40))
        with pytest.raises(QuotaExceeded):
            await one.extend(hold, Need(21))
        await one.extend(hold, Need(20))
        assert hold.need.tokens == 100
        await settled(one, hold, Need(70))
        await one.extend(hold, Need(1000))  # it is over: left alone
        more = await one.reserve(claims_of(Limits(tokens_per_day=100)), Need(30))
        with pytest.raises(QuotaExceeded):
            await one.reserve(claims_of(Limits(tokens_per_day=100)), Need(1))
        await settled(one, more, Need(30))


async def test_what_was_reserved_twice_is_given_back_when_its_worker_is_killed(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiter, "HOLD_S", 0.4)
    killed = limiter(redis)
    await killed.begin()
    await killed.extend(await killed.reserve(claims_of(DAY), Need(40)), Need(60))
    async with worker(redis) as one:
        with pytest.raises(QuotaExceeded):
            await one.reserve(claims_of(DAY), Need(1))
        await asyncio.sleep(0.6)
        await one.reserve(claims_of(DAY), Need(100))
    killed._nodes.close()


async def test_a_request_of_nothing_is_settled_too(redis: RedisServer) -> None:
    async with worker(redis) as one:
        hold = await one.reserve(claims_of(DAY), Need(0))
        await settled(one, hold, Need(0))
        assert (one.errors, one.dropped) == (0, 0)
        assert b"$1\r\n0" in redis.ask("HGET", _account(one), "h")


async def test_a_settlement_that_redis_will_never_take_does_not_stop_the_others(
    redis: RedisServer,
) -> None:
    async with worker(redis) as one:
        broken = await one.reserve(claims_of(Limits(tokens_per_minute=100)), Need(1))
        redis.ask("SET", one._account(broken.claims[0], time.time()), "nothing of ours")
        await one.settle(broken, Need(1))
        hold = await one.reserve(claims_of(DAY), Need(1))
        await settled(one, hold, Need(1))
        assert one.is_coordinated
        assert one.dropped == 1
