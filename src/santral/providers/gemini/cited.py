"""What Gemini names as sources of an answer, as OpenAI's annotations with places in its text.

Google counts the bytes of UTF-8, OpenAI characters. Sources: https://ai.google.dev/api/generate-content
(GroundingMetadata, CitationMetadata) and https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from santral.wire.chat import NULL
from santral.wire.delta import ChoiceDelta, NativeBlock
from santral.wire.gemini import Candidate, Citation, GroundingMetadata, grounding_decoder

_encode = msgspec.json.Encoder().encode
_NOTHING = (b"", b"{}", b"null")


class Cited:
    """The sources of one candidate: they may come with any event, the last of each kind is whole."""

    __slots__ = ("_citations", "_grounding", "_text", "_url_context")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._grounding = NULL
        self._url_context = NULL

    def said(self, text: str) -> None:
        """Note more text of the answer: places are counted in it."""
        self._text.append(text)

    def note(self, candidate: Candidate) -> None:
        """Keep what an event says about sources."""
        if candidate.citation_metadata is not None and candidate.citation_metadata.citations:
            self._citations = candidate.citation_metadata.citations
        if _says(candidate.grounding_metadata):
            self._grounding = candidate.grounding_metadata
        if _says(candidate.url_context_metadata):
            self._url_context = candidate.url_context_metadata

    def end(self, index: int) -> Iterator[ChoiceDelta]:
        """Yield the annotations, then what only Gemini knows of them, whole."""
        annotations = self._annotations()
        if annotations:
            yield ChoiceDelta(index, annotations=annotations)
        native: dict[str, Raw] = {}
        if self._grounding is not NULL:
            native["groundingMetadata"] = self._grounding
        if self._url_context is not NULL:
            native["urlContextMetadata"] = self._url_context
        if native:
            yield ChoiceDelta(index, native=(NativeBlock("gemini", _encode(native)),))

    def _annotations(self) -> tuple[Raw, ...]:
        if not self._citations and self._grounding is NULL:
            return ()
        text = "".join(self._text).encode()
        made = [
            _annotation(text, cited.start_index, cited.end_index, cited.uri, cited.title)
            for cited in self._citations
            if cited.uri
        ]
        return (*made, *_grounded(text, self._grounding))


def _grounded(text: bytes, raw: Raw) -> Iterator[Raw]:
    if raw is NULL:
        return
    try:
        grounding = grounding_decoder.decode(raw)
    except msgspec.ValidationError:
        grounding = GroundingMetadata()  # it still rides along whole
    for support in grounding.grounding_supports:
        for number in support.grounding_chunk_indices:
            if support.segment is None or not 0 <= number < len(grounding.grounding_chunks):
                continue
            web = grounding.grounding_chunks[number].web
            if web is not None and web.uri:
                segment = support.segment
                yield _annotation(text, segment.start_index, segment.end_index, web.uri, web.title)


def _annotation(text: bytes, start: int, end: int, url: str, title: str) -> Raw:
    said = {
        "url": url,
        "title": title,
        "start_index": _characters(text, start),
        "end_index": _characters(text, end),
    }
    return Raw(_encode({"type": "url_citation", "url_citation": said}))


def _characters(text: bytes, size: int) -> int:
    return len(text[: max(0, size)].decode(errors="ignore"))


def _says(raw: Raw) -> bool:
    return bytes(raw) not in _NOTHING
