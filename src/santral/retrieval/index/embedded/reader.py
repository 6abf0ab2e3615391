"""The reading side of the embedded index."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from santral.errors import StoreError
from santral.retrieval.access import Scope
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.embedded.manifest import no_manifest, partition_folder
from santral.retrieval.index.embedded.search import search_views
from santral.retrieval.index.embedded.view import Opened, open_state
from santral.retrieval.index.entry import Candidates, IndexQuery, IndexState, Partition


class EmbeddedReader:
    """Searches a partition of the data folder; what is published there it sees after ``refresh``.

    A state is immutable and replaced whole, so a search that has begun ends on what it began with.
    """

    def __init__(self, partition: Partition, folder: Path) -> None:
        self._partition = partition
        self._folder = folder
        self._opened = Opened(no_manifest(partition), ())

    @classmethod
    async def open(cls, partition: Partition, data_folder: Path) -> EmbeddedReader:
        """Map what is published; nothing yet is no error.

        Raises:
            StoreError: the index is damaged, or made by another version (``index_damaged``).
        """
        reader = cls(partition, partition_folder(data_folder, partition))
        await reader.refresh()
        return reader

    @property
    def state(self) -> IndexState:
        """What is searched at this moment."""
        return self._opened.manifest.state

    async def search(self, scope: Scope, query: IndexQuery) -> Candidates:
        """Return the best chunks of each signal, in no order."""
        self._require_own(scope)
        opened = self._opened
        dimensions = opened.manifest.dimensions
        if len(query.vector) and opened.views and len(query.vector) != dimensions:
            raise StoreError(
                f"The question has a vector of {len(query.vector)} dimensions, the index of "
                f"'{self._partition.collection}' holds {dimensions}: another model made it. "
                "Ingest the collection anew with the model it is searched with.",
                code="wrong_dimension",
            )
        return await asyncio.to_thread(search_views, opened.views, scope.groups, query)

    async def stretch(
        self, scope: Scope, document_id: str, first: int, last: int
    ) -> Sequence[StoredChunk]:
        """Return the chunks of a document at the positions ``first`` to ``last``, in order."""
        self._require_own(scope)
        found = [
            chunk
            for view in self._opened.views
            for chunk in view.stretch(scope.groups, document_id, first, last)
        ]
        return sorted(found, key=lambda chunk: chunk.position)

    async def refresh(self) -> bool:
        """Map what was published since; return whether searches see something else now."""
        known = {view.segment.name: view.segment for view in self._opened.views}
        generation = self._opened.manifest.generation
        opened = await asyncio.to_thread(
            open_state, self._folder, self._partition, known, generation
        )
        if opened is None:
            return False
        self._opened = opened
        return True

    async def close(self) -> None:
        """Let go of what is mapped."""
        self._opened = Opened(no_manifest(self._partition), ())

    def _require_own(self, scope: Scope) -> None:
        own = (self._partition.tenant_id, self._partition.collection)
        if (scope.tenant_id, scope.collection) != own:
            raise StoreError("An index was asked for documents of another tenant or collection.")
