"""The same chunks through tantivy (words) and usearch (vectors), where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.analyse import ngrams, terms

Floats = NDArray[np.float32]


def measure(
    folder: Path,
    texts: Sequence[str],
    made: Floats,
    asked: Sequence[str],
    nearby: Floats,
    per_document: int,
) -> dict[str, dict[str, float]]:
    """Return the figures of those that are installed, by name."""
    found: dict[str, dict[str, float]] = {}
    if importlib.util.find_spec("tantivy"):
        found["tantivy"] = _tantivy(folder / "tantivy", texts, asked)
    if importlib.util.find_spec("usearch"):
        found["usearch"] = _usearch(made, nearby, per_document)
    return found


def _tantivy(folder: Path, texts: Sequence[str], asked: Sequence[str]) -> dict[str, float]:
    """Index stems and 4-grams that we analyse as two fields of words between spaces."""
    tantivy: Any = importlib.import_module("tantivy")
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", stored=True)
    for name in ("stems", "grams"):
        builder.add_text_field(name, tokenizer_name="whitespace")
    schema = builder.build()
    folder.mkdir()
    index = tantivy.Index(schema, path=str(folder))
    began = time.process_time()
    writer = index.writer(heap_size=200_000_000, num_threads=1)
    for row, text in enumerate(texts):
        writer.add_document(
            tantivy.Document(row=row, stems=_field(terms(text, "en")), grams=_field(ngrams(text)))
        )
    writer.commit()
    writer.wait_merging_threads()
    spent = time.process_time() - began
    index.reload()
    searcher = index.searcher()

    def ask(at: int) -> Any:
        text = asked[at]
        parts = [
            tantivy.Query.term_query(schema, field, token)
            for field, tokens in (("stems", terms(text, "en")), ("grams", ngrams(text)))
            for token in map(_token, dict.fromkeys(tokens))
        ]
        clauses = [(tantivy.Occur.Should, part) for part in parts]
        return searcher.search(tantivy.Query.boolean_query(clauses), 60)

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "ingest with our analysis, chunks per second of CPU": len(texts) / spent,
        "on disk, MB": size / 1e6,
        **_timed("search of both fields", ask, len(asked)),
    }


def _usearch(made: Floats, nearby: Floats, per_document: int) -> dict[str, float]:
    """Index vectors in a byte per dimension in a graph (HNSW); filters look at what it returns."""
    usearch: Any = importlib.import_module("usearch.index")
    began = time.process_time()
    index = usearch.Index(ndim=made.shape[1], metric="cos", dtype="i8")
    index.add(np.arange(len(made)), made, threads=1)
    spent = time.process_time() - began
    figures = {
        "ingest, vectors per second of CPU": len(made) / spent,
        "in memory, MB": index.memory_usage / 1e6,
        **_timed("search", lambda at: index.search(nearby[at], 60), len(nearby)),
    }
    numbers = np.arange(len(made)) // per_document
    for name, modulus in (("all", 1), ("1 %", 100), ("0.3 %", 333)):
        kept = numbers % modulus == (3 if modulus > 1 else 0)
        rows = np.flatnonzero(kept)
        shares = []
        for vector in nearby[:100]:
            exact = rows[np.argsort(-(made[rows] @ vector))[:10]]
            keys = np.asarray(index.search(vector, 60).keys).astype(np.int64)
            shares.append(len(set(exact.tolist()) & set(keys[kept[keys]].tolist())) / len(exact))
        figures[f"recall@10 of vectors, {name} (60 found, then filtered)"] = float(np.mean(shares))
    return figures


def _timed(name: str, ask: Callable[[int], Any], count: int) -> dict[str, float]:
    for at in range(min(50, count)):
        ask(at)
    wall, cpu = [], []
    for at in range(count):
        began = time.perf_counter(), time.process_time()
        ask(at)
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    return {
        f"{name}, p50 ms": float(np.median(wall)) * 1e3,
        f"{name}, p99 ms": float(np.quantile(wall, 0.99)) * 1e3,
        f"{name}, p50 ms of CPU": float(np.median(cpu)) * 1e3,
    }


def _field(tokens: Sequence[str]) -> str:
    return " ".join(map(_token, tokens))


def _token(token: str) -> str:
    return token.replace(" ", "_")
