"""Measure searches on judged collections: nDCG@10 of each signal, fused, reranked, badly typed.

    OPENBLAS_NUM_THREADS=1 python scripts/measure_retrieval.py DATA [--queries 1000]

DATA holds judged collections (scripts/judged.py). Every figure comes through the Retriever and a
published index, as a gateway's does. The last columns are the median milliseconds of CPU of a search,
without and with the learned ranker, and the support of questions that the collection answers, of
questions to the other collections, and how often the former is above the latter (AUC). Prints the
tables of docs/reference/retrieval-quality.md.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from judged import TENANT, Judged, ndcg, read_judged, shelve

from santral.retrieval.access import as_administrator
from santral.retrieval.analysis.language import fold
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.retriever import Retriever

NAMES = ("squad_dev_en", "tquad_train_tr", "cranfield_en", "cacm_en", "code_en")
#: Questions of each other collection that are put to one, for its support.
STRANGE = 25
ALONE: Mapping[str, SearchOptions] = {
    "BM25": SearchOptions(weights={"bm25": 1.0}),
    "4-grams": SearchOptions(weights={"ngrams": 1.0}),
    "dense": SearchOptions(weights={"dense": 1.0}),
}
FUSED, LEARNED = SearchOptions(), SearchOptions(rerank="learned")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--queries", type=int, default=1000, help="questions per collection")
    arguments = parser.parse_args()
    every = [
        read_judged(arguments.data / name, arguments.queries)
        for name in NAMES
        if (arguments.data / name).is_dir()
    ]
    print(
        "| collection | chunks | BM25 | 4-grams | dense | fused | learned | CAPS | no accents | "
        "ms | ms learned | support | of strangers | AUC |"
    )
    print("| --- " * 14 + "|")
    for judged in every:
        strange = [
            one["text"]
            for other in every
            if other is not judged
            for one in other.questions[:: max(1, len(other.questions) // STRANGE)]
        ]
        print(asyncio.run(measure(judged, strange)), flush=True)


async def measure(judged: Judged, strange: Sequence[str]) -> str:
    """Return the row of one collection."""
    with tempfile.TemporaryDirectory() as folder:
        shelf = await shelve(judged, Path(folder))
        retriever = Retriever(shelf, now=lambda: 0.0)
        texts = [question["text"] for question in judged.questions]
        upper = turkish_upper if judged.language == "tr" else str.upper
        columns = [(await asked(retriever, judged, texts, it))[0] for it in ALONE.values()]
        fused, fused_ms, support = await asked(retriever, judged, texts, FUSED)
        learned, learned_ms, _ = await asked(retriever, judged, texts, LEARNED)
        capitals, _, _ = await asked(retriever, judged, list(map(upper, texts)), FUSED)
        plain, _, _ = await asked(retriever, judged, list(map(fold, texts)), FUSED)
        scope = as_administrator(TENANT, judged.name)
        strangers = [(await retriever.search(scope, Question(text))).support for text in strange]
        await shelf.shelf.reader.close()
    cells = " | ".join(f"{100 * v:.1f}" for v in (*columns, fused, learned, capitals, plain))
    rest = (
        f"{fused_ms:.1f} | {learned_ms:.1f} | {np.median(support):.2f} | "
        f"{np.median(strangers):.2f} | {above(support, strangers):.3f}"
    )
    return f"| {judged.name} | {len(judged.corpus)} | {cells} | {rest} |"


async def asked(
    retriever: Retriever, judged: Judged, texts: Sequence[str], options: SearchOptions
) -> tuple[float, float, list[float]]:
    """Return mean nDCG@10, median CPU ms, and the support of every question."""
    scope = as_administrator(TENANT, judged.name)
    values: list[float] = []
    spent: list[float] = []
    support: list[float] = []
    for question, text in zip(judged.questions, texts, strict=True):
        began = time.thread_time()
        found: SearchResult = await retriever.search(scope, Question(text), options)
        spent.append(time.thread_time() - began)
        ranked = [one.candidate.chunk.id for one in found.ranked]
        values.append(ndcg(ranked, judged.gains[question["id"]]))
        support.append(found.support)
    return float(np.mean(values)), 1000 * float(np.median(spent)), support


def above(high: Sequence[float], low: Sequence[float]) -> float:
    """Return how often one of ``high`` is above one of ``low``: 1 always, 0.5 by chance."""
    first, second = np.array(high)[:, None], np.array(low)[None]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def turkish_upper(text: str) -> str:
    return text.replace("i", "İ").replace("ı", "I").upper()


if __name__ == "__main__":
    main()
