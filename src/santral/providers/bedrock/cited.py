"""What Bedrock names as sources of an answer, as OpenAI's annotations.

A citation follows, or in a stream precedes, the text it is about; without a place in the answer it
stands at the text said so far. Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

_encode = msgspec.json.Encoder().encode


class _Source(Struct):
    text: str = ""


class _Web(Struct):
    url: str = ""


class _Location(Struct):
    web: _Web | None = None


class Citation(Struct, rename="camel"):
    """One source: a page of the web, or a document of the request."""

    title: str = ""
    source: str = ""
    source_content: list[_Source] = []
    location: _Location | None = None


def as_annotations(cited: Sequence[Citation], place: int) -> tuple[Raw, ...]:
    """Return the annotations; ``place`` is how many characters were said."""
    return tuple(_annotation(citation, place) for citation in cited)


def _annotation(citation: Citation, place: int) -> Raw:
    web = citation.location.web if citation.location is not None else None
    said = {
        "url": web.url if web is not None else citation.source,
        "title": citation.title,
        "start_index": place,
        "end_index": place,
        "cited_text": "".join(part.text for part in citation.source_content),
    }
    return Raw(_encode({"type": "url_citation", "url_citation": said}))
