"""OpenAI chat answers as they come: tolerant views, whole completions, usage in disjoint classes.

Every field may be missing or null, as imitators leave them. Source:
https://platform.openai.com/docs/api-reference/chat/object and the same page's chunk object.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderGarbled
from santral.providers.decoded import decoded
from santral.providers.openai.carried import (
    annotations_of_search,
    logprobs_of,
    read_annotations,
    read_details,
    signature_of,
    transcript_of,
)
from santral.providers.openai.error import error_inside
from santral.providers.openai.whole import mended
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.usage import Usage


class WireFunction(Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class WireCustom(Struct, gc=False):
    name: str | None = None
    input: str | None = None


class WireToolCall(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: WireFunction | None = None
    custom: WireCustom | None = None  # a tool that takes plain text
    extra_content: Any = None  # Google's: the signature of a thought


class WireContent(Struct, gc=False):
    """``delta`` of a chunk and ``message`` of a whole answer."""

    role: str | None = None
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[WireToolCall] | None = None
    function_call: WireFunction | None = None  # what tool calls were before
    reasoning_details: Any = None
    annotations: Any = None
    audio: Any = None


class WireChoice(Struct, gc=False):
    index: int | None = None
    delta: WireContent | None = None
    message: WireContent | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class _PromptDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _Usage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's name for cached_tokens


class WireAnswer(Struct, gc=False):
    """A chunk or a whole completion: every field may be missing or null."""

    id: str | int | None = None
    object: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[WireChoice] | None = None
    usage: _Usage | None = None
    error: Any = None
    service_tier: Any = None
    search_results: Any = None  # Perplexity's sources, and their older form
    citations: Any = None


NO_CONTENT = WireContent()
NO_FUNCTION = WireFunction()
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()
answer_decoder = msgspec.json.Decoder(WireAnswer)


def read_whole(body: bytes, *, secret: str = "") -> Delta:
    """Return a whole ``chat.completion`` as one delta; ``usage`` is None where it has none.

    Raises:
        ProviderGarbled: not JSON, or no completion.
        ProviderError: an error inside the 200.
    """
    answer = decoded(answer_decoder.decode, body)
    if answer.error or answer.object == "error":
        raise error_inside(answer.error or msgspec.json.decode(body), secret=secret)
    if not answer.choices:
        raise ProviderGarbled("The provider's answer has no choices.")
    plain = _plain_choices(answer, answer.choices)
    choices = plain or tuple(_whole_choice(answer, choice) for choice in answer.choices)
    is_foreign = not plain and any(map(_is_foreign, answer.choices))
    return Delta(
        choices=choices,
        usage=usage_of(answer.usage),
        raw=mended(body, choices) if is_foreign else body,
        is_whole=True,
        id=str(answer.id or ""),
        model=answer.model or "",
        created=int(answer.created or 0),
        service_tier=tier_of(answer),
    )


#: Everything a choice may hold beside its text and its end, of a choice that holds no more.
_COMMON_ENDS = frozenset({"stop", "length", "content_filter"})
_NO_MORE = (0, None, None, None, None, None, None, None, None)


def _plain_choices(answer: WireAnswer, choices: list[WireChoice]) -> tuple[ChoiceDelta, ...] | None:
    """Return the one choice of the common answer, a text and its end, or None for another one.

    Measured: 5 us less than looking for each of the things that it does not hold.
    """
    choice, message = choices[0], choices[0].message
    if len(choices) != 1 or message is None or choice.finish_reason not in _COMMON_ENDS:
        return None
    rest = (
        choice.index,
        choice.logprobs,
        message.refusal,
        message.reasoning_content,
        message.reasoning,
        message.tool_calls,
        message.function_call,
        message.reasoning_details,
        message.audio,
    )
    if rest != _NO_MORE or message.annotations or answer.search_results or answer.citations:
        return None
    text = message.content
    if not isinstance(text, str):
        return None
    return (ChoiceDelta(0, text, finish_reason=choice.finish_reason),)


def _is_foreign(choice: WireChoice) -> bool:
    """Whether clients of OpenAI's would not read a choice: parts for a text, other ends, no ids."""
    message = choice.message or NO_CONTENT
    return (
        isinstance(message.content, list)
        or choice.finish_reason in _ENDS
        or any(not call.id or _is_foreign_call(call) for call in message.tool_calls or ())
    )


def _is_foreign_call(call: WireToolCall) -> bool:
    return call.function is not None and not isinstance(call.function.arguments, str)


