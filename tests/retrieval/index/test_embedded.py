"""The embedded index on disk: whole or not at all, whatever is killed, cut or written twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.retrieval.index.engines import EmbeddedEngine
from tests.retrieval.index.material import (
    PARTITION,
    batch,
    brute_force,
    direction,
    entry,
    question,
    random_entries,
)

from santral.errors import ConfigError, StoreError
from santral.retrieval.access import as_administrator
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.embedded import content, vectors, writer
from santral.retrieval.index.embedded.manifest import MANIFEST, partition_folder
from santral.retrieval.index.embedded.reader import EmbeddedReader
from santral.retrieval.index.embedded.search import best_places
from santral.retrieval.index.embedded.vectors import pack_vectors
from santral.retrieval.index.embedded.writer import EmbeddedWriter
from santral.retrieval.index.registry import open_reader, open_writer

pytestmark = pytest.mark.anyio

EVERYTHING = as_administrator("acme", "docs")

# Puts ten documents in, publishes, says so; again and again, some of them taken out.
WRITER = """
import asyncio, sys
from pathlib import Path
from tests.retrieval.index.material import PARTITION, batch, entry
from santral.retrieval.index.embedded import writer as module
from santral.retrieval.index.embedded.writer import EmbeddedWriter

module._FLUSH_CHUNKS = 8  # several segments for each publication

async def main() -> None:
    writer = await EmbeddedWriter.open(PARTITION, Path(sys.argv[1]))
    for turn in range(10_000):
        for first in (0, 5):
            names = [f"d{number}" for number in range(first, first + 5)]
            await writer.put(batch([entry(n, f"leave turn{turn}", "x", seed=turn) for n in names]))
        await writer.remove(["d3"] if turn % 2 else [])
        await writer.publish()
        print(turn, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(6))
