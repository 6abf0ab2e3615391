"""Counters of a user's limits in Redis, as the limiter itself makes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis
from tests.cache.redis_server import RedisServer, redis_server
from tests.privacy.conftest import ACME, AYSE, GLOBEX, SUBJECT

from santral.db.engine import Engine, writing
from santral.db.tables import limit_rules
from santral.errors import StoreError
from santral.privacy.counters import Counters
from santral.privacy.places.database import Limits
from santral.quota.claim import account_of
from santral.quota.rule import Rule, Scope
from santral.tenants.store import insert_tenant

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


async def add_rule(engine: Engine, name: str, tenant: str, kind: str, scope: str) -> None:
    async with writing(engine) as conn:
        await conn.execute(
            limit_rules.insert().values(
                id=name,
                tenant_id=tenant,
                scope_kind=kind,
                scope_id=scope,
                measure="requests",
                window="day",
                is_rolling=False,
                amount=5,
                time_zone="UTC",
                wait_s=0.0,
                warn_at=[],
                uncoordinated="share",
                is_dry_run=False,
                updated_at=NOW,
            )
        )


async def test_a_users_counters_go_and_nobody_elses(engine: Engine, redis: RedisServer) -> None:
    async with writing(engine) as conn:
        for tenant in (ACME, GLOBEX):
            await insert_tenant(conn, tenant, tenant, NOW)
    for name, tenant, kind, scope in (
        ("lim_each", ACME, "user", "*"),
        ("lim_one", ACME, "user", AYSE),
        ("lim_all", "*", "user", "*"),
        ("lim_route", ACME, "route", AYSE),
        ("lim_globex", GLOBEX, "user", "*"),
    ):
        await add_rule(engine, name, tenant, kind, scope)
    theirs = {
        f"santral:limits:{{acme}}:a:lim_each/{AYSE}:1234",
        f"santral:limits:{{acme}}:a:lim_one/{AYSE}",
        f"santral:limits:{{acme}}:a:lim_all/acme/{AYSE}:99",
    }
    others = {
        f"santral:limits:{{acme}}:a:lim_each/{AYSE}-2:1234",
        "santral:limits:{acme}:a:lim_each/mehmet:1234",
        f"santral:limits:{{globex}}:a:lim_all/globex/{AYSE}:99",
        f"santral:limits:{{globex}}:a:lim_globex/{AYSE}:99",
        f"santral:limits:{{acme}}:a:lim_route/{AYSE}:1234",
        f"other:limits:{{acme}}:a:lim_one/{AYSE}",
    }
    client = Redis.from_url(redis.url, decode_responses=True)
    for key in theirs | others:
        await client.hset(key, "u", "1")
    counters = Counters(redis.url, "santral")
    place = Limits(engine, counters)
    found = await place.find(ACME, SUBJECT)
    assert found.own == {"rules": 1, "counters in Redis": 3}
    await place.erase(ACME, SUBJECT)
    assert (await place.find(ACME, SUBJECT)).own == {}
    assert set(await client.keys("*")) == others
    redis.stop()
    with pytest.raises(StoreError, match=r"limits\.url"):
        await place.find(ACME, SUBJECT)
    await client.aclose()
    await counters.close()


def test_accounts_are_called_as_the_limiter_calls_them() -> None:
    fields = {"id": "lim_1", "tenant_id": "acme", "scope": Scope("user", "*")}
    rule = Rule(**fields, measure="requests", window="day", amount=5)  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert account_of(rule, AYSE) == f"lim_1/{AYSE}"
