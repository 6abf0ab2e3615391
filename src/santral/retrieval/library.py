"""The library: every collection that can be searched at this moment, opened.

A gateway learns from a file which collections there are and which version of each is searched; the
command line and the control process ask the database. Searches read what is open and never wait for
either; what cannot be opened keeps its last good state and is named in ``problems``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from santral.config.collections import CollectionConfig
from santral.errors import NotFound, SantralError, nearest
from santral.retrieval.collection import Collection, StoredCollection, Version, settings_of
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexReader

log = logging.getLogger(__name__)


class Searchable(Struct, frozen=True):
    """A collection with the version of it that is searched."""

    collection: StoredCollection
    version: Version


class Shelf(Struct, frozen=True):
    """A collection opened: what a search needs. ``model`` is None where there are no vectors."""

    collection: Collection
    version: Version
    reader: IndexReader
    model: EmbeddingModel | None

    @property
    def generation(self) -> str:
        """What names the state that is searched: another one may find something else."""
        return f"{self.version.version}:{self.reader.state.generation}"


#: Returns what there is, or None where it is what was returned last. Raises StoreError.
ReadCatalogue: TypeAlias = Callable[[], Awaitable[Sequence[Searchable] | None]]
OpenReader: TypeAlias = Callable[[Partition, Version], Awaitable[IndexReader]]
OpenModel: TypeAlias = Callable[[Partition, Version], Awaitable[EmbeddingModel | None]]


class Library:
    """Keeps collections open. ``find`` looks at memory only; ``refresh`` does the work, in turns.

    The map of what is open is replaced whole, so a search that has its shelf keeps it.
    """

    def __init__(
        self,
        declared: Mapping[str, CollectionConfig],
        read_catalogue: ReadCatalogue,
        open_reader: OpenReader,
        open_model: OpenModel,
    ) -> None:
        self._declared = dict(declared)
        self._read_catalogue = read_catalogue
        self._open_reader = open_reader
        self._open_model = open_model
        self._known: Sequence[Searchable] = ()
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._closing: list[IndexReader] = []
        self.problems: tuple[str, ...] = ()

    def configure(self, declared: Mapping[str, CollectionConfig]) -> None:
        """Take over changed settings for the next search."""
        self._declared = dict(declared)
        self._shelves = {
            key: Shelf(
                _configured(shelf.collection, self._declared),
                shelf.version,
                shelf.reader,
                shelf.model,
            )
            for key, shelf in self._shelves.items()
        }

    async def refresh(self) -> int:
        """Open what is new, look for newer generations, close what is gone; return the changes.

        One call at a time. Readers that were replaced are closed with the next call, when the
        searches that held them are over.
        """
        await self._close_replaced()
        problems: list[str] = []
        try:
            found = await self._read_catalogue()
            self._known = self._known if found is None else found
        except SantralError as error:
            problems.append(error.message)
        shelves: dict[tuple[str, str], Shelf] = {}
        changes = 0
        for searchable in self._known:
            key = (searchable.collection.tenant_id, searchable.collection.name)
            before = self._shelves.get(key)
            try:
                shelf, is_changed = await self._brought_up(searchable, before)
                changes += is_changed
            except SantralError as error:
                problems.append(f"{key[0]}/{key[1]}: {error.message}")
                shelf = before
            if shelf is not None:
                shelves[key] = shelf
        changes += len(self._shelves.keys() - shelves.keys())
        kept = {id(shelf.reader) for shelf in shelves.values()}
        self._closing = [
            shelf.reader for shelf in self._shelves.values() if id(shelf.reader) not in kept
        ]
        self._shelves = shelves
        self._note_problems(problems)
        return changes

    def find(self, tenant_id: str, name: str) -> Shelf | None:
        """Return what a tenant searches under a name: its own, or one that is shared with it.

        None: the collection is there, and nothing was published of it yet.

        Raises:
            NotFound: the tenant has no such collection; names the nearest it may search.
        """
        own = self._shelves.get((tenant_id, name))
        if own is not None:
            return own
        declared = self._declared.get(name)
        if declared is not None and _may_search(declared, tenant_id):
            owner = tenant_id if declared.tenants is None else declared.owner
            return self._shelves.get((owner, name))
        known = {name for owner, name in self._shelves if owner == tenant_id} | {
            name for name, config in self._declared.items() if _may_search(config, tenant_id)
        }
        raise NotFound(
            f"There is no collection '{name[:64]}'.{nearest(name[:64], sorted(known))}",
            code="collection_not_found",
            param="santral.retrieval.collection",
        )

    async def close(self) -> None:
        """Close every reader."""
        await self._close_replaced()
        shelves, self._shelves = self._shelves, {}
        for shelf in shelves.values():
            await shelf.reader.close()

    async def _brought_up(self, searchable: Searchable, before: Shelf | None) -> tuple[Shelf, bool]:
        row, version = searchable.collection, searchable.version
        collection = self._collection_of(row)
        if before is not None and _is_same_index(before.version, version):
            is_fresh = await before.reader.refresh()
            return Shelf(collection, version, before.reader, before.model), is_fresh
        partition = Partition(row.tenant_id, row.name, version.version)
        model = await self._open_model(partition, version)
        reader = await self._open_reader(partition, version)
        return Shelf(collection, version, reader, model), True

    async def _close_replaced(self) -> None:
        closing, self._closing = self._closing, []
        for reader in closing:
            await reader.close()

    def _collection_of(self, row: StoredCollection) -> Collection:
        return Collection(
            tenant_id=row.tenant_id,
            name=row.name,
            settings=settings_of(self._declared, row),
            is_declared=row.settings is None and row.name in self._declared,
            revision=row.revision,
            active_version=row.active_version,
            description=row.description,
            created_at=row.created_at,
        )

    def _note_problems(self, problems: Sequence[str]) -> None:
        for problem in problems:
            if problem not in self.problems:
                log.warning("collection_not_opened", extra={"reason": problem})
        self.problems = tuple(problems)


def _configured(known: Collection, declared: Mapping[str, CollectionConfig]) -> Collection:
    """Return a collection with the settings that are declared now."""
    settings = declared.get(known.name) if known.is_declared else None
    return known if settings is None else replace(known, settings=settings)


def _may_search(config: CollectionConfig, tenant_id: str) -> bool:
    return config.tenants is None or tenant_id in (config.owner, *config.tenants)


def _is_same_index(before: Version, now: Version) -> bool:
    """Whether an open reader and model serve what is searched now."""
    return (before.version, before.recipe, before.model) == (now.version, now.recipe, now.model)
