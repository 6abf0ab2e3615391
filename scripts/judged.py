"""Judged collections: questions with the passages that answer them, put into a real index.

DATA holds one folder for each: corpus.jsonl {id, doc, title, text}, queries.jsonl {id, text},
qrels.json {query: {passage: gain}}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from santral.config.collections import CollectionConfig
from santral.retrieval.analysis.analyse import counted_text, detect_language, indexed_text
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import Collection, Version, recipe_of
from santral.retrieval.document import StoredChunk
from santral.retrieval.embedding.fitted.fit import fit
from santral.retrieval.embedding.fitted.model import made_of
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.index.entry import Batch, IndexedDocument, Partition
from santral.retrieval.index.registry import open_reader, open_writer
from santral.retrieval.library import Shelf
from santral.wire.usage import estimate_tokens

TENANT, NAME = "judged", "docs"
DEPTH = 10


class Judged(NamedTuple):
    """A collection with its questions; ``gains``: how good each passage is for each question."""

    name: str
    language: Language
    corpus: Sequence[Mapping[str, str]]
    questions: Sequence[Mapping[str, str]]
    gains: Mapping[str, Mapping[str, float]]


class OneShelf:
    """A library that holds one collection."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def find(self, tenant_id: str, name: str) -> Shelf:
        return self.shelf


def read_judged(folder: Path, most: int) -> Judged:
    """Read a collection, with every n-th question so that there are some ``most``."""
    corpus, questions = _lines(folder / "corpus.jsonl"), _lines(folder / "queries.jsonl")
    gains = json.loads((folder / "qrels.json").read_text("utf-8"))
    questions = [question for question in questions if question["id"] in gains]
    language = detect_language(" ".join(item["text"] for item in corpus[:20]))
    return Judged(
        folder.name, language, corpus, questions[:: max(1, len(questions) // most)], gains
    )


async def shelve(
    judged: Judged, folder: Path, dimensions: int = 256, model: EmbeddingModel | None = None
) -> OneShelf:
    """Publish a collection in ``folder`` with a model fitted to it, or with another one; open it."""
    documents, chunks, of = _documents(judged)
    parts = [(documents[place].title, "", one.text) for place, one in zip(of, chunks, strict=True)]
    stems, grams = terms_of([counted_text(*part) for part in parts], [judged.language] * len(parts))
    if model is None:
        fitted, _ = made_of(fit(stems, grams, dimensions))
        model, vectors = fitted, fitted.embed_terms(stems, grams)
    else:
        vectors = await model.embed_documents([indexed_text(*part) for part in parts])
    partition = Partition(TENANT, judged.name, 1)
    writer = await open_writer(partition, "embedded", {}, folder)
    await writer.put(
        Batch(tuple(documents), tuple(chunks), np.array(of, np.int32), stems, grams, vectors)
    )
    await writer.publish()
    await writer.close()
    reader = await open_reader(partition, "embedded", {}, folder)
    settings = CollectionConfig.model_validate({})
    collection = Collection(
        tenant_id=TENANT, name=judged.name, settings=settings, is_declared=True, active_version=1
    )
    version = Version(
        version=1, state="active", recipe=recipe_of(settings), created_at=datetime.now(UTC)
    )
    return OneShelf(Shelf(collection, version, reader, model))


def ndcg(ranked: Sequence[str], gains: Mapping[str, float]) -> float:
    """Return nDCG@10 of a ranking of passages."""
    best = sorted(gains.values(), reverse=True)[:DEPTH]
    ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
    found = sum(
        gains.get(one, 0) / math.log2(place + 2) for place, one in enumerate(ranked[:DEPTH])
    )
    return found / ideal if ideal else 0.0


def _documents(judged: Judged) -> tuple[list[IndexedDocument], list[StoredChunk], list[int]]:
    """Return documents, their passages in order, and which document each passage is of."""
    passages: dict[str, list[Mapping[str, str]]] = {}
    for item in judged.corpus:
        passages.setdefault(item["doc"], []).append(item)
    documents = [
        IndexedDocument(name, name, own[0].get("title", ""), "text", judged.language)
        for name, own in passages.items()
    ]
    chunks = [
        _chunk(item, position) for own in passages.values() for position, item in enumerate(own)
    ]
    return documents, chunks, [n for n, own in enumerate(passages.values()) for _ in own]


def _chunk(item: Mapping[str, str], position: int) -> StoredChunk:
    return StoredChunk(
        id=item["id"], document_id=item["doc"], parent_id=item["id"], position=position, section="",
        page=None, separator="\n\n", text=item["text"], tokens=estimate_tokens(item["text"]),
    )  # fmt: skip


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
