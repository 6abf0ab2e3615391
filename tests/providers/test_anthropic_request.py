"""What is sent to Anthropic for a call in chat form, and what of it is noted as lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ParameterNotSupported
from santral.gateway.dialects.messages.request import read_request
from santral.providers.anthropic.betas import allowed_betas
from santral.providers.anthropic.models import abilities_of
from santral.providers.anthropic.request import write_count, write_request
from santral.providers.provider import ProviderCall, TaskCall
from santral.wire.loss import Losses

NEW, OLD, MIDDLE = "claude-opus-4-8", "claude-sonnet-4-20250514", "claude-sonnet-4-5"
USER = {"role": "user", "content": "Hi"}
SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}},
    "required": ["age"],
}


def body_of(
    model: str = NEW, messages: list[Any] | None = None, **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    """The body, and what was lost."""
    more = {n: fields.pop(n) for n in ("prompt_cache", "max_output_tokens") if n in fields}
    made = {"messages": messages or [USER], **fields}
    call = ProviderCall(
        model=model, fields=made, is_streaming=False, timeouts=TimeoutsConfig(), **more
    )
    return json.loads(write_request(call).body), call.losses.names()


def own_body(body: dict[str, Any], model: str = NEW, **more: Any) -> tuple[bytes, list[str]]:
    """What is sent for a request that came in Anthropic's own protocol."""
    read = read_request(json.dumps(body, separators=(",", ":")).encode())
    fields = {**read.fields, "messages": read.messages}
    call = ProviderCall(
        model=model, fields=fields, is_streaming=False, timeouts=TimeoutsConfig(),
        dialect="messages", native=read.native, **more,
    )  # fmt: skip
    return write_request(call).body, call.losses.names()


def test_a_plain_question() -> None:
    body, lost = body_of(messages=[{"role": "system", "content": "Be kind."}, USER])
    assert body == {
        "model": NEW,
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "max_tokens": 4096,
    }
    assert lost == []


def test_the_output_limit_is_the_stricter_one() -> None:
    assert body_of(max_tokens=100, max_output_tokens=50)[0]["max_tokens"] == 50
    assert body_of(max_completion_tokens=10, max_output_tokens=50)[0]["max_tokens"] == 10
    assert body_of(max_output_tokens=50)[0]["max_tokens"] == 50
    assert body_of(max_tokens=0)[0]["max_tokens"] == 0, "it fills the prompt cache"


def test_what_it_cannot_say_is_lost_by_name() -> None:
    _, lost = body_of(
        messages=[
            {"role": "user", "name": "ayse", "content": [
                {"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}},
                {"type": "native", "dialect": "responses", "block": {}},
                {"type": "text", "text": "x"},
            ]},
            {"role": "assistant", "reasoning_content": "foreign", "content": "y"},
            USER,
        ],
        n=2, seed=1, logprobs=True, top_logprobs=3, presence_penalty=0.1, frequency_penalty=1,
        logit_bias={"1": 1}, service_tier="flex", stop=[" ", "END"],
    )  # fmt: skip
    assert sorted(lost) == sorted([
        "messages.0.name", "messages.0.content.0", "messages.0.content.1",
        "messages.1.reasoning_content", "n", "seed", "logprobs", "top_logprobs",
        "presence_penalty", "frequency_penalty", "logit_bias", "service_tier", "stop",
    ])  # fmt: skip


def test_a_strict_route_refuses_instead() -> None:
    call = ProviderCall(
        model=NEW,
        fields={"messages": [USER], "seed": 1},
        is_streaming=False,
        timeouts=TimeoutsConfig(),
        losses=Losses(strict_route="exact"),
    )
    with pytest.raises(ParameterNotSupported, match="seed"):
        write_request(call)


def test_tools_and_their_results() -> None:
    body, lost = body_of(
        messages=[
            USER,
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call.1", "function": {"name": "f", "arguments": ""}},
                {"id": "call_2", "function": {"name": "f", "arguments": "not json"}},
            ]},
            {"role": "tool", "tool_call_id": "call.1", "content": "1"},
            {"role": "tool", "tool_call_id": "call_2", "content": "", "is_error": True},
        ],
        tools=[{"type": "function", "function": {"name": "f", "description": "d", "strict": True}}],
        tool_choice="required",
        parallel_tool_calls=False,
    )  # fmt: skip
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "call_2", "name": "f", "input": {"text": "not json"}},
    ]
    assert body["messages"][2] == {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "call_1",
                "content": [{"type": "text", "text": "1"}],
            },
            {"type": "tool_result", "tool_use_id": "call_2", "is_error": True},
        ],
    }
    assert body["tools"] == [
        {
            "name": "f",
            "input_schema": {"type": "object", "properties": {}},
            "description": "d",
            "strict": True,
        }
    ]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert lost == ["messages.1.tool_calls.1=text"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        (None, None),
        ({"type": "function", "function": {"name": "g"}}, {"type": "tool", "name": "g"}),
    ],
)
def test_tool_choices(choice: Any, sent: Any) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "fg"]
    assert body_of(tools=tools, tool_choice=choice)[0].get("tool_choice") == sent


