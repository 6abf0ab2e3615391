"""Small indexes on disk, published without a database."""

from __future__ import annotations

from pathlib import Path

from santral.retrieval.document import StoredChunk
from santral.retrieval.index.embedded import generation
from santral.retrieval.index.embedded.generation import publish
from santral.retrieval.index.embedded.index import IndexMeta, IndexText, build_signals
from santral.retrieval.index.embedded.passages import IndexedDocument, pack_passages
from santral.wire.usage import estimate_tokens


def chunk(
    document: str, position: int, text: str, parent: int = 0, section: str = ""
) -> StoredChunk:
    return StoredChunk(
        id=f"{document}-{position}", document_id=document, parent_id=f"{document}-p{parent}",
        position=position, section=section, page=None, separator="\n\n", text=text,
        tokens=estimate_tokens(text),
    )  # fmt: skip


def put_index(data: Path, tenant: str, collection: str, texts: list[str], revision: int = 1) -> str:
    """Publish an index with one document per text."""
    documents = [
        IndexedDocument(f"d{n}", f"files/{n}.md", f"T{n}", "markdown", "en" if n % 2 else "tr")
        for n in range(len(texts))
    ]
    signals = build_signals([IndexText(text, "en") for text in texts], 16, lambda done: None)
    meta = IndexMeta(
        tenant_id=tenant, collection=collection, revision=revision, chunks=len(texts),
        dimensions=16, languages=signals.languages,
    )  # fmt: skip
    chunks = [[chunk(f"d{n}", 0, text, section=f"S{n} > x")] for n, text in enumerate(texts)]
    folder = generation.partition(data, tenant, collection)
    with generation.writing(folder):
        return publish(folder, meta, signals, pack_passages(documents, chunks))
