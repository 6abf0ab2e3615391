"""OpenAI chat answers as they come: tolerant views, whole completions, usage in disjoint classes.

Every field may be missing or null, as imitators leave them. Source:
https://platform.openai.com/docs/api-reference/chat/object and the same page's chunk object.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import ProviderGarbled
from santral.providers.openai_error import error_inside
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.usage import Usage


class WireFunction(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class WireToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: WireFunction | None = None


class WireContent(Struct):
    """``delta`` of a chunk and ``message`` of a whole answer."""

    role: str | None = None
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[WireToolCall] | None = None


class WireChoice(Struct):
    index: int | None = None
    delta: WireContent | None = None
    message: WireContent | None = None
    finish_reason: str | None = None


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's name for cached_tokens


class WireAnswer(Struct):
    """A chunk or a whole completion: every field may be missing or null."""

    id: str | int | None = None
    object: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[WireChoice] | None = None
    usage: _Usage | None = None
    error: Any = None


NO_CONTENT = WireContent()
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()
_decoder = msgspec.json.Decoder(WireAnswer)


def read_whole(body: bytes, *, secret: str = "") -> Delta:
    """Return a whole ``chat.completion`` as one delta; ``usage`` is None where it has none.

    Raises:
        ProviderGarbled: not JSON, or no completion.
        ProviderError: an error inside the 200.
    """
    answer = decode_answer(body)
    if answer.error or answer.object == "error":
        raise error_inside(answer.error or msgspec.json.decode(body), secret=secret)
    if not answer.choices:
        raise ProviderGarbled("The provider's answer has no choices.")
    return Delta(
        choices=tuple(_whole_choice(choice) for choice in answer.choices),
        usage=usage_of(answer.usage),
        raw=body,
        is_whole=True,
        id=str(answer.id or ""),
        model=answer.model or "",
        created=int(answer.created or 0),
    )


def decode_answer(data: bytes) -> WireAnswer:
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise ProviderGarbled(
            f"The provider's answer has a field of a wrong type: {error}."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        start = data.lstrip()[:1]
        what = "an HTML page" if start == b"<" else "not JSON"
        raise ProviderGarbled(f"The provider's answer is {what}.") from None


def _whole_choice(choice: WireChoice) -> ChoiceDelta:
    message = choice.message or choice.delta or NO_CONTENT
    return ChoiceDelta(
        index=choice.index or 0,
        text=text_of(message),
        refusal=message.refusal or "",
        reasoning=reasoning_of(message),
        tool_calls=tuple(
            _whole_call(position, call) for position, call in enumerate(message.tool_calls or ())
        ),
        finish_reason=finish_reason_of(choice) or "stop",
    )


def _whole_call(position: int, call: WireToolCall) -> ToolCallDelta:
    function = call.function or WireFunction()
    arguments = function.arguments or ""
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return ToolCallDelta(
        index=position, id=call.id or "", name=function.name or "", arguments=arguments
    )


def text_of(content: WireContent) -> str:
    """Return the text; Mistral's thinking models give it in parts."""
    text = content.content
    if isinstance(text, str):
        return text
    return "".join(part["text"] for part in text or () if isinstance(part.get("text"), str))


def reasoning_of(content: WireContent) -> str:
    """Return the reasoning, under whichever of its two names; objects are left to ``raw``."""
    reasoning = content.reasoning_content or content.reasoning
    return reasoning if isinstance(reasoning, str) else ""


def finish_reason_of(choice: WireChoice) -> str | None:
    """Return why the choice ended in OpenAI's words; some send an empty text for "not yet"."""
    reason = choice.finish_reason
    return _ENDS.get(reason, reason) if reason else None


#: What others call it. Sources: Mistral, TGI, Anthropic-like servers behind this dialect.
_ENDS = {
    "model_length": "length",
    "max_tokens": "length",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}


def usage_of(usage: _Usage | None) -> Usage | None:
    """Return usage in disjoint classes: OpenAI's prompt includes cached, its completion reasoning."""
    if usage is None or usage.prompt_tokens is None:
        return None
    prompt = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    read = prompt.cached_tokens or usage.prompt_cache_hit_tokens or 0
    write = prompt.cache_write_tokens or 0
    output, reasoning = usage.completion_tokens or 0, completion.reasoning_tokens or 0
    if (usage.total_tokens or 0) - usage.prompt_tokens - output == reasoning:
        output += reasoning  # xAI counts reasoning beside the completion, not inside
    return Usage(
        input_uncached=max(0, usage.prompt_tokens - read - write),
        cache_read=read,
        cache_write=write,
        output_text=max(0, output - reasoning),
        reasoning=reasoning,
    )
