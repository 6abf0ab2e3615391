"""Measure nDCG@10 of embedding models alone, and what folding new chunks into an old fit costs.

    OPENBLAS_NUM_THREADS=1 python scripts/measure_embeddings.py DATA [--models FOLDER] [--queries 500]

DATA holds one folder per collection: corpus.jsonl {id, title, text}, queries.jsonl {id, text},
qrels.json {query: {passage: gain}}. FOLDER is a data folder into which ``santral models pull`` has put
models; each of them is measured, too. Prints the tables of docs/decisions/0029-embeddings.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from santral.retrieval.analysis.analyse import detect_language
from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.analysis.terms import gram_keys, join_terms, some_terms, stem_keys, terms_of
from santral.retrieval.embedding.fitted.fit import fit
from santral.retrieval.embedding.pulled.model import open_pulled
from santral.retrieval.embedding.pulled.shelf import list_cards

COLLECTIONS = ("squad_dev_en", "tquad_train_tr", "cranfield_en", "cacm_en", "code_en")
DEPTH, DIMENSIONS = 10, 256
#: Share of the chunks, from the beginning, to which a model is fitted.
SHARES = {"all": 1.0, "first 2/3": 2 / 3, "first half": 1 / 2, "first quarter": 1 / 4}


class Judged:
    """A collection with its questions and judgements."""

    def __init__(self, folder: Path, most: int) -> None:
        corpus, queries = read(folder / "corpus.jsonl"), read(folder / "queries.jsonl")
        gains: dict[str, dict[str, float]] = json.loads((folder / "qrels.json").read_text("utf-8"))
        queries = [query for query in queries if query["id"] in gains]
        queries = queries[:: max(1, len(queries) // most)]
        self.texts = [indexed(item) for item in corpus]
        self.questions = [query["text"] for query in queries]
        rows = {item["id"]: row for row, item in enumerate(corpus)}
        self.gains = [
            {rows[id]: gain for id, gain in gains[query["id"]].items() if id in rows}
            for query in queries
        ]
        self.language = detect_language(" ".join(item["text"] for item in corpus[:20]))
        self.terms = terms_of(self.texts, [self.language] * len(self.texts))

    def fitted(self, share: float) -> str:
        """Return nDCG@10 of a fit to the first chunks, the known share of the others, and the time."""
        size = int(share * len(self.texts))
        began = time.process_time()
        stems, grams = (some_terms(terms, 0, size) for terms in self.terms)
        made = fit(stems, grams, DIMENSIONS)
        took = time.process_time() - began
        vectors = made.vectors_of(*self.terms)
        asked = np.array(
            [made.vector_of(stem_keys(q, [self.language]), gram_keys(q)) for q in self.questions]
        )
        later = [rest(terms, size) for terms in self.terms]
        known = made.known_share_of(*later)
        score = self.ndcg(vectors, asked)
        return f"{score:.1f} (known {made.known_share:.2f} -> {known:.2f}, {took:.1f} s)"

    def pulled(self, folder: Path, name: str) -> str:
        """Return nDCG@10 of a pulled model, and how many passages a second it takes."""
        model = open_pulled(folder, name)
        began = time.process_time()
        vectors = asyncio.run(model.embed_documents(self.texts))
        rate = len(self.texts) / (time.process_time() - began)
        asked = np.array([model.embed_now(question) for question in self.questions])
        return f"{self.ndcg(vectors, asked):.1f} ({rate:.0f}/s)"

    def ndcg(self, vectors: Floats, asked: Floats) -> float:
        found = [ndcg(vectors @ one, gains) for one, gains in zip(asked, self.gains, strict=True)]
        return 100 * sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, help="a data folder with pulled models")
    parser.add_argument("--queries", type=int, default=500, help="questions per collection")
    arguments = parser.parse_args()
    pulled = [card.name for card in list_cards(arguments.models)] if arguments.models else []
    print(f"| collection | chunks | {' | '.join([*SHARES, *pulled])} |")
    print("| --- " * (2 + len(SHARES) + len(pulled)) + "|")
    for name in COLLECTIONS:
        if not (arguments.data / name).is_dir():
            continue
        judged = Judged(arguments.data / name, arguments.queries)
        cells = [judged.fitted(share) for share in SHARES.values()]
        cells += [judged.pulled(arguments.models, model) for model in pulled]
        print(f"| {name} | {len(judged.texts)} | {' | '.join(cells)} |", flush=True)


def rest(terms: Terms, first: int) -> Terms:
    size = len(terms.lengths)
    return some_terms(terms, first, size) if first < size else join_terms([some_terms(terms, 0, 0)])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def indexed(item: Mapping[str, Any]) -> str:
    title, text = item.get("title", ""), item["text"]
    return text if text.startswith(title) else f"{title}\n{text}"


def ndcg(scores: Floats, gains: Mapping[int, float]) -> float:
    ranked = np.argsort(-scores, kind="stable")[:DEPTH]
    best = sorted(gains.values(), reverse=True)[:DEPTH]
    ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
    found = sum(
        gains.get(int(row), 0) / math.log2(place + 2)
        for place, row in enumerate(ranked)
        if scores[row] > 0
    )
    return found / ideal if ideal else 0.0


if __name__ == "__main__":
    main()
