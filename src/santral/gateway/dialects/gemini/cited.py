"""Citations as Gemini's clients read them: chunks that ground an answer, and what each supports.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from santral.gateway.citations.citation import Citation

_fields = msgspec.json.Decoder(dict[str, Any])


def grounding(citations: Sequence[Citation], text: str, own: Raw | None = None) -> dict[str, Any]:
    """Return ``groundingMetadata`` of an answer's text; places are counted in bytes of UTF-8.

    ``own`` is what the provider said itself: ours follows it.
    """
    fields = {} if own is None else _fields.decode(own)
    chunks: list[Any] = [*(fields.get("groundingChunks") or ())]
    supports: list[Any] = [*(fields.get("groundingSupports") or ())]
    known: dict[tuple[Any, ...], int] = {}
    claims: dict[tuple[int, int], list[int]] = {}
    for cited in citations:
        key = (cited.number, cited.start, cited.end)
        if key not in known:
            known[key] = len(chunks)
            chunks.append(_chunk(cited))
        places = claims.setdefault((cited.claim_start, cited.claim_end), [])
        if known[key] not in places:
            places.append(known[key])
    for (start, end), places in claims.items():
        supports.append({"segment": _segment(text, start, end), "groundingChunkIndices": places})
    return {**fields, "groundingChunks": chunks, "groundingSupports": supports}


def _chunk(cited: Citation) -> dict[str, Any]:
    retrieved: dict[str, Any] = {
        "uri": cited.address,
        "title": cited.name,
        "text": cited.quote,
        "documentName": cited.document,
    }
    if cited.page is not None:
        span = {"firstPage": cited.page, "lastPage": cited.end_page or cited.page}
        retrieved["ragChunk"] = {"text": cited.quote, "pageSpan": span}
    return {"retrievedContext": retrieved, "santral": cited.facts()}


def _segment(text: str, start: int, end: int) -> dict[str, Any]:
    return {
        "startIndex": len(text[:start].encode()),
        "endIndex": len(text[:end].encode()),
        "text": text[start:end],
    }
