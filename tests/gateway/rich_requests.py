"""One request a dialect that asks for everything it can say, and how each thing is found again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Fields = dict[str, Any]


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"picture in a turn").decode()
RESULT_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"picture in a result").decode()
PDF = base64.b64encode(b"%PDF-1.7 " + b"document in a turn").decode()
WAV = base64.b64encode(b"RIFF....WAVE " + b"sound in a turn").decode()
URL = "https://images.example.com/picture-by-address.png"
SCHEMA: Fields = {
    "type": "object",
    "properties": {"schema_canary": {"type": "string"}},
    "required": ["schema_canary"],
    "additionalProperties": False,
}
LOOK: Fields = {
    "type": "object",
    "properties": {"city_canary": {"type": "string"}},
    "required": ["city_canary"],
}
MARK = {"type": "ephemeral"}
_CALLS = (("call_one", "look", {"city_canary": "Ankara"}), ("call_two", "now", {}))

CHAT: Fields = {
    "messages": [
        {"role": "system", "content": "system-canary"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "question-canary", "cache_control": MARK},
                {"type": "image_url", "image_url": {"url": URL}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {
                    "type": "file",
                    "file": {
                        "file_data": f"data:application/pdf;base64,{PDF}",
                        "filename": "paper.pdf",
                    },
                },
                {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": "turn-canary",
            "tool_calls": [
                {
                    "id": name,
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps(arguments)},
                }
                for name, tool, arguments in _CALLS
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "call_one",
            "content": [
                {"type": "text", "text": "result-canary"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RESULT_PNG}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_two", "content": "second-result"},
        {"role": "user", "content": "last-canary"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look", "description": "tool-canary", "parameters": LOOK},
        },
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "form", "schema": SCHEMA, "strict": True},
    },
    "max_completion_tokens": 4321,
    "stop": ["stop-canary"],
    "seed": 424242,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "temperature": 0.37,
    "top_p": 0.91,
    "presence_penalty": 0.11,
    "frequency_penalty": 0.13,
    "logit_bias": {"50256": -7},
    "reasoning_effort": "high",
    "service_tier": "priority",
    "user": "user-canary",
    "unknown_canary": "unknown-value",
}

MESSAGES: Fields = {
    "max_tokens": 4321,
    "system": [{"type": "text", "text": "system-canary", "cache_control": MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "question-canary", "cache_control": MARK},
                {"type": "image", "source": {"type": "url", "url": URL}},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                },
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    "title": "paper.pdf",
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "turn-canary"},
                *(
                    {"type": "tool_use", "id": name, "name": tool, "input": arguments}
                    for name, tool, arguments in _CALLS
                ),
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_one",
                    "content": [
                        {"type": "text", "text": "result-canary"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": RESULT_PNG,
                            },
                        },
                    ],
                },
                {"type": "tool_result", "tool_use_id": "call_two", "content": "second-result"},
                {"type": "text", "text": "last-canary"},
            ],
        },
    ],
    "tools": [
        {"name": "look", "description": "tool-canary", "input_schema": LOOK},
        {"name": "now", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["stop-canary"],
    "temperature": 0.37,
    "top_p": 0.91,
    "top_k": 37,
    "metadata": {"user_id": "user-canary"},
    "unknown_canary": "unknown-value",
}

RESPONSES: Fields = {
    "store": False,
    "instructions": "system-canary",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "question-canary"},
                {"type": "input_image", "image_url": URL, "detail": "auto"},
                {
                    "type": "input_image",
                    "image_url": f"data:image/png;base64,{PNG}",
                    "detail": "auto",
                },
                {
                    "type": "input_file",
                    "file_data": f"data:application/pdf;base64,{PDF}",
                    "filename": "paper.pdf",
                },
                {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            ],
        },
        {"role": "assistant", "content": "turn-canary"},
        *(
            {
                "type": "function_call",
                "call_id": name,
                "name": tool,
                "arguments": json.dumps(arguments),
            }
            for name, tool, arguments in _CALLS
        ),
        {
            "type": "function_call_output",
            "call_id": "call_one",
            "output": [
                {"type": "input_text", "text": "result-canary"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{RESULT_PNG}"},
            ],
        },
        {"type": "function_call_output", "call_id": "call_two", "output": "second-result"},
        {"role": "user", "content": "last-canary"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "look",
            "description": "tool-canary",
            "parameters": LOOK,
            "strict": False,
        },
        {"type": "function", "name": "now", "parameters": {"type": "object"}, "strict": False},
        {"type": "web_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "text": {
        "format": {"type": "json_schema", "name": "form", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 3,
    "max_output_tokens": 4321,
    "temperature": 0.37,
    "top_p": 0.91,
    "reasoning": {"effort": "high"},
    "service_tier": "priority",
    "user": "user-canary",
    "unknown_canary": "unknown-value",
}

GEMINI: Fields = {
    "systemInstruction": {"parts": [{"text": "system-canary"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "question-canary"},
                {"fileData": {"mimeType": "image/png", "fileUri": URL}},
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
                {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
                {"inlineData": {"mimeType": "audio/wav", "data": WAV}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "turn-canary"},
                *(
                    {"functionCall": {"id": name, "name": tool, "args": arguments}}
                    for name, tool, arguments in _CALLS
                ),
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "call_one",
                        "name": "look",
                        "response": {"output": "result-canary"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": RESULT_PNG}}],
                    }
                },
                {
                    "functionResponse": {
                        "id": "call_two",
                        "name": "now",
                        "response": {"output": "second-result"},
                    }
                },
                {"text": "last-canary"},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {"name": "look", "description": "tool-canary", "parametersJsonSchema": LOOK},
                {"name": "now"},
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "maxOutputTokens": 4321,
        "stopSequences": ["stop-canary"],
        "seed": 424242,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
        "temperature": 0.37,
        "topP": 0.91,
        "topK": 37,
        "presencePenalty": 0.11,
        "frequencyPenalty": 0.13,
        "thinkingConfig": {"thinkingLevel": "high"},
    },
    "labels": {"purpose": "metadata-canary"},
}

COMPLETIONS: Fields = {
    "prompt": "question-canary",
    "suffix": "suffix-canary",
    "max_tokens": 4321,
    "stop": ["stop-canary"],
    "seed": 424242,
    "n": 2,
    "best_of": 3,
    "logprobs": 3,
    "temperature": 0.37,
    "top_p": 0.91,
    "presence_penalty": 0.11,
    "frequency_penalty": 0.13,
    "logit_bias": {"50256": -7},
    "user": "user-canary",
    "unknown_canary": "unknown-value",
}

RICH: dict[str, Fields] = {
    "chat": CHAT,
    "messages": MESSAGES,
    "responses": RESPONSES,
    "gemini": GEMINI,
    "completions": COMPLETIONS,
}


class Leaf(NamedTuple):
    """One scalar of a document, with the names that lead to it."""

    path: str
    value: Any


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}")
        if not value:
            yield Leaf(path, {})
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield Leaf(path, value)


Find = Callable[[list[Leaf]], bool]


def says(text: str) -> Find:
    """The text stands somewhere, also inside JSON within a text."""
    return lambda found: any(text in leaf.value for leaf in found if isinstance(leaf.value, str))


def number(value: float) -> Find:
    return lambda found: any(
        leaf.value == value for leaf in found if isinstance(leaf.value, int | float)
    )


def named(*names: str) -> Find:
    """A field with one of these names is there."""
    wanted = {f".{name.lower()}" for name in names}
    return lambda found: any(
        any(leaf.path.lower().endswith(name) or f"{name}." in leaf.path.lower() for name in wanted)
        for leaf in found
    )


def both(first: Find, second: Find) -> Find:
    return lambda found: first(found) and second(found)


class Thing(NamedTuple):
    """One thing that requests ask for: how it is found upstream, what names its loss."""

    find: Find
    losses: str  # a regular expression over the names in x-santral-loss


#: In words: docs/generator/loss_table.py.
THINGS: dict[str, Thing] = {
    "system": Thing(says("system-canary"), r"system|instructions|messages\.0"),
    "question": Thing(says("question-canary"), "messages"),
    "image-url": Thing(says(URL), r"(messages|contents|input)\.[01]\..*1"),
    "image": Thing(says(PNG), r"(messages|contents|input)\.[01]\..*2"),
    "pdf": Thing(says(PDF), r"(messages|contents|input)\.[01]\..*3"),
    "audio": Thing(says(WAV), r"(messages|contents|input)\.[01]\..*4"),
    "turn": Thing(says("turn-canary"), "messages"),
    "calls": Thing(says("Ankara"), "messages"),
    "results": Thing(
        both(says("result-canary"), says("second-result")), "messages"
    ),
    "result-image": Thing(
        says(RESULT_PNG), r"(messages|contents|input)\.\d+"
    ),
    "tools": Thing(both(says("tool-canary"), named("city_canary.type")), r"tools(\.|$|=)"),
    "own-tool": Thing(
        lambda found: says("web_search")(found) or named("googleSearch")(found),
        r"^tools",
    ),
    "one-call": Thing(
        named("parallel_tool_calls", "disable_parallel_tool_use"),
        "parallel_tool_calls|tool_choice",
    ),
    "schema": Thing(
        lambda found: named("schema_canary.type")(found) or says('"schema_canary"')(found),
        "response_format|output_config|text|generationConfig|responseJsonSchema",
    ),
    "limit": Thing(number(4321), "max"),
    # Where a provider cannot, the gateway cuts the answer there itself: tests/gateway/test_early_end.
    "stop": Thing(lambda found: True, "stop"),
    "seed": Thing(number(424242), "seed"),
    "choices": Thing(named("n", "candidateCount"), "^n$|^n=|candidateCount"),
    "logprobs": Thing(
        lambda found: named("logprobs", "responseLogprobs", "top_logprobs")(found),
        "logprobs|Logprobs",
    ),
    "temperature": Thing(number(0.37), "temperature"),
    "top_p": Thing(number(0.91), "top_?[pP]"),
    "top_k": Thing(number(37), "top_?[kK]"),
    "presence": Thing(number(0.11), "presence"),
    "frequency": Thing(number(0.13), "frequency"),
    "bias": Thing(named("50256"), "logit_bias"),
    "effort": Thing(
        named("reasoning_effort", "effort", "thinkingLevel", "think", "thinking", "thinkingBudget",
              "budget_tokens", "token_budget"),
        "effort|thinking|reasoning",
    ),
    "tier": Thing(named("service_tier", "serviceTier"), "service_?[tT]ier"),
    "user": Thing(says("user-canary"), "user|metadata"),
    "metadata": Thing(says("metadata-canary"), "metadata|labels"),
    "safety": Thing(says("HARM_CATEGORY_HARASSMENT"), "safetySettings"),
    "verbosity": Thing(named("verbosity"), "verbosity|^text"),
    "suffix": Thing(says("suffix-canary"), "suffix"),
    "best_of": Thing(named("best_of"), "best_of"),
    "unknown": Thing(says("unknown-value"), "unknown_canary"),
}  # fmt: skip

#: What each rich request asks for.
ASKED: dict[str, tuple[str, ...]] = {
    dialect: tuple(name for name, thing in THINGS.items() if thing.find(list(leaves(fields))))
    for dialect, fields in RICH.items()
}