def test_allowed_tools_are_the_only_ones_sent() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "fg"]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools[1:]}}
    body, _ = body_of(tools=tools, tool_choice=allowed)
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


def test_images_and_documents() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BB=="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,TWVyaGFiYQ=="}},
        {"type": "file", "file": {"file_url": "https://x/a.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}},
    ]  # fmt: skip
    body, lost = body_of(messages=[{"role": "user", "content": parts}])
    assert [block["source"] for block in body["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": "AAA="},
        {"type": "url", "url": "https://x/y.png"},
        {"type": "base64", "media_type": "application/pdf", "data": "BB=="},
        {"type": "text", "media_type": "text/plain", "data": "Merhaba"},
        {"type": "url", "url": "https://x/a.pdf"},
    ]
    assert body["messages"][0]["content"][2]["title"] == "a.pdf"
    assert lost == ["messages.0.content.1.image_url.detail", "messages.0.content.5"]


@pytest.mark.parametrize(
    ("model", "effort", "sent", "lost"),
    [
        (NEW, "medium",
         {"thinking": {"type": "adaptive", "display": "summarized"},
          "output_config": {"effort": "medium"}}, []),
        ("claude-opus-4-6", "xhigh",
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
         ["reasoning_effort=high"]),
        ("claude-opus-4-5", "minimal", {"output_config": {"effort": "low"}}, []),
        (OLD, "medium", {"thinking": {"type": "enabled", "budget_tokens": 4095}}, []),
        (NEW, "none", {"thinking": {"type": "disabled"}}, []),
        (NEW, "much", {}, ["reasoning_effort"]),
        ("kimi-k2", "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
    ],
)  # fmt: skip
def test_reasoning_effort(model: str, effort: str, sent: Any, lost: list[str]) -> None:
    body, names = body_of(model, reasoning_effort=effort)
    assert {n: body[n] for n in ("thinking", "output_config") if n in body} == sent
    assert names == lost


def test_thinking_needs_room_and_freedom() -> None:
    body, lost = body_of(OLD, reasoning_effort="low", max_tokens=500)
    assert "thinking" not in body
    assert lost == ["reasoning_effort"]
    tools = [{"type": "function", "function": {"name": "f"}}]
    body, lost = body_of(OLD, reasoning_effort="low", tools=tools, tool_choice="required")
    assert "thinking" not in body
    assert lost == ["reasoning_effort"]


@pytest.mark.parametrize(
    ("model", "fields", "sent", "lost"),
    [
        (
            NEW,
            {"temperature": 0.5, "top_p": 0.9, "top_k": 4},
            {},
            ["temperature", "top_p", "top_k"],
        ),
        (NEW, {"temperature": 1}, {}, []),
        (MIDDLE, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p"]),
        (OLD, {"temperature": 1.5, "top_k": 4}, {"temperature": 1, "top_k": 4}, ["temperature=1"]),
        (OLD, {"temperature": 0.5, "reasoning_effort": "low"}, {}, ["temperature"]),
    ],
)
def test_sampling(model: str, fields: Any, sent: Any, lost: list[str]) -> None:
    body, names = body_of(model, **fields)
    assert {n: body[n] for n in ("temperature", "top_p", "top_k") if n in body} == sent
    assert names == lost


def shaped(schema: dict[str, Any], *, strict: bool | None = None) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": schema, "strict": strict},
    }


def test_structured_output_is_asked_for_in_the_models_subset() -> None:
    body, _ = body_of(response_format=shaped(SCHEMA))
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"age": {"type": "integer", "description": "{minimum: 0}"}},
            "required": ["age"],
            "additionalProperties": False,
        },
    }
    strict, _ = body_of(response_format=shaped(SCHEMA, strict=True))
    assert strict["output_config"]["format"]["schema"] == SCHEMA, "the caller knows the subset"


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (OLD, SCHEMA),
        (NEW, {"type": "object", "additionalProperties": {"type": "string"}}),
    ],
)
def test_a_forced_tool_stands_in_for_structured_output(model: str, schema: dict[str, Any]) -> None:
    body, lost = body_of(model, response_format=shaped(schema))
    assert body["tools"][0]["name"] == "person"
    assert body["tools"][0]["input_schema"] == schema
    assert body["tool_choice"] == {"type": "tool", "name": "person"}
    assert lost == []


