"""Search: the passages of one tenant's collection that answer a question.

Gateway workers hold a ``Searcher``. It maps published generations from disk and never asks a
database; a search reads memory only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.config.collections import CollectionConfig
from santral.errors import BadRequest, NotFound, StoreError, nearest
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.embedded.generation import current, list_partitions, load, partition
from santral.retrieval.index.embedded.index import CollectionIndex
from santral.retrieval.index.embedded.passages import FILTERS, matching_rows
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.fuse import best_rows, fuse, scaled
from santral.retrieval.search.passage import select_passages
from santral.wire.delta import Source

log = logging.getLogger(__name__)

#: Weights of a collection that no configuration declares.
DEFAULT_WEIGHTS: Mapping[Signal, float] = {"bm25": 0.35, "ngrams": 0.4, "dense": 0.25}

#: Chunks looked at per passage asked for: the further ones join passages of their own parents.
#: Measured: docs/decisions/0007-retrieval.md.
CANDIDATES_PER_PASSAGE = 3

#: Letters of a question that are searched for: half from its beginning, half from its end, where
#: people put what they want. Chosen: a search of so many takes some 5 ms at 10,000 chunks.
MAX_QUERY_LETTERS = 2_000


class Explained(Struct, frozen=True):
    """A chunk that was found, with what each signal said, scaled to 0..1 as fusion saw it."""

    chunk_id: str
    source: str
    section: str
    text: str
    score: float
    signals: dict[Signal, float]


class _Loaded(Struct, frozen=True):
    folder: Path
    generation: str
    index: CollectionIndex


class Searcher:
    """Searches collections, each inside its tenant's partition.

    Thread-safe: indexes are immutable and the map of them is replaced whole. ``refresh`` reads the
    disk, so run it in a thread; ``search`` reads memory only.
    """

    def __init__(self, data_folder: Path, collections: Mapping[str, CollectionConfig]) -> None:
        self._data_folder = data_folder
        self._collections = dict(collections)
        self._loaded: dict[tuple[str, str], _Loaded] = {}
        self._problems: dict[Path, str] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be loaded at the last refresh; the last good index stays in force."""
        return tuple(self._problems.values())

    def configure(self, collections: Mapping[str, CollectionConfig]) -> None:
        """Take over changed settings (weights, who may search what) for the next search."""
        self._collections = dict(collections)

    def refresh(self) -> int:
        """Load what was published since the last call; return how many collections changed."""
        known = {loaded.folder: loaded for loaded in self._loaded.values()}
        problems: dict[Path, str] = {}
        fresh: list[_Loaded] = []
        for folder in self._partitions():
            try:
                found = self._load(folder, known.get(folder))
            except StoreError as error:
                problems[folder] = error.message
                found = known.get(folder)
            if found is not None:
                fresh.append(found)
        for folder in problems.keys() - self._problems.keys():
            log.warning("index_load_failed", extra={"reason": problems[folder]})
        changed = len({id(item) for item in fresh} ^ {id(item) for item in known.values()})
        self._problems = problems
        self._loaded = {(it.index.meta.tenant_id, it.index.meta.collection): it for it in fresh}
        return changed

    def search(
        self,
        tenant_id: str,
        collection: str,
        query: str,
        *,
        top_k: int,
        max_tokens: int,
        filters: Mapping[str, str] | None = None,
    ) -> list[Source]:
        """Return up to ``top_k`` passages within the token budget, numbered from 1, best first.

        Raises:
            NotFound: the tenant has no such collection; names the nearest it may search.
            BadRequest: an unknown filter.
        """
        index = self._find(tenant_id, collection, filters or {})
        if index is None:
            return []
        rows, scores, _ = self._ranked(index, query, filters or {}, top_k * CANDIDATES_PER_PASSAGE)
        hits = list(zip(rows.tolist(), scores.tolist(), strict=True))
        return select_passages(index.passages, hits, top_k=top_k, max_tokens=max_tokens)

    def generation(self, tenant_id: str, collection: str) -> str:
        """Return the name of the index that a search would use: another one may find other passages."""
        loaded = self._loaded.get((self._owner(tenant_id, collection), collection))
        return "" if loaded is None else loaded.generation

    def explain(
        self,
        tenant_id: str,
        collection: str,
        query: str,
        *,
        top_k: int,
        filters: Mapping[str, str] | None = None,
    ) -> list[Explained]:
        """Return the best chunks with the score of every signal; raises as ``search`` does."""
        index = self._find(tenant_id, collection, filters or {})
        if index is None:
            return []
        rows, scores, signals = self._ranked(index, query, filters or {}, top_k)
        found: list[Explained] = []
        for place, (row, score) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True)):
            chunk, document = index.passages.chunk(row), index.passages.document_of(row)
            parts: dict[Signal, float] = {
                name: float(values[place]) for name, values in signals.items()
            }
            found.append(
                Explained(chunk.id, document.source, chunk.section, chunk.text, score, parts)
            )
        return found

    def _partitions(self) -> list[Path]:
        """Return the folders of all indexes; those that are loaded when the disk cannot be read."""
        try:
            return list(list_partitions(self._data_folder))
        except OSError as error:
            log.warning("index_folder_unreadable", extra={"reason": str(error)})
            return [loaded.folder for loaded in self._loaded.values()]

    def _load(self, folder: Path, known: _Loaded | None) -> _Loaded | None:
        if known is not None and current(folder) == known.generation:
            return known
        found = load(folder)
        if found is None:
            return None
        name, index = found
        # The folder says whose index it is; an index that was moved or copied says otherwise.
        if partition(self._data_folder, index.meta.tenant_id, index.meta.collection) != folder:
            raise StoreError(f"The index in {folder} belongs to another tenant or collection.")
        return _Loaded(folder, name, index)

    def _find(
        self, tenant_id: str, collection: str, filters: Mapping[str, str]
    ) -> CollectionIndex | None:
        """Return the index to search, or nothing for a collection that holds no document."""
        for field in filters:
            if field not in FILTERS:
                raise BadRequest(
                    f"Unknown filter '{field}'. Filters are {', '.join(FILTERS)}."
                    f"{nearest(field, FILTERS)}",
                    code="unknown_filter",
                    param=f"santral.retrieval.filters.{field}",
                )
        owner = self._owner(tenant_id, collection)
        loaded = self._loaded.get((owner, collection))
        if loaded is None or loaded.index.meta.chunks == 0:
            return None
        if loaded.index.meta.tenant_id != owner:
            raise StoreError("An index was loaded for another tenant.")
        return loaded.index

    def _owner(self, tenant_id: str, collection: str) -> str:
        """Return whose partition a tenant searches under this name: its own, or a shared one."""
        if (tenant_id, collection) in self._loaded:
            return tenant_id
        declared = self._collections.get(collection)
        if declared is not None and declared.tenants is None:
            return tenant_id
        if declared is not None and tenant_id in (declared.owner, *(declared.tenants or ())):
            return declared.owner
        known = {name for owner, name in self._loaded if owner == tenant_id} | {
            name
            for name, config in self._collections.items()
            if config.tenants is None or tenant_id in (config.owner, *config.tenants)
        }
        raise NotFound(
            f"There is no collection '{collection}'.{nearest(collection, sorted(known))}",
            code="collection_not_found",
            param="santral.retrieval.collection",
        )

    def _ranked(
        self, index: CollectionIndex, query: str, filters: Mapping[str, str], count: int
    ) -> tuple[NDArray[np.intp], Floats, dict[Signal, Floats]]:
        """Return the best rows, their fused scores, and the scaled signals of these rows."""
        chosen = matching_rows(index.passages, filters)
        signals = index.signals(_bounded(query), chosen)
        declared = self._collections.get(index.meta.collection)
        weights = (declared.weights if declared is not None else None) or DEFAULT_WEIGHTS
        fused = fuse(signals, weights)
        best = best_rows(fused, count)
        parts: dict[Signal, Floats] = {
            name: scaled(scores)[best] for name, scores in signals.items()
        }
        rows = best if chosen is None else chosen[best]
        return rows, fused[best], parts


def _bounded(query: str) -> str:
    if len(query) <= MAX_QUERY_LETTERS:
        return query
    half = MAX_QUERY_LETTERS // 2
    return f"{query[:half]} {query[-half:]}"
