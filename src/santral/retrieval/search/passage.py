"""Passages: found chunks become the text that is given to a model, within a token budget."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.embedded.passages import Passages
from santral.wire.delta import Source
from santral.wire.usage import estimate_tokens

#: Between two pieces of a passage that do not follow each other.
GAP = "\n\n[…]\n\n"

#: A chunk joins the passage of a better one of its parent from this share of its score. Chosen.
JOIN_SHARE = 0.5

Hit: TypeAlias = tuple[int, float]


def select_passages(
    passages: Passages, hits: Sequence[Hit], *, top_k: int, max_tokens: int
) -> list[Source]:
    """Return up to ``top_k`` passages made of the hits (best first), numbered from 1.

    Hits of one parent become one passage, with what stands between them where that fits. A passage
    that does not fit the rest of the budget is left out, the first one is cut instead.
    """
    sources: list[Source] = []
    left = max_tokens
    for row, score, joined in _by_parent(passages, hits):
        if len(sources) == top_k:
            break
        chunks = _within(passages, row, joined, left)
        text = _text(chunks) if chunks else ""
        if not chunks and not sources:
            chunks, text = [passages.chunk(row)], cut(passages.chunk(row).text, left)
        if not text or any(text == source.text for source in sources):
            continue
        left -= estimate_tokens(text)
        sources.append(_source(passages, row, text, score, len(sources) + 1))
    return sources


def cut(text: str, max_tokens: int) -> str:
    """Return the first sentences of a text that fit a budget; of a longer one its first words."""
    kept = ""
    for sentence in sentences(text):
        longer = f"{kept} {sentence}" if kept else sentence
        if estimate_tokens(longer) > max_tokens:
            break
        kept = longer
    return kept or text.encode()[: max_tokens * 3].decode(errors="ignore")


def _by_parent(passages: Passages, hits: Sequence[Hit]) -> list[tuple[int, float, list[int]]]:
    """Return (best row, its score, all its rows) of each parent, best first."""
    groups: dict[str, tuple[int, float, list[int]]] = {}
    for row, score in hits:
        parent = passages.chunk(row).parent_id
        best = groups.setdefault(parent, (row, score, []))
        if score >= JOIN_SHARE * best[1]:
            best[2].append(row)
    return list(groups.values())


def _within(passages: Passages, best: int, rows: list[int], left: int) -> list[StoredChunk]:
    """Return the chunks of a passage: the stretch from its first to its last hit where it fits."""
    stretch = [passages.chunk(row) for row in range(min(rows), max(rows) + 1)]
    if estimate_tokens(_text(stretch)) <= left:
        return stretch
    kept: list[int] = []
    for row in sorted(rows, key=lambda row: (abs(row - best), row)):
        wanted = sorted([*kept, row])
        if estimate_tokens(_text([passages.chunk(item) for item in wanted])) <= left:
            kept = wanted
        elif row == best:
            return []
    return [passages.chunk(row) for row in kept]


def _text(chunks: Sequence[StoredChunk]) -> str:
    """Join chunks as they stood in the document, a heading in front of each new section."""
    parts: list[str] = [chunks[0].text]
    for before, chunk in pairwise(chunks):
        follows = chunk.position == before.position + 1
        parts.append(chunk.separator if follows else GAP)
        if chunk.section != before.section:
            parts.append(chunk.section.rpartition(" > ")[2] + "\n")
        parts.append(chunk.text)
    return "".join(parts)


def _source(passages: Passages, row: int, text: str, score: float, number: int) -> Source:
    chunk, document = passages.chunk(row), passages.document_of(row)
    return Source(
        number=number,
        chunk_id=chunk.id,
        document=document.source,
        text=text,
        title=document.title,
        section=chunk.section,
        page=chunk.page,
        score=round(score, 4),
        tags={"kind": document.kind, "language": document.language},
    )
