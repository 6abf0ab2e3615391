"""Gemini's generateContent as Google speaks it: answers, parts and the words both directions share.

Every field may be missing: the API leaves out what is empty. Parts of a kind that is not named here
stay raw. Source: https://ai.google.dev/api/generate-content, and the types of google-genai 3.4.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.wire.chat import NULL

#: What a request sends in place of a thought signature where a call was not made by Gemini.
#: Source: https://ai.google.dev/gemini-api/docs/thought-signatures
SKIP_SIGNATURE = "skip_thought_signature_validator"

#: The format of Gemini's own reasoning details. Source: OpenRouter's reasoning_details.
FORMAT = "google-gemini-v1"


class Blob(Struct, frozen=True, rename="camel"):
    data: str = ""
    mime_type: str = ""


class FileData(Struct, frozen=True, rename="camel"):
    file_uri: str = ""
    mime_type: str = ""


class FunctionCall(Struct, frozen=True, rename="camel"):
    name: str = ""
    args: Raw = NULL
    id: str = ""


class FunctionResponse(Struct, frozen=True, rename="camel"):
    name: str = ""
    response: Raw = NULL
    id: str = ""
    parts: list[Part] = []


class Part(Struct, frozen=True, rename="camel"):
    """One part of a content; with none of these fields it is a kind that stays raw."""

    text: str | None = None
    thought: bool = False
    thought_signature: str = ""
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None


class Content(Struct, frozen=True, rename="camel"):
    parts: list[Raw] | None = None
    role: str = ""


class ModalityCount(Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: int = 0


class UsageMetadata(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    total_token_count: int | None = None
    cached_content_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    prompt_tokens_details: list[ModalityCount] = []
    cache_tokens_details: list[ModalityCount] = []
    candidates_tokens_details: list[ModalityCount] = []
    tool_use_prompt_tokens_details: list[ModalityCount] = []
    service_tier: str = ""


class Web(Struct, frozen=True, rename="camel"):
    uri: str = ""
    title: str = ""


class GroundingChunk(Struct, frozen=True, rename="camel"):
    web: Web | None = None


class Segment(Struct, frozen=True, rename="camel"):
    """Where in the answer; the indexes count bytes of UTF-8."""

    start_index: int = 0
    end_index: int = 0


class GroundingSupport(Struct, frozen=True, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] = []


class GroundingMetadata(Struct, frozen=True, rename="camel"):
    grounding_chunks: list[GroundingChunk] = []
    grounding_supports: list[GroundingSupport] = []


class Citation(Struct, frozen=True, rename="camel"):
    start_index: int = 0
    end_index: int = 0
    uri: str = ""
    title: str = ""


class CitationMetadata(Struct, frozen=True, rename="camel"):
    citations: list[Citation] = []


class TokenLogprob(Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class TopCandidates(Struct, frozen=True, rename="camel"):
    candidates: list[TokenLogprob] = []


class LogprobsResult(Struct, frozen=True, rename="camel"):
    chosen_candidates: list[TokenLogprob] = []
    top_candidates: list[TopCandidates] = []


class Candidate(Struct, frozen=True, rename="camel"):
    content: Content | None = None
    finish_reason: str = ""
    finish_message: str = ""
    index: int = 0
    citation_metadata: CitationMetadata | None = None
    grounding_metadata: Raw = NULL
    url_context_metadata: Raw = NULL
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(Struct, frozen=True, rename="camel"):
    block_reason: str = ""
    block_reason_message: str = ""


class Answer(Struct, frozen=True, rename="camel"):
    """``GenerateContentResponse``: a whole answer and an event of a stream alike."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    response_id: str = ""
    error: Any = None


class CountTokensAnswer(Struct, frozen=True, rename="camel"):
    total_tokens: int = 0


answer_decoder = msgspec.json.Decoder(Answer)
part_decoder = msgspec.json.Decoder(Part)
grounding_decoder = msgspec.json.Decoder(GroundingMetadata)

#: Gemini's finish reasons as OpenAI's; what is not here is ``stop``, and keeps its own word beside it.
#: Source: https://ai.google.dev/api/generate-content#FinishReason, google-genai 3.4 FinishReason.
FINISH: dict[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}

#: The model's own mistakes: with nothing said there is no answer, and another attempt may have one.
BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)

#: OpenAI's finish reasons as Gemini's, for callers that speak Gemini.
FINISH_BACK: dict[str, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}

#: Service tiers by Google's words. Source: google-genai 3.4 ServiceTier; standard is the default.
TIERS: dict[str, str] = {"standard": "default"}
TIERS_BACK: dict[str, str] = {"default": "standard", "flex": "flex", "priority": "priority"}
