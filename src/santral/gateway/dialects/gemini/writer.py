"""Writes answers as Gemini's clients read them: ``GenerateContentResponse``, whole, as events, as an array.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import SantralError
from santral.gateway.citations.citation import Citation
from santral.gateway.context import RequestContext
from santral.gateway.dialects.gemini.cited import grounding
from santral.gateway.dialects.gemini.error import error_object
from santral.gateway.dialects.gemini.parts import Parts, joined
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.gemini import BROKEN, FINISH, FINISH_BACK, TIERS_BACK
from santral.wire.sse import encode_event
from santral.wire.usage import Usage

_encode = msgspec.json.Encoder().encode

#: Google's own words: they pass as they are where the answer came from Gemini.
_OWN_WORDS = frozenset(FINISH) | BROKEN | {"LANGUAGE", "OTHER", "IMAGE_OTHER", "NO_IMAGE"}

_JSON, _EVENTS = b"application/json", b"text/event-stream; charset=utf-8"


class _Url(Struct, frozen=True):
    url: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class _Annotation(Struct, frozen=True):
    url_citation: _Url | None = None
    gemini: Citation | None = None  # one of ours


class _Token(Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Token] = []


class _Logprobs(Struct, frozen=True):
    content: list[_Token] | None = None


_annotation = msgspec.json.Decoder(_Annotation)
_logprobs = msgspec.json.Decoder(_Logprobs)


class _Candidate:
    """One choice while it is written; what only its end knows waits here."""

    __slots__ = ("annotations", "finish", "logprobs", "parts", "text")

    def __init__(self, *, shows_thoughts: bool) -> None:
        self.parts = Parts(shows_thoughts=shows_thoughts)
        self.finish = ""
        self.text: list[str] = []
        self.annotations: list[Raw] = []
        self.logprobs: list[_Token] = []

    def add(self, choice: ChoiceDelta) -> list[Any]:
        self.text.append(choice.text)
        self.annotations += choice.annotations
        if choice.logprobs:
            self.logprobs += _logprobs.decode(choice.logprobs).content or ()
        if choice.finish_reason:
            native = choice.native_finish
            self.finish = (
                native if native in _OWN_WORDS else FINISH_BACK.get(choice.finish_reason, "OTHER")
            )
        return self.parts.add(choice)

    def beside(self) -> dict[str, Any]:
        """Return what stands beside the content in the candidate's last form."""
        made: dict[str, Any] = {"finishReason": self.finish or "STOP", **self.parts.beside}
        read = [_annotation.decode(raw) for raw in self.annotations]
        ours = [annotation.gemini for annotation in read if annotation.gemini is not None]
        urls = [annotation.url_citation for annotation in read if annotation.url_citation]
        if urls and "groundingMetadata" not in made:
            made["citationMetadata"] = {"citations": self._citations(urls)}
        if ours:
            own = self.parts.beside.get("groundingMetadata")
            made["groundingMetadata"] = grounding(ours, "".join(self.text), own)
        if self.logprobs:
            made["logprobsResult"] = _logprobs_result(self.logprobs)
        return made

    def _citations(self, cited: Sequence[_Url]) -> list[dict[str, Any]]:
        text = "".join(self.text)
        return [
            {
                "startIndex": len(text[: url.start_index].encode()),
                "endIndex": len(text[: url.end_index].encode()),
                "uri": url.url,
                "title": url.title,
            }
            for url in cited
        ]


