"""Measure the embedded answerer and choose its thresholds: DATA_FOLDER holds the collections.

    python scripts/calibrate_extractive.py DATA_FOLDER [--questions 2000] [--write]

Each collection is a folder with corpus.jsonl {id, doc, title, text}, queries.jsonl {id, text} and
qrels.json {query: {passage: gain}}. Every question is put four times: with the whole corpus, with
its passage taken out, with its whole document taken out, and to the other collection. Right is an
answer whose first sentence stands in a passage judged relevant, or in a twin of one (a quarter of
TQuad's passages are there twice); without them every answer is wrong. Every second question chooses
the threshold, the others are reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from judged import TENANT, read_judged, shelve

from santral.providers.local.extractive import Answerer
from santral.providers.local.passage import Analysis, Language
from santral.retrieval.access import as_administrator
from santral.retrieval.analysis.analyse import (
    detect_language,
    ngrams,
    sentences,
    terms,
)
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.retriever import Retriever
from santral.wire.delta import Source

SETS: dict[Language, str] = {"en": "squad_dev_en", "tr": "tquad_train_tr"}
PASSAGES = 5  # the default of [routes.*.retrieval] top_k
#: Chosen: of six questions asked of a collection, four can be answered from it.
WEIGHTS = {"answerable": 4, "passage removed": 1, "document removed": 0.5, "other collection": 0.5}
PRECISION = 0.9
#: Two passages that share this much of the shorter one's stems are twins. Measured: none of SQuAD's
#: passages but a quarter of TQuad's have one above 0.9; few lie between 0.7 and 0.9.
TWIN = 0.7
#: Search results looked at when passages are taken out: more than any document has. Chosen.
DEPTH = 200
SEED = 8
SUPPORT_TOML = Path(__file__).parents[1] / "src/santral/providers/local/support.toml"


class Outcome(NamedTuple):
    support: float
    is_right: bool


class Collection:
    """A data set, indexed as Santral indexes a collection."""

    def __init__(self, folder: Path, language: Language) -> None:
        self.language = language
        self.passages = _lines(folder / "corpus.jsonl")
        self.questions = _lines(folder / "queries.jsonl")
        self.relevant = json.loads((folder / "qrels.json").read_text())
        self.stems = {p["id"]: frozenset(terms(p["text"], language)) for p in self.passages}
        self.by_id = {passage["id"]: passage for passage in self.passages}
        judged = read_judged(folder, len(self.questions))
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.Runner()
        shelf = self._loop.run(shelve(judged, Path(self._folder.name)))
        self._retriever = Retriever(shelf, now=time.time)
        self._scope = as_administrator(TENANT, judged.name)

    def search(self, question: str, count: int) -> list[dict[str, str]]:
        """The best passages by the search that Santral serves with."""
        options = SearchOptions(candidates=count, rewrite="off")
        asked = self._retriever.explain(self._scope, Question(question), options)
        found = self._loop.run(asked).ranked[:count]
        return [self.by_id[one.candidate.chunk.id] for one in found]

    def gold(self, question: str, found: list[dict[str, str]]) -> list[dict[str, str]]:
        """The passages judged relevant to a question, and their twins among those found."""
        judged = self.relevant[question]
        kept = [p for p in found if any(self._is_twin(p["id"], other) for other in judged)]
        return kept + [p for p in self.passages if p["id"] in judged and p not in kept]

    def _is_twin(self, one: str, other: str) -> bool:
        a, b = self.stems[one], self.stems[other]
        return one == other or len(a & b) >= TWIN * min(len(a), len(b)) > 0


def main() -> None:
    options = _options()
    collections: dict[Language, Collection] = {
        lang: Collection(options.data / name, lang) for lang, name in SETS.items()
    }
    answerer = Answerer(Analysis(terms, ngrams, sentences, detect_language))
    entries: list[str] = []
    for language, collection in collections.items():
        other = next(c for lang, c in collections.items() if lang != language)
        outcomes = measure(answerer, collection, other, options.questions)
        threshold = choose({kind: found[::2] for kind, found in outcomes.items()})
        print_table(language, {kind: found[1::2] for kind, found in outcomes.items()}, threshold)
        entries.append(_entry(language, threshold, outcomes))
    if options.write:
        SUPPORT_TOML.write_text(_head(options.questions) + "\n".join(entries), encoding="utf-8")
        print(f"\nwrote {SUPPORT_TOML}")


def measure(
    answerer: Answerer, collection: Collection, other: Collection, count: int
) -> dict[str, list[Outcome]]:
    """Put every sampled question in the four situations."""
    sample = random.Random(SEED).sample(collection.questions, count)
    strangers = random.Random(SEED).sample(other.questions, count)
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in WEIGHTS}
    for number, (question, stranger) in enumerate(zip(sample, strangers, strict=True)):
        _progress(collection.language, number, count)
        found = collection.search(question["text"], DEPTH)
        gold = collection.gold(question["id"], found)
        docs = {p["doc"] for p in gold}
        said = _join(p["text"] for p in gold)
        situations = {
            "answerable": found,
            "passage removed": [p for p in found if p not in gold],
            "document removed": [p for p in found if p["doc"] not in docs],
        }
        for kind, passages in situations.items():
            outcomes[kind].append(ask(answerer, question["text"], passages, said))
        foreign = collection.search(stranger["text"], PASSAGES)
        outcomes["other collection"].append(ask(answerer, stranger["text"], foreign, ""))
    return outcomes


def ask(answerer: Answerer, question: str, passages: list[dict[str, str]], said: str) -> Outcome:
    """Return the support of the best sentence, and whether the relevant passages say it."""
    sources = [
        Source(number=n, chunk_id=p["id"], document=p["doc"], title=p["title"], text=p["text"])
        for n, p in enumerate(passages[:PASSAGES], 1)
    ]
    ranked = answerer.rank(question, sources)
    if not ranked:
        return Outcome(0.0, False)
    return Outcome(ranked[0].support, ranked[0].sentence.text in said)


def choose(outcomes: dict[str, list[Outcome]]) -> float:
    """Return the least threshold from which on the weighted precision stays at ``PRECISION``."""
    weighted = [
        (o.support, o.is_right, WEIGHTS[kind]) for kind, found in outcomes.items() for o in found
    ]
    weighted.sort(reverse=True)
    weights = np.array([w for *_, w in weighted])
    right = np.cumsum(weights * np.array([r for _, r, _ in weighted]))
    good = np.flatnonzero(right / np.cumsum(weights) >= PRECISION)
    return round(weighted[int(good[-1])][0], 3)


def print_table(language: Language, outcomes: dict[str, list[Outcome]], chosen: float) -> None:
    print(f"\n{SETS[language]}: {len(outcomes['answerable'])} questions kept for the report")
    print(
        "| support >= | coverage | precision | passage removed | document removed | other | mix |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for threshold in sorted({*np.arange(0.25, 0.7, 0.05).round(2).tolist(), chosen}):
        cells = [f"{x:.1%}" for x in row(outcomes, threshold)]
        mark = "**" if threshold == chosen else ""
        print("| " + " | ".join(f"{mark}{c}{mark}" for c in [f"{threshold:.3f}", *cells]) + " |")


def row(outcomes: dict[str, list[Outcome]], threshold: float) -> list[float]:
    """Coverage and precision where the answer is there; share answered where it is not; the mix."""
    kept = {k: [o for o in found if o.support >= threshold] for k, found in outcomes.items()}
    answerable = kept["answerable"]
    right = sum(o.is_right for o in answerable)
    wrong = [len(kept[k]) / len(outcomes[k]) for k in WEIGHTS if k != "answerable"]
    total = sum(WEIGHTS[k] * len(kept[k]) for k in WEIGHTS)
    mix = sum(WEIGHTS[k] * sum(o.is_right for o in kept[k]) for k in WEIGHTS) / (total or 1)
    return [
        len(answerable) / len(outcomes["answerable"]),
        right / (len(answerable) or 1),
        *wrong,
        mix,
    ]


def confidence_curve(outcomes: dict[str, list[Outcome]]) -> tuple[list[float], list[float]]:
    """Return support against the weighted share of right answers, made monotone (isotonic)."""
    weighted = sorted(
        (o.support, o.is_right, WEIGHTS[kind]) for kind, found in outcomes.items() for o in found
    )
    blocks = [
        [
            float(np.mean([s for s, *_ in part])),
            sum(r * w for _, r, w in part),
            sum(w for *_, w in part),
        ]
        for part in np.array_split(np.array(weighted, dtype=object), 20)
    ]
    merged: list[list[float]] = []
    for block in blocks:
        merged.append(block)
        while len(merged) > 1 and merged[-2][1] / merged[-2][2] > merged[-1][1] / merged[-1][2]:
            low, high = merged[-2:]
            weight = low[2] + high[2]
            mean = (low[0] * low[2] + high[0] * high[2]) / weight
            merged[-2:] = [[mean, low[1] + high[1], weight]]
    return [round(b[0], 3) for b in merged], [round(b[1] / b[2], 3) for b in merged]


def _entry(language: str, threshold: float, outcomes: dict[str, list[Outcome]]) -> str:
    support, precision = confidence_curve(outcomes)
    return (
        f"[languages.{language}]\nthreshold = {threshold}\n"
        f"support = {support}\nprecision = {precision}\n"
    )


def _head(questions: int) -> str:
    day = datetime.now(UTC).date()
    return (
        "# How much support an answer needs, and how often one with that support is right.\n"
        "# Written by scripts/calibrate_extractive.py; the table is in\n"
        "# docs/decisions/0008-embedded-answerer.md.\n"
        f'origin = "measured {day} by scripts/calibrate_extractive.py, {questions} questions each '
        f'of {" and ".join(SETS.values())}, mixed precision {PRECISION}"\n\n'
    )


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _join(texts: Iterable[str]) -> str:
    return " ".join(re.sub(r"\s+", " ", text) for text in texts)


def _progress(language: str, done: int, total: int) -> None:
    if sys.stderr.isatty() and done % 50 == 0:
        print(f"\r{language} {done}/{total}", end="", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path, help="folder of the collections")
    parser.add_argument("--questions", type=int, default=2000, help="questions of each collection")
    parser.add_argument("--write", action="store_true", help="write the constants the code loads")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
