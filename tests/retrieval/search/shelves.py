"""A shelf in memory: chunks searched exactly, by plain arithmetic, with a model fitted to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from msgspec.structs import replace
from tests.retrieval.index.material import may_see

from santral.config.collections import CollectionConfig
from santral.errors import NotFound
from santral.retrieval.access import Scope
from santral.retrieval.analysis.analyse import counted_text
from santral.retrieval.analysis.counts import Floats, TermKeys, Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import Collection, Version, recipe_of
from santral.retrieval.document import StoredChunk
from santral.retrieval.embedding.fitted.fit import fit
from santral.retrieval.embedding.fitted.model import FittedModel, made_of
from santral.retrieval.index.entry import (
    Candidate,
    Candidates,
    IndexedDocument,
    IndexQuery,
    IndexState,
)
from santral.retrieval.index.impact import impacts, rarity
from santral.retrieval.index.signal import Signal
from santral.retrieval.library import Shelf
from santral.retrieval.search.matching import passes
from santral.wire.usage import estimate_tokens

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
DAY_S = 86_400.0


def chunk(
    document: str, position: int, text: str, *, parent: int = 0, section: str = "", start: int = 0
) -> StoredChunk:
    """Return a chunk; give ``start`` where its place in the document matters."""
    return StoredChunk(
        id=f"{document}-{position}", document_id=document, parent_id=f"{document}-p{parent}",
        position=position, section=section, page=None, separator="\n\n", text=text,
        tokens=estimate_tokens(text), start=start, end=start + len(text),
    )  # fmt: skip


def document(name: str, *texts: str, parents: Sequence[int] = (), **fields: object) -> MemoryEntry:
    """Return a document of the given passages, each a parent of its own unless ``parents`` says so."""
    given: dict[str, object] = {
        "source": f"{name}.md", "title": name.title(), "kind": "markdown", "language": "en", **fields,
    }  # fmt: skip
    chunks: list[StoredChunk] = []
    start = 0
    for place, text in enumerate(texts):
        parent = parents[place] if parents else place
        chunks.append(chunk(name, place, text, parent=parent, start=start))
        start += len(text) + 2
    made = IndexedDocument(id=name, **given)  # pyright: ignore[reportArgumentType]
    return made, chunks


MemoryEntry = tuple[IndexedDocument, Sequence[StoredChunk]]


class MemoryReader:
    """An index of some documents; ``asked`` holds the queries that came."""

    def __init__(self, entries: Sequence[MemoryEntry], model: FittedModel | None = None) -> None:
        self.rows = [(one, chunk) for one, chunks in entries for chunk in chunks]
        self.asked: list[IndexQuery] = []
        self.stems, self.grams = _counted(entries)
        vectors = None if model is None else model.embed_terms(self.stems, self.grams)
        self.vectors = np.zeros((len(self.rows), 0), np.float32) if vectors is None else vectors

    @property
    def state(self) -> IndexState:
        languages: dict[Language, None] = dict.fromkeys(one.language for one, _ in self.rows)
        return IndexState(
            generation="g1", documents=0, chunks=len(self.rows),
            dimensions=self.vectors.shape[1], languages=tuple(languages),
        )  # fmt: skip

    async def search(self, scope: Scope, query: IndexQuery) -> Candidates:
        self.asked.append(query)
        raw: dict[Signal, Floats] = {
            "bm25": _scores(self.stems, query.stems, "bm25"),
            "ngrams": _scores(self.grams, query.grams, "ngrams"),
            "dense": self.vectors @ query.vector
            if len(query.vector)
            else np.zeros(len(self.rows), np.float32),
        }
        all_rows = [self._candidate(row, raw) for row in range(len(self.rows))]
        seen = [
            row
            for row, one in enumerate(all_rows)
            if may_see(scope, one.document) and passes(one, query.filter)
        ]
        found: set[int] = set()
        for scores in raw.values():
            best = sorted(seen, key=lambda row, of=scores: -of[row])[: query.limit]
            found |= {row for row in best if scores[row] > 0}
        return Candidates(
            tuple(all_rows[row] for row in sorted(found)),
            {name: float(min([0.0, *scores[seen]])) for name, scores in raw.items()},
            {name: float(max([0.0, *scores[seen]])) for name, scores in raw.items()},
        )

    async def stretch(
        self, scope: Scope, document_id: str, first: int, last: int
    ) -> Sequence[StoredChunk]:
        return [
            chunk
            for one, chunk in self.rows
            if one.id == document_id and first <= chunk.position <= last and may_see(scope, one)
        ]

    async def refresh(self) -> bool:
        return False

    async def close(self) -> None:
        pass

    def _candidate(self, row: int, raw: Mapping[Signal, Floats]) -> Candidate:
        one, chunk = self.rows[row]
        vector = self.vectors[row] if self.vectors.shape[1] else None
        return Candidate(chunk, one, {name: float(of[row]) for name, of in raw.items()}, vector)


class OneShelf:
    """A library with one collection, ``docs`` of ``acme``."""

    def __init__(self, entries: Sequence[MemoryEntry], **settings: object) -> None:
        checked = CollectionConfig.model_validate({"dimensions": 16, **settings})
        self.model = None if checked.embedding == "off" else _fitted(entries)
        self.reader = MemoryReader(entries, self.model)
        collection = Collection(
            tenant_id="acme", name="docs", settings=checked, is_declared=True, active_version=1
        )
        recipe = recipe_of(checked)
        version = Version(version=1, state="active", recipe=recipe, created_at=NOW)
        self.shelf = Shelf(collection, version, self.reader, self.model)

    def find(self, tenant_id: str, name: str) -> Shelf | None:
        if (tenant_id, name) != ("acme", "docs"):
            raise NotFound(f"There is no collection '{name}'.", code="collection_not_found")
        return self.shelf

    def configure(self, **settings: object) -> None:
        checked = CollectionConfig.model_validate({"dimensions": 16, **settings})
        self.shelf = Shelf(replace(self.shelf.collection, settings=checked), *self._rest())

    def _rest(self) -> tuple[Version, MemoryReader, FittedModel | None]:
        return self.shelf.version, self.reader, self.model


def _fitted(entries: Sequence[MemoryEntry]) -> FittedModel:
    return made_of(fit(*_counted(entries), 16))[0]


def _counted(entries: Sequence[MemoryEntry]) -> tuple[Terms, Terms]:
    rows = [(one, chunk) for one, chunks in entries for chunk in chunks]
    texts = [counted_text(one.title, chunk.section, chunk.text) for one, chunk in rows]
    return terms_of(texts, [one.language for one, _ in rows])


def _scores(terms: Terms, wanted: TermKeys, signal: Signal) -> Floats:
    worth = impacts(terms, signal)
    chunks = len(terms.lengths)
    frequencies = Counter(terms.keys.tolist())
    scores = np.zeros(chunks, np.float32)
    rows = np.repeat(np.arange(chunks), np.diff(terms.starts))
    for key in wanted.tolist():
        at = np.flatnonzero(terms.keys == key)
        rare = rarity(np.array([frequencies[key]], np.float32), chunks)[0]
        np.add.at(scores, rows[at], worth[at] * rare)
    return scores
