"""Measures how often the semantic cache would serve a wrong answer, with and without its gates.

    python scripts/measure_semantic_cache.py FOLDER [--markdown]

FOLDER holds ``banking77.jsonl`` {t, y, split}, ``sick.jsonl`` and ``stsb_tr.jsonl`` {a, b, label, rel}.
They are not part of the repository. What "false" means in each is in docs/decisions/0014-caches.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from santral.cache.meaning.embed import DIMENSIONS, embed
from santral.cache.meaning.gates import closed_gate
from santral.cache.meaning.signature import Signature, read

THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass
class Tally:
    """Of pairs whose answers differ and of pairs whose answers agree: how many would be served."""

    hard: int = 0
    false: int = 0
    same: int = 0
    hit: int = 0
    gates: Counter[str] = field(default_factory=Counter[str])

    @property
    def false_rate(self) -> float:
        return self.false / self.hard if self.hard else 0.0

    @property
    def hit_rate(self) -> float:
        return self.hit / self.same if self.same else 0.0


@dataclass
class Pair:
    """Two questions, how near they are, and whether one answer serves both."""

    a: str
    b: str
    similarity: float
    is_same: bool
    gate: str


def main() -> None:
    """Print the table, and the pairs that would be served wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="wrongly served pairs to print")
    args = parser.parse_args()
    sets = {
        "banking77 (en)": banking(args.folder / "banking77.jsonl"),
        "SICK (en)": labelled(args.folder / "sick.jsonl"),
        "STS-b (tr)": labelled(args.folder / "stsb_tr.jsonl"),
    }
    for line in table(sets):
        print(line)
    for name, pairs in sets.items():
        wrong = [p for p in pairs if not p.is_same and not p.gate and p.similarity >= THRESHOLDS[0]]
        for pair in wrong[: args.show]:
            print(f"{name} {pair.similarity:.2f}: {pair.a} | {pair.b}")
    print(f"search of 10,000 vectors of {DIMENSIONS}: {search_ms():.2f} ms")


def table(sets: dict[str, list[Pair]]) -> list[str]:
    """Return the rows: false-serve and hit rate by data set, threshold and gates."""
    lines = [
        "| Data | threshold | pairs that differ | cosine: wrong | gates: wrong | same pairs | cosine: hit | gates: hit |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, pairs in sets.items():
        for threshold in THRESHOLDS:
            alone, gated = tally(pairs, threshold, False), tally(pairs, threshold, True)
            lines.append(
                f"| {name} | {threshold:.2f} | {alone.hard} | {alone.false_rate:.1%} | "
                f"{gated.false_rate:.2%} | {alone.same} | {alone.hit_rate:.1%} | {gated.hit_rate:.1%} |"
            )
    return lines


def tally(pairs: Sequence[Pair], threshold: float, gated: bool) -> Tally:
    """Count what would be served at a threshold."""
    result = Tally()
    for pair in pairs:
        is_served = pair.similarity >= threshold and not (gated and pair.gate)
        if pair.is_same:
            result.same += 1
            result.hit += is_served
        else:
            result.hard += 1
            result.false += is_served
    return result


def labelled(path: Path) -> list[Pair]:
    """Pairs that people judged: label 1 is the same statement, 0 another one."""
    return [_pair(row["a"], row["b"], bool(row["label"])) for row in _rows(path)]


def banking(path: Path) -> list[Pair]:
    """Every test question with its nearest training question of another and of its own intent.

    Another intent is another answer for certain. One intent is not one answer: it bounds hits from above.
    """
    rows = _rows(path)
    known = [row for row in rows if row["split"] == "train"]
    asked = [row for row in rows if row["split"] != "train"]
    vectors = np.stack([_vector(row["t"]) for row in known])
    intents = np.array([row["y"] for row in known])
    signatures: dict[str, Signature] = {row["t"]: read(row["t"]) for row in rows}
    pairs: list[Pair] = []
    for row in asked:
        scores = vectors @ _vector(row["t"])
        for is_same in (False, True):
            of_kind = np.where((intents == row["y"]) == is_same, scores, -1)
            best = _best_open(of_kind, known, signatures, row["t"])
            other = known[best]["t"]
            gate = closed_gate(signatures[row["t"]], signatures[other])
            pairs.append(Pair(row["t"], other, float(scores[best]), is_same, gate))
    return pairs


def _best_open(
    scores: np.ndarray[Any, Any],
    known: list[dict[str, Any]],
    signatures: dict[str, Signature],
    text: str,
) -> int:
    """Return the nearest candidate that no gate stops among the first few, else the nearest."""
    order = np.argsort(-scores)[:8]
    mine = signatures[text]
    passing = (i for i in order if not closed_gate(mine, signatures[known[i]["t"]]))
    return int(next(passing, order[0]))


def search_ms() -> float:
    """Return the time of one search of 10,000 vectors in milliseconds."""
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((10_000, DIMENSIONS)).astype(np.float32)
    question = vectors[0]
    start = perf_counter()
    for _ in range(100):
        scores = vectors @ question
        np.argpartition(scores, -8)[-8:]
    return (perf_counter() - start) * 10


def _pair(a: str, b: str, is_same: bool) -> Pair:
    similarity = float(_vector(a) @ _vector(b))
    return Pair(a, b, similarity, is_same, closed_gate(read(a), read(b)))


def _vector(text: str) -> np.ndarray[Any, Any]:
    vector = embed(text)
    return np.zeros(DIMENSIONS, np.float32) if vector is None else vector


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
