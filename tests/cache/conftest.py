"""What cache tests share: answers, a clock, a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cache.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with redis_server(folder) as server:
        yield server


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
