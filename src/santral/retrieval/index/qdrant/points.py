"""Points: what a chunk, a document and a partition are in Qdrant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid5

import msgspec
import numpy as np

from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.document import Attribute, StoredChunk
from santral.retrieval.index.entry import Batch, IndexedDocument, Partition
from santral.retrieval.index.impact import impacts
from santral.retrieval.index.qdrant.connection import Json
from santral.retrieval.index.signal import Signal

#: Of points and payloads below. Another one is built anew from the control database.
FORMAT = 1
#: Names of the sparse vectors, and of the dense one.
STEMS, GRAMS, DENSE = "stems", "grams", "dense"

IndexKind: TypeAlias = Literal["keyword", "prefix", "integer", "float", "bool"]

#: Fields of a payload that searches look at, and how each is indexed there. ``born`` is the revision
#: that brought a point, ``died`` the one that took it; ``readers`` are groups, or everybody.
INDEXES: dict[str, IndexKind] = {
    "type": "keyword", "born": "integer", "died": "integer", "readers": "keyword",
    "position": "integer", "of.document": "prefix", "of.source": "prefix",
    "of.section": "prefix", "of.url": "prefix", "of.title": "prefix", "of.kind": "prefix",
    "of.language": "prefix", "of.lifecycle": "prefix", "of.owner": "prefix",
    "of.created_at": "float", "of.modified_at": "float", "of.page": "float",
}  # fmt: skip
#: A document's own fields that are indexed; more are searched, too, only slower. Chosen.
MAX_ATTRIBUTE_INDEXES = 64

_NAMESPACE = UUID(
    "6c0f3a5e-54f1-4d2f-8c39-6b7a1f0e9d21"
)  # chosen once: ids are the same everywhere
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_DOCUMENT_FIELDS = (
    "source", "title", "kind", "language", "url", "owner", "lifecycle", "created_at",
    "modified_at",
)  # fmt: skip
# Impacts are below 2: five digits are more than a float of 16 bits keeps.
_DIGITS = 5


def partition_id(partition: Partition) -> UUID:
    """Return what names a partition on a server."""
    return _id("partition", partition.tenant_id, partition.collection, str(partition.version))


#: Among the readers of a document that asks for no group; none has a name like it.
EVERYBODY = "everybody"


def of_group(group: str) -> str:
    """Return a group as one of the readers of a document."""
    return f"group {group}"


def attribute_key(name: str) -> str:
    """Return where a document's own field stands in a payload, whatever letters its name has."""
    plain = _PLAIN.fullmatch(name)
    return f"of.attributes.{'p_' + name if plain else 'x_' + name.encode().hex()}"


def attribute_kind(value: Attribute) -> IndexKind:
    """Return how a document's own field is indexed."""
    if isinstance(value, bool):
        return "bool"
    return "prefix" if isinstance(value, str) else "float"


def index_schema(kind: IndexKind) -> Json:
    """Return Qdrant's description of an index."""
    if kind == "prefix":
        return {"type": "keyword", "prefix": True}
    return {"type": kind}


def collection_schema() -> Json:
    """Return Qdrant's description of a collection; its dense vector is added when its length is known."""
    sparse = {"modifier": "idf"}
    return {"vectors": {}, "sparse_vectors": {STEMS: sparse, GRAMS: sparse}}


def dense_schema(dimensions: int) -> Json:
    """Return Qdrant's description of the dense vector."""
    return {"dense": {"size": dimensions, "distance": "Dot"}}


def document_points(batch: Batch, revision: int) -> Iterator[Json]:
    """Yield the points that say which documents are in."""
    for document in batch.documents:
        yield {
            "id": str(_id("document", document.id, str(revision))),
            "vector": {},
            "payload": {
                "type": "document",
                "born": revision,
                "of": {"document": document.id, "language": document.language},
                "fingerprint": document.fingerprint,
            },
        }


def chunk_points(batch: Batch, revision: int) -> Iterator[Json]:
    """Yield the points that are searched."""
    stems = _sparse(batch.stems, "bm25")
    grams = _sparse(batch.grams, "ngrams")
    has_vectors = batch.vectors.shape[1] > 0
    owners: list[int] = batch.of.tolist()
    rows = zip(batch.chunks, owners, stems, grams, batch.vectors, strict=True)
    for chunk, owner, stem, gram, vector in rows:
        dense = {DENSE: vector.tolist()} if has_vectors else {}
        # A vector without an entry is left out: Qdrant takes none that is empty.
        sparse = {name: one for name, one in ((STEMS, stem), (GRAMS, gram)) if one["indices"]}
        yield {
            "id": str(_id("chunk", chunk.document_id, chunk.id, str(revision))),
            "vector": {**sparse, **dense},
            "payload": _payload(batch.documents[owner], chunk, revision),
        }


def read_chunk(payload: Mapping[str, Any]) -> StoredChunk:
    """Return the chunk of a point."""
    return msgspec.json.decode(payload["chunk"], type=StoredChunk)


def read_document(payload: Mapping[str, Any]) -> IndexedDocument:
    """Return the document of a point."""
    return msgspec.json.decode(payload["document"], type=IndexedDocument)


def read_vector(vector: object) -> Floats | None:
    """Return the dense vector of a point, where it has one."""
    if isinstance(vector, dict) and DENSE in vector:
        return np.array(vector[DENSE], np.float32)
    return None


def _payload(document: IndexedDocument, chunk: StoredChunk, revision: int) -> Json:
    of: dict[str, Any] = {name: getattr(document, name) for name in _DOCUMENT_FIELDS}
    of.update(document=document.id, section=chunk.section, page=chunk.page)
    of = {name: value for name, value in of.items() if value not in ("", None)}
    of["attributes"] = {
        attribute_key(name).removeprefix("of.attributes."): value
        for name, value in document.attributes.items()
        if value != ""
    }
    return {
        "type": "chunk",
        "born": revision,
        "readers": [of_group(group) for group in document.allowed_groups] or [EVERYBODY],
        "position": chunk.position,
        "of": of,
        "chunk": msgspec.json.encode(chunk).decode(),
        "document": msgspec.json.encode(document).decode(),
    }


def _sparse(terms: Terms, signal: Signal) -> Iterator[Json]:
    """Yield the sparse vector of each chunk; Qdrant multiplies by rarity when it searches."""
    values = np.round(impacts(terms, signal).astype(np.float64), _DIGITS)
    for start, end in zip(terms.starts[:-1].tolist(), terms.starts[1:].tolist(), strict=True):
        yield {
            "indices": terms.keys[start:end].tolist(),
            "values": values[start:end].tolist(),
        }


def _id(*parts: str) -> UUID:
    return uuid5(_NAMESPACE, "\x1f".join(parts))
