"""Taking in one file: what it will be in the database, or that there is nothing to do."""

from __future__ import annotations

from hashlib import blake2b, sha256
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from santral.config.collections import CollectionConfig
from santral.retrieval.document import StoredChunk, StoredDocument, UnreadableError
from santral.retrieval.ingest.files import FoundFile
from santral.retrieval.reading.read import read_bytes, read_document
from santral.retrieval.reading.registry import kind_of
from santral.retrieval.splitting.split import recipe, split


class Prepared(Struct, frozen=True):
    """A file as it will be stored: with its chunks, or quarantined without."""

    document: StoredDocument
    chunks: tuple[StoredChunk, ...] = ()


class Unchanged(Struct, frozen=True):
    """The database already holds what is in the file."""


class Ignored(Struct, frozen=True):
    """The file is none of ours: a picture, a program."""


class Intake(Struct, frozen=True):
    """Reads files for one collection."""

    tenant_id: str
    collection: str
    config: CollectionConfig
    max_file_bytes: int

    @property
    def recipe(self) -> str:
        """What names the way documents are split now."""
        return recipe(self.config.child_tokens, self.config.parent_tokens)

    def take(self, file: FoundFile, known: StoredDocument | None) -> Prepared | Unchanged | Ignored:
        """Read a file that the database knows as ``known``; a bad one comes back quarantined."""
        content = b""
        try:
            content = read_bytes(Path(file.location), self.max_file_bytes)
            document = self._document(file, content)
            if known is not None and _is_same(known, document):
                return Unchanged()
            kind = kind_of(file.location, content)
            if kind is None and known is None and not file.is_named:
                return Ignored()
            if kind is None:
                raise UnreadableError("it is of no format that is read")
            return self._read(file, content, document)
        except UnreadableError as error:
            return Prepared(self._document(file, content, "quarantined", str(error)))

    def _document(
        self,
        file: FoundFile,
        content: bytes,
        status: Literal["indexed", "quarantined"] = "indexed",
        reason: str = "",
    ) -> StoredDocument:
        """Return what is known of a file before its text is."""
        return StoredDocument(
            id=self._id(file),
            location=file.location,
            root=file.root,
            source=file.source,
            title=Path(file.source).name,
            kind="",
            language="other",
            content_hash=sha256(content).hexdigest(),
            fingerprint=self.recipe,
            size_bytes=len(content),
            status=status,
            reason=reason,
        )

    def _read(self, file: FoundFile, content: bytes, known: StoredDocument) -> Prepared:
        read = read_document(file.location, content)
        document = replace(known, title=read.title, kind=read.kind, language=read.language)
        chunks = split(
            read.blocks,
            child_tokens=self.config.child_tokens,
            parent_tokens=self.config.parent_tokens,
        )
        stored = [
            StoredChunk(
                id=f"{document.id}-{chunk.position}",
                document_id=document.id,
                parent_id=f"{document.id}-p{chunk.parent}",
                position=chunk.position,
                section=chunk.section,
                page=chunk.page,
                separator=chunk.separator,
                text=chunk.text,
                tokens=chunk.tokens,
            )
            for chunk in chunks
        ]
        return Prepared(document, tuple(stored))

    def _id(self, file: FoundFile) -> str:
        place = "\0".join((self.tenant_id, self.collection, file.location))
        return blake2b(place.encode(), digest_size=12).hexdigest()


def _is_same(known: StoredDocument, document: StoredDocument) -> bool:
    """Whether a good document would come out as it is; a quarantined one is always tried again."""
    return all(
        getattr(known, name) == getattr(document, name)
        for name in ("status", "content_hash", "fingerprint", "source", "root")
    )
