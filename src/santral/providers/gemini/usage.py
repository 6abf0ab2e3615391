"""What a call to Gemini used, in disjoint classes.

``promptTokenCount`` includes cached tokens, ``candidatesTokenCount`` excludes those of thoughts, and
``toolUsePromptTokenCount`` stands apart. Source: https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from collections.abc import Sequence

from santral.wire.gemini import ModalityCount, UsageMetadata
from santral.wire.usage import Usage


def usage_of(counted: UsageMetadata) -> Usage:
    """Return the usage of one call; video and documents are billed, and counted, as text."""
    prompt = counted.prompt_token_count or 0
    asked = [*counted.prompt_tokens_details, *counted.tool_use_prompt_tokens_details]
    total = prompt + counted.tool_use_prompt_token_count
    cached = min(counted.cached_content_token_count, total)  # no detail is more than its whole
    audio = max(0, _of("AUDIO", asked) - _of("AUDIO", counted.cache_tokens_details))
    audio = min(audio, total - cached)
    image = max(0, _of("IMAGE", asked) - _of("IMAGE", counted.cache_tokens_details))
    image = min(image, total - cached - audio)
    said = _candidates(counted)
    audio_out = min(_of("AUDIO", counted.candidates_tokens_details), said)
    image_out = min(_of("IMAGE", counted.candidates_tokens_details), said - audio_out)
    return Usage(
        input_uncached=total - cached - audio - image,
        cache_read=cached,
        input_audio=audio,
        input_image=image,
        output_text=said - audio_out - image_out,
        reasoning=counted.thoughts_token_count,
        output_audio=audio_out,
        output_image=image_out,
    )


def _candidates(counted: UsageMetadata) -> int:
    """Tokens of the answer; some models (Gemma) leave them out and give the total alone."""
    if counted.candidates_token_count is not None:
        return counted.candidates_token_count
    asked = (counted.prompt_token_count or 0) + counted.tool_use_prompt_token_count
    return max(0, (counted.total_token_count or 0) - asked - counted.thoughts_token_count)


def _of(modality: str, counts: Sequence[ModalityCount]) -> int:
    return sum(count.token_count for count in counts if count.modality == modality)
