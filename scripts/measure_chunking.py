"""Measure how often the answer is inside a context budget, for every way of splitting.

    OPENBLAS_NUM_THREADS=1 python scripts/measure_chunking.py DATA [--queries 500] [--words 600]

DATA holds one folder per collection: corpus.jsonl {id, doc, text}, queries.jsonl {id, text},
qrels.json {query: {passage: gain}}. The passages of a document are laid one after the other again and
split; chunks are ranked by BM25 over stems and 4-grams and packed, best first, into the budget. The
answer is the sentence of the judged passage that shares most with the question; it counts where all of
its characters are inside. What does not fit into the rest of the budget is cut behind its last word.
That sentence is found by the same terms that rank chunks, which favours short ones; so the second figure
is the share of the judged passage's characters that are inside. Prints the table of docs/decisions/0026-reading-and-splitting.md.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
from msgspec import Struct
from scipy.sparse import csr_matrix

from santral.retrieval.analysis.analyse import indexed_text
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.language import Language, detect_language
from santral.retrieval.analysis.sentence import sentence_spans
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import Recipe
from santral.retrieval.document import Block, Chunk, Document
from santral.retrieval.splitting.registry import split
from santral.retrieval.splitting.text import lay

COLLECTIONS = ("squad_dev_en", "tquad_train_tr", "code_en")
K1, B = 1.0, 0.5  # of docs/decisions/0007-retrieval.md
#: Keys are folded into so many columns: collisions are rare, and the matrices small.
COLUMNS = 1 << 20

_WORD = re.compile(r"\S+")


class Way(Struct, frozen=True):
    """A way of splitting, and what is given around a found chunk."""

    chunking: str
    child: int
    overlap: int = 0
    parent: int = 1500
    around: str = "nothing"


WAYS = (
    *(Way("recursive", size) for size in (80, 120, 150, 200, 300, 400, 600)),
    *(Way("window", size, size // 5) for size in (120, 200, 300, 400)),
    Way("window", 300, 100),
    *(Way("semantic", size) for size in (120, 200, 300, 400)),
    Way("recursive", 120, around="neighbours"),
    Way("recursive", 150, parent=400, around="parent"),
    Way("recursive", 300, parent=1500, around="parent"),
    Way("whole", 300),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--queries", type=int, default=500, help="questions per collection")
    parser.add_argument("--words", type=int, default=600, help="the budget")
    arguments = parser.parse_args()
    names = [name for name in COLLECTIONS if (arguments.data / name).is_dir()]
    cases = [Case(arguments.data / name, arguments.queries) for name in names]
    print(f"| chunking | tokens | {' | '.join(names)} | mean | chunks/s |")
    print("| --- " * (len(names) + 4) + "|")
    for way in WAYS:
        shares: list[tuple[float, float]] = []
        chunks, took = 0, 0.0
        for case in cases:
            share, count, split_s = case.covered(way, arguments.words)
            shares.append(share)
            chunks, took = chunks + count, took + split_s
        label = way.chunking + (f" + {way.around}" if way.around != "nothing" else "")
        size = f"{way.child}" + (f", overlap {way.overlap}" if way.overlap else "")
        size += f", parent {way.parent}" if way.around == "parent" else ""
        means = cast("tuple[float, float]", tuple(np.mean(shares, axis=0)))
        cells = " | ".join(f"{answer:.1f} / {passage:.1f}" for answer, passage in [*shares, means])
        print(f"| {label} | {size} | {cells} | {chunks / took:,.0f} |", flush=True)


class Case:
    """A collection: its documents, and where the answers to its questions stand."""

    def __init__(self, folder: Path, most: int) -> None:
        rows = _rows(folder / "corpus.jsonl")
        judged: dict[str, dict[str, float]] = json.loads((folder / "qrels.json").read_text("utf-8"))
        queries = [query for query in _rows(folder / "queries.jsonl") if query["id"] in judged]
        queries = queries[:: max(1, len(queries) // most)]
        self.language: Language = detect_language(" ".join(row["text"] for row in rows[:20]))
        kind: Any = "code" if folder.name.startswith("code") else "paragraph"
        self.documents: list[Document] = []
        self.places: dict[str, tuple[int, int, int]] = {}
        for name, group in groupby(rows, key=lambda row: row["doc"]):
            blocks: list[Block] = []
            for row in group:
                start = len(lay(blocks).text) + 2 if blocks else 0
                blocks.append(Block(kind, row["text"]))
                self.places[row["id"]] = (len(self.documents), start, len(lay(blocks).text))
            title = name if kind != "code" else ""
            self.documents.append(Document(title, "text", self.language, tuple(blocks)))
        texts = [lay(document.blocks).text for document in self.documents]
        self.questions = [query["text"] for query in queries]
        self.passages = [self.places[next(iter(judged[query["id"]]))] for query in queries]
        self.answers = [
            _answer(
                query["text"], texts, self.places[next(iter(judged[query["id"]]))], self.language
            )
            for query in queries
        ]

    def covered(self, way: Way, words: int) -> tuple[tuple[float, float], int, float]:
        """Return the percentages inside the budget of answers and of passages, chunks, and the time."""
        recipe = Recipe(
            chunking=way.chunking, child_tokens=way.child, parent_tokens=way.parent,
            overlap_tokens=way.overlap,
        )  # fmt: skip
        began = time.process_time()
        parted = [split(document, recipe) for document in self.documents]
        took = time.process_time() - began
        chunks = [(number, chunk) for number, found in enumerate(parted) for chunk in found]
        texts = [
            indexed_text(self.documents[number].title, chunk.section, chunk.text)
            for number, chunk in chunks
        ]
        scores = _scores(texts, self.questions, self.language)
        answers, passages = 0, 0.0
        for row, answer, passage in zip(scores, self.answers, self.passages, strict=True):
            ranked = (chunks[place] for place in np.argsort(-row)[:100])
            given = _packed(ranked, parted, way, words)
            answers += _inside(answer, given) >= 1
            passages += _inside(passage, given)
        size = len(self.answers)
        return (100 * answers / size, 100 * passages / size), len(chunks), took


def _answer(
    question: str, texts: Sequence[str], place: tuple[int, int, int], language: Language
) -> tuple[int, int, int]:
    """Return document, start and end of the sentence that shares most with a question."""
    number, start, end = place
    spans = [(start + a, start + b) for a, b in sentence_spans(texts[number][start:end])]
    sentences = [texts[number][a:b] for a, b in spans]
    return (number, *spans[int(np.argmax(_scores(sentences, [question], language)[0]))])


def _packed(
    ranked: Iterable[tuple[int, Chunk]], parted: Sequence[list[Chunk]], way: Way, words: int
) -> list[tuple[int, int, int]]:
    """Return what the budget holds, as document, start and end: the best chunks, and what goes with them."""
    given: dict[tuple[int, int], tuple[int, int, int]] = {}
    for number, chunk in ranked:
        at = chunk.position
        together = [chunk]
        if way.around == "neighbours":
            together = parted[number][max(0, at - 1) : at + 2]
        elif way.around == "parent":
            together = [each for each in parted[number] if each.parent == chunk.parent]
        for each in together:
            if (number, each.position) not in given and words > 0:
                own = each.text[each.repeated :]
                ends = [match.end() for match in _WORD.finditer(own)][:words]
                given[number, each.position] = (number, each.start, each.start + ends[-1])
                words -= len(ends)
        if words <= 0:
            break
    return list(given.values())


def _inside(wanted: tuple[int, int, int], given: Sequence[tuple[int, int, int]]) -> float:
    """Return how much of a place some ranges hold."""
    number, begin, end = wanted
    at, held = begin, 0
    for start, stop in sorted((start, stop) for each, start, stop in given if each == number):
        first = at if start <= at + 2 else start  # white space between two chunks is theirs
        held += max(0, min(stop, end) - first)
        at = max(at, min(stop, end))
    return held / (end - begin)


def _scores(texts: Sequence[str], questions: Sequence[str], language: Language) -> np.ndarray:
    """Return float32 [questions, texts]: BM25 over stems and 4-grams, each scaled by its best."""
    total = np.zeros((len(questions), len(texts)), np.float32)
    languages: list[Language] = [language] * len(texts)
    asked: list[Language] = [language] * len(questions)
    for terms, wanted, weight in zip(
        terms_of(texts, languages), terms_of(questions, asked), (0.45, 0.55), strict=True
    ):
        weights = _bm25(terms)
        query = _matrix(wanted)
        query.data[:] = 1
        found = np.asarray((query @ weights.T).todense(), np.float32)
        total += weight * found / np.maximum(found.max(axis=1, keepdims=True), 1e-9)
    return total


def _bm25(terms: Terms) -> csr_matrix:
    counts = _matrix(terms)
    lengths = np.maximum(terms.lengths, 1)
    rarity = np.bincount(counts.indices, minlength=COLUMNS)
    idf = np.log1p((len(lengths) - rarity + 0.5) / (rarity + 0.5))
    norm = np.repeat(K1 * (1 - B + B * lengths / lengths.mean()), np.diff(counts.indptr))
    counts.data = idf[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm)
    return counts


def _matrix(terms: Terms) -> csr_matrix:
    keys = (terms.keys % COLUMNS).astype(np.int64)
    shape = (len(terms.lengths), COLUMNS)
    return cast(
        "csr_matrix", csr_matrix((terms.counts.astype(np.float32), keys, terms.starts), shape)
    )


def _rows(path: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    main()
