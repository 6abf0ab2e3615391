"""Taking in a source: its documents come into the database, change, move and go.

Nothing is removed that was not looked for: a source says which of its parts it has listed whole.
Killed at any moment, what was stored stays, and the next run finds the rest by comparing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from santral.db.engine import reading, writing
from santral.errors import SantralError
from santral.retrieval import store
from santral.retrieval.collection import Collection
from santral.retrieval.document import UnreadableError
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.examine import (
    Arrived,
    Examined,
    Examiner,
    Ignored,
    Retold,
    Same,
    Taken,
)
from santral.retrieval.ingest.keep import id_at, keep
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.sidecar import MAX_SIDECAR_BYTES, Sidecars, is_sidecar
from santral.retrieval.ingest.workplace import Inspector, Workplace
from santral.retrieval.sources.source import Covered, Item, Problem, Source
from santral.retrieval.store import Known

#: Documents written in one transaction. Chosen: a commit costs as much as some twenty documents.
BATCH = 64
#: Items fetched at once. Chosen: a source that is far away keeps the reader busy, and no more.
FETCHES = 4


class _Tree(Struct):
    """What is known of a collection, and what a run has met of it."""

    known: dict[str, Known]
    ids: set[str]
    copies: dict[str, list[Known]]  # by content hash: what may have moved
    seen: set[str] = field(default_factory=set[str])
    covered: list[Covered] = field(default_factory=list[Covered])
    arrived: list[Arrived] = field(default_factory=list[Arrived])


class TakeIn:
    """Takes one source into one collection."""

    def __init__(
        self,
        place: Workplace,
        collection: Collection,
        source_id: str,
        inspector: Inspector | None,
        report: IngestReport,
        tell: Tell,
    ) -> None:
        self._place = place
        self._scope = (collection.tenant_id, collection.name)
        self._source_id = source_id
        self._examiner = Examiner(collection, source_id, place.workshop, inspector)
        self._sidecars = Sidecars()
        self._report = report
        self._tell = tell
        self._turn = asyncio.Semaphore(FETCHES)
        self._tree = _Tree({}, set(), {})

    async def run(self, source: Source, *, has_sidecars: bool) -> None:
        """Bring the database up to date with a source.

        ``has_sidecars`` looks for files that speak of others first: they may say who may see what.

        Raises:
            SantralError: the source failed half-way; what came before is stored, nothing is removed.
        """
        self._tree = await self._known()
        if has_sidecars:
            await self._read_sidecars(source)
        batch: list[Item] = []
        try:
            async for listed in source.list_items():
                if isinstance(listed, Problem):
                    self._report.note_problem(listed.source, listed.reason)
                elif isinstance(listed, Covered):
                    self._tree.covered.append(listed)
                elif self._is_new(listed, has_sidecars=has_sidecars):
                    batch.append(listed)
                if len(batch) == BATCH:
                    await self._take(batch)
                    batch = []
        except SantralError:
            await self._take(batch)
            raise
        await self._take(batch)
        gone = self._gone()
        await self._settle(gone)
        await self._remove([document.id for document in gone.values()])

    async def _known(self) -> _Tree:
        async with reading(self._place.engine) as conn:
            documents = await store.list_known(conn, *self._scope)
        copies: dict[str, list[Known]] = {}
        for document in documents:
            if document.content_hash and document.source_id == self._source_id:
                copies.setdefault(document.content_hash, []).append(document)
        known = {document.location: document for document in documents}
        return _Tree(known, {document.id for document in documents}, copies)

    async def _read_sidecars(self, source: Source) -> None:
        async for listed in source.list_items():
            if not isinstance(listed, Item) or not is_sidecar(listed.location):
                continue
            try:
                content = (await listed.fetch())[: MAX_SIDECAR_BYTES + 1]
                reason = self._sidecars.add(listed.location, listed.source, content)
            except (SantralError, UnreadableError) as error:
                reason = self._sidecars.hold_back(listed.location, f"{listed.source}: {error}")
            if reason:
                self._report.note_problem(listed.source, reason)

    def _is_new(self, item: Item, *, has_sidecars: bool) -> bool:
        """Whether an item is a document that was not met in this run."""
        if item.location in self._tree.seen or (has_sidecars and is_sidecar(item.location)):
            return False
        self._tree.seen.add(item.location)
        return True

    async def _take(self, batch: Sequence[Item]) -> None:
        if not batch:
            return
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._examine(item)) for item in batch]
        await self._keep([task.result() for task in tasks])

    async def _examine(self, item: Item, moved: Known | None = None) -> Examined | None:
        """Return what is to be done about an item; None where nothing can be known of it now."""
        known = moved or self._tree.known.get(item.location)
        id = known.id if known is not None else self._new_id(item.location)
        async with self._turn:
            try:
                fields = self._sidecars.say(item.location)
                copies: Mapping[str, object] = {} if moved is not None else self._tree.copies
                return await self._examiner.examine(
                    item, fields, known, id, copies=copies, is_moved=moved is not None
                )
            except UnreadableError as error:
                return self._examiner.quarantined(item, id, b"", str(error))
            except SantralError as error:
                self._report.note_problem(item.source, error.message)
                return None

    def _new_id(self, location: str) -> str:
        """Return an id that no document has: made of its first place, counted where that moved away."""
        id = id_at(*self._scope, location)
        number = 0
        while id in self._tree.ids:
            number += 1
            id = id_at(*self._scope, location, number)
        self._tree.ids.add(id)
        return id

    async def _keep(self, found: Sequence[Examined | None]) -> None:
        """Store what was found in one transaction, and count it."""
        taken: list[Taken] = []
        retold: list[Retold] = []
        for examined in found:
            match examined:
                case Taken():
                    taken.append(examined)
                case Retold():
                    retold.append(examined)
                case Arrived():
                    self._tree.arrived.append(examined)
                case Same():
                    self._count_same(examined.known)
                case Ignored():
                    self._report.ignored += 1
                case None:
                    pass
        await self._store(taken, retold)
        self._count_taken(taken)
        self._report.retold += len(retold)
        done = len(self._tree.seen)
        await self._tell(Progress("read", done, name=found_name(found)))

    async def _store(self, taken: Sequence[Taken], retold: Sequence[Retold]) -> None:
        if not taken and not retold:
            return
        async with writing(self._place.engine) as conn:
            await keep(conn, self._scope, self._examiner, taken, retold, self._place.clock())

    def _count_same(self, known: Known) -> None:
        if known.status == "quarantined":
            self._report.note_quarantined(known.source, known.reason)
        else:
            self._report.unchanged += 1

    def _count_taken(self, taken: Iterable[Taken]) -> None:
        for item in taken:
            if item.document.status == "quarantined":
                self._report.note_quarantined(item.document.source, item.document.reason)
            else:
                self._report.read += 1

    def _gone(self) -> dict[str, Known]:
        """Return the documents that are no more where they were, by location."""
        return {
            location: document
            for location, document in self._tree.known.items()
            if location not in self._tree.seen and self._is_gone(document)
        }

    def _is_gone(self, document: Known) -> bool:
        if document.source_id != self._source_id:
            return False
        for covered in self._tree.covered:
            is_there = document.root == covered.root or is_below(document.location, covered.root)
            if is_there and not any(is_below(document.location, at) for at in covered.unseen):
                return True
        return False

    async def _settle(self, gone: dict[str, Known]) -> None:
        """Take in what arrived: as what is gone from elsewhere, else as something new."""
        for arrived in self._tree.arrived:
            moved = self._moved(arrived, gone)
            if moved is not None:
                gone.pop(moved.location, None)
                self._tree.copies[arrived.content_hash].remove(moved)
                self._report.moved += 1
            examined = await self._examine_arrived(arrived, moved)
            await self._keep([examined])

    async def _examine_arrived(self, arrived: Arrived, moved: Known | None) -> Examined | None:
        if moved is None:
            self._tree.copies.pop(arrived.content_hash, None)
        return await self._examine(arrived.item, moved)

    def _moved(self, arrived: Arrived, gone: dict[str, Known]) -> Known | None:
        """Return the document that moved to a new place: gone from its own, the nearest name first."""
        name = arrived.item.location.rpartition("/")[2]
        candidates = [
            known
            for known in self._tree.copies.get(arrived.content_hash, ())
            if known.location in gone or _is_lost_file(known, self._tree.seen)
        ]
        candidates.sort(key=lambda known: (not known.location.endswith(name), known.location))
        return candidates[0] if candidates else None

    async def _remove(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        async with writing(self._place.engine) as conn:
            self._report.removed += await store.delete_documents(conn, *self._scope, ids)
            await ingest_store.bump_collection(conn, *self._scope, self._place.clock())


def is_below(location: str, root: str) -> bool:
    """Whether a location is the root or lies below it."""
    return location == root or location.startswith(root if root.endswith("/") else root + "/")


def found_name(found: Sequence[Examined | None]) -> str:
    """Return the name of the last document of a batch, for people."""
    for examined in reversed(found):
        if isinstance(examined, Taken):
            return examined.document.source
    return ""


def _is_lost_file(known: Known, seen: set[str]) -> bool:
    """Whether a document was a file of this machine that is not there any more, below no covered root."""
    is_path = known.location.startswith("/") and known.location not in seen
    return is_path and not os.path.lexists(known.location)
