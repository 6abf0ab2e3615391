"""Pointers: one point for each partition says where its chunks are, what is published, and who writes."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from santral.retrieval.analysis.language import Language
from santral.retrieval.index.entry import IndexState, Partition
from santral.retrieval.index.failure import busy, unfit
from santral.retrieval.index.qdrant.connection import Connection, Json, MissingError
from santral.retrieval.index.qdrant.points import FORMAT, IndexKind, partition_id
from santral.retrieval.index.qdrant.where import any_of, every, is_absent


class Retired(Struct, frozen=True):
    """A revision that took points away, and when it was published (seconds since 1970)."""

    revision: int
    at: float


class Pointer(Struct, frozen=True):
    """What is in force of a partition. ``place`` numbers the collections it had; 0: none yet.

    ``dimensions`` -1: nobody has said. ``writer`` writes until the moment ``until``.
    """

    tenant_id: str
    collection: str
    version: int
    format: int = FORMAT
    place: int = 0
    revision: int = 0
    dimensions: int = -1
    documents: int = 0
    chunks: int = 0
    languages: tuple[Language, ...] = ()
    attributes: dict[str, IndexKind] = {}
    retired: tuple[Retired, ...] = ()
    writer: str = ""
    until: float = 0.0

    @property
    def state(self) -> IndexState:
        """What an index says of itself."""
        return IndexState(
            generation=f"{self.place}-{self.revision}" if self.revision else "",
            documents=self.documents,
            chunks=self.chunks,
            dimensions=max(self.dimensions, 0),
            languages=self.languages,
        )


class Pointers:
    """The pointer of one partition on a server."""

    def __init__(self, connection: Connection, partition: Partition) -> None:
        self._connection = connection
        self._partition = partition
        self._id = str(partition_id(partition))
        self._name = f"{connection.settings.prefix}_partitions"

    def name(self, place: int) -> str:
        """Return the name of the collection with the partition's chunks."""
        return f"{self._connection.settings.prefix}_{self._id.replace('-', '')}_{place}"

    async def find(self) -> Pointer | None:
        """Return the pointer; None where the partition was never written.

        Raises:
            StoreError: it is of another release.
        """
        try:
            found = await self._connection.retrieve(self._name, [self._id])
        except MissingError:
            return None
        if not found:
            return None
        try:
            pointer = msgspec.convert(found[0].payload, Pointer)
        except msgspec.ValidationError:
            pointer = None
        if pointer is None or pointer.format != FORMAT:
            raise unfit(
                self._connection.place,
                "its index is of another release; delete it there and run santral ingest",
            )
        return pointer

    async def take(self, writer: str, now: float, until: float) -> Pointer:
        """Take the right to write, or keep it.

        Raises:
            StoreError: another writer has it, or took it over.
        """
        await self._make()
        may_write = any_of(
            is_absent("writer"),
            {"key": "writer", "match": {"any": ["", writer]}},
            {"key": "until", "range": {"lt": now}},
        )
        # One operation in Qdrant's queue: two writers cannot both pass the condition.
        await self._set({"writer": writer, "until": until}, may_write)
        pointer = await self.find()
        if pointer is None or pointer.writer != writer:
            raise busy(f"{self._partition.tenant_id}/{self._partition.collection}")
        return pointer

    async def save(self, pointer: Pointer, writer: str) -> None:
        """Put a pointer in force, while its writer has the right.

        Raises:
            StoreError: another writer has taken over.
        """
        await self._set(asdict(pointer), {"key": "writer", "match": {"value": writer}})
        if await self.find() != pointer:
            raise busy(f"{self._partition.tenant_id}/{self._partition.collection}")

    async def release(self, writer: str) -> None:
        """Give the right to write back."""
        await self._set({"writer": "", "until": 0.0}, {"key": "writer", "match": {"value": writer}})

    async def delete(self) -> None:
        """Remove the pointer: nothing is found any more."""
        await self._connection.change("POST", self._name, "/points/delete", {"points": [self._id]})

    async def _make(self) -> None:
        """Make the pointer, where there is none."""
        new = Pointer(
            self._partition.tenant_id, self._partition.collection, self._partition.version
        )
        body = {
            "points": [{"id": self._id, "vector": {}, "payload": asdict(new)}],
            "update_mode": "insert_only",
        }
        try:
            await self._connection.change("PUT", self._name, "/points", body)
        except MissingError:
            await self._connection.create(self._name, {"vectors": {}})
            await self._connection.change("PUT", self._name, "/points", body)

    async def _set(self, changes: Json, condition: Json) -> None:
        where = every({"has_id": [self._id]}, dict(condition))
        body = {"payload": changes, "filter": where}
        await self._connection.change("POST", self._name, "/points/payload", body)


def unpublished(pointer: Pointer) -> int:
    """Return the revision that a writer prepares."""
    return pointer.revision + 1
