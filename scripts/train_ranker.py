"""Train the learned ranker, and measure what it is worth where it was not trained.

    OPENBLAS_NUM_THREADS=1 python scripts/train_ranker.py DATA [--on code_en] [--write]

DATA holds judged collections (scripts/judged.py). The weights that ship are trained on the
collections named with --on, whose licence must allow it; the others only measure. For comparison:
trained on all but the measured one, and on the measured one itself, five-fold.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from judged import Judged, OneShelf, read_judged, shelve

from santral.retrieval.access import as_administrator
from santral.retrieval.search.fit import OWN_PENALTY, Judgement, fit_ranker, ideal_of, mean_ndcg
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.rerank.features import FEATURES, View, features_of
from santral.retrieval.search.rerank.learned import Ranker, RankerCard
from santral.retrieval.search.retriever import Retriever

#: What ships looks at these only: the others do not carry over from one collection to the next.
SHIPPED = ("fused", "close", "wide", "names")
CANDIDATES = 30
#: Chosen by what it does to collections that were left out; one that trains itself needs less.
PENALTY = 0.1
FOLDS = 5
FILE = Path(__file__).parents[1] / "src/santral/retrieval/search/rerank/learned.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--on", nargs="+", default=["code_en"], help="what the weights come from")
    parser.add_argument("--licence", default="MIT (code_en: chunking cookbook)")
    parser.add_argument("--queries", type=int, default=1000, help="questions per collection")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    arguments = parser.parse_args()
    judged = {
        folder.name: asyncio.run(judgements(read_judged(folder, arguments.queries)))
        for folder in sorted(arguments.data.iterdir())
        if (folder / "qrels.json").is_file()
    }
    weights = fit_ranker([chosen(judged[name], SHIPPED) for name in arguments.on], SHIPPED, PENALTY)
    print(weights)
    measured = report(judged, weights)
    if arguments.write:
        card = RankerCard(
            trained_on=", ".join(arguments.on),
            licence=arguments.licence,
            made_by="scripts/train_ranker.py",
            measured=measured,
        )
        encoded = msgspec.json.encode(Ranker(card=card, weights=weights))
        FILE.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")


def report(
    judged: dict[str, list[Judgement]], weights: dict[str, float]
) -> dict[str, tuple[float, ...]]:
    """Print nDCG@10 of each collection: fused, shipped, all others, its own; return the first two."""
    print("| collection | fused | shipped | trained on the others | on itself, five-fold |")
    print("| --- " * 5 + "|")
    measured: dict[str, tuple[float, ...]] = {}
    every = tuple(FEATURES)
    for name, own in judged.items():
        some = chosen(own, SHIPPED)
        others = [chosen(one, SHIPPED) for other, one in judged.items() if other != name]
        left_out = fit_ranker(others, SHIPPED, PENALTY)
        row = (
            mean_ndcg(some, [1.0] + [0.0] * (len(SHIPPED) - 1)),
            mean_ndcg(some, [weights[one] for one in SHIPPED]),
            mean_ndcg(some, [left_out[one] for one in SHIPPED]),
            five_fold(chosen(own, every), every),
        )
        print(f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in row) + " |", flush=True)
        measured[name] = tuple(round(100 * value, 1) for value in row[:2])
    return measured


def five_fold(own: Sequence[Judgement], names: Sequence[str]) -> float:
    """Return nDCG@10 where each fifth of the questions is ranked by what the others taught."""
    total = 0.0
    for fold in range(FOLDS):
        test = own[fold::FOLDS]
        train = [one for place, one in enumerate(own) if place % FOLDS != fold]
        weights = fit_ranker([train], names, OWN_PENALTY)
        total += mean_ndcg(test, [weights[one] for one in names]) * len(test)
    return total / len(own)


def chosen(judged: Sequence[Judgement], names: Sequence[str]) -> list[Judgement]:
    """Return judgements with the columns of some features."""
    columns = [list(FEATURES).index(name) for name in names]
    return [Judgement(one.columns[:, columns], one.gains, one.ideal) for one in judged]


async def judgements(collection: Judged) -> list[Judgement]:
    """Ask every question; return the features and gains of what was found."""
    with tempfile.TemporaryDirectory() as folder:
        shelf = await shelve(collection, Path(folder))
        retriever = Retriever(shelf, now=lambda: 0.0)
        found = [
            await _judged(retriever, shelf, collection, question)
            for question in collection.questions
        ]
        await shelf.shelf.reader.close()
    return [one for one in found if one is not None]


async def _judged(
    retriever: Retriever, shelf: OneShelf, collection: Judged, question: Mapping[str, str]
) -> Judgement | None:
    asked = question
    scope = as_administrator("judged", collection.name)
    options = SearchOptions(rewrite="off")
    result = await retriever.explain(scope, Question(asked["text"]), options)
    first = result.ranked[:CANDIDATES]
    if not first:
        return None
    gains = collection.gains[asked["id"]]
    view = View(asked["text"], first, shelf.shelf.reader.state.languages)
    return Judgement(
        columns=features_of(view, list(FEATURES)),
        gains=np.array([gains.get(one.candidate.chunk.id, 0.0) for one in first], np.float32),
        ideal=ideal_of(list(gains.values())),
    )


if __name__ == "__main__":
    main()
