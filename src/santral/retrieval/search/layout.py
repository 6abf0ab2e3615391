"""Layout: chunks of a document become one text again, and every stretch of it keeps its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.document import StoredChunk
from santral.wire.delta import Piece

#: Between two pieces of a passage that do not follow each other.
GAP = "\n\n[…]\n\n"


class Text(Struct, frozen=True):
    """A passage, and where its pieces stand in their document, in order."""

    text: str
    pieces: tuple[Piece, ...]

    def first(self, letters: int) -> Text:
        """Return the beginning of the passage."""
        pieces = [
            replace(piece, end=min(piece.end, letters))
            for piece in self.pieces
            if piece.at < letters
        ]
        return Text(self.text[:letters], tuple(pieces))


def lay(chunks: Sequence[StoredChunk]) -> Text:
    """Join chunks of one document, in reading order, as they stood in it.

    What two of them share (windows overlap) stands once; a heading is put in front of each new
    section, a gap where something is left out between two.
    """
    parts: list[str] = []
    pieces: list[Piece] = []
    length, before = 0, None
    for chunk in chunks:
        shared = _shared(before, chunk)
        if shared >= len(chunk.text):
            continue
        between = _between(before, chunk, shared)
        parts += [between, chunk.text[shared:]]
        length += len(between)
        pieces.extend(_pieces(chunk, shared, length))
        length += len(chunk.text) - shared
        before = chunk
    return Text("".join(parts), tuple(pieces))


def _shared(before: StoredChunk | None, chunk: StoredChunk) -> int:
    """Return how many letters of a chunk the one before it has given already."""
    if before is None or not before.end:
        return 0
    return max(0, before.end - chunk.start)


def _between(before: StoredChunk | None, chunk: StoredChunk, shared: int) -> str:
    if before is None or shared:
        return ""
    follows = chunk.position == before.position + 1
    heading = chunk.section.rpartition(" > ")[2]
    is_new = chunk.section != before.section and bool(heading)
    return (chunk.separator if follows else GAP) + (f"{heading}\n" if is_new else "")


def _pieces(chunk: StoredChunk, shared: int, at: int) -> Iterator[Piece]:
    """Yield the stretches of a chunk from ``shared`` on, one for each page; it begins at ``at``."""
    breaks = [(mark.at, mark.page) for mark in chunk.pages] or [(0, chunk.page)]
    ends = [*(start for start, _ in breaks[1:]), len(chunk.text)]
    for (start, page), end in zip(breaks, ends, strict=True):
        first = max(start, shared)
        if first < end:
            yield Piece(
                chunk_id=chunk.id,
                at=at + first - shared,
                end=at + end - shared,
                start=chunk.start + first,
                page=page,
            )
