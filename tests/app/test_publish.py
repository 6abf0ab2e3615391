"""The access file: what decides about access is there at once, what the ledger sums a little later."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from santral.app.access import Access, AccessReader, write_access
from santral.app.acts import Acts
from santral.app.catalogue import CataloguePublisher
from santral.app.publish import Publisher, read_access
from santral.db.engine import Engine, connect, sqlite_url
from santral.db.migrate import migrate
from santral.errors import Unauthenticated
from santral.quota.claim import Used
from santral.quota.limits import Limits
from santral.quota.rule import EACH, Scope
from santral.quota.used import DaySums
from santral.tenants.issue import IssuedKey, create_key, ensure_first_keys, revoke_key
from santral.tenants.operator import local_operator

pytestmark = pytest.mark.anyio

DEFAULTS = [*Limits(tokens_per_day=100).rules("*", Scope("tenant", EACH))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[Engine]:
    engine = connect(sqlite_url(tmp_path))
    await migrate(engine)
    await ensure_first_keys(engine, random.Random(1).randbytes)
    yield engine
    await engine.dispose()


async def publisher(engine: Engine, folder: Path) -> Publisher:
    path = folder / "access.msgpack"
    record = await read_access(engine, DEFAULTS, time.time())
    write_access(path, record)
    return Publisher(
        sqlite_url(folder), path, record, DEFAULTS, time.monotonic, time.time,
        folder / "sealed.msgpack", Acts(),
        CataloguePublisher(folder / "collections.msgpack", folder),
        folder / "prompts.msgpack",
    )  # fmt: skip


async def seen(path: Path, is_there: Callable[[Access], bool], within_s: float) -> None:
    reader = AccessReader(path)
    with anyio.fail_after(within_s):
        while True:
            access = reader.read()
            if access is not None and is_there(access):
                return
            await anyio.sleep(0.05)


async def new_key(engine: Engine) -> IssuedKey:
    return await create_key(
        engine, random.Random(2).randbytes, "default", "k", datetime.now(UTC), by=local_operator()
    )


def knows(key: IssuedKey) -> Callable[[Access], bool]:
    def is_known(access: Access) -> bool:
        try:
            access.ring.identify(key.plaintext, time.time())
        except Unauthenticated:
            return False
        return True

    return is_known


async def test_a_key_and_its_end_do_not_wait_for_the_sums_of_a_large_ledger(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await publisher(engine, tmp_path)

    async def for_ever(*_: Any) -> Any:
        await anyio.sleep(3600)

    monkeypatch.setattr(DaySums, "since", for_ever)
    made.start()
    try:
        key = await new_key(engine)
        await seen(tmp_path / "access.msgpack", knows(key), 8)
        await revoke_key(engine, key.key.id, datetime.now(UTC), by=local_operator())
        await seen(tmp_path / "access.msgpack", lambda access: not knows(key)(access), 8)
    finally:
        made._stop.set()


async def test_a_change_of_keys_leaves_what_was_used_in_the_file(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await publisher(engine, tmp_path)
    used = {"tokens_per_day/default": Used(1, 70)}
    made._record = replace(made._record, used=used)

    async def for_ever(*_: Any) -> Any:
        await anyio.sleep(3600)

    monkeypatch.setattr(DaySums, "since", for_ever)
    made.start()
    try:
        key = await new_key(engine)
        path = tmp_path / "access.msgpack"
        await seen(path, lambda access: knows(key)(access) and access.used == used, 8)
    finally:
        made._stop.set()
