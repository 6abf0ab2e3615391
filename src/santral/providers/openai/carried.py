"""What an answer carries beside its text: signed reasoning, sources, signatures, sound.

Vendors put these into chat completions in shapes of their own, so they are read leniently: what is
not as documented is left to the answer's bytes. Sources: OpenRouter's ``reasoning_details``
(https://openrouter.ai/docs/use-cases/reasoning-tokens), OpenAI's ``annotations`` and ``audio``
(https://platform.openai.com/docs/api-reference/chat/object), Google's ``extra_content``
(https://ai.google.dev/gemini-api/docs/thought-signatures), Perplexity's ``search_results``
(https://docs.perplexity.ai/api-reference/chat-completions-post).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Raw, Struct

from santral.providers.conversation.messages import SPAN
from santral.wire.delta import ReasoningDetail

_encode = msgspec.json.encode
_Kind: TypeAlias = Literal["text", "encrypted", "summary"]


class _Detail(Struct):
    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    format: str | None = None


class _SearchResult(Struct):
    url: str
    title: str | None = None


class Reasoned(Struct, frozen=True):
    """The text of some reasoning details, and what their vendor wants back."""

    text: str = ""
    details: tuple[ReasoningDetail, ...] = ()


_NOTHING = Reasoned()


def read_details(value: Any, open_characters: int = 0) -> Reasoned:
    """Return ``reasoning_details``; only what is signed, sealed or named has to come back.

    ``open_characters`` is the length of the reasoning that came before and that no detail closed.
    """
    if value is None:  # nearly always; measured: 3 us, for an error that is made and caught
        return _NOTHING
    try:
        read = msgspec.convert(value, list[_Detail])
    except msgspec.ValidationError:
        return _NOTHING
    texts: list[str] = []
    details: list[ReasoningDetail] = []
    for detail in read:
        said = detail.text or detail.summary or ""
        texts.append(said)
        open_characters += len(said)
        if detail.signature or detail.data:
            details.append(_kept(detail, open_characters))
            open_characters = 0 if detail.type != "reasoning.encrypted" else open_characters
    return Reasoned("".join(texts), tuple(details))


def _kept(detail: _Detail, characters: int) -> ReasoningDetail:
    kind = detail.type.removeprefix("reasoning.")
    is_closing = kind == "text" and characters > 0
    return ReasoningDetail(
        type=cast("_Kind", kind) if kind in ("encrypted", "summary") else "text",
        signature=detail.signature or "",
        data=detail.data or "",
        id=detail.id or (f"{SPAN}{characters}" if is_closing else ""),
        format=detail.format or "",
    )


def read_annotations(value: Any) -> tuple[Raw, ...]:
    """Return ``annotations`` as they are."""
    if not isinstance(value, list):
        return ()
    return tuple(Raw(_encode(entry)) for entry in cast("list[Any]", value))


def annotations_of_search(results: Any, citations: Any) -> tuple[Raw, ...]:
    """Return what a search found as annotations; Perplexity does not say which words they support."""
    try:
        found = msgspec.convert(results or (), list[_SearchResult])
    except msgspec.ValidationError:
        found = []
    if not found and isinstance(citations, list):
        urls = cast("list[Any]", citations)
        found = [_SearchResult(url) for url in urls if isinstance(url, str)]
    return tuple(
        Raw(
            _encode(
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": result.url,
                        "title": result.title or "",
                        "start_index": 0,
                        "end_index": 0,
                    },
                }
            )
        )
        for result in found
    )


def signature_of(extra_content: Any) -> str:
    """Return the thought signature of a tool call."""
    google = _field(extra_content, "google")
    signature = _field(google, "thought_signature")
    return signature if isinstance(signature, str) else ""


def transcript_of(audio: Any) -> str:
    """Return what a spoken answer says."""
    transcript = _field(audio, "transcript")
    return transcript if isinstance(transcript, str) else ""


def logprobs_of(value: Any) -> bytes:
    """Return log-probabilities in OpenAI's chat form, or nothing."""
    content = _field(value, "content")
    return _encode(value) if isinstance(content, list) else b""


def _field(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
