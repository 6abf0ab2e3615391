"""Usage as providers report it, also where they report nonsense: nothing twice, nothing below zero."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.providers.bedrock import shapes as bedrock_shapes
from santral.providers.gemini import usage as gemini_usage
from santral.providers.openai.answer import read_whole
from santral.providers.responses import wire as responses_wire
from santral.wire.gemini import UsageMetadata
from santral.wire.messages import MessagesUsage
from santral.wire.usage import CLASSES, MOST_TOKENS, Usage

COUNTS = st.one_of(st.integers(0, 500), st.integers(-(10**20), 10**20), st.none())


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields; ``a.b`` is field b of an object a."""
    return st.dictionaries(st.sampled_from(names), COUNTS).map(_nested)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split(".")
        place = made.setdefault(outer[0], {}) if outer else made
        place[last] = value
    return made


OPENAI = objects(
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.cache_write_tokens", "prompt_tokens_details.audio_tokens",
    "completion_tokens_details.reasoning_tokens", "completion_tokens_details.audio_tokens",
)  # fmt: skip
RESPONSES = objects(
    "input_tokens", "output_tokens", "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_write_tokens", "output_tokens_details.reasoning_tokens",
)  # fmt: skip
MESSAGES = objects(
    "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens", "output_tokens_details.thinking_tokens",
)  # fmt: skip
GEMINI = objects(
    "promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount", "thoughtsTokenCount",
    "toolUsePromptTokenCount", "totalTokenCount",
)  # fmt: skip
BEDROCK = objects(
    "inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"
)  # fmt: skip


def openai_usage(given: dict[str, Any]) -> Usage | None:
    choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
    return read_whole(json.dumps({"choices": [choice], "usage": given}).encode()).usage


def responses_usage(given: dict[str, Any]) -> Usage | None:
    return responses_wire.usage_of(responses_wire.Response(usage=_read(given, responses_wire)))


def _read(given: dict[str, Any], module: Any) -> Any:
    return msgspec.convert({"usage": given}, module.Response).usage


@given(st.data())
@pytest.mark.parametrize("name", ["openai", "responses", "messages", "gemini", "bedrock"])
def test_no_report_is_believed_below_zero_or_beyond_reason(name: str, data: st.DataObject) -> None:
    shapes: dict[str, Any] = {
        "openai": (OPENAI, openai_usage),
        "responses": (RESPONSES, responses_usage),
        "messages": (MESSAGES, lambda g: msgspec.convert(g, MessagesUsage).classes),
        "gemini": (GEMINI, lambda g: gemini_usage.usage_of(msgspec.convert(g, UsageMetadata))),
        "bedrock": (
            BEDROCK,
            lambda g: bedrock_shapes.usage_of(msgspec.convert(g, bedrock_shapes.TokenUsage)),
        ),
    }
    objects, read = shapes[name]
    try:
        usage = read(data.draw(objects))
    except msgspec.ValidationError:
        return  # its reader refuses the answer as garbled
    if usage is not None:
        held = usage.believed()
        assert all(0 <= getattr(held, field) <= MOST_TOKENS for field in CLASSES)
        assert held is usage or held.is_estimated


@given(prompt=st.integers(0, 99), parts=st.lists(st.integers(0, 200), min_size=5, max_size=5))
def test_parts_are_never_more_than_their_whole(prompt: int, parts: list[int]) -> None:
    cached, written, heard, reasoning, spoken = parts
    given = {
        "prompt_tokens": prompt,
        "completion_tokens": 50,
        "total_tokens": prompt + 50 + (reasoning if reasoning % 2 else 0),
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": heard,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }
    usage = openai_usage(given)
    assert usage is not None
    assert usage.input_tokens == prompt
    assert usage.output_tokens == given["total_tokens"] - prompt
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    usage = responses_usage({"input_tokens": prompt, "input_tokens_details": details})
    assert usage is not None
    assert usage.input_tokens == prompt
    counted = UsageMetadata(prompt_token_count=prompt, cached_content_token_count=cached)
    assert gemini_usage.usage_of(counted).input_tokens == prompt
