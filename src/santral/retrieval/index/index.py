"""The two sides of an index: one process writes it, every worker reads it.

``registry.py`` lists the engines. All of them pass one contract suite (``tests/retrieval/index``).
Nothing that a search finds comes from anywhere else, and everything in an index can be made again
from the control database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from santral.retrieval.access import Scope
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.entry import Batch, Candidates, IndexQuery, IndexState, Partition


class IndexReader(Protocol):
    """Searches one partition. Safe to use from many tasks at once.

    Every method takes the ``Scope`` of who asks and looks at nothing outside of it; a scope of
    another tenant or collection is a programming error and raises ``StoreError``. Raises
    ``StoreError`` (retryable) where a server cannot be reached within its timeout.
    """

    @property
    def state(self) -> IndexState:
        """What is searched at this moment."""
        ...

    async def search(self, scope: Scope, query: IndexQuery) -> Candidates:
        """Return the best chunks of each signal, in no order.

        Filters and groups choose the rows *before* scores are ranked, and recall is kept: what is
        found equals an exact search over the rows that pass. How rare a term is (``impact.rarity``)
        is counted over the chunks inside the scope, before the filter: what somebody may not see has
        no part in any number.
        """
        ...

    async def stretch(
        self, scope: Scope, document_id: str, first: int, last: int
    ) -> Sequence[StoredChunk]:
        """Return the chunks of a document at the positions ``first`` to ``last``, in order.

        Empty where the document is not there or outside the scope.
        """
        ...

    async def refresh(self) -> bool:
        """Look for what was published since; return whether searches see something else now."""
        ...

    async def close(self) -> None:
        """Give back files, maps and connections."""
        ...


class IndexWriter(Protocol):
    """Changes one partition. One writer at a time: the ingest job holds the right.

    Nothing is visible to readers before ``publish``, everything after it, also for readers in other
    processes; killed at any moment, the last published state stays in force and ``held`` tells what
    is missing.
    """

    async def held(self) -> Mapping[str, str]:
        """Return the fingerprint of every document that is put in, by id, published or not."""
        ...

    async def put(self, batch: Batch) -> None:
        """Put whole documents in, each in place of what was there under its id.

        Raises:
            BadRequest: the vectors have another dimension than the index (``wrong_dimension``).
        """
        ...

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take documents out; unknown ids are no error."""
        ...

    async def publish(self) -> IndexState:
        """Make all that was put in and taken out visible, durably; may tidy up (merge) meanwhile."""
        ...

    async def drop(self) -> None:
        """Delete the whole partition; nothing of it stays."""
        ...

    async def save_snapshot(self, folder: Path) -> None:
        """Copy what is published into an empty folder."""
        ...

    async def restore_snapshot(self, folder: Path) -> IndexState:
        """Put a snapshot in force, checked whole before anything is replaced.

        Raises:
            StoreError: it is damaged, of another format, or of another partition.
        """
        ...

    async def close(self) -> None:
        """Give back what is held; what was not published is forgotten."""
        ...


#: Drops what an engine, by its configured name, holds of a partition: after its rows are gone.
DropIndex: TypeAlias = Callable[[Partition, str], Awaitable[None]]
