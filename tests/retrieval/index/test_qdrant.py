"""What is Qdrant's own: its failures, what every request carries, the right to write, old points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.retrieval.index.engines import QdrantEngine
from tests.retrieval.index.material import PARTITION, batch, direction, entry, question
from tests.retrieval.index.qdrant_front import QdrantFront

from santral.config.collections import IndexServerConfig
from santral.config.secret import SecretRef
from santral.errors import StoreError
from santral.retrieval.access import as_administrator, as_member
from santral.retrieval.filter import Condition
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.qdrant import writer as writer_module
from santral.retrieval.index.qdrant.connection import Connection
from santral.retrieval.index.qdrant.points import partition_id
from santral.retrieval.index.qdrant.reader import open_reader
from santral.retrieval.index.qdrant.writer import open_writer

pytestmark = pytest.mark.anyio

EVERYTHING = as_administrator("acme", "docs")
READING = ("/points/query/batch", "/points/count", "/points/scroll")


async def published(engine: QdrantEngine, *names: str) -> None:
    writer = await engine.writer(PARTITION)
    await writer.put(batch([entry(name, "annual leave", "notice period") for name in names]))
    await writer.publish()
    await writer.close()


async def test_every_search_names_partition_groups_and_revision(
    qdrant_engine: QdrantEngine,
) -> None:
    await published(qdrant_engine, "d", "e")
    reader = await qdrant_engine.reader(PARTITION)
    front = qdrant_engine.front
    front.seen.clear()
    member = as_member("acme", "docs", ["hr"])
    query = question("leave", Condition("kind", "ne", "pdf"), vector=direction(1))
    assert (await reader.search(member, query)).found
    assert len(await reader.stretch(member, "d", 0, 1)) == 2
    searches = [(path, body) for _, path, body in front.seen if path.endswith(READING)]
    assert len(searches) >= 4
    wanted = {"key": "readers", "match": {"any": ["everybody", "group hr"]}}
    revision = {"key": "born", "range": {"lte": 1}}
    own = partition_id(PARTITION).hex
    for path, body in searches:
        assert own in path
        filters = list(_filters(body))
        assert filters
        for one in filters:
            assert wanted in list(_clauses(one)), path
            assert revision in list(_clauses(one)), path
    others = [
        Partition("globex", "docs", 1), Partition("acme", "docs", 2), Partition("acme", "x", 1)
    ]  # fmt: skip
    assert partition_id(PARTITION) not in [partition_id(one) for one in others]
    await reader.close()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"status": {"error": "Invalid API key"}}, "index_refused"),
        (403, {"status": {"error": "Forbidden"}}, "index_refused"),
        (
            500,
            {"status": {"error": "Service internal error: No space left on device"}},
            "index_full",
        ),
        (503, {"status": {"error": "overloaded"}}, "index_unreachable"),
        (400, {"status": {"error": "Bad request"}}, "index_failed"),
        (307, {}, "index_failed"),
    ],
)
async def test_every_failure_has_a_code_and_a_remedy(
    qdrant_engine: QdrantEngine, status: int, body: dict[str, Any], code: str
) -> None:
    await published(qdrant_engine, "d")
    reader = await qdrant_engine.reader(PARTITION)
    headers = {"location": "http://127.0.0.1:9/"}
    qdrant_engine.front.fault = lambda *_: web.json_response(body, status=status, headers=headers)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as failed:
        await reader.search(EVERYTHING, question("leave"))
    assert failed.value.detail_code == code
    await reader.close()


async def test_another_program_at_the_address_is_told_apart(qdrant_engine: QdrantEngine) -> None:
    qdrant_engine.front.fault = lambda *_: web.Response(text="<html>hello</html>")
    with pytest.raises(StoreError) as failed:
        await qdrant_engine.reader(PARTITION)
    assert failed.value.detail_code == "index_unfit"


async def test_an_old_server_is_refused_with_the_version_it_needs(
    qdrant_engine: QdrantEngine,
) -> None:
    qdrant_engine.front.version = "1.18.2"
    for opening in (qdrant_engine.reader, qdrant_engine.writer):
        with pytest.raises(StoreError, match=r"1\.18\.2.*1\.19") as refused:
            await opening(PARTITION)
        assert refused.value.detail_code == "index_unfit"


async def test_a_slow_server_is_given_up_in_time(qdrant_engine: QdrantEngine) -> None:
    await published(qdrant_engine, "d")
    hasty = qdrant_engine.settings.model_copy(update={"timeout_s": 0.3})
    reader = await open_reader(PARTITION, hasty)
    qdrant_engine.front.delay_s = 1.0
    with pytest.raises(StoreError, match=r"0\.3 s") as slow:
        await reader.search(EVERYTHING, question("leave"))
    assert slow.value.detail_code == "index_unreachable"
    await reader.close()


async def test_the_key_is_sent_and_never_told(qdrant_front: QdrantFront, tmp_path: Path) -> None:
    qdrant_front.key = "hunter2"
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("hunter2")
    wrong.write_text("swordfish")
    settings = IndexServerConfig(
        kind="qdrant", url=qdrant_front.url, secret=SecretRef(f"file:{right}")
    )
    await (await open_reader(PARTITION, settings)).close()
    bad = settings.model_copy(update={"secret": SecretRef(f"file:{wrong}")})
    with pytest.raises(StoreError) as refused:
        await open_reader(PARTITION, bad)
    assert refused.value.detail_code == "index_refused"
    connection = Connection(bad)
    assert "swordfish" not in refused.value.message + repr(connection)
    await connection.close()


async def test_a_collection_that_was_deleted_is_named_and_built_again(
    qdrant_engine: QdrantEngine,
) -> None:
    await published(qdrant_engine, "d")
    reader = await qdrant_engine.reader(PARTITION)
    (name,) = await qdrant_engine.left_behind(PARTITION)
    qdrant_engine.front.shards.pop(name).close()
    with pytest.raises(StoreError, match="santral ingest") as lost:
        await reader.search(EVERYTHING, question("leave"))
    assert lost.value.detail_code == "index_lost"
    writer = await qdrant_engine.writer(PARTITION)
    assert await writer.held() == {}
    await writer.close()
    await published(qdrant_engine, "d")
    assert await reader.refresh()
    assert (await reader.search(EVERYTHING, question("leave"))).found
    await reader.close()


async def test_a_writer_that_was_overtaken_changes_nothing_more(
    qdrant_engine: QdrantEngine,
) -> None:
    now = [1_000.0]
    first = await open_writer(PARTITION, qdrant_engine.settings, lambda: now[0])
    await first.put(batch([entry("d", "leave")]))
    now[0] += 1_000  # it slept, and its right is over
    second = await open_writer(PARTITION, qdrant_engine.settings, lambda: now[0])
    for act in (first.put(batch([entry("e", "leave")])), first.publish()):
        with pytest.raises(StoreError) as overtaken:
            await act
        assert overtaken.value.detail_code == "ingest_running"
    assert await second.held() == {}
    await first.close()
    await second.put(batch([entry("f", "leave")]))
    assert (await second.publish()).documents == 1
    await second.close()


async def test_old_points_stay_for_readers_and_are_swept_later(
    qdrant_engine: QdrantEngine,
) -> None:
    now = [1_000.0]
    writer = await open_writer(PARTITION, qdrant_engine.settings, lambda: now[0])
    await writer.put(batch([entry("d", "leave before")]))
    await writer.publish()
    behind = await qdrant_engine.reader(PARTITION)
    (name,) = await qdrant_engine.left_behind(PARTITION)
    shard = qdrant_engine.front.shards[name]
    for seed in (1, 2):
        await writer.put(batch([entry("d", "leave after", seed=seed)]))
        await writer.publish()
    found = await behind.search(EVERYTHING, question("leave"))
    assert [one.chunk.text for one in found.found] == ["leave before"]
    assert shard.info().points_count == 6  # three chunks and three documents
    now[0] += writer_module.GRACE_S + 1
    await writer.publish()
    assert shard.info().points_count == 2
    await behind.refresh()
    found = await behind.search(EVERYTHING, question("leave"))
    assert [one.chunk.text for one in found.found] == ["leave after"]
    await behind.close()
    await writer.close()


async def test_what_was_removed_is_gone_when_the_writer_is_closed(
    qdrant_engine: QdrantEngine,
) -> None:
    await published(qdrant_engine, "d", "e")
    (name,) = await qdrant_engine.left_behind(PARTITION)
    writer = await qdrant_engine.writer(PARTITION)
    await writer.remove(["d"])
    await writer.publish()
    await writer.close()
    assert qdrant_engine.front.shards[name].info().points_count == 3  # e and its two chunks
    writer = await qdrant_engine.writer(PARTITION)
    assert await writer.held() == {"e": "e-0"}
    await writer.close()


async def test_attributes_with_odd_names_and_mixed_kinds_are_filtered(
    qdrant_engine: QdrantEngine,
) -> None:
    odd = {"a.b": "x", 'quo"ted': "y", "İş": 2.0, "x_612e62": "z"}
    writer = await qdrant_engine.writer(PARTITION)
    await writer.put(batch([entry("d", "leave", attributes=odd), entry("e", "leave")]))
    await writer.publish()
    await writer.close()
    reader = await qdrant_engine.reader(PARTITION)
    for name, value in odd.items():
        query = question("leave", Condition(f"attributes.{name}", "eq", value))
        found = await reader.search(EVERYTHING, query)
        assert [one.chunk.id for one in found.found] == ["d-0"], name
    await reader.close()


def _filters(body: Any) -> Any:
    for one in body.get("searches", [body]):
        yield one["filter"]
        if "idf" in one.get("params", {}):
            yield one["params"]["idf"]["corpus"]


def _clauses(node: Any) -> Any:
    """Yield every clause that must hold."""
    for one in node.get("must", []):
        yield one
        yield from _clauses(one)
