"""Measure nDCG@10 of each signal and of their fusion on judged collections.

    OPENBLAS_NUM_THREADS=1 python scripts/measure_retrieval.py DATA [--queries 1000]

DATA holds one folder per collection: corpus.jsonl {id, title, text}, queries.jsonl {id, text},
qrels.json {query: {passage: gain}}. Prints the table of docs/decisions/0007-retrieval.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from santral.config.collections import CollectionConfig
from santral.retrieval.analysis.analyse import Language, detect_language, fold, ngrams, query_terms
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.embedded.index import IndexSignals, IndexText, build_signals
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.fuse import best_rows, fuse

COLLECTIONS = ("squad_dev_en", "tquad_train_tr", "cranfield_en", "cacm_en")
DEPTH = 10
WEIGHTS = CollectionConfig.model_validate({}).weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--queries", type=int, default=1000, help="questions per collection")
    arguments = parser.parse_args()
    print(
        "| collection | chunks | BM25 | 4-grams | dense | fused | RRF | CAPS | ascii | ms | fit s |"
    )
    print("| --- " * 11 + "|")
    for name in COLLECTIONS:
        if (arguments.data / name).is_dir():
            print(measure(arguments.data / name, arguments.queries), flush=True)


def measure(folder: Path, most: int) -> str:
    """Return the row of one collection."""
    corpus, queries = read(folder / "corpus.jsonl"), read(folder / "queries.jsonl")
    judged: dict[str, dict[str, float]] = json.loads((folder / "qrels.json").read_text("utf-8"))
    queries = [query for query in queries if query["id"] in judged]
    queries = queries[:: max(1, len(queries) // most)]
    language = detect_language(" ".join(item["text"] for item in corpus[:20]))
    began = time.perf_counter()
    signals = build_signals([indexed(item, language) for item in corpus], 256, lambda done: None)
    fit_s = time.perf_counter() - began
    ids = [item["id"] for item in corpus]

    def score(rank: Callable[[dict[Signal, Floats]], Floats], text: Callable[[str], str]) -> float:
        found = [
            ndcg([ids[row] for row in best_rows(rank(ask(signals, text(query["text"]))), DEPTH)],
                 judged[query["id"]])
            for query in queries
        ]  # fmt: skip
        return 100 * sum(found) / len(found)

    began = time.perf_counter()
    fused = score(lambda found: fuse(found, WEIGHTS), str)
    each_ms = 1000 * (time.perf_counter() - began) / len(queries)
    columns = [
        *(score(lambda found, name=name: found[name], str) for name in WEIGHTS),
        fused,
        score(reciprocal_ranks, str),
        score(lambda found: fuse(found, WEIGHTS), str.upper if language != "tr" else turkish_upper),
        score(lambda found: fuse(found, WEIGHTS), fold),
    ]
    cells = " | ".join(f"{value:.1f}" for value in columns)
    return f"| {folder.name} | {len(corpus)} | {cells} | {each_ms:.2f} | {fit_s:.1f} |"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def indexed(item: Mapping[str, Any], language: Language) -> IndexText:
    title, text = item.get("title", ""), item["text"]
    return IndexText(text if text.startswith(title) else f"{title}\n{text}", language)


def ask(signals: IndexSignals, query: str) -> dict[Signal, Floats]:
    stems, grams = query_terms(query, signals.languages), ngrams(query)
    size = len(signals.vectors)
    return {
        "bm25": signals.stems.scores(stems, size),
        "ngrams": signals.grams.scores(dict.fromkeys(grams), size),
        "dense": signals.vectors @ signals.embedding.embed(stems, grams),
    }


def reciprocal_ranks(found: Mapping[Signal, Floats]) -> Floats:
    """Fuse by reciprocal rank, the method that the weighted sum is compared with."""
    total = np.zeros(len(next(iter(found.values()))), np.float32)
    for scores in found.values():
        for rank, row in enumerate(best_rows(scores, 100)):
            total[row] += 1 / (60 + rank + 1)
    return total


def turkish_upper(text: str) -> str:
    return text.replace("i", "İ").replace("ı", "I").upper()


def ndcg(ranked: Sequence[str], gains: Mapping[str, float]) -> float:
    best = sorted(gains.values(), reverse=True)[:DEPTH]
    ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
    found = sum(gains.get(item, 0) / math.log2(place + 2) for place, item in enumerate(ranked))
    return found / ideal if ideal else 0.0


if __name__ == "__main__":
    main()
