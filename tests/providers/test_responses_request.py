"""What a provider of the Responses protocol is sent for a request in chat form."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.providers.asking import call_of, losses_of

from santral.errors import BadRequest, ParameterNotSupported
from santral.providers.responses.request import request_body
from santral.wire.loss import Losses

PNG = "data:image/png;base64,iVBORw0KGgo="
SEALED = {
    "type": "reasoning.encrypted",
    "data": "gAAAA+/==",
    "id": "rs_1",
    "format": "openai-responses-v1",
}


def sent(messages: Any = "Hi", **more: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the body and the losses."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    call = call_of("gpt", fields={"messages": messages, **more.pop("fields", {})}, **more)
    return json.loads(request_body(call)), losses_of(call)


def test_nothing_is_kept_by_the_provider() -> None:
    body, losses = sent(is_streaming=True)
    assert body == {
        "model": "gpt",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "store": False,
        "stream": True,
    }
    assert losses == []


def test_system_turns_stay_where_they_are() -> None:
    body, _ = sent(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "developer", "content": "Now long."},
        ]
    )
    assert [item["role"] for item in body["input"]] == ["system", "user", "system"]


def test_pictures_and_files_become_their_parts_and_sounds_are_lost() -> None:
    parts = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    body, losses = sent([{"role": "user", "content": parts}])
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "detail": "low", "image_url": PNG},
        {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.png"},
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,JVBERg==",
        },
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    ]
    assert losses == ["messages.0.content.6"]  # OpenAI hears it in chat completions alone


def test_a_turn_with_tools_keeps_its_order_and_its_reasoning() -> None:
    messages = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "reasoning_content": "I should look.",
            "reasoning_details": [
                {
                    "type": "reasoning.summary",
                    "summary": "I should look.",
                    "format": "openai-responses-v1",
                },
                SEALED,
            ],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "w", "arguments": ""}},
                {"id": "c2", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": PNG}},
            ],
        },
    ]
    body, losses = sent(messages)
    assert body["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "I should look."}],
            "encrypted_content": "gAAAA+/==",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "w", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "detail": "auto", "image_url": PNG},
            ],
        },
    ]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert losses == []


def test_interleaved_reasoning_keeps_its_place() -> None:
    second = SEALED | {"data": "second", "id": "rs_2"}
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "w", "arguments": "{}"}}
        for n in (1, 2)
    ]
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_details": [SEALED, second],
        "tool_calls": calls,
        "block_order": ["reasoning", "tool_call", "reasoning", "tool_call"],
    }
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "x"} for n in (1, 2)]
    body, _ = sent([{"role": "user", "content": "Hi"}, message, *results])
    assert [item["type"] for item in body["input"]] == [
        "message",
        "reasoning",
        "function_call",
        "reasoning",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]


def test_reasoning_of_other_vendors_stays_behind_and_is_named() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "hm",
        "reasoning_details": [
            {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1"}
        ],
    }
    body, losses = sent([{"role": "user", "content": "Hi"}, message])
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert losses == ["messages.1.reasoning_details.0"]


def test_settings_have_their_own_names() -> None:
    schema = {"name": "a", "schema": {"type": "object"}, "strict": True, "description": "d"}
    body, losses = sent(
        fields={
            "max_completion_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "parallel_tool_calls": False,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "verbosity": "low",
            "reasoning_effort": "low",
            "logprobs": True,
            "top_logprobs": 2,
            "service_tier": "flex",
            "safety_identifier": "u-1",
            "prompt_cache_key": "k",
            "metadata": {"a": "b"},
            "store": False,
            "stream_options": {"include_usage": True},
        },
        is_streaming=True,
    )
    del body["input"]
    assert body == {
        "model": "gpt",
        "store": False,
        "stream": True,
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", **schema}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 2,
        "service_tier": "flex",
        "safety_identifier": "u-1",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
    }
    assert losses == []


def test_tools_are_one_level_flatter_and_lax_unless_they_say_otherwise() -> None:
    grammar = {"syntax": "regex", "definition": "a+"}
    body, losses = sent(
        fields={
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d"}},
                {
                    "type": "function",
                    "function": {"name": "g", "parameters": {"type": "object"}, "strict": True},
                    "cache_control": {"type": "ephemeral"},
                },
                {
                    "type": "custom",
                    "custom": {"name": "c", "format": {"type": "grammar", "grammar": grammar}},
                },
                {"type": "native", "dialect": "responses", "block": {"type": "web_search"}},
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "c"}},
        }
    )
    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "g", "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "c", "format": {"type": "grammar", **grammar}},
        {"type": "web_search"},
    ]
    assert body["tool_choice"] == {"type": "custom", "name": "c"}
    assert losses == []


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_every_tool_choice_has_its_form(choice: Any, expected: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert sent(fields={"tools": tools, "tool_choice": choice})[0]["tool_choice"] == expected


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({"n": 2}, "n=1"),
        ({"seed": 1}, "seed"),
        ({"stop": ["x"]}, "stop"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"store": True}, "store"),
        ({"max_tokens": 5}, "max_tokens=16"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking=low"),
        ({"tools": [{"type": "native", "dialect": "messages", "block": {}}]}, "tools.0"),
    ],
)
def test_what_cannot_be_said_is_named_and_a_strict_route_refuses(
    fields: dict[str, Any], loss: str
) -> None:
    assert sent(fields=fields)[1] == [loss]
    with pytest.raises(ParameterNotSupported):
        sent(fields=fields, losses=Losses(strict_route="strict"))


def test_thinking_of_another_shape_is_the_callers_mistake() -> None:
    with pytest.raises(BadRequest, match="at 'thinking'"):
        sent(fields={"thinking": True})


def test_the_stricter_limit_holds() -> None:
    assert sent(fields={"max_tokens": 900}, max_output_tokens=50)[0]["max_output_tokens"] == 50
    assert sent(fields={"max_tokens": 30}, max_output_tokens=50)[0]["max_output_tokens"] == 30
    assert sent(max_output_tokens=50)[0]["max_output_tokens"] == 50


def native_call(dialect: str) -> tuple[dict[str, Any], list[str]]:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    messages = [
        {
            "role": "user",
            "content": [
                {
                    "type": "native",
                    "dialect": "responses",
                    "block": {"type": "input_image", "file_id": "file-1"},
                }
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "native", "dialect": "responses", "block": item},
                {"type": "text", "text": "Found."},
            ],
        },
    ]
    native = {
        "reasoning.summary": Raw(b'"auto"'),
        "include": Raw(b'["web_search_call.results"]'),
        "max_tool_calls": Raw(b"3"),
    }
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    return sent(messages, dialect=dialect, native=native, fields={"tools": tools})


def test_what_only_this_dialect_knows_comes_back_where_it_was() -> None:
    body, losses = native_call("responses")
    assert losses == []
    assert body["input"][0]["content"] == [{"type": "input_image", "file_id": "file-1"}]
    assert [item["type"] for item in body["input"]] == ["message", "web_search_call", "message"]
    assert body["reasoning"] == {"summary": "auto"}
    assert body["include"] == ["web_search_call.results", "reasoning.encrypted_content"]
    assert body["max_tool_calls"] == 3
    assert body["tools"][0].keys() == {"type", "name", "parameters"}, "strict was not asked for"


def test_native_fields_of_another_dialect_are_lost() -> None:
    assert native_call("messages")[1] == ["reasoning.summary", "include", "max_tool_calls"]


def test_a_message_nobody_can_read_is_the_callers_mistake() -> None:
    with pytest.raises(BadRequest) as caught:
        sent([{"role": "user", "content": [{"type": "hologram"}]}])
    assert caught.value.param == "messages.0.content.0.type"


def test_fields_that_are_raw_are_read_like_others() -> None:
    fields = {"messages": Raw(b'[{"role":"user","content":"Hi"}]'), "user": Raw(b'"u"')}
    body = json.loads(request_body(call_of("gpt", fields=fields)))
    assert body["user"] == "u"
    assert msgspec.json.encode(body["input"]).count(b"Hi") == 1