async def test_a_writer_killed_at_any_moment_leaves_what_it_published(
    seed: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        last = int(process.stdout.readline())
        time.sleep(random.Random(seed).uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        last = max([last, *map(int, process.stdout.read().split())])
    reader = await EmbeddedReader.open(PARTITION, tmp_path)
    found = await reader.search(EVERYTHING, question("leave", limit=100))
    turns = {int(one.chunk.text.split()[1].removeprefix("turn")) for one in found.found}
    assert turns in ({last}, {last + 1})
    (turn,) = turns
    names = {f"d{number}" for number in range(10) if turn % 2 == 0 or number != 3}
    assert {one.chunk.document_id for one in found.found} == names
    after = await EmbeddedWriter.open(PARTITION, tmp_path)
    assert await after.held() == {name: f"{name}-{turn}" for name in names}
    folder = partition_folder(tmp_path, PARTITION)
    named = {view.segment.name for view in reader._opened.views}
    assert {path.name for path in folder.iterdir()} == named | {MANIFEST, "writer.lock"}
    await after.put(batch([entry("d0", "leave at last", seed=99)]))
    await after.publish()
    await after.close()


async def test_a_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    first = await EmbeddedWriter.open(PARTITION, tmp_path)
    with pytest.raises(StoreError, match=str(os.getpid())) as refused:
        await EmbeddedWriter.open(PARTITION, tmp_path)
    assert refused.value.detail_code == "ingest_running"
    await first.close()
    await (await EmbeddedWriter.open(PARTITION, tmp_path)).close()


async def test_a_dropped_partition_can_be_written_again_by_the_same_writer(tmp_path: Path) -> None:
    first = await EmbeddedWriter.open(PARTITION, tmp_path)
    await first.drop()
    assert list(tmp_path.rglob("*")) == [tmp_path / "index"]
    await first.put(batch([entry("d", "leave", dimensions=8)], 8))
    await first.publish()
    with pytest.raises(StoreError):
        await EmbeddedWriter.open(PARTITION, tmp_path)
    await first.close()


@pytest.mark.parametrize("step", ["write_arrays", "write_manifest", "load_segment"])
async def test_a_full_disk_leaves_the_last_state_in_force(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await EmbeddedWriter.open(PARTITION, tmp_path)
    await one.put(batch([entry("d", "leave")]))
    await one.publish()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writer, step, full)
        await one.put(batch([entry("e", "leave")]))
        with pytest.raises(StoreError, match="No space left"):
            await one.publish()
        reader = await EmbeddedReader.open(PARTITION, tmp_path)
        assert reader.state.documents == 1
    await one.publish()
    assert await reader.refresh()
    assert reader.state.documents == 2
    await one.close()


async def published(folder: Path) -> Path:
    one = await EmbeddedWriter.open(PARTITION, folder)
    await one.put(batch(random_entries(1, 20)))
    await one.publish()
    await one.close()
    return partition_folder(folder, PARTITION)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("*.segment", lambda content: content[: len(content) // 2]),
        ("*.segment", lambda content: b""),
        ("*.segment", lambda content: b"x" + content[1:]),
        ("*.segment", lambda content: content[:30] + b"\xff" + content[31:]),
        (MANIFEST, lambda content: content[:50]),
        (MANIFEST, lambda content: content.replace(b'"number":1', b'"number":2')),
        (MANIFEST, lambda content: b""),
    ],
)
async def test_damage_is_named_and_the_next_ingest_mends_it(
    name: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    folder = await published(tmp_path)
    (path,) = folder.glob(name)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match="santral ingest") as refused:
        await EmbeddedReader.open(PARTITION, tmp_path)
    assert refused.value.detail_code == "index_damaged"
    await mended(tmp_path)


async def mended(folder: Path) -> None:
    again = await EmbeddedWriter.open(PARTITION, folder)
    assert await again.held() == {}
    await again.put(batch([entry("d", "leave")]))
    await again.publish()
    await again.close()
    reader = await EmbeddedReader.open(PARTITION, folder)
    assert reader.state.documents == 1


async def test_an_index_of_another_format_or_partition_is_told_apart(tmp_path: Path) -> None:
    folder = await published(tmp_path)
    other = folder.parent.parent / "other" / "v1"
    other.parent.mkdir()
    folder.rename(other)
    with pytest.raises(StoreError, match="belongs to another"):
        await open_reader(type(PARTITION)("acme", "other", 1), "embedded", {}, tmp_path)


async def test_what_the_first_releases_left_is_no_index_and_goes_with_the_next_one(
    tmp_path: Path,
) -> None:
    collection = partition_folder(tmp_path, PARTITION).parent
    (collection / "0000000001-abcd1234").mkdir(parents=True)
    (collection / "0000000001-abcd1234" / "meta.json").write_text("{}")
    (collection / "CURRENT").write_text("0000000001-abcd1234")
    assert (await EmbeddedReader.open(PARTITION, tmp_path)).state.documents == 0
    await mended(tmp_path)
    assert [path.name for path in collection.iterdir()] == ["v1"]


async def test_a_damaged_state_does_not_replace_what_a_reader_has(tmp_path: Path) -> None:
    folder = await published(tmp_path)
    reader = await EmbeddedReader.open(PARTITION, tmp_path)
    (folder / MANIFEST).write_bytes(b"nothing")
    with pytest.raises(StoreError):
        await reader.refresh()
    assert (await reader.search(EVERYTHING, question("leave"))).found


@pytest.mark.parametrize("seed", range(3))
async def test_any_changes_in_small_segments_equal_a_rebuild(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FLUSH_CHUNKS", 10)
    monkeypatch.setattr(writer, "_SMALLEST", 5)
    monkeypatch.setattr(content, "_SLICE", 200)
    rng = random.Random(seed)
    wanted = {one.document.id: one for one in random_entries(seed, 20)}
    changing, rebuilt = EmbeddedEngine(tmp_path / "a"), EmbeddedEngine(tmp_path / "b")
    one = await changing.writer(PARTITION)
    await one.put(batch(list(wanted.values())))
    for turn in range(25):
        for new in random_entries(100 * seed + turn, rng.randint(0, 6), rng.randint(0, 25)):
            await one.put(batch([new]))
            wanted[new.document.id] = new
        gone = rng.sample(sorted(wanted), rng.randint(0, 3))
        await one.remove(gone)
        wanted = {name: kept for name, kept in wanted.items() if name not in gone}
        if rng.random() < 0.7:
            await one.publish()
        assert await one.held() == {
            name: kept.document.fingerprint for name, kept in wanted.items()
        }
    state = await one.publish()
    await one.close()
    other = await rebuilt.writer(PARTITION)
    await other.put(batch(list(wanted.values())))
    expected_state = await other.publish()
    await other.close()
    assert (state.documents, state.chunks) == (expected_state.documents, expected_state.chunks)
    assert state.languages == expected_state.languages
    query = question("leave notice izin", vector=direction(seed), limit=1000)
    found, expected = [
        await (await engine.reader(PARTITION)).search(EVERYTHING, query)
        for engine in (changing, rebuilt)
    ]
    scores = {one.chunk.id: one.scores for one in expected.found}
    assert {one.chunk.id: pytest.approx(one.scores, rel=1e-4) for one in found.found} == scores
    by_hand = brute_force(
        wanted.values(), EVERYTHING, "leave notice izin", query, counts_hidden=False
    )
    assert found.best["bm25"] == pytest.approx(by_hand.best("bm25"), rel=0.02)


async def test_a_document_longer_than_a_segment_is_found_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_ROWS", 16)
    monkeypatch.setattr(writer, "MAX_ROWS", 16)
    one = await EmbeddedWriter.open(PARTITION, tmp_path)
    await one.put(batch([entry("long", *(f"leave {n}" for n in range(50))), entry("d", "leave")]))
    state = await one.publish()
    assert (state.documents, state.chunks) == (2, 51)
    reader = await EmbeddedReader.open(PARTITION, tmp_path)
    stretch = await reader.stretch(EVERYTHING, "long", 10, 40)
    assert [chunk.position for chunk in stretch] == list(range(10, 41))
    await one.remove(["long"])
    state = await one.publish()
    assert (state.documents, state.chunks) == (1, 1)
    await one.close()


async def test_small_publications_do_not_pile_up_segments(tmp_path: Path) -> None:
    one = await EmbeddedWriter.open(PARTITION, tmp_path)
    for number in range(40):
        await one.put(batch([entry(f"d{number}", "leave")]))
        await one.publish()
    segments = list(partition_folder(tmp_path, PARTITION).glob("*.segment"))
    assert len(segments) < 2 * writer._SAME_SIZE
    await one.close()


async def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    for opening in (open_reader, open_writer):
        with pytest.raises(ConfigError, match=r"embeddd.*embedded"):
            await opening(PARTITION, "embeddd", {}, tmp_path)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 40)),
                  elements=st.floats(-1, 1, width=32)),
)  # fmt: skip
def test_packed_vectors_are_close_and_compared_alike_without_simsimd(given_vectors: Floats) -> None:
    norms = np.linalg.norm(given_vectors, axis=1, keepdims=True)
    unit = np.divide(given_vectors, norms, out=np.zeros_like(given_vectors), where=norms > 1e-3)
    packed = pack_vectors(unit)
    rows = np.arange(len(unit))
    assert np.abs(packed.some(rows) - unit).max() <= 0.5 / 127 + 1e-6
    products = packed.products(unit[0], None)
    assert np.abs(products - unit @ unit[0]).max() <= 0.02 + 0.5 * np.sqrt(unit.shape[1]) / 127
    plain = vectors._dot(None, pack_vectors(unit[:1]).values, packed.values)
    fast = vectors._dot(vectors._simsimd, pack_vectors(unit[:1]).values, packed.values)
    assert np.array_equal(plain, fast)
    assert packed.products(unit[0], rows[:1]) == pytest.approx(products[:1])


@given(
    st.lists(
        st.lists(
            st.sampled_from([0.0, 0.5, -1.0, 0.25, 1.0]) | st.floats(0, 1, width=32), max_size=300
        ),
        max_size=4,
    ),
    st.integers(1, 40),
)
def test_the_best_scores_are_those_of_a_sort(parts: list[list[float]], limit: int) -> None:
    scores = [np.array(part, np.float32) for part in parts]
    found = best_places(scores, limit)
    values = sorted(
        (float(s[at]) for s, places in zip(scores, found, strict=True) for at in places),
        reverse=True,
    )
    expected = sorted((float(v) for s in scores for v in s if v > 0), reverse=True)[:limit]
    assert values == expected
