"""Examining one item: what it will be in the database, or that there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping
from hashlib import blake2b, sha256
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.collection import Collection
from santral.retrieval.document import Document, Metadata, StoredDocument, UnreadableError
from santral.retrieval.ingest.body import packed, text_hash, texts_of, with_texts
from santral.retrieval.ingest.fields import narrowed, over, own_metadata, parsed_fields, with_fields
from santral.retrieval.ingest.sketch import sketch_of
from santral.retrieval.ingest.workplace import Inspector, read_options, recipe_of_intake
from santral.retrieval.reading.registry import kind_of
from santral.retrieval.reading.workshop import Workshop
from santral.retrieval.sources.source import Item
from santral.retrieval.store import Known

#: Letters of what names the way of reading, in front of ``intake``.
_RECIPE = 32


class Taken(Struct, frozen=True):
    """An item as it will be stored: what was read of it, or quarantined without."""

    document: StoredDocument
    body: bytes = b""
    sketch: bytes | None = None


class Retold(Struct, frozen=True):
    """The text is known, what is said of it is new: ``document`` has to be told ``fields``."""

    known: Known
    item: Item
    fields: Mapping[str, Any]
    intake: str


class Same(Struct, frozen=True):
    """The database holds what is there."""

    known: Known


class Ignored(Struct, frozen=True):
    """None of ours: a picture, a program."""


class Arrived(Struct, frozen=True):
    """A new place with a text that is known from another one: moved, or a copy."""

    item: Item
    content_hash: str


Examined: TypeAlias = Taken | Retold | Same | Ignored | Arrived


class Examiner:
    """Examines the items of one source for one collection."""

    def __init__(
        self,
        collection: Collection,
        source_id: str,
        workshop: Workshop,
        inspector: Inspector | None,
    ) -> None:
        self._collection = collection
        self._source_id = source_id
        self._workshop = workshop
        self._inspector = inspector
        self._recipe = recipe_of_intake(collection, inspector)

    async def examine(
        self,
        item: Item,
        fields: Mapping[str, Any],
        known: Known | None,
        id: str,
        *,
        copies: Container[str] = (),
        is_moved: bool = False,
    ) -> Examined:
        """Return what has to be done about an item that the database knows as ``known``.

        ``fields`` are what sidecars say of it, ``id`` is what a new document is called, ``copies`` are
        hashes of contents that may have moved here. A bad item comes back quarantined.

        Raises:
            SantralError: the source cannot be reached; what is known stays as it is.
        """
        intake = self._intake(item, fields)
        if known is not None and known.stamp and known.stamp == item.stamp and not is_moved:
            if known.intake == intake:
                return Same(known)
            if known.intake[:_RECIPE] == self._recipe and known.status == "indexed":
                return Retold(known, item, fields, intake)
        content = b""
        try:
            content = await item.fetch()
            found = self._compared(item, fields, known, content, intake, is_moved=is_moved)
            if found is not None:
                return found
            content_hash = sha256(content).hexdigest()
            if known is None and content_hash in copies:
                return Arrived(item, content_hash)
            self._require_size(content)
            kind = kind_of(item.name, content, item.media_type)
            if kind is None:
                if known is None and not item.is_named:
                    return Ignored()
                raise UnreadableError("it is of no format that is read")
            edits = known.edits if known is not None else {}
            return await self._read(item, fields, content, id, intake, edits)
        except UnreadableError as error:
            return self.quarantined(item, id, content, str(error), intake, known)

    def quarantined(
        self,
        item: Item,
        id: str,
        content: bytes,
        reason: str,
        intake: str = "",
        known: Known | None = None,
    ) -> Taken:
        """Return an item that cannot be searched, and why."""
        return Taken(
            StoredDocument(
                id=id,
                location=item.location,
                root=item.root,
                source=item.source,
                source_id=self._source_id,
                title=item.source.rpartition("/")[2] or item.source,
                kind="",
                language="other",
                content_hash=sha256(content).hexdigest() if content else "",
                size_bytes=len(content),
                status="quarantined",
                reason=reason,
                stamp=item.stamp,
                intake=intake,
                edits=known.edits if known is not None else {},
            )
        )

    def told(self, before: StoredDocument, document: Document, changed: Retold) -> StoredDocument:
        """Return a known document with what its source says of it now."""
        item = changed.item
        return self._described(
            replace(
                before,
                location=item.location,
                root=item.root,
                source=item.source,
                source_id=self._source_id,
                stamp=item.stamp,
                intake=changed.intake,
            ),
            document,
            item.metadata,
            changed.fields,
        )

    def _compared(
        self,
        item: Item,
        fields: Mapping[str, Any],
        known: Known | None,
        content: bytes,
        intake: str,
        *,
        is_moved: bool,
    ) -> Same | Retold | None:
        """Return what an item with known bytes is; None where it has to be read."""
        if known is None or is_moved or known.content_hash != sha256(content).hexdigest():
            return None
        if known.intake[:_RECIPE] != self._recipe:
            return None
        if known.status == "quarantined":
            return Same(known) if known.intake == intake else None
        is_same = known.intake == intake and known.stamp == item.stamp
        return Same(known) if is_same else Retold(known, item, fields, intake)

    async def _read(
        self,
        item: Item,
        fields: Mapping[str, Any],
        content: bytes,
        id: str,
        intake: str,
        edits: dict[str, Any],
    ) -> Taken:
        options = read_options(self._collection)
        document = await self._workshop.read(item.name, content, item.media_type, options)
        document = await self._inspected(document)
        body, sketch = await asyncio.to_thread(_stored, document)
        stored = StoredDocument(
            id=id,
            location=item.location,
            root=item.root,
            source=item.source,
            source_id=self._source_id,
            title=document.title,
            kind=document.kind,
            language=document.language,
            content_hash=sha256(content).hexdigest(),
            text_hash=text_hash(document),
            size_bytes=len(content),
            status="indexed",
            stamp=item.stamp,
            intake=intake,
            edits=edits,
        )
        return Taken(self._described(stored, document, item.metadata, fields), body, sketch)

    async def _inspected(self, document: Document) -> Document:
        """Return the document as the policy leaves it; raises UnreadableError where it refuses."""
        if self._inspector is None:
            return document
        texts = texts_of(document)
        found = await self._inspector.inspect(texts)
        if found.refusal:
            raise UnreadableError(f"the policy refuses it: {found.refusal}")
        return document if found.texts == tuple(texts) else with_texts(document, found.texts)

    def _described(
        self,
        stored: StoredDocument,
        document: Document,
        outer: Metadata,
        fields: Mapping[str, Any],
    ) -> StoredDocument:
        """Return a document with its metadata: what edits say, else sidecars, else its source, else it."""
        own, groups = own_metadata(document)
        metadata = over(own, outer)
        for moment in ("created_at", "modified_at"):
            said = getattr(own, moment)
            if said is not None:  # a file's own dates are those of its last copy
                metadata = replace(metadata, **{moment: said})
        metadata = with_fields(metadata, fields)
        metadata = replace(metadata, allowed_groups=narrowed(metadata.allowed_groups, groups))
        return described(stored, document, metadata, fields)

    def _intake(self, item: Item, fields: Mapping[str, Any]) -> str:
        given = msgspec.msgpack.encode(
            (item.location, item.root, item.source, self._source_id, item.metadata, dict(fields))
        )
        return self._recipe + blake2b(given, digest_size=16).hexdigest()

    def _require_size(self, content: bytes) -> None:
        largest = self._collection.settings.max_file_bytes
        if len(content) > largest:
            raise UnreadableError(f"it is larger than {largest:,} bytes")
        if not content.strip():
            raise UnreadableError("it is empty")


def described(
    stored: StoredDocument, document: Document, metadata: Metadata, fields: Mapping[str, Any]
) -> StoredDocument:
    """Return a stored document with what its source says and what was edited on top of it."""
    edits = parsed_fields(stored.edits, "edits")
    title = edits.get("title") or fields.get("title") or document.title
    told = replace(stored, metadata=with_fields(metadata, edits), title=title)
    return replace(told, fingerprint=fingerprint_of(told))


def fingerprint_of(stored: StoredDocument) -> str:
    """Return what changes with everything that an index holds of a document."""
    held = (
        stored.text_hash,
        stored.source,
        stored.title,
        stored.kind,
        stored.language,
        stored.metadata,
    )
    return blake2b(msgspec.msgpack.encode(held), digest_size=24).hexdigest()


def _stored(document: Document) -> tuple[bytes, bytes | None]:
    sketch = sketch_of([block.text for block in document.blocks])
    return packed(document), None if sketch is None else sketch.tobytes()
