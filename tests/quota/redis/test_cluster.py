"""A cluster of three: every organisation has its place, and each decision stays in one slot."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.cache.redis_server import RedisServer, free_port, redis_server
from tests.quota.redis.workers import worker

from santral.errors import QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Need
from santral.quota.limits import Limits
from santral.quota.rule import EACH, Rule, Scope

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is missing; install it with: apt-get install -y redis-tools")
    import contextlib

    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(
                redis_server(
                    tmp_path_factory.mktemp("node"),
                    *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
                )
            )
            for _ in range(3)
        ]
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        deadline = time.monotonic() + 15
        while not all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield nodes


async def test_limits_hold_for_organisations_anywhere_in_the_cluster(
    cluster: list[RedisServer],
) -> None:
    rules = [
        *Limits(tokens_per_day=100, concurrent_requests=5).rules("*", Scope("tenant", EACH)),
        Rule(
            id="all", tenant_id="*", scope=Scope("route", "docs"), measure="requests",
            window="day", amount=25,
        ),
    ]  # fmt: skip
    book = LimitBook(rules)
    async with (
        worker(cluster[0], timeout_s=1.0) as one,
        worker(cluster[2], timeout_s=1.0) as other,
    ):
        for number in range(12):
            claims = book.of(f"tenant-{number}", f"k{number}", "docs")
            hold = await one.reserve(claims, Need(60))
            with pytest.raises(QuotaExceeded):
                await other.reserve(claims, Need(41))
            await one.settle(hold, Need(10))
            await other.settle(await other.reserve(claims, Need(0)), Need(0))
        late = book.of("late", "k", "docs")
        await other.settle(await other.reserve(late, Need(0)), Need(0))
        with pytest.raises(QuotaExceeded, match="route 'docs'"):
            await other.reserve(late, Need(0))
        assert one.is_coordinated
    sizes = [int(node.ask("DBSIZE").strip(b":\r\n")) for node in cluster]
    assert all(size > 0 for size in sizes), "the organisations are spread"