class GeminiWriter:
    """Writes one answer. ``as_array`` streams a JSON array, as Google does without ``alt=sse``."""

    def __init__(self, ctx: RequestContext, *, shows_thoughts: bool, as_array: bool) -> None:
        self._ctx = ctx
        self._shows = shows_thoughts
        self._as_array = as_array
        self._candidates: dict[int, _Candidate] = {}
        self._id = self._model = self._tier = ""
        self._has_begun = False

    @property
    def content_type(self) -> bytes:
        """What a stream of this writer is."""
        return _JSON if self._as_array else _EVENTS

    def write(self, delta: Delta) -> bytes:
        """Return the event that says ``delta``; why the answer ended waits for the usage."""
        self._name(delta)
        said = [(choice.index, self._candidate(choice).add(choice)) for choice in delta.choices]
        candidates = [_content(index, parts) for index, parts in said if parts]
        return self._event(self._response(candidates)) if candidates else b""

    async def end(self, usage: Usage | None) -> bytes:
        """Return the last event: calls that were open, why it ended, what it used."""
        candidates = [
            _content(index, candidate.parts.flush() or [{"text": ""}]) | candidate.beside()
            for index, candidate in self._ended()
        ]
        last = self._event(self._response(candidates, usage))
        return last + (b"]" if self._as_array else b"")

    def fail(self, error: SantralError) -> bytes:
        """Return the error as the last event; official clients raise on it."""
        last = self._event({"error": error_object(error)})
        return last + (b"]" if self._as_array else b"")

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the response."""
        parts: dict[int, list[Any]] = {}
        for delta in deltas:
            self._name(delta)
            for choice in delta.choices:
                said = self._candidate(choice).add(choice)
                parts.setdefault(choice.index, []).extend(said)
        candidates = [
            _content(index, joined(parts.get(index, []) + candidate.parts.flush()))
            | candidate.beside()
            for index, candidate in self._ended()
        ]
        return _encode(self._response(candidates, usage))

    def _candidate(self, choice: ChoiceDelta) -> _Candidate:
        found = self._candidates.get(choice.index)
        if found is None:
            found = self._candidates[choice.index] = _Candidate(shows_thoughts=self._shows)
        return found

    def _ended(self) -> list[tuple[int, _Candidate]]:
        if not self._candidates:  # an answer without a single event is still one
            self._candidate(ChoiceDelta())
        return sorted(self._candidates.items())

    def _name(self, delta: Delta) -> None:
        self._id = self._id or delta.id
        self._model = self._model or delta.model
        self._tier = delta.service_tier or self._tier

    def _response(self, candidates: list[Any], usage: Usage | None = None) -> dict[str, Any]:
        made: dict[str, Any] = {"candidates": candidates}
        if usage is not None:
            made["usageMetadata"] = usage_metadata(usage, self._tier)
        made["modelVersion"] = self._model or self._ctx.requested_model
        made["responseId"] = self._id or self._ctx.request_id
        return made

    def _event(self, response: dict[str, Any]) -> bytes:
        data = _encode(response)
        if not self._as_array:
            return encode_event(data)
        start = b",\n" if self._has_begun else b"["
        self._has_begun = True
        return start + data


def usage_metadata(usage: Usage, tier: str = "") -> dict[str, Any]:
    """Return what was used as Google counts: the prompt with cached tokens, the answer without thoughts."""
    texts = usage.input_tokens - usage.input_audio - usage.input_image
    counts = (("TEXT", texts), ("IMAGE", usage.input_image), ("AUDIO", usage.input_audio))
    made: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning,
        "totalTokenCount": usage.total_tokens,
        "promptTokensDetails": [
            {"modality": modality, "tokenCount": count} for modality, count in counts if count
        ],
    }
    if usage.cache_read:
        made["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        made["thoughtsTokenCount"] = usage.reasoning
    if tier:
        made["serviceTier"] = TIERS_BACK.get(tier, tier)
    return made


def _content(index: int, parts: list[Any]) -> dict[str, Any]:
    return {"content": {"parts": parts, "role": "model"}, "index": index}


def _logprobs_result(tokens: list[_Token]) -> dict[str, Any]:
    return {
        "chosenCandidates": [_logprob(token) for token in tokens],
        "topCandidates": [
            {"candidates": [_logprob(top) for top in token.top_logprobs]} for token in tokens
        ],
    }


def _logprob(token: _Token) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
