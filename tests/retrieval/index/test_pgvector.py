"""What is PostgreSQL's own: its failures, merged and swept postings, the graph of vectors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import numpy as np
import pytest
from tests.db.postgres import Server
from tests.retrieval.index.engines import PgvectorEngine
from tests.retrieval.index.material import (
    PARTITION,
    batch,
    brute_force,
    direction,
    entry,
    question,
    random_entries,
)

from santral.config.collections import IndexServerConfig
from santral.config.secret import SecretRef
from santral.errors import StoreError
from santral.retrieval.access import as_administrator, as_member
from santral.retrieval.filter import Condition
from santral.retrieval.index.pgvector import reader as reader_module
from santral.retrieval.index.pgvector import tidy
from santral.retrieval.index.pgvector.connection import Server as IndexServer
from santral.retrieval.index.pgvector.connection import told
from santral.retrieval.index.pgvector.reader import open_reader
from santral.retrieval.index.pgvector.where import visible

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

EVERYTHING = as_administrator("acme", "docs")


@asynccontextmanager
async def connected(engine: PgvectorEngine) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(engine.settings.url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_many_small_publications_are_merged_and_find_the_same(
    pgvector_engine: PgvectorEngine,
) -> None:
    entries = random_entries(3, 40)
    writer = await pgvector_engine.writer(PARTITION)
    for one in entries:
        await writer.put(batch([one]))
        await writer.publish()
    await writer.close()
    async with connected(pgvector_engine) as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relname LIKE '%segments' AND relkind = 'r'"
        )
        segments = await connection.fetchval(f"SELECT count(*) FROM {tables[0]['relname']}")
    assert int(segments or 0) in range(1, 2 * tidy.MERGE)
    await _assert_brute_force(pgvector_engine, entries)


async def test_postings_of_what_is_gone_are_swept(
    pgvector_engine: PgvectorEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "SWEEP_CHUNKS", 5)
    entries = random_entries(4, 40)
    writer = await pgvector_engine.writer(PARTITION)
    await writer.put(batch(entries))
    await writer.publish()
    await writer.remove([one.document.id for one in entries[:30]])
    await writer.publish()
    await writer.close()
    async with connected(pgvector_engine) as connection:
        posted = await connection.fetchval("SELECT sum(chunks) FROM santral_1_postings_segments")
        dead = await connection.fetchval(
            "SELECT count(*) FROM santral_1_postings WHERE segment IN (1)"
        )
    assert posted == sum(len(one.chunks) for one in entries[30:])
    assert dead == 0
    await _assert_brute_force(pgvector_engine, entries[30:])


async def test_the_graph_keeps_recall_with_a_filter_and_without(
    pgvector_engine: PgvectorEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "GRAPH_CHUNKS", 1_000)
    monkeypatch.setattr(reader_module, "EXACT_CHUNKS", 10)
    entries = [
        entry(f"e{n}", "leave", owner="few" if n % 50 == 0 else "many", groups=["hr"] * (n % 2))
        for n in range(3_000)
    ]
    writer = await pgvector_engine.writer(PARTITION)
    await writer.put(batch(entries))
    await writer.publish()
    await writer.close()
    async with connected(pgvector_engine) as connection:
        methods = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE indexdef ~ 'hnsw'")
    assert len(methods) == 1
    reader = await pgvector_engine.reader(PARTITION)
    open_to_all = as_member("acme", "docs", [])
    for scope, conditions in (
        (EVERYTHING, ()),
        (EVERYTHING, (Condition("owner", "eq", "few"),)),
        (open_to_all, ()),
    ):
        recall: list[float] = []
        for seed in range(10):
            vector = direction(seed)
            query = question("", *conditions, vector=vector, limit=10)
            found = await reader.search(scope, query)
            expected = brute_force(entries, scope, "", query, counts_hidden=False).scores
            best = sorted(expected, key=lambda name: -expected[name]["dense"])[:10]
            names = {one.chunk.id for one in found.found}
            assert names <= expected.keys()
            recall.append(len(names & set(best)) / 10)
        assert np.mean(recall) >= 0.95, conditions
    await reader.close()


async def test_tables_that_were_deleted_are_named_and_built_again(
    pgvector_engine: PgvectorEngine,
) -> None:
    writer = await pgvector_engine.writer(PARTITION)
    await writer.put(batch([entry("d", "leave")]))
    await writer.publish()
    await writer.close()
    reader = await pgvector_engine.reader(PARTITION)
    async with connected(pgvector_engine) as connection:
        await connection.execute("DROP TABLE santral_1_chunks")
    with pytest.raises(StoreError, match="santral ingest") as lost:
        await reader.search(EVERYTHING, question("leave"))
    assert lost.value.detail_code == "index_lost"
    writer = await pgvector_engine.writer(PARTITION)
    assert await writer.held() == {}
    await writer.put(batch([entry("d", "leave")]))
    await writer.publish()
    await writer.close()
    assert len((await reader.search(EVERYTHING, question("leave"))).found) == 1
    await reader.close()


async def test_a_search_that_waits_too_long_is_told_apart(pgvector_engine: PgvectorEngine) -> None:
    writer = await pgvector_engine.writer(PARTITION)
    await writer.put(batch([entry("d", "leave")]))
    await writer.publish()
    await writer.close()
    hasty = pgvector_engine.settings.model_copy(update={"timeout_s": 0.4})
    reader = await open_reader(PARTITION, hasty)
    async with connected(pgvector_engine) as connection, connection.transaction():
        await connection.execute("LOCK TABLE santral_1_chunks IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match=r"0\.4 s|in time") as slow:
            await reader.search(EVERYTHING, question("leave"))
    assert slow.value.detail_code == "index_unreachable"
    await reader.close()


async def test_a_wrong_password_is_refused_and_never_told(
    pgvector_engine: PgvectorEngine, pgvector_server: Server, tmp_path: Path
) -> None:
    async with connected(pgvector_engine) as connection:
        rules = Path(str(await connection.fetchval("SHOW hba_file")))
    pgvector_server.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    pgvector_server.execute("SELECT pg_reload_conf()")
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    url = pgvector_engine.settings.url.replace("//santral@", "//locked@")
    settings = IndexServerConfig(kind="pgvector", url=url, secret=SecretRef(f"file:{secret}"))
    with pytest.raises(StoreError) as refused:
        await open_reader(PARTITION, settings)
    assert refused.value.detail_code == "index_refused"
    assert "hunter2" not in refused.value.message
    assert "hunter2" not in repr(IndexServer(settings))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncpg.DiskFullError("no space left on device"), "index_full"),
        (asyncpg.TooManyConnectionsError("sorry"), "index_unreachable"),
        (asyncpg.InsufficientPrivilegeError("not yours"), "index_refused"),
        (asyncpg.FeatureNotSupportedError("extension vector"), "index_unfit"),
        (asyncpg.ReadOnlySQLTransactionError("a replica"), "index_refused"),
        (ConnectionRefusedError(111, "refused"), "index_unreachable"),
    ],
)
async def test_every_failure_has_a_code_and_a_remedy(error: Exception, code: str) -> None:
    server = IndexServer(IndexServerConfig(kind="pgvector", url="postgresql://u:pw@h:5432/d"))
    with pytest.raises(StoreError) as failed:
        async with told(server, 1):
            raise error
    assert failed.value.detail_code == code
    assert "h:5432/d" in failed.value.message
    assert "pw" not in failed.value.message.split()


def test_groups_are_part_of_every_condition() -> None:
    member = visible(as_member("acme", "docs", ["hr"]), (Condition("kind", "eq", "pdf"),))
    assert member.sql.startswith("(d.allowed_groups = '{}' OR d.allowed_groups && $1::text[]) AND")
    assert member.values == (("hr",), "pdf")
    assert visible(as_member("acme", "docs", [])).values == ((),)
    assert visible(EVERYTHING).sql == "true"


async def _assert_brute_force(engine: PgvectorEngine, entries: list) -> None:
    reader = await engine.reader(PARTITION)
    query = question("leave notice izin", vector=direction(1), limit=1_000)
    expected = brute_force(entries, EVERYTHING, "leave notice izin", query, counts_hidden=False)
    found = await reader.search(EVERYTHING, query)
    for one in found.found:
        for signal, score in expected.scores[one.chunk.id].items():
            assert one.scores[signal] == pytest.approx(score, rel=1e-4, abs=2e-3)
    matching = {name for name, it in expected.scores.items() if max(it.values()) > 0.01}
    assert matching <= {one.chunk.id for one in found.found}
    await reader.close()