def test_a_json_object_is_asked_for_in_words() -> None:
    body, lost = body_of(response_format={"type": "json_object"})
    assert "JSON" in body["system"][-1]["text"]
    assert lost == ["response_format=instruction"]


def test_a_later_system_message_stays_where_the_model_takes_it() -> None:
    system = {"role": "system", "content": "Be brief."}
    answer = {"role": "assistant", "content": "Yes?"}
    messages = [USER, system, answer, system, USER]
    roles = [turn["role"] for turn in body_of(NEW, messages)[0]["messages"]]
    assert roles == ["user", "system", "assistant", "user"]
    turns = body_of(OLD, messages)[0]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[0]["content"][1]["text"] == "<system>\nBe brief.\n</system>"


def test_a_request_of_a_system_prompt_alone_is_a_question() -> None:
    body, _ = body_of(messages=[{"role": "system", "content": "Say hi."}])
    assert "system" not in body
    assert body["messages"][0]["role"] == "user"


MARK = {"type": "ephemeral"}
LONG = "word " * 1000


def marks(body: dict[str, Any]) -> list[str]:
    found = [f"tools.{n}" for n, t in enumerate(body.get("tools", [])) if "cache_control" in t]
    found += [f"system.{n}" for n, b in enumerate(body.get("system", [])) if "cache_control" in b]
    return found + [
        f"messages.{n}.{m}"
        for n, turn in enumerate(body["messages"])
        for m, block in enumerate(turn["content"])
        if "cache_control" in block
    ]


def test_markers_are_kept_and_put_where_there_are_none() -> None:
    long = {"role": "system", "content": LONG}
    talk = [long, USER, {"role": "assistant", "content": "Yes?"}, USER]
    assert marks(body_of(messages=talk)[0]) == []
    assert marks(body_of(messages=talk, prompt_cache="auto")[0]) == ["system.0", "messages.2.0"]
    assert marks(body_of(messages=[long, USER], prompt_cache="auto")[0]) == ["system.0"]
    assert marks(body_of(messages=[USER], prompt_cache="auto")[0]) == []
    tools = [{"type": "function", "function": {"name": "f", "description": LONG}}]
    both = body_of(messages=talk, tools=tools, prompt_cache="auto")[0]
    assert marks(both) == ["tools.0", "system.0", "messages.2.0"]
    own = {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]}
    assert marks(body_of(messages=[long, own], prompt_cache="auto")[0]) == ["messages.0.0"]


