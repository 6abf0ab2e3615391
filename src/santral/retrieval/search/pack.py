"""Packing: ranked chunks become the passages that are given to a model, within a token budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.entry import Candidate
from santral.retrieval.search.layout import Text, lay
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.result import Ranked
from santral.wire.delta import Source
from santral.wire.usage import estimate_tokens

#: Returns the chunks of a document at positions, within what the asker may see.
Stretch: TypeAlias = Callable[[str, int, int], Awaitable[Sequence[StoredChunk]]]

#: A chunk joins the passage of a better one of its parent from this share of its score. Chosen.
JOIN_SHARE = 0.5
#: Chunks of a parent looked for on either side of a found one, and of a whole document at a time.
#: Chosen: the longest parents have some fifty.
_REACH = 64


class _Group(Struct):
    """Hits that become one passage: those of a parent, best first."""

    best: Ranked
    hits: list[Ranked]

    @property
    def candidate(self) -> Candidate:
        return self.best.candidate

    def chunks(self) -> list[StoredChunk]:
        """Return the chunks that were found, in reading order."""
        return sorted((hit.candidate.chunk for hit in self.hits), key=lambda one: one.position)


async def pack(
    ranked: Sequence[Ranked], options: SearchOptions, stretch: Stretch, collection: str = ""
) -> list[Source]:
    """Return up to ``top_k`` passages made of ranked chunks, numbered in the order to be read.

    Hits of one parent become one passage, as ``parents`` and ``neighbours`` say. A passage that does
    not fit the rest of the budget gives way to what was found of it, then is left out; the first one
    is cut instead.
    """
    packed: list[Source] = []
    whole: set[str] = set()
    left = options.max_tokens
    for group in _grouped(ranked, options):
        if len(packed) == options.top_k:
            break
        document = group.candidate.document.id
        if document in whole:
            continue
        text, is_whole = await _text_of(group, options, stretch, left, is_first=not packed)
        if not text.text or any(text.text == source.text for source in packed):
            continue
        if is_whole:
            whole.add(document)
        packed.append(_source(group, text, collection))
        left = options.max_tokens - sum(estimate_tokens(source.text) for source in packed)
    return [
        replace(source, number=number)
        for number, source in enumerate(_ordered(packed, options.order), 1)
    ]


def cut(text: str, max_tokens: int) -> str:
    """Return the first sentences of a text that fit a budget; of a longer one its first words."""
    kept = 0
    for sentence in sentences(text):
        end = text.find(sentence, kept) + len(sentence)
        if estimate_tokens(text[:end]) > max_tokens:
            break
        kept = end
    return text[:kept] or text.encode()[: max_tokens * 3].decode(errors="ignore")


def _grouped(ranked: Sequence[Ranked], options: SearchOptions) -> Iterable[_Group]:
    """Return the hits of each parent, best first; each alone where parents are not to be given."""
    groups: dict[str, _Group] = {}
    for hit in ranked:
        chunk = hit.candidate.chunk
        key = chunk.id if options.parents == "never" else chunk.parent_id
        group = groups.setdefault(key, _Group(hit, []))
        if hit.score >= JOIN_SHARE * group.best.score:
            group.hits.append(hit)
    return groups.values()


async def _text_of(
    group: _Group, options: SearchOptions, stretch: Stretch, left: int, *, is_first: bool
) -> tuple[Text, bool]:
    """Return the passage of a group, and whether it is the whole document."""
    if options.whole_document_tokens:
        most = min(options.whole_document_tokens, left)
        document = await _whole_document(group.candidate, stretch, most)
        if document:
            return lay(document), True
    wide = await _wide(group, options, stretch)
    if wide and _fits(lay(wide), left):
        return lay(wide), False
    found = _fitting(group, left)
    if found:
        return lay(found), False
    if not is_first:
        return Text("", ()), False
    best = group.candidate.chunk
    return lay([best]).first(len(cut(best.text, left))), False


async def _whole_document(
    candidate: Candidate, stretch: Stretch, most: int
) -> list[StoredChunk] | None:
    """Return all chunks of a document, or nothing where it has more than ``most`` tokens."""
    chunks: list[StoredChunk] = []
    while True:
        more = await stretch(candidate.document.id, len(chunks), len(chunks) + _REACH - 1)
        chunks.extend(more)
        if sum(chunk.tokens for chunk in chunks) > most or not chunks:
            return None
        if len(more) < _REACH:
            return chunks if _fits(lay(chunks), most) else None


async def _wide(group: _Group, options: SearchOptions, stretch: Stretch) -> list[StoredChunk]:
    """Return the passage as it should be if there is room: joined, with parent and neighbours."""
    found = group.chunks()
    first, last = found[0].position, found[-1].position
    document, parent = found[0].document_id, group.candidate.chunk.parent_id
    if options.parents == "always":
        around = await stretch(document, max(first - _REACH, 0), last + _REACH)
        own = [chunk for chunk in around if chunk.parent_id == parent]
        first = min([first, *(chunk.position for chunk in own)])
        last = max([last, *(chunk.position for chunk in own)])
    first, last = max(first - options.neighbours, 0), last + options.neighbours
    if last - first + 1 == len(found):
        return found
    return list(await stretch(document, first, last))


def _fitting(group: _Group, left: int) -> list[StoredChunk]:
    """Return the chunks that were found, those near the best first, as far as they fit."""
    best = group.candidate.chunk
    kept: list[StoredChunk] = []
    for chunk in sorted(group.chunks(), key=lambda one: abs(one.position - best.position)):
        wanted = sorted([*kept, chunk], key=lambda one: one.position)
        if _fits(lay(wanted), left):
            kept = wanted
        elif chunk.position == best.position:
            return []
    return kept


def _fits(text: Text, left: int) -> bool:
    return estimate_tokens(text.text) <= left


def _ordered(sources: list[Source], order: str) -> list[Source]:
    """Return the passages, best first, in the order to be read.

    ``edges``: the best first, the second best last, and so on inwards.
    Source: Liu et al., Lost in the Middle, 2023, section 4.
    """
    if order != "edges":
        return sources
    return [*sources[::2], *reversed(sources[1::2])]


def _source(group: _Group, text: Text, collection: str) -> Source:
    chunk, document = group.candidate.chunk, group.candidate.document
    return Source(
        number=0,
        chunk_id=chunk.id,
        document=document.source,
        text=text.text,
        title=document.title,
        section=chunk.section,
        page=chunk.page,
        url=document.url,
        score=round(group.best.score, 4),
        tags={"kind": document.kind, "language": document.language},
        document_id=document.id,
        collection=collection,
        pieces=text.pieces,
    )