def _whole_choice(answer: WireAnswer, choice: WireChoice) -> ChoiceDelta:
    message = choice.message or choice.delta or NO_CONTENT
    reasoned = read_details(message.reasoning_details)
    finish, native = finish_of(choice)
    calls = calls_of(message)
    return ChoiceDelta(
        index=choice.index or 0,
        text=text_of(message),
        refusal=message.refusal or "",
        reasoning=reasoning_of(message) or reasoned.text,
        tool_calls=tuple(_whole_call(position, call) for position, call in enumerate(calls)),
        finish_reason="tool_calls" if calls and finish in (None, "stop") else finish or "stop",
        details=reasoned.details,
        annotations=sources_of(answer, message),
        logprobs=logprobs_of(choice.logprobs),
        native_finish=native,
    )


def _whole_call(position: int, call: WireToolCall) -> ToolCallDelta:
    name, arguments = said_by(call)
    return ToolCallDelta(
        index=position,
        id=call.id or f"call_{position}",
        name=name,
        arguments=arguments,
        signature=signature_of(call.extra_content),
        kind="function" if call.custom is None else "custom",
    )


def calls_of(content: WireContent) -> list[WireToolCall]:
    """Return the tool calls; the one of OpenAI's first form, ``function_call``, is one of them."""
    if content.function_call is None:
        return content.tool_calls or []
    legacy = WireToolCall(index=0, function=content.function_call)
    return [*(content.tool_calls or ()), legacy]


def said_by(call: WireToolCall) -> tuple[str, str]:
    """Return name and arguments of a call; arguments that are no text are written out as JSON."""
    if call.custom is not None:
        return call.custom.name or "", call.custom.input or ""
    function = call.function or NO_FUNCTION
    arguments = function.arguments or ""
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return function.name or "", arguments


def sources_of(answer: WireAnswer, content: WireContent) -> tuple[Raw, ...]:
    """Return what the answer cites: the message's annotations, or what a search found."""
    if content.annotations:
        return read_annotations(content.annotations)
    if answer.search_results or answer.citations:
        return annotations_of_search(answer.search_results, answer.citations)
    return ()


def tier_of(answer: WireAnswer) -> str:
    return answer.service_tier if isinstance(answer.service_tier, str) else ""


def text_of(content: WireContent) -> str:
    """Return the text; Mistral's thinking models give it in parts, spoken answers as transcript."""
    text = content.content
    if isinstance(text, str) and text:
        return text
    if not text:
        return transcript_of(content.audio) if content.audio is not None else ""
    return "".join(part["text"] for part in text if isinstance(part.get("text"), str))


def reasoning_of(content: WireContent) -> str:
    """Return the reasoning, under whichever of its names; objects are left to ``raw``."""
    reasoning = content.reasoning_content or content.reasoning
    if reasoning is None and isinstance(content.content, list):
        return _thinking_parts(content.content)
    return reasoning if isinstance(reasoning, str) else ""


def _thinking_parts(parts: list[dict[str, Any]]) -> str:
    """Return the thinking parts of Mistral. Source: mistralai 3.7.0, thinkchunk.py"""
    pieces: list[dict[str, Any]] = []
    for part in parts:
        thinking = part.get("thinking")
        if isinstance(thinking, list):
            pieces += [piece for piece in cast("list[Any]", thinking) if isinstance(piece, dict)]
    return "".join(piece["text"] for piece in pieces if isinstance(piece.get("text"), str))


def finish_of(choice: WireChoice) -> tuple[str | None, str]:
    """Return why the choice ended in OpenAI's words, and in the vendor's where it says another.

    Some send an empty text for "not yet". A ``function_call`` is a tool call here.
    """
    reason = choice.finish_reason
    if not reason:
        return None, ""
    if reason == "function_call":
        return "tool_calls", reason
    return _ENDS.get(reason, reason), ""


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
    left = usage.prompt_tokens  # no detail is more than what it is a part of
    read = min(prompt.cached_tokens or usage.prompt_cache_hit_tokens or 0, left)
    write = min(prompt.cache_write_tokens or 0, left - read)
    heard = min(prompt.audio_tokens or 0, left - read - write)
    spoken = completion.audio_tokens or 0
    output, reasoning = usage.completion_tokens or 0, completion.reasoning_tokens or 0
    if (usage.total_tokens or 0) - usage.prompt_tokens - output == reasoning:
        output += reasoning  # xAI counts reasoning beside the completion, not inside
    reasoning = min(reasoning, output)
    spoken = min(spoken, output - reasoning)
    return Usage(
        input_uncached=left - read - write - heard,
        cache_read=read,
        cache_write=write,
        output_text=output - reasoning - spoken,
        reasoning=reasoning,
        input_audio=heard,
        output_audio=spoken,
    )
