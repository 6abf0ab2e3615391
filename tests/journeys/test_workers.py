"""Several workers on one machine: nothing is lost when they are replaced, and little when one is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cache.redis_server import RedisServer, redis_server
from tests.journeys.conftest import Santral, wait_until
from tests.journeys.load import Load

pytestmark = [pytest.mark.journey, pytest.mark.redis, pytest.mark.timeout(240)]

StartMany = Callable[..., Santral]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


@pytest.fixture
def start_many(own_santral: StartMany, redis: RedisServer) -> StartMany:
    """Start an installation with some workers and wait until all accept connections."""

    def start(workers: int, more: str = "", env: dict[str, str] | None = None) -> Santral:
        many = {
            "SANTRAL_SERVER__WORKERS": str(workers),
            "SANTRAL_LIMITS__URL": "env:LIMITS_REDIS",
            "LIMITS_REDIS": redis.url,
            **(env or {}),
        }
        return own_santral(more, env=many)

    return start


def numbers(santral: Santral) -> dict[str, float]:
    """Return every line of the gateway's metrics."""
    text = santral.get(f"{santral.gateway}/metrics")[2].decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def requests_of(found: dict[str, float]) -> float:
    return sum(v for name, v in found.items() if name.startswith("santral_requests_total"))


def restart(santral: Santral, within_s: int = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "santral", "restart", "--within", str(within_s)],
        env=santral.env,
        capture_output=True,
        text=True,
        timeout=within_s + 30,
    )


def test_no_request_is_lost_while_all_processes_are_replaced_under_load(
    start_many: StartMany,
) -> None:
    santral = start_many(2)
    first = set(santral.children("gateway"))
    with Load(santral) as load:
        load.closed_loop(2)
        load.now_and_then(10, most_s=1.5)
        load.streams(3)
        load.uploads(2)
        wait_until(lambda: len(load.done) == 4, 20)
        for _ in range(2):
            done = restart(santral)
            assert done.returncode == 0, done.stdout + done.stderr + santral.logs()
    assert load.faults == []
    assert min(load.done[kind] for kind in ("whole", "idle", "stream", "upload")) > 5, load.done
    assert load.told_to_close, "what was under way is told to come on another connection"
    assert not first & set(santral.children("gateway"))
    assert "Traceback" not in santral.logs(), santral.logs()[-6000:]
    # None was lost to the ledger and the traces either, and no counter forgot a replaced worker.
    asked = load.done["whole"] + load.done["idle"] + load.done["stream"]

    def is_counted() -> bool:
        return requests_of(numbers(santral)) >= asked

    wait_until(is_counted, 5)
    assert requests_of(numbers(santral)) == asked + load.done["upload"] * 0
    assert numbers(santral)['santral_worker_ends_total{cause="replaced"}'] == 4
    assert santral.stop() == 0