OWN = {
    "model": "route",
    "max_tokens": 99,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Bir.", "signature": "sig1=="},
                {"type": "redacted_thinking", "data": "zz=="},
                {"type": "text", "text": "Looking.", "citations": [{"type": "char_location"}]},
                {"type": "thinking", "thinking": "", "signature": "sig2=="},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
                {
                    "type": "tool_use", "id": "t2", "name": "g", "input": {},
                    "caller": {"type": "code_execution_20260120", "tool_id": "s"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "1"}]},
                {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "search_result", "source": "s", "title": "t", "content": []},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "Mind the rain."}]},
    ],
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "metadata": {"user_id": "u1"},
    "stop_sequences": ["END"],
    "service_tier": "standard_only",
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}},
                      "effort": "low", "task_budget": {"type": "tokens", "total": 5}},
    "context_management": {"edits": []},
    "cache_control": MARK,
    "future_field": [1.5, None],
}  # fmt: skip


def test_a_request_of_the_protocol_itself_arrives_as_it_was_sent() -> None:
    body, lost = own_body(OWN)
    assert json.loads(body) == {**OWN, "model": NEW}
    assert lost == []
    for piece in (
        b'{"type":"thinking","thinking":"Bir.","signature":"sig1=="}',
        b'"thinking":{"type":"adaptive","display":"omitted"}',
        b'"future_field":[1.5,null]',
        b'{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}}',
        b'"input":{"x":1}',
    ):
        assert piece in body


def test_a_budget_of_thinking_stays_a_budget() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    asked = {"model": "r", "max_tokens": 5000, "messages": [USER], "thinking": thinking}
    sent = json.loads(own_body(asked, "claude-opus-4-5")[0])
    assert sent["thinking"] == thinking
    assert "output_config" not in sent
    both = json.loads(
        own_body({**asked, "output_config": {"effort": "high"}}, "claude-opus-4-5")[0]
    )
    assert both["output_config"] == {"effort": "high"}


def test_fields_of_another_dialect_are_lost() -> None:
    call = ProviderCall(
        model=NEW,
        fields={"messages": [USER]},
        is_streaming=True,
        timeouts=TimeoutsConfig(),
        dialect="responses",
        native={"truncation": Raw(b'"auto"')},
    )
    assert json.loads(write_request(call).body)["stream"] is True
    assert call.losses.names() == ["truncation"]


def test_only_what_counts_is_sent_for_counting() -> None:
    fields = {"messages": [{"role": "system", "content": "s"}, USER], "max_tokens": 5, "seed": 1}
    call = TaskCall(operation="count_tokens", model=NEW, fields=fields, timeouts=TimeoutsConfig())
    assert sorted(msgspec.json.decode(write_count(call))) == ["messages", "model", "system"]


def test_flags_nobody_knows_stay_here() -> None:
    losses = Losses()
    said = "context-1m-2025-08-07, managed-agents-2026-04-01,claude-code-20250219,\r\nx, "
    assert allowed_betas(said, losses) == "context-1m-2025-08-07,claude-code-20250219"
    assert losses.names() == ["anthropic-beta.managed-agents-2026-04-01", "anthropic-beta.x"]


@pytest.mark.parametrize(
    ("model", "is_adaptive", "samples"),
    [
        ("claude-3-7-sonnet-20250219", False, True),
        ("claude-opus-4-20250514", False, True),
        ("claude-haiku-4-5-20251001", False, True),
        ("claude-opus-4-6", True, True),
        ("claude-opus-4-7", True, False),
        ("claude-sonnet-5", True, False),
        ("claude-mythos-preview", True, False),
        ("glm-4.6", False, True),
    ],
)
def test_versions_are_told_from_names(model: str, is_adaptive: bool, samples: bool) -> None:
    abilities = abilities_of(model)
    assert (abilities.is_adaptive, abilities.samples) == (is_adaptive, samples)
