"""What holds of every index on a server, beside the contract: deaths, second writers, the same order."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.retrieval.index.engines import EmbeddedEngine, QdrantEngine, ServerEngine
from tests.retrieval.index.material import (
    PARTITION,
    Entry,
    batch,
    direction,
    entry,
    question,
    random_entries,
    random_filter,
)
from tests.retrieval.index.writing_process import NAMES

from santral.errors import StoreError
from santral.retrieval.access import as_administrator, as_member
from santral.retrieval.index.entry import Candidates
from santral.retrieval.index.index import IndexWriter
from santral.retrieval.index.qdrant.writer import open_writer as open_qdrant_writer
from santral.retrieval.index.signal import Signal

pytestmark = pytest.mark.anyio

EVERYTHING = as_administrator("acme", "docs")


@pytest.fixture(params=[pytest.param("pgvector", marks=pytest.mark.postgres), "qdrant"])
def server(request: pytest.FixtureRequest) -> ServerEngine:
    """Return each server in turn."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.mark.parametrize("seed", range(3))
async def test_a_killed_writer_leaves_what_it_published_last(
    server: ServerEngine, seed: int
) -> None:
    rounds = await asyncio.to_thread(_kill_after, server, np.random.default_rng(seed))
    reader = await server.reader(PARTITION)
    found = await reader.search(EVERYTHING, question("leave notice", limit=100))
    (seen,) = {one.chunk.text.split()[1] for one in found.found}
    # The last one may have been published and not yet said.
    assert seen in {f"round{rounds}", f"round{rounds + 1}"}
    assert len(found.found) == 2 * len(NAMES)
    writer = await _next_writer(server)
    number = seen.removeprefix("round")
    assert await writer.held() == {name: f"{name}-{number}" for name in NAMES}
    await writer.put(batch([entry("new", "leave")]))
    assert (await writer.publish()).documents == len(NAMES) + 1
    await writer.close()
    await reader.close()


async def test_a_second_writer_is_told_that_it_is_the_second(server: ServerEngine) -> None:
    first = await server.writer(PARTITION)
    with pytest.raises(StoreError) as refused:
        await server.writer(PARTITION)
    assert refused.value.detail_code == "ingest_running"
    await first.put(batch([entry("d", "leave")]))
    await first.publish()
    await first.close()
    second = await server.writer(PARTITION)
    assert await second.held() == {"d": "d-0"}
    await second.close()


@pytest.mark.parametrize("seed", range(3))
async def test_any_changes_end_in_the_order_of_the_embedded_index(
    server: ServerEngine, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    embedded = EmbeddedEngine(tmp_path)
    theirs, ours = await server.writer(PARTITION), await embedded.writer(PARTITION)
    for step in range(12):
        changes: list[Entry] = random_entries(100 * seed + step, 8, int(rng.integers(20)))
        gone = [f"d{number}" for number in rng.integers(30, size=3)]
        is_published = rng.random() < 0.4
        for writer in (theirs, ours):
            await writer.put(batch(changes))
            await writer.remove(gone)
            if is_published:
                await writer.publish()
    assert await theirs.held() == await ours.held()
    for writer in (theirs, ours):
        await writer.publish()
        await writer.close()
    one, other = await server.reader(PARTITION), await embedded.reader(PARTITION)
    for number in range(12):
        conditions = random_filter(rng)
        scope = as_member("acme", "docs", ["hr"]) if number % 2 else EVERYTHING
        query = question(
            "annual leave izin sözleşme", *conditions, vector=direction(number), limit=200
        )
        _assert_same_order(await one.search(scope, query), await other.search(scope, query))
    await one.close()
    await other.close()


def _assert_same_order(theirs: Candidates, ours: Candidates) -> None:
    """Compare what was found, and the order of all pairs that the embedded index can tell apart."""
    signals: tuple[Signal, ...] = ("bm25", "ngrams", "dense")
    names = sorted({one.chunk.id for one in theirs.found} & {one.chunk.id for one in ours.found})
    for signal in signals:
        left, right = (
            np.array(
                [{one.chunk.id: one.scores[signal] for one in it.found}[name] for name in names]
            )
            for it in (theirs, ours)
        )
        best = max(ours.best[signal], 1e-9)
        apart = right[:, None] - right[None, :] > 0.03 * best + 0.02 * (signal == "dense")
        assert (left[:, None] - left[None, :])[apart].min(initial=1.0) > 0, signal
        missing = [
            one
            for it, others in ((theirs, ours), (ours, theirs))
            for one in it.found
            if one.chunk.id not in {other.chunk.id for other in others.found}
        ]
        # What only one of them found stands at the edge of no match.
        assert all(one.scores[signal] < 0.03 * best + 0.02 for one in missing), signal


async def test_searches_of_a_dead_server_fail_at_once_for_a_while(server: ServerEngine) -> None:
    now = [0.0]
    opened = await server.reader_with_clock(PARTITION, lambda: now[0])
    assert (await opened.search(EVERYTHING, question("leave"))).found == ()
    with server.away():
        with pytest.raises(StoreError) as first:
            await opened.refresh()
        assert first.value.detail_code == "index_unreachable"
        before = time.perf_counter()
        with pytest.raises(StoreError) as second:
            await opened.refresh()
        assert second.value.retry_after_s is not None
        assert time.perf_counter() - before < 0.2
    now[0] += 10
    await opened.refresh()
    await opened.close()


def _kill_after(server: ServerEngine, rng: np.random.Generator) -> int:
    """Let a process write for a while, kill it; return the last round that it said was published."""
    command = [sys.executable, "-m", "tests.retrieval.index.writing_process"]
    settings = server.settings.model_dump_json(exclude={"secret"})
    with subprocess.Popen([*command, settings], stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout is not None
        said = writing.stdout.readline()
        time.sleep(float(rng.uniform(0.05, 0.8)))
        writing.kill()
        lines = [said, *writing.stdout.read().split()]
    return int(lines[-1])


async def _next_writer(server: ServerEngine) -> IndexWriter:
    """Open a writer after one was killed: Qdrant keeps the right for it until it ends."""
    if not isinstance(server, QdrantEngine):
        return await server.writer(PARTITION)
    with pytest.raises(StoreError) as refused:
        await server.writer(PARTITION)
    assert refused.value.detail_code == "ingest_running"
    later = datetime.now(UTC).timestamp() + 1_000
    return await open_qdrant_writer(PARTITION, server.settings, lambda: later)
