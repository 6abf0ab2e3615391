"""Payloads in the spool under a master key: no file shows them, the collector's reader does."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.gateway.worker import Worker
from tests.traces.conftest import build_record

from santral.db.engine import connect, sqlite_url
from santral.db.migrate import migrate
from santral.errors import ConfigError, StoreError
from santral.secrets.master import MasterKey
from santral.secrets.sealer import Sealer
from santral.secrets.waiting import WaitingBox
from santral.secrets.wrappers import Wrappers
from santral.traces.collector import Collector
from santral.traces.frame import Spooled
from santral.traces.record import Payload, TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.scores.waiting import waiting_score
from santral.traces.sealed import CHANGED
from santral.traces.spool import Spool
from santral.traces.store import TraceStore
from santral.traces.waiting import waiting

pytestmark = pytest.mark.anyio

SAID = "KANARYA-waits"
MASTER = base64.b64encode(bytes(range(32))).decode()
TOML = """
[data]
folder = "data"
[secrets]
master_key = "env:MASTER"
[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[deployments.one]
provider = "stub"
model = "m-one"
[routes.plain]
ladder = [{ deployments = { one = 1 } }]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def wrappers(byte: int = 0) -> Wrappers:
    return Wrappers(MasterKey(bytes([byte]) * 32), {})


@pytest.fixture
async def sealer(tmp_path: Path) -> AsyncGenerator[Sealer]:
    engine = connect(sqlite_url(tmp_path))
    await migrate(engine)
    yield Sealer(engine, wrappers())
    await engine.dispose()


def spooled(folder: Path, *records: Spooled) -> None:
    spool = Spool(folder / "spool", "w0", 1024 * 1024)
    for record in records:
        assert spool.append(record)
    spool.close()


def said(number: int) -> TraceRecord:
    payload = Payload(request=json.dumps([{"content": SAID}]), response=SAID)
    return build_record(number, tenant_id="acme", payload=payload)


def in_files(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and SAID.encode() in p.read_bytes()]


def commented(number: int) -> ScoreRecord:
    return ScoreRecord(
        id=f"{number:032x}",
        tenant_id="acme",
        trace_id=said(1).trace_id,
        name=f"comment-{number}",
        source="user",
        at_us=1_760_000_000_000_000 + number,
        comment=SAID,
    )


async def collect(folder: Path, sealer: Sealer | None) -> TraceStore:
    store = TraceStore(folder / "telemetry.duckdb", sealer=sealer)
    await Collector(folder / "spool", store).collect_once()
    return store


async def test_no_file_shows_words_from_the_spool_to_the_store(
    sealer: Sealer, tmp_path: Path
) -> None:
    box = WaitingBox(wrappers())
    spooled(tmp_path, *(waiting(said(number), box) for number in range(3)))
    assert in_files(tmp_path) == []
    store = await collect(tmp_path, sealer)
    assert in_files(tmp_path) == []
    found = await store.get_trace("acme", said(1).trace_id)
    assert found.trace.payload == said(1).payload
    await store.close()


async def test_one_that_was_changed_or_moved_keeps_no_other_waiting(
    sealer: Sealer, tmp_path: Path
) -> None:
    box = WaitingBox(wrappers())
    moved = replace(said(2), payload=waiting(said(1), box).payload)
    payload = waiting(said(3), box).payload
    assert payload is not None
    changed = replace(said(3), payload=replace(payload, response="no base 64!"))
    spooled(tmp_path, moved, changed, waiting(said(4), box))
    store = await collect(tmp_path, sealer)
    for number in (2, 3):
        found = await store.get_trace("acme", said(number).trace_id)
        assert found.trace.payload == Payload(request=CHANGED, response=CHANGED)
    found = await store.get_trace("acme", said(4).trace_id)
    assert found.trace.payload == said(4).payload
    await store.close()


async def test_no_file_shows_comments_from_the_spool_to_the_store(
    sealer: Sealer, tmp_path: Path
) -> None:
    box = WaitingBox(wrappers())
    moved = replace(waiting_score(commented(2), box), id=f"{9:032x}")
    spooled(tmp_path, waiting_score(commented(1), box), moved)
    assert in_files(tmp_path) == []
    store = await collect(tmp_path, sealer)
    assert in_files(tmp_path) == []
    found = await store.scores_of("acme", said(1).trace_id)
    assert [score.comment for score in found] == [SAID, CHANGED]
    await store.close()
    closed = TraceStore(tmp_path / "telemetry.duckdb")
    assert SAID not in (await closed.scores_of("acme", said(1).trace_id))[0].comment
    await closed.close()


async def test_comments_wait_for_the_master_key(sealer: Sealer, tmp_path: Path) -> None:
    spooled(tmp_path, waiting_score(commented(1), WaitingBox(wrappers())))
    with pytest.raises(StoreError, match="master_key"):
        await (await collect(tmp_path, None)).close()
    store = await collect(tmp_path, sealer)
    assert len(await store.scores_of("acme", said(1).trace_id)) == 1
    await store.close()


@pytest.mark.parametrize("has_another", [False, True])
async def test_without_the_master_key_it_waits_and_nothing_is_lost(
    sealer: Sealer, tmp_path: Path, has_another: bool
) -> None:
    spooled(tmp_path, waiting(said(1), WaitingBox(wrappers())))
    other = Sealer(sealer._engine, wrappers(7)) if has_another else None
    with pytest.raises(ConfigError if has_another else StoreError, match=r"master|previous"):
        await (await collect(tmp_path, other)).close()
    store = await collect(tmp_path, sealer)
    assert (await store.get_trace("acme", said(1).trace_id)).trace.payload == said(1).payload
    await store.close()


def test_a_worker_with_a_master_key_seals_what_it_spools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTER", MASTER)
    worker = Worker(tmp_path, TOML)
    try:
        assert worker.ask(content=SAID).status == 200
        assert worker.record.payload is not None
        assert worker.record.payload.waits_under
        assert in_files(tmp_path) == []
    finally:
        worker.close()
